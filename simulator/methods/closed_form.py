"""Policies against a proxy whose law is known in closed form. Shapes: Q policies of each run, R runs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from simulator.common.signals import stop_if_wanted
from simulator.measurement.best_of_n import kl_bound, ladder, log_best_of_n
from simulator.methods.best_of_n_sampled import best_of_pool
from simulator.proxies.scores import Proxy
from simulator.settings.run import Run
from simulator.training.checkpoints import curve_rows
from simulator.training.recorder import Recorder
from simulator.worlds.enumerable import EnumerableWorld
from simulator.worlds.protocol import World
from simulator.worlds.sampled import SampledWorld

Array = np.ndarray


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
