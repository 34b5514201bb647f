"""Do losses differ at equal KL?

Each loss less the mean of the others, paired over seeds; see analysis/statistics/common_curve.py for when a loss counts
as equal to it, or as different. A loss that is surely different and also surely within SIMILAR counts as equal. One
that goes less than SHORT as far as they do is equal to them there whatever it does, and is not counted.
"""

import pandas as pd

from analysis.headline.statement import Statement, brief, near, would_tell
from analysis.records.about import GPO_LOSSES
from analysis.records.names import in_words, listed, loss_label
from analysis.statistics.common_curve import SHORT, CommonCurve, Departure, common_curve
from analysis.statistics.comparison import SIMILAR
from analysis.statistics.intervals import LEVEL
from analysis.statistics.power import seeds_to_be_within, seeds_to_differ

MOST = 2  # losses on either side that are named
WAYS = {"more": "above", "less": "below", "crosses": "different at some KL"}  # in titles


def losses_apart(curves: pd.DataFrame, place: str = "") -> Statement | None:
    """The statement, from rows at one combination of further axes; None where nothing can be compared."""
    found = common_curve(curves)
    return None if found is None else of_common_curve(found, place)


def of_common_curve(found: CommonCurve, place: str = "") -> Statement:
    """The statement of a common curve that is known."""
    compared = [each for each in found.departures if each.kl[-1] >= SHORT * found.reach]
    still = len(found.departures) - len(compared)
    equal = [each for each in compared if each.equal]
    apart = [each for each in compared if each.different and not each.equal]
    unsure = [each for each in compared if not (each.equal or each.different)]
    count, tell = len(compared), ""
    counts = [seeds_to_decide(each) for each in unsure]
    needed = None if None in counts or not counts else max(count for count in counts if count is not None)
    if unsure:
        tell = f" ({would_tell(needed, found.seeds)})"
    common = common_name(found)
    where = f"to {near(found.reach)} nats" + (f", {place}" if place else "")
    if still:
        where += f"; {in_words(still)} hardly {'leave' if still > 1 else 'leaves'} the reference"
    if len(equal) == count:
        many = "both" if count == 2 else f"all {in_words(count)}"
        common = "each other" if count == 2 and len(found.members) == 2 else common
        text = f"{many} losses lie within {SIMILAR:g} of {common} at equal KL ({where})"
        title = f"{many.capitalize()} losses within {SIMILAR:g} of {common}"
        return statement(found, text, title, sure=True, needed=None)
    parts, short = [], []
    if equal:
        lie = "lies" if len(equal) == 1 else "lie"
        parts.append(f"{in_words(len(equal))} of {in_words(count)} losses {lie} within {SIMILAR:g} of {common}")
        short.append(f"{in_words(len(equal))} of {in_words(count)} within {SIMILAR:g}")
    for way in WAYS:
        some = sorted((each for each in apart if each.different == way), key=lambda each: -abs(each.mean))
        if some:
            parts.append(those_apart(some, way))
            short.append(f"{in_words(len(some))} {WAYS[way]}")
    if unsure:
        parts.append(those_unsure(unsure, alone=not (equal or apart)) + tell)
        short.append(f"{in_words(len(unsure))} not sure")
    text = f"At equal KL ({where}), {'; '.join(parts)}"
    return statement(found, text, f"At equal KL: {', '.join(short)}", sure=not unsure, needed=needed)


def those_apart(some: list[Departure], way: str) -> str:
    """Losses that surely differ in one way, the first of them by name."""
    names = [f"{loss_label(each.name)} ({mean_text(each)})" for each in some[:MOST]]
    others = [f"{in_words(len(some) - MOST)} others"] if len(some) > MOST else []
    several = len(some) > 1
    verb = (
        f"differ{'' if several else 's'} at some KL"
        if way == "crosses"
        else f"{'have' if several else 'has'} {way} gold"
    )
    return f"{listed([*names, *others])} {verb}"


def those_unsure(unsure: list[Departure], *, alone: bool) -> str:
    """Losses of which nothing is sure; alone: whether there are no others."""
    count = len(unsure)
    named = listed([loss_label(each.name) for each in unsure]) if count <= MOST + 1 else ""
    if alone:
        return f"it is not sure whether {named or f'the {in_words(count)} losses'} differ"
    return f"for {named or f'the other {in_words(count)}'} that is not sure"


def common_name(found: CommonCurve) -> str:
    """What the common curve is called."""
    if len(found.members) == len(found.departures):
        return "the mean of the others"
    return "the mean of GPO's losses" if set(found.members) <= set(GPO_LOSSES) else "the mean of the others"


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
    level = 1 - (1 - LEVEL) / each.families
    found = [count for count in (equal, seeds_to_differ(each.comparison.estimate, level)) if count is not None]
    return min(found, default=None)
