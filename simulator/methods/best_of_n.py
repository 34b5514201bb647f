"""Best-of-n against a proxy: no training, one row for each n; see simulator/measurement/best_of_n.py.

Where responses are listed, the law of the best of n is known and every column is exact. Elsewhere each measured prompt
has a pool of responses of the reference, and columns are the unbiased estimates over its subsets; the column `kl` is
then the analytic bound log n - (n - 1)/n, and `kl_source` says so. `kl_bound` has it in both worlds.
"""

from simulator.methods.closed_form import best_of_n_rows
from simulator.methods.method import LABELS, Method, always, no_labelling, reads_proxies
from simulator.settings.run import Cell


def check(cell: Cell) -> None:
    """Raises ValueError where n is larger than the pool that it would be estimated from."""
    settings = cell.settings
    largest, pool = settings.best_of_n.largest, settings.best_of_n.pool
    if settings.world.kind == "sampled" and largest > pool:
        raise ValueError(
            f"best_of_n.largest (={largest}) must be at most best_of_n.pool (={pool}), the responses to each prompt "
            'that it is estimated from where world.kind = "sampled"'
        )


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
    trace=best_of_n_rows,
)
