"""Which divergence from the reference leaves the most gold, for which error of the proxy, and does one win everywhere?

By the rules of analysis/statistics/proxy_errors/phase_diagram.py: a divergence wins a law of errors where it has the
highest peak of gold along the penalty, surely higher than KL's. At the smallest penalty gold ends surely below the
reference, or above it, where it does so under every divergence, each by its interval of 95 %.
"""

import math
from collections.abc import Sequence

import pandas as pd

from analysis.headline.statement import Number, Statement, brief, would_tell
from analysis.records.names import divergence_label, error_label, in_words, listed
from analysis.statistics.comparison import SIMILAR
from analysis.statistics.intervals import Estimate
from analysis.statistics.power import seeds_to_differ
from analysis.statistics.proxy_errors.phase_diagram import KL, PhaseDiagram, phase_diagram


def divergences_apart(curves: pd.DataFrame) -> list[Statement]:
    """The statements on the best policies under several divergences; none where KL is not among these."""
    found = phase_diagram(curves)
    return [] if found is None else [which_wins(found), where_it_ends(found)]


def which_wins(diagram: PhaseDiagram) -> Statement:
    """The divergence that wins each law, and those that are nowhere behind."""
    won: dict[str, list[str]] = {}
    for law in filter(diagram.better, diagram.laws):
        won.setdefault(diagram.best(law), []).append(law)
    rest = [law for law in diagram.laws if not diagram.better(law)]
    numbers = numbers_of(diagram)
    place = f" ({diagram.place})" if diagram.place else ""
    if not won:
        return nothing_won(diagram, numbers, place)
    winners, short = [], []
    for name, laws in won.items():
        amounts = [amount(diagram.cells[law, name].over_kl) for law in laws]
        each = [f"{error_label(law)} ({by})" if law else by for law, by in zip(laws, amounts, strict=True)]
        errors = " errors" if laws[0] else ""
        winners.append(f"{divergence_label(name)} has more gold at its peak than KL for {listed(each)}{errors}")
        against = f" for {named(laws)}" if laws[0] else ""
        short.append(f"{divergence_label(name)} has {listed(amounts)} more gold than KL{against}")
    others = ""
    if rest:
        others = f"; for {named(rest)} none surely has{within(diagram, rest)}"
        short.append("elsewhere none surely has more")
    text = f"{'; '.join(winners)}{others}; {everywhere(diagram)}{place}"
    return Statement(topic="divergences", text=text, title="; ".join(short) + place, sure=True, numbers=numbers)


def nothing_won(diagram: PhaseDiagram, numbers: dict[str, Number], place: str) -> Statement:
    """What is said where no divergence surely has more gold than KL."""
    if all(map(diagram.alike, diagram.laws)):
        text = f"At its peak, gold under every divergence lies within {SIMILAR:g} of that under KL, for every error"
        return Statement(topic="divergences", text=text + place, title=text + place, sure=True, numbers=numbers)
    best = {law: diagram.cells[law, diagram.best(law)].over_kl for law in diagram.laws}
    law = max(best, key=lambda name: best[name].value)
    most = best[law]
    needed = seeds_to_differ(most) if most.value > 0 and most.known else None
    where = f", {error_label(law)} errors" if law else ""
    seen = f"most: {divergence_label(diagram.best(law))}, by {amount(most)}{where}" if most.value > 0 else "none has"
    title = f"It is not sure that a divergence has more gold at its peak than KL ({seen})"
    tell = f"; {would_tell(needed, diagram.seeds)}" if most.value > 0 else ""
    text = f"{title.removesuffix(')')}{tell}); {everywhere(diagram)}{place}"
    return Statement(topic="divergences", text=text, title=title + place, sure=False, numbers=numbers, seeds=needed)


def within(diagram: PhaseDiagram, laws: Sequence[str]) -> str:
    """Whether all divergences are alike for these laws."""
    return f", and all lie within {SIMILAR:g} of it" if all(map(diagram.alike, laws)) else ""


def everywhere(diagram: PhaseDiagram) -> str:
    """Whether some divergence is behind the best for no law."""
    count = len(diagram.divergences)
    leaders = [name for name in diagram.divergences if not diagram.behind(name)]
    if not leaders:
        return f"none of the {in_words(count)} is the best everywhere: each is surely behind another for some error"
    if len(leaders) == count:
        return f"none of the {in_words(count)} is surely behind another"
    names = listed([divergence_label(name) for name in leaders])
    return f"{names} {'is' if len(leaders) == 1 else 'are'} nowhere surely behind the best"


def where_it_ends(diagram: PhaseDiagram) -> Statement:
    """Where gold ends at the smallest penalty, for each law."""
    ends = {law: [diagram.cells[law, name].end.interval() for name in diagram.divergences] for law in diagram.laws}
    below = [law for law in diagram.laws if all(high < 0 for _, high in ends[law])]
    above = [law for law in diagram.laws if all(low > 0 for low, _ in ends[law])]
    unsure = [law for law in diagram.laws if law not in (*below, *above)]
    parts, short = [], []
    for word, laws in (("below the reference", below), ("above it" if below else "above the reference", above)):
        if laws:
            parts.append(f"{word} for {ended(diagram, laws)}")
            short.append(f"{word} for {named(laws)}")
    if unsure:
        parts.append(f"not surely on one side{' of it' if parts else ' of the reference'} for {ended(diagram, unsure)}")
        short.append(f"not sure for {named(unsure)}")
    place = f" ({diagram.place})" if diagram.place else ""
    text = f"At the smallest penalty, gold ends {', '.join(parts)}, whatever the divergence (numbers: KL){place}"
    title = f"At the smallest penalty gold ends {', '.join(short)}"
    numbers: dict[str, Number] = {"below": len(below), "above": len(above), "not sure": len(unsure)}
    for (law, name), cell in diagram.cells.items():
        low, high = cell.end.interval()
        numbers |= {f"{law} {name} end": cell.end.value, f"{law} {name} low": low, f"{law} {name} high": high}
    return Statement(topic="smallest_penalty", text=text, title=title, sure=not unsure, numbers=numbers)


def ended(diagram: PhaseDiagram, laws: Sequence[str]) -> str:
    """Laws with the gold that they end with under KL."""
    each = [f"{error_label(law)} ({amount(diagram.cells[law, KL].end)})" for law in laws]
    return f"{listed(each)} errors" if laws[0] else amount(diagram.cells[laws[0], KL].end)


def named(laws: Sequence[str]) -> str:
    """Laws in words."""
    return f"{listed([error_label(law) for law in laws])} errors" if laws[0] else "this proxy"


def amount(estimate: Estimate) -> str:
    """A number with half of its interval of 95 %."""
    low, high = estimate.interval()
    return brief(estimate.value, (high - low) / 2)


def numbers_of(diagram: PhaseDiagram) -> dict[str, Number]:
    """What the statement on peaks is made of."""
    numbers: dict[str, Number] = {"seeds": diagram.seeds}
    for law in diagram.laws:
        best = diagram.best(law)
        low, high = diagram.cells[law, best].over_kl.interval()
        numbers |= {f"{law} best": best, f"{law} better than KL": diagram.better(law)}
        numbers |= {f"{law} over KL": diagram.cells[law, best].over_kl.value, f"{law} low": low, f"{law} high": high}
        for name in diagram.divergences:
            numbers[f"{law} {name}"] = diagram.cells[law, name].peak.value
    for name in diagram.divergences:
        numbers[f"{name} behind"] = ", ".join(diagram.behind(name))
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in numbers.items()}
