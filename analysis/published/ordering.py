"""Published orders, and whether ours is the same: Kendall's tau, seed by seed.

A paper's table or trend puts things in an order. What stands for each of them here, and which measure, is written
beside it before tau is computed (`mapping`). The score of one seed is Kendall's tau-b (Kendall 1945) of the
published numbers and what was measured here:

    tau = (agreeing pairs - opposite pairs) / sqrt(pairs untied as published * pairs untied here)

1 is the same order, -1 the opposite one, and 0 none of both. Where the paper ties some, an order without ties can at
best have `greatest`, which is below 1. The estimate is the mean over seeds with Student's interval, within -1 and 1; to
its error is added what rounding to whole pairs hides, so that seeds which all have the same order still have one.

A claim of this kind is ours: no paper said that its order is found in our worlds. It is named `order-…`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.published.claim import Claim, Finding, Records, UnknownError, above
from analysis.published.measures import in_steps, mean_over_seeds
from analysis.records.number_format import number
from analysis.statistics.intervals import CORRELATION

LEAST_LABELS = 3
UNIT = "Kendall's tau"

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """A published order, and what stands for it here.

    published: of each label a number, or a rank, where only the order is known; more is more, and what is tied has the
    same. ranks: whether they are ranks. mapping: which of our axes and which measure stand for the labels, a sentence.
    why: why our worlds may part from the paper's, a sentence.
    """

    published: Mapping[str, float]
    ranks: bool
    mapping: str
    why: str


def signs(values: Array) -> Array:
    """Of every two of some values [..., n] whether the first is more, -1, 0 or 1, [..., n (n - 1) / 2]."""
    first, second = np.triu_indices(values.shape[-1], 1)
    return np.sign(values[..., first] - values[..., second])


def taus(published: Array, ours: Array) -> Array:
    """Kendall's tau-b of each row of `ours` [S, n] and `published` [n], [S]; 0 for a row that is all the same."""
    said, here = signs(published), signs(ours)
    untied = np.sqrt(np.abs(said).sum() * np.abs(here).sum(axis=-1))
    return np.divide(here @ said, untied, out=np.zeros(len(ours)), where=untied > 0)


def greatest(published: Array) -> float:
    """The most that tau can be for an order of ours without ties: below 1 where some of `published` [n] are tied."""
    return float(np.sqrt(np.abs(signs(published)).mean()))


def two_digits(value: float) -> str:
    """A number for people, of two digits."""
    return number(value, 2)


def in_order(values: Mapping[str, float], form: Callable[[float], str] | None = two_digits) -> str:
    """Labels from most to least, each with its value in brackets, if it has a form; what is tied has `=` between."""
    ranked = sorted(values.items(), key=lambda item: -item[1])
    told = ""
    for place, (label, value) in enumerate(ranked):
        link = "" if not place else " = " if value == ranked[place - 1][1] else " > "
        told += f"{link}{label}{f' ({form(value)})' if form else ''}"
    return told


def compared(ordering: Ordering, ours: pd.DataFrame) -> Finding:
    """Kendall's tau of the published order and ours, a mean over seeds. ours: a row a seed and a column a label.

    Labels that are not there are left out, and seeds that lack one of the others. Raises UnknownError where fewer than
    three labels are there, or no seed has them all, or those that are there are all tied as published.
    """
    labels = [label for label in ordering.published if label in ours]
    missing = [label for label in ordering.published if label not in ours]
    if len(labels) < LEAST_LABELS:
        raise UnknownError(f"an order takes {LEAST_LABELS} of {', '.join(ordering.published)}; {len(labels)} are there")
    table = ours[labels].dropna()
    published = np.array([ordering.published[label] for label in labels], dtype=float)
    if table.empty:
        raise UnknownError(f"no seed has all of {', '.join(labels)}")
    if not signs(published).any():
        raise UnknownError(f"{', '.join(labels)} are tied in the published order")
    step = 2 / (np.abs(signs(published)).sum() / greatest(published))
    estimate = in_steps(mean_over_seeds(taus(published, table.to_numpy(float)), bounds=CORRELATION), step)
    means = {str(label): float(value) for label, value in table.mean().items()}
    note = f"here: {in_order(means)}" + (f"; without {', '.join(missing)}" if missing else "")
    return Finding(estimates={"order": estimate}, note=note, ours=means)


def order_claim(
    *,
    name: str,
    what: str,
    source: str,
    ordering: Ordering,
    ours: Callable[[Records], pd.DataFrame],
    part: str = "",
) -> Claim:
    """The claim that our order is the published one.

    what: is ordered, a phrase that begins the statement. source: the table or figure, and who read it. ours: gives the
    table of `compared`, or raises UnknownError.
    """
    return Claim(
        name=f"order-{name}",
        statement=f"Ours, not the paper's: {what} more often in the published order than in the opposite one",
        source=f"ours; the published order: {source}",
        unit=UNIT,
        rule=above(0.0),
        estimate=lambda records: compared(ordering, ours(records)),
        part=part,
        ours=True,
        order=ordering,
    )
