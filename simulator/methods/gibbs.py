"""The best policy against a proxy at every penalty, in closed form: what perfect reinforcement learning would do.

pi ∝ pi_ref exp(r / tau) maximizes E_pi r - tau KL(pi || pi_ref) for the proxy's score r; see
simulator/measurement/gibbs.py. A run follows tau from large to small, one row each, with tau in a column of its own.
It needs a world that lists responses. With another `gibbs.divergence` D it is the optimum of E_pi r - tau D(pi ‖
pi_ref), exact as well; see simulator/divergences/optimum.py. Where that gives some responses no probability (chi2),
what is infinite then is left empty: `mu_squared` and its parts, `forward_kl`, and log-ratios of the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field

from simulator.divergences import DIVERGENCES, divergence_of
from simulator.divergences.alpha import LEAST, MOST, USUAL
from simulator.measurement.ladder import TEMPERATURES
from simulator.methods.method import UNTRAINED, Card, Footprint, Method, Reads, needs_listing, once, reads_proxies
from simulator.settings.run import Cell, Run
from simulator.settings.table import choice, one_of
from simulator.settings.tables import MethodTable

if TYPE_CHECKING:
    import pandas as pd

    from simulator.engine.recorder import Recorder
    from simulator.proxies.scores import Proxy
    from simulator.worlds.protocol import World


REPORTED = ("gibbs.divergence",)


class Gibbs(MethodTable):
    """[gibbs]. Which divergence from the reference the best policy against a proxy pays for."""

    key: ClassVar = "gibbs"
    divergence: Annotated[str, AfterValidator(one_of(DIVERGENCES)), choice(DIVERGENCES)] = "kl"
    """The D of E r − τ D(π ‖ π_ref); see simulator/divergences/. Those with χ² go to smaller τ."""
    alpha: Annotated[float, Field(ge=LEAST, le=MOST)] = USUAL
    """α of "alpha": from KL(π ‖ π_ref) near 0 to KL(π_ref ‖ π) near 1."""


def reads(cell: Cell) -> Reads:
    """Raises ValueError where responses are not listed."""
    needs_listing('method "gibbs"', cell.settings)
    own = cell.settings.of(Gibbs)
    if own.divergence == "kl":
        return reads_proxies(cell, ignores=UNTRAINED, always_report=REPORTED)
    unread = () if DIVERGENCES[own.divergence].at else ("alpha",)
    return reads_proxies(cell, "gibbs", ignores={**UNTRAINED, "gibbs": unread}, always_report=REPORTED)


def run(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """The rows of the runs of a stack."""
    from simulator.methods.algorithms.closed_form import gibbs_rows

    own = runs[0].settings.of(Gibbs)
    return gibbs_rows(runs, world, proxies, recorder, divergence_of(own.divergence, own.alpha))


METHOD = Method(
    card=Card(name="gibbs", label="Gibbs (perfect RL)", trajectory=True, along="tau", line=":"),
    grid=once,
    reads=reads,
    footprint=lambda cell: Footprint(distributions=len(TEMPERATURES)),
    run=run,
    table=Gibbs,
    read_where={"gibbs.alpha": 'and gibbs.divergence = "alpha"'},
)
