"""Do losses differ at equal KL?

Each loss less the common curve, paired over seeds; see analysis/statistics/common_curve.py for when a loss counts as
equal to it, or as different. A loss that is surely different and also surely within SIMILAR counts as equal.
"""

import pandas as pd

from analysis.headline.statement import Statement, brief, near, would_tell
from analysis.records.about import GPO_LOSSES
from analysis.records.names import in_words, listed, loss_label
from analysis.statistics.common_curve import CommonCurve, Departure, common_curve
from analysis.statistics.comparison import SIMILAR
from analysis.statistics.power import seeds_to_be_within, seeds_to_differ

MOST = 2  # losses on either side that are named


def losses_apart(curves: pd.DataFrame, place: str = "") -> Statement | None:
    """The statement, from rows at one combination of further axes; None where nothing can be compared."""
    found = common_curve(curves)
    return None if found is None else of_common_curve(found, place)


def of_common_curve(found: CommonCurve, place: str = "") -> Statement:
    """The statement of a common curve that is known."""
    equal = [each for each in found.departures if each.equal]
    apart = [each for each in found.departures if each.different and not each.equal]
    unsure = [each for each in found.departures if not (each.equal or each.different)]
    count, tell = len(found.departures), ""
    counts = [seeds_to_decide(each) for each in unsure]
    needed = None if None in counts or not counts else max(count for count in counts if count is not None)
    if unsure:
        tell = f" ({would_tell(needed, found.seeds)})"
    common = common_name(found)
    where = f"to {near(found.reach)} nats" + (f", {place}" if place else "")
    if len(equal) == count:
        both = "both" if count == 2 else f"all {in_words(count)}"
        text = f"{both} losses lie within {SIMILAR:g} of {common} at equal KL ({where})"
        title = f"{both.capitalize()} losses within {SIMILAR:g} of {common}"
        return statement(found, text, title, sure=True, needed=None)
    parts, short = [], []
    if equal:
        lie = "lies" if len(equal) == 1 else "lie"
        parts.append(f"{in_words(len(equal))} of {in_words(count)} losses {lie} within {SIMILAR:g} of {common}")
        short.append(f"{in_words(len(equal))} of {in_words(count)} within {SIMILAR:g}")
    for way, verb, word in (
        ("more", "more gold", "above"),
        ("less", "less gold", "below"),
        ("crosses", "", "crossing"),
    ):
        some = sorted((each for each in apart if each.different == way), key=lambda each: -abs(each.mean))
        if some:
            names = [f"{loss_label(each.name)} ({mean_text(each)})" for each in some[:MOST]]
            others = [f"{in_words(len(some) - MOST)} others"] if len(some) > MOST else []
            has = (
                ("have " if len(some) > 1 else "has ") + verb
                if verb
                else f"cross{'' if len(some) > 1 else 'es'} the common curve"
            )
            parts.append(f"{listed([*names, *others])} {has}")
            short.append(f"{in_words(len(some))} {word}")
    if unsure:
        named = [loss_label(each.name) for each in unsure]
        who = listed(named) if len(named) <= MOST + 1 else f"the other {in_words(len(named))}"
        if equal or apart:
            parts.append(f"of {who} that is not sure{tell}")
        else:
            every = who if len(named) <= MOST + 1 else f"the {in_words(len(named))} losses"
            parts.append(f"it is not sure whether {every} differ{tell}")
        short.append(f"{in_words(len(unsure))} not sure")
    text = f"At equal KL ({where}), {'; '.join(parts)}"
    return statement(found, text, f"At equal KL: {', '.join(short)}", sure=not unsure, needed=needed)


def common_name(found: CommonCurve) -> str:
    """What the common curve is called."""
    if len(found.members) == len(found.departures):
        return "their common curve"
    return "the common curve of GPO's losses" if set(found.members) <= set(GPO_LOSSES) else "the common curve"


def statement(found: CommonCurve, text: str, title: str, *, sure: bool, needed: int | None) -> Statement:
    """The statement with the numbers of every loss."""
    numbers: dict[str, float | int | str | bool | None] = {"reach": found.reach, "margin": SIMILAR}
    for each in found.departures:
        numbers[f"{each.name}: difference"] = each.mean
        numbers[f"{each.name}: low"], numbers[f"{each.name}: high"] = each.comparison.low, each.comparison.high
    return Statement(topic="losses", text=text, title=title, sure=sure, numbers=numbers, seeds=needed)


def mean_text(each: Departure) -> str:
    """The mean difference over KL, with its sign."""
    text = brief(each.mean, (each.comparison.high - each.comparison.low) / 2)
    return text if text.startswith("−") else f"+{text}"


def seeds_to_decide(each: Departure) -> int | None:
    """How many seeds would show that a loss counts as equal, or that it differs on average, whichever takes fewer."""
    places = [each.comparison.estimate, *each.comparison.at_tenths]
    within = [seeds_to_be_within(place, SIMILAR) for place in places if place.error != 0.0]
    equal = None if None in within or not within else max(count for count in within if count is not None)
    found = [count for count in (equal, seeds_to_differ(each.comparison.estimate)) if count is not None]
    return min(found, default=None)
