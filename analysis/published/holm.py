"""Several claims are several tests: what is left of their verdicts with the correction of Holm 1979.

The claims of one paper are a family, over which the correction goes. Claims of ours that stand beside them are no
claims of the paper: they are a family of their own, so that what we add takes nothing from the paper's verdicts. So are
those that ask for a published order (analysis/published/ordering.py).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for their number by Holm 1979; None, a test without one, counts and stays."""
    order = sorted((i for i, p in enumerate(values) if p is not None), key=lambda i: values[i] or 0.0)
    corrected: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(values) - rank) * (values[i] or 0.0)))
        corrected[i] = largest
    return corrected


def family(entry: Mapping[str, Any]) -> tuple[str, bool, bool]:
    """The family of a row of the table, or of an entry of claims.json: its paper, whether ours, whether on an order."""
    return str(entry["paper"]), bool(entry.get("ours")), bool(entry.get("order"))


def holm_corrected(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table, or entries of claims.json, with Holm's correction over all of each family that are there."""
    found = [dict(row) for row in rows]
    for one in dict.fromkeys(map(family, rows)):
        own = [row for row in found if family(row) == one]
        known = [None if row["p"] is None or math.isnan(row["p"]) else row["p"] for row in own]
        for row, p in zip(own, holm(known), strict=True):
            row["p_holm"] = p if p is not None else None if row["p"] is None else math.nan
    return found
