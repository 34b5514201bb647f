"""The best policy against a proxy at every penalty, in closed form: what perfect reinforcement learning would do.

pi ∝ pi_ref exp(r / tau) maximizes E_pi r - tau KL(pi || pi_ref) for the proxy's score r; see
simulator/measurement/gibbs.py. A run follows tau from large to small, one row each, with tau in a column of its own.
It needs a world that lists responses.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from simulator.common.signals import stop_if_wanted
from simulator.measurement.gibbs import TEMPERATURES, gibbs
from simulator.methods.method import LABELS, Method, always, needs_listing, no_labelling, reads_proxies
from simulator.proxies.scores import Proxy
from simulator.settings.run import Run
from simulator.training.checkpoints import curve_rows
from simulator.training.recorder import Recorder
from simulator.worlds.enumerable import EnumerableWorld
from simulator.worlds.protocol import World


def trace(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """The records of the Gibbs policies of each run's proxy."""
    assert isinstance(world, EnumerableWorld)
    scorer = world.scorer(proxies)
    measured: dict[str, np.ndarray] = {}
    for row, temperature in enumerate(TEMPERATURES):
        stop_if_wanted()
        for number in range(len(runs)):
            one = scorer.rows(slice(number, number + 1))
            law = gibbs(world.log_law, one.tables[0], torch.tensor([temperature], device=one.tables.device))
            for name, value in world.measure_law(law, runs[number].settings.data, one).items():
                measured.setdefault(name, np.empty((len(TEMPERATURES), len(runs))))[row, number] = value.item()
    measured["tau"] = np.repeat(TEMPERATURES[:, None], len(runs), axis=1)
    recorder.tick(1)
    steps = list(range(1, len(TEMPERATURES) + 1))
    return curve_rows(runs, steps, measured, np.full(len(runs), -1), kl_source=world.kl_source)


GIBBS = Method(
    strengths=lambda grid: [(None, None)],
    proxies=always,
    reads=reads_proxies(),
    ignores=no_labelling,
    per_row=lambda cell: {"data": (*LABELS, "pairs"), "proxy": None},
    check=lambda cell: needs_listing('method "gibbs"', cell.settings),
    steps=lambda cell: 1,
    network=lambda cell: (0, 0),
    passes=lambda cell: 1,
    trace=trace,
)
