"""The best policy against a proxy at every penalty, in closed form: what perfect reinforcement learning would do.

pi ∝ pi_ref exp(r / tau) maximizes E_pi r - tau KL(pi || pi_ref) for the proxy's score r; see
simulator/measurement/gibbs.py. A run follows tau from large to small, one row each, with tau in a column of its own.
It needs a world that lists responses.
"""

from simulator.methods.closed_form import gibbs_rows
from simulator.methods.method import LABELS, Method, always, needs_listing, no_labelling, reads_proxies

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
    trace=gibbs_rows,
)
