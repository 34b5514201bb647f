"""The best policy against a proxy at every penalty, in closed form: what perfect reinforcement learning would do.

pi ∝ pi_ref exp(r / tau) maximizes E_pi r - tau KL(pi || pi_ref) for the proxy's score r; see
simulator/measurement/gibbs.py. A run follows tau from large to small, one row each, with tau in a column of its own.
It needs a world that lists responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.measurement.ladder import TEMPERATURES
from simulator.methods.method import UNTRAINED, Card, Footprint, Method, Reads, needs_listing, once, reads_proxies
from simulator.settings.run import Cell, Run

if TYPE_CHECKING:
    import pandas as pd

    from simulator.engine.recorder import Recorder
    from simulator.proxies.scores import Proxy
    from simulator.worlds.protocol import World


def reads(cell: Cell) -> Reads:
    """Raises ValueError where responses are not listed."""
    needs_listing('method "gibbs"', cell.settings)
    return reads_proxies(cell, ignores=UNTRAINED)


def run(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """The rows of the runs of a stack."""
    from simulator.methods.algorithms.closed_form import gibbs_rows

    return gibbs_rows(runs, world, proxies, recorder)


METHOD = Method(
    card=Card(name="gibbs", label="Gibbs (perfect RL)", trajectory=True, along="tau", line=":"),
    grid=once,
    reads=reads,
    footprint=lambda cell: Footprint(distributions=len(TEMPERATURES)),
    run=run,
)
