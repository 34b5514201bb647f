"""Which divergence from the reference leaves the most gold, for which error of the proxy, and does one win everywhere?

By the rules of analysis/statistics/proxy_errors/phase_diagram.py: a divergence wins a law of errors where it has the
highest peak of gold along the penalty, surely higher than KL's; the ± beside it is of the level that decides this, at
which all differences from KL hold at once. At the smallest penalty gold ends surely below the reference, or above it,
where it does so under every divergence, each by its interval of 95 %.
"""

import math
from collections.abc import Sequence

import pandas as pd

from analysis.headline.statement import Number, Statement, amount, in_brackets, would_tell
from analysis.records.names import divergence_label, error_label, in_words, listed
from analysis.statistics.comparison import SIMILAR
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
    numbers, place = numbers_of(diagram), in_brackets(diagram.place)
    if not won:
        return nothing_won(diagram, numbers, place)
    winners = []
    for name, laws in won.items():
        amounts = [amount(diagram.cells[law, name].over_kl, diagram.level) for law in laws]
        by = each_with(laws, amounts) if laws[0] else f", by {amounts[0]}"
        winners.append(f"{divergence_label(name)} leaves more gold than KL{by}")
    rest = [law for law in diagram.laws if not diagram.better(law)]
    others, short = "", ""
    if rest:
        others = f"; for the other errors no divergence surely does{within(diagram, rest)}"
        short = "; for the others none surely does"
    first = "; ".join(winners)
    text = f"At its best penalty, {first}{others}{place}. {everywhere(diagram)}"
    return Statement(topic="divergences", text=text, title=f"{first}{short}{place}", sure=True, numbers=numbers)


def nothing_won(diagram: PhaseDiagram, numbers: dict[str, Number], place: str) -> Statement:
    """What is said where no divergence surely has more gold than KL."""
    if all(map(diagram.alike, diagram.laws)):
        errors = ", for every error" if diagram.laws[0] else ""
        text = f"At its best penalty, every divergence leaves as much gold as KL, within {SIMILAR:g}{errors}{place}"
        return Statement(topic="divergences", text=text, title=text, sure=True, numbers=numbers)
    best = {law: diagram.cells[law, diagram.best(law)].over_kl for law in diagram.laws}
    law = max(best, key=lambda name: best[name].value)
    most = best[law]
    needed = seeds_to_differ(most, diagram.level) if most.value > 0 and most.known else None
    where = f", for {named([law])}" if law else ""
    by = amount(most, diagram.level)
    seen = f"most: {divergence_label(diagram.best(law))}, by {by}{where}" if most.value > 0 else "none has"
    title = f"It is not sure that a divergence leaves more gold than KL at its best penalty ({seen})"
    enough = f"; {would_tell(needed, diagram.seeds)}" if most.value > 0 else ""
    text = f"{title.removesuffix(')')}{enough}){place}. {everywhere(diagram)}"
    return Statement(topic="divergences", text=text, title=title + place, sure=False, numbers=numbers, seeds=needed)


def within(diagram: PhaseDiagram, laws: Sequence[str]) -> str:
    """Whether all divergences are alike for these laws."""
    return f", and all lie within {SIMILAR:g} of it" if all(map(diagram.alike, laws)) else ""


def everywhere(diagram: PhaseDiagram) -> str:
    """Whether some divergence is behind the best for no law, as a sentence."""
    count = len(diagram.divergences)
    leaders = [name for name in diagram.divergences if not diagram.behind(name)]
    if not leaders:
        return f"Each of the {in_words(count)} is surely behind the best for some error"
    if len(leaders) == count:
        return f"None of the {in_words(count)} is surely behind the best{', for any error' if diagram.laws[0] else ''}"
    names, verb = listed([divergence_label(name) for name in leaders]), "is" if len(leaders) == 1 else "are"
    return f"{names} {verb} not surely behind the best{', for any error' if diagram.laws[0] else ''}"


def where_it_ends(diagram: PhaseDiagram) -> Statement:
    """Where gold ends at the smallest penalty, for each law."""
    ends = {law: [diagram.cells[law, name].end.interval() for name in diagram.divergences] for law in diagram.laws}
    below = [law for law in diagram.laws if all(high < 0 for _, high in ends[law])]
    above = [law for law in diagram.laws if all(low > 0 for low, _ in ends[law])]
    unsure = [law for law in diagram.laws if law not in (*below, *above)]
    sides = [
        (word, laws)
        for word, laws in (("below the reference", below), ("above it" if below else "above the reference", above))
        if laws
    ]
    first = (*below, *above, *unsure)[0]
    if sides:
        parts = " and ".join(f"{word}{ended(diagram, laws, first)}" for word, laws in sides)
        doubt = f";{ended(diagram, unsure, first)} this is not sure" if unsure else ""
        text = f"At the smallest penalty, under every divergence, gold ends {parts}{doubt}"
        short = f"; not sure for {named(unsure)}" if unsure else ""
        ending = " and ".join(f"{word} for {named(laws)}" for word, laws in sides)
        title = f"At the smallest penalty gold ends {ending}{short}"
    else:
        title = "It is not sure on which side of the reference gold ends at the smallest penalty"
        text = f"{title}{ended(diagram, unsure, first)}"
    numbers: dict[str, Number] = {"below": len(below), "above": len(above), "not sure": len(unsure)}
    for (law, name), cell in diagram.cells.items():
        low, high = cell.end.interval()
        numbers |= {f"{law} {name} end": cell.end.value, f"{law} {name} low": low, f"{law} {name} high": high}
    text, title = text + in_brackets(diagram.place), title + in_brackets(diagram.place)
    return Statement(topic="smallest_penalty", text=text, title=title, sure=not unsure, numbers=numbers)


def ended(diagram: PhaseDiagram, laws: Sequence[str], first: str) -> str:
    """Laws with the gold that they end with under KL, which stands beside the first of all."""
    under = {first: f" under {divergence_label(KL)}"}
    return each_with(laws, [f"{amount(diagram.cells[law, KL].end)}{under.get(law, '')}" for law in laws])


def each_with(laws: Sequence[str], amounts: Sequence[str]) -> str:
    """Laws with a number each: for Student (1.2) and thin (1.1) errors; the number alone without a law."""
    if not laws[0]:
        return f" ({amounts[0]})"
    if len(laws) == 1:
        return f" for {named(laws)} ({amounts[0]})"
    each = [f"{error_label(law)} ({number})" for law, number in zip(laws, amounts, strict=True)]
    return f" for {listed(each)} errors"


def named(laws: Sequence[str]) -> str:
    """Laws in words."""
    return f"{listed([error_label(law) for law in laws])} errors" if laws[0] else "this proxy"


def numbers_of(diagram: PhaseDiagram) -> dict[str, Number]:
    """What the statement on peaks is made of."""
    numbers: dict[str, Number] = {"seeds": diagram.seeds}
    for law in diagram.laws:
        best = diagram.best(law)
        low, high = diagram.cells[law, best].over_kl.interval(diagram.level)
        numbers |= {f"{law} best": best, f"{law} better than KL": diagram.better(law)}
        numbers |= {f"{law} over KL": diagram.cells[law, best].over_kl.value, f"{law} low": low, f"{law} high": high}
        for name in diagram.divergences:
            numbers[f"{law} {name}"] = diagram.cells[law, name].peak.value
    for name in diagram.divergences:
        numbers[f"{name} behind"] = ", ".join(diagram.behind(name))
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in numbers.items()}
