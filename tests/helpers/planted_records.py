"""Curves of made-up runs, whose truth is known, and what a claim says of records."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import PAPERS
from analysis.published.claim import Claim, Records
from analysis.published.judging import decide
from analysis.published.verdicts import records_in
from analysis.records.checks import checked


def runs(cells: list[dict], path: Callable[[dict, float], dict], *, seeds: int = 6, points: int = 12) -> pd.DataFrame:
    """Curves: at each of `points` steps of each cell and seed, what `path(cell, share of the way)` says, and noise."""
    rng = np.random.default_rng(0)
    rows = []
    for cell in cells:
        for seed in range(seeds):
            moved = rng.normal(0, 0.03, size=4)
            for step in range(points):
                share = step / (points - 1)
                at = path(cell, share)
                shaken = {name: value * (1 + moved[i % 4]) for i, (name, value) in enumerate(at.items())}
                run_id = "-".join(map(str, [*cell.values(), seed]))
                rows.append(cell | shaken | {"seed": seed, "step": step * 8, "status": "ok", "run_id": run_id})
    return pd.DataFrame(rows)


def with_noise(curves: pd.DataFrame, draw: int = 0, **sizes: float) -> pd.DataFrame:
    """The curves, where each run moves a column by a normal number of such a size, in proportion to the step."""
    rng = np.random.default_rng(draw)
    share = curves["step"] / curves["step"].max()
    run = pd.factorize(curves["run_id"])[0]
    return curves.assign(
        **{name: curves[name] + size * share * rng.normal(size=run.max() + 1)[run] for name, size in sizes.items()}
    )


def rises_and_falls(top: float, loses: float, share: float) -> float:
    """Gold that is `top` half of the way, and then loses so much."""
    return top * min(2 * share, 1.0) - loses * max(2 * share - 1, 0.0)


def claim_of(paper: str, name: str) -> Claim:
    (claim,) = (claim for claim in PAPERS[paper].claims if claim.name == name)
    return claim


def records_of(source: pd.DataFrame | Path) -> Records:
    return Records(checked(source)) if isinstance(source, pd.DataFrame) else records_in(source)


def verdicts(source: pd.DataFrame | Path, paper: str, part: str | None = None) -> dict[str, str]:
    """Of the claims of a paper, or of one part of it, but those on published orders, which test_orders.py has."""
    records = records_of(source)
    wanted = [claim for claim in PAPERS[paper].claims if not claim.order and part in (None, claim.part)]
    return {claim.name: decide(claim, records).verdict for claim in wanted}


def verdict_of(source: pd.DataFrame | Path, paper: str, name: str) -> str:
    return decide(claim_of(paper, name), records_of(source)).verdict


def note_of(source: pd.DataFrame | Path, paper: str, name: str) -> str:
    """What is said of a claim that the records cannot tell of."""
    found = decide(claim_of(paper, name), records_of(source))
    assert (found.verdict, found.estimate) == ("undecided", None)
    return found.note
