"""Best-of-n against a proxy: no training, one row for each n; see simulator/measurement/best_of_n.py.

Where responses are listed, the law of the best of n is known and every column is exact. Elsewhere each measured prompt
has a pool of responses of the reference, and columns are the unbiased estimates over its subsets; the column `kl` is
then the analytic bound log n - (n - 1)/n, and `kl_source` says so. `kl_bound` has it in both worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from simulator.measurement.ladder import ladder
from simulator.methods.method import UNTRAINED, Card, Footprint, Method, Reads, once, reads_proxies
from simulator.settings.run import Cell, Run
from simulator.settings.tables import MethodTable

if TYPE_CHECKING:
    import pandas as pd

    from simulator.engine.recorder import Recorder
    from simulator.proxies.scores import Proxy
    from simulator.worlds.protocol import World


class BestOfN(MethodTable):
    """[best_of_n]. n runs from 1 to `largest`; where responses cannot be listed, each prompt has a `pool` of them."""

    key: ClassVar = "best_of_n"
    largest: Annotated[int, Field(ge=1, le=10**9)] = 4096
    """The largest n."""
    pool: Annotated[int, Field(ge=2, le=10**6)] = 8192
    """Responses to each prompt that sampled worlds estimate from."""


def reads(cell: Cell) -> Reads:
    """Raises ValueError where n is larger than the pool that it would be estimated from."""
    own, listed = cell.settings.of(BestOfN), cell.settings.spec.lists_responses
    if not listed and own.largest > own.pool:
        raise ValueError(
            f"best_of_n.largest (={own.largest}) must be at most best_of_n.pool (={own.pool}), the responses to each "
            'prompt that it is estimated from where world.kind = "sampled"'
        )
    ignores = {**UNTRAINED, "measure": ("pairs", "displacement", "held_out", "samples")} | (
        {"best_of_n": ("pool",)} if listed else {}
    )
    return reads_proxies(cell, "best_of_n", ignores=ignores)


def footprint(cell: Cell) -> Footprint:
    """Laws of every n where responses are listed, a pool elsewhere."""
    own = cell.settings.of(BestOfN)
    return (
        Footprint(distributions=len(ladder(own.largest)))
        if cell.settings.spec.lists_responses
        else Footprint(pool=own.pool)
    )


def run(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """The rows of the runs of a stack."""
    from simulator.methods.algorithms.closed_form import best_of_n_rows

    own = runs[0].settings.of(BestOfN)
    return best_of_n_rows(runs, world, proxies, recorder, rungs=ladder(own.largest), pool=own.pool)


METHOD = Method(
    card=Card(name="best_of_n", label="best-of-n", trajectory=True, along="n", law="bon", fitted=True),
    grid=once,
    reads=reads,
    footprint=footprint,
    run=run,
    table=BestOfN,
    read_where={"best_of_n.pool": 'and world.kind = "sampled"'},
)
