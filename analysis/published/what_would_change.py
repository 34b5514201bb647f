"""What would change a verdict: more seeds where a claim is undecided, and elsewhere how far its bound is.

A decided claim has an interval on one side of its bound. The distance from the end of the interval that is nearest to
the bound, in half-widths of the interval, says how firm the verdict is: at 0 the interval touches the bound, and at 1
it would touch if it were twice as wide. A claim of several losses or sizes has the distance of the one that is shown.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.published.claim import ALPHA, Rule
from analysis.published.papers import PAPERS
from analysis.records.number_format import number
from analysis.statistics.power import MOST

QUICK = "quick version, small on purpose"  # how the note of a claim of the quick version begins
TOO_MANY, NO_NUMBER = -0.5, -0.25  # places in the order of Change, behind those whose seeds are known


@dataclass(frozen=True, kw_only=True)
class Change:
    """What would change a verdict, in words.

    order: what takes least comes first. Undecided claims lie below 0, those that few seeds decide before others;
    decided ones have the distance of their bound in half-widths; None where there is none.
    """

    text: str
    order: float | None


def reopened(entry: Mapping[str, Any]) -> bool:
    """Whether a decided claim, an entry of claims.json, is undecided at 5 % with Holm's correction."""
    return entry["verdict"] != "undecided" and (entry.get("p_holm") is None or entry["p_holm"] >= ALPHA)


def what_would_change(entry: Mapping[str, Any], rule: Rule | None = None) -> Change:
    """What would change the verdict of an entry of claims.json. rule: of its claim; the one in PAPERS unless given."""
    if entry["verdict"] == "undecided":
        return to_decide(entry)
    words = holm_words(entry)
    if entry["interval"] is not None and entry["interval"][0] == entry["interval"][1]:
        same = f"All {entry['seeds']} seeds give the same number." if entry.get("seeds") else "No seed: it is exact."
        return Change(text=f"{words}{same}", order=None)
    away = half_widths(entry, rule or rule_of(entry))
    if away is None:
        return Change(text=f"{words}Not known: its rule is not at hand.", order=None)
    return Change(text=f"{words}The bound is {shown(away)} half-widths away.", order=away)


def shown(away: float) -> str:
    """A distance as people read it."""
    return f"{away:,.0f}" if away >= 10 else number(away, 2)


def holm_words(entry: Mapping[str, Any]) -> str:
    """What Holm's correction does to a decided claim, where it reopens it."""
    if entry.get("p_holm") is None or not reopened(entry):
        return ""
    return f"Holm's correction reopens it: p is then {number(entry['p_holm'], 2)}, which is not below {ALPHA:g}. "


def to_decide(entry: Mapping[str, Any]) -> Change:
    """What would decide an undecided claim: seeds, or what its note says is missing."""
    needed, seeds = entry.get("needed"), entry.get("seeds")
    note = entry["note"].removeprefix(QUICK).removeprefix("; ")
    first = note.partition("; ")[0]
    there = f"; there are {seeds}" if seeds else ""
    if needed is not None:
        return Change(
            text=f"It {first or f'would take about {needed:,} seeds'}{there}.", order=-1 + needed / (4 * MOST)
        )
    if first.startswith("would take"):
        return Change(text=f"It {first}{there}.", order=TOO_MANY)
    if first.startswith("one seed"):
        return Change(text="More than one seed: one has no interval.", order=-1.0)
    reason = first if first.startswith("no interval for") else note
    return Change(text=sentence(reason) if reason else "Not known: its note says nothing.", order=NO_NUMBER)


def sentence(words: str) -> str:
    """Words with a capital and a full stop."""
    return f"{words[0].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


def rule_of(entry: Mapping[str, Any]) -> Rule | None:
    """The rule of the claim of an entry; None where the claim is none of ours, or its rule has other words now."""
    paper = PAPERS.get(str(entry.get("paper")))
    rules = [claim.rule for claim in paper.claims if claim.name == entry.get("name")] if paper else []
    return next((rule for rule in rules if rule.text == entry["rule"]), None)


def half_widths(entry: Mapping[str, Any], rule: Rule | None) -> float | None:
    """From the nearest end of a decided claim's interval to its bound, in half-widths; None where it is not known."""
    if rule is None or entry["interval"] is None:
        return None
    low, high = entry["interval"]
    away = (rule.holds_by if entry["verdict"] == "holds" else rule.fails_by)(low, high) / ((high - low) / 2)
    return max(0.0, away) if math.isfinite(away) else None
