"""Made-up records of the sweep after Wolf et al. 2025 (arXiv:2505.18126): designs of rounds of RLHF.

They have the columns and all 36 designs of simulator/sweeps/shipped/wolf.toml.
"""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.published.papers.wolf import AXES, NAMES
from tests.helpers.planted_records import runs

CHOICES = (
    ("concatenate", "last", "sample"),
    ("last", "mean", "worst_case", "average_weights"),
    ("reference", "last", "interpolated"),
)
STEPS = 16  # of a round


def of_rounds(
    folder: Path,
    gold: Callable[[str], Sequence[float]],
    proxy: Sequence[float] = (),
    *,
    noise: float = 0.0,
    draw: int = 0,
) -> Path:
    """A folder of runs whose gold at the end of each round is as `gold` says of the name of a design.

    Designs that no claim is on have gold of 9 in each round. proxy: the proxy's score at the end of each round, with
    every design; none unless given. noise: of gold at each checkpoint of each run.
    """
    count = len(gold("concatenate"))
    cells = [{"method": "iterated", "beta": 0.0} | dict(zip(AXES, each, strict=True)) for each in product(*CHOICES)]

    def path(cell: dict, share: float) -> dict:
        name = NAMES.get(tuple(cell[axis] for axis in AXES))
        golds = [9.0] * count if name is None else gold(name)
        kinds = {"gold": golds} | ({"proxy": proxy} if len(proxy) else {})
        at = {kind: float(np.interp(count * share, range(count + 1), [0.0, *each])) for kind, each in kinds.items()}
        return {"kl": 4 * share} | at

    curves = runs(cells, path, points=2 * count + 1).assign(loss=None, kappa=np.nan, pairs=256, label_noise=0.0)
    folder.mkdir()
    moved = noise * np.random.default_rng(draw).normal(size=len(curves))
    curves.assign(gold=curves["gold"] + moved).to_parquet(folder / "curves.parquet")
    ids = pd.DataFrame({"run_id": curves["run_id"].unique()})
    settings = {"status": "finished", "method": "iterated", "train.steps": STEPS, "iterated.rounds": count}
    ids.assign(**settings).to_parquet(folder / "runs.parquet")
    return folder
