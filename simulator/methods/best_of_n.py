"""Best-of-n against a proxy: no training, one row for each n; see simulator/best_of.py.

Where responses are listed, the law of the best of n is known and every column is exact. Elsewhere each measured prompt
has a pool of responses of the reference, and columns are the unbiased estimates over its subsets; the column `kl` is
then the analytic bound log n - (n - 1)/n, and `kl_source` says so. `kl_bound` has it in both worlds.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from simulator.best_of import kl_bound, ladder, log_best_of_n
from simulator.checkpoints import curve_rows
from simulator.enumerable import EnumerableWorld
from simulator.interrupts import stop_if_wanted
from simulator.method import LABELS, Cell, Method, Recorder, always, no_labelling, reads_proxies
from simulator.pooled import best_of_pool
from simulator.runs import Run
from simulator.sampled import SampledWorld
from simulator.scoring import Proxy
from simulator.world import World

Array = np.ndarray


def check(cell: Cell) -> None:
    """Raises ValueError where n is larger than the pool that it would be estimated from."""
    settings = cell.settings
    largest, pool = settings.best_of_n.largest, settings.best_of_n.pool
    if settings.world.kind == "sampled" and largest > pool:
        raise ValueError(
            f"best_of_n.largest (={largest}) must be at most best_of_n.pool (={pool}), the responses to each prompt "
            'that it is estimated from where world.kind = "sampled"'
        )


def exact(
    runs: Sequence[Run], world: EnumerableWorld, proxies: Sequence[Proxy], ladder: Sequence[int]
) -> dict[str, Array]:
    """Every column, [Q, R] each, from the law of the best of n."""
    scorer = world.scorer(proxies)
    measured: dict[str, Array] = {}
    for number, run in enumerate(runs):
        stop_if_wanted()
        one = scorer.rows(slice(number, number + 1))
        for row, n in enumerate(ladder):
            law = log_best_of_n(world.log_law, one.tables[0], torch.tensor([n], device=one.tables.device))
            for name, value in world.measure_law(law, run.settings.data, one).items():
                measured.setdefault(name, np.empty((len(ladder), len(runs))))[row, number] = value.item()
    return measured


def trace(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """The records of best-of-n against each run's proxy; n stands in the column `n` and is the step, too."""
    rungs = ladder(runs[0].settings.best_of_n.largest)
    n = np.repeat(np.array(rungs, dtype=float)[:, None], len(runs), axis=1)
    if isinstance(world, EnumerableWorld):
        measured, source = exact(runs, world, proxies, rungs), "exact"
    else:
        assert isinstance(world, SampledWorld)
        pool = runs[0].settings.best_of_n.pool
        measured, source = best_of_pool(world, world.scorer(proxies), pool, rungs) | {"kl": kl_bound(n)}, "bound"
    measured |= {"n": n, "kl_bound": kl_bound(n)}
    recorder.tick(1)
    return curve_rows(runs, rungs, measured, np.full(len(runs), -1), kl_source=source)


BEST_OF_N = Method(
    strengths=lambda grid: [(None, None)],
    proxies=always,
    reads=reads_proxies("best_of_n"),
    ignores=lambda cell: {**no_labelling(cell), "measure": ("pairs", "samples")},
    per_row=lambda cell: {"data": (*LABELS, "pairs"), "proxy": None},
    check=check,
    steps=lambda cell: 1,
    network=lambda cell: (0, 0),
    passes=lambda cell: 1,
    trace=trace,
)
