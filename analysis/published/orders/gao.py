"""The orders of Gao, Schulman & Hilton 2023 (arXiv:2210.10760): trends over sizes and amounts of data.

The paper draws its coefficients and peaks and prints no table of them, so all of these are ranks. Sections 3.2 and 3.4
were read for the claims of this paper; that more data give more gold is quoted from Coste et al., Sec. 5.3. Whether
alpha of RL rises with the size of the proxy could not be read, and is no row.
"""

from collections.abc import Callable

import pandas as pd

from analysis.published.claim import Claim, Records, UnknownError
from analysis.published.estimates.gao import gold_peak, rows_of_method
from analysis.published.measures import require_columns
from analysis.published.ordering import Ordering, order_claim
from analysis.statistics.law_fits import fit_laws

PROXIES = (4, 8, 16, 32, 64, 128, 256)
POLICIES = (8, 16, 32, 64)
PAIRS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


def rising(names: list[str]) -> dict[str, float]:
    """Ranks of labels that rise in their order."""
    return {name: float(rank) for rank, name in enumerate(names)}


def width(value: float) -> str:
    """The label of a width."""
    return f"width {value:g}"


def pairs(value: float) -> str:
    """The label of a number of comparisons."""
    return f"{value:,.0f} pairs"


def coefficients(method: str, name: str) -> Callable[[Records], pd.DataFrame]:
    """A coefficient of the law of each seed at each width of the proxy."""

    def table(records: Records) -> pd.DataFrame:
        laws = fit_laws(rows_of_method(records, method, "proxy_width"), by_seed=True)
        if laws.empty or "proxy_width" not in laws:
            raise UnknownError("no law can be fitted at more than one size of proxies")
        return laws.pivot_table(index="seed", columns="proxy_width", values=name).rename(columns=width)

    return table


def peaks_over_pairs(records: Records) -> pd.DataFrame:
    """The peak of gold of best-of-n at each number of comparisons, a mean over the sizes of proxies."""
    rows = require_columns(rows_of_method(records, "best_of_n", "proxy_width", "pairs"), "pairs", "proxy_width")
    groups = {count: dict(iter(table.groupby("proxy_width"))) for count, table in rows.groupby("pairs")}
    found = {
        pairs(float(count)): pd.DataFrame({size: gold_peak(table) for size, table in sizes.items()}).mean(
            axis=1, skipna=False
        )
        for count, sizes in groups.items()
    }
    return pd.DataFrame(found)


def peaks_over_policies(records: Records) -> pd.DataFrame:
    """The peak of gold of RL at each width of the policy."""
    rows = require_columns(rows_of_method(records, "rl", "policy_width"), "policy_width")
    return pd.DataFrame({width(float(size)): gold_peak(table) for size, table in rows.groupby("policy_width")})


SIZES = "Proxies of 3 million to 3 billion parameters are here networks of seven widths, 4 to 256"
NOISE = "our larger proxies may all be large enough for our gold, so that more size adds nothing"
ORDERS: tuple[Claim, ...] = (
    order_claim(
        part="size",
        name="alpha-bon",
        what="alpha of best-of-n at seven sizes of the proxy is",
        source="Gao et al., Sec. 3.2: alpha rises with the size of the proxy; read in the paper",
        ordering=Ordering(
            published=rising([width(size) for size in PROXIES]),
            ranks=True,
            mapping=f"{SIZES}; alpha is fitted to best-of-n by seed, as in the claims of this paper.",
            why=f"The gain per root of KL ends where a proxy is as good as its pairs allow; {NOISE}.",
        ),
        ours=coefficients("best_of_n", "law_alpha"),
    ),
    order_claim(
        part="size",
        name="beta-bon",
        what="beta of best-of-n at seven sizes of the proxy is",
        source="Gao et al., Sec. 3.2: beta falls with the size of the proxy; read in the paper",
        ordering=Ordering(
            published=rising([width(size) for size in reversed(PROXIES)]),
            ranks=True,
            mapping=f"{SIZES}; beta is fitted to best-of-n by seed, as in the claims of this paper.",
            why=f"Beta is large where the proxy errs far from its pairs, and {NOISE}.",
        ),
        ours=coefficients("best_of_n", "law_beta"),
    ),
    order_claim(
        part="size",
        name="beta-rl",
        what="beta of RL at seven sizes of the proxy is",
        source="Gao et al., Sec. 3.2: beta falls with the size of the proxy; read in the paper",
        ordering=Ordering(
            published=rising([width(size) for size in reversed(PROXIES)]),
            ranks=True,
            mapping=f"{SIZES}; beta is fitted to PPO without a penalty by seed, as in the claims of this paper.",
            why="The steps of RL are few here, and where gold has not begun to fall beta is hardly determined.",
        ),
        ours=coefficients("rl", "law_beta"),
    ),
    order_claim(
        part="data",
        name="data",
        what="gold at the peak of best-of-n at nine numbers of comparisons is",
        source="Gao et al., Sec. 3.3: more data give more gold; as others quote it",
        ordering=Ordering(
            published=rising([pairs(count) for count in PAIRS]),
            ranks=True,
            mapping="Comparisons are pairs of the reference that gold labels, 64 to 16,384; gold is that at the peak "
            "of best-of-n, a mean over three widths of the proxy.",
            why="With few prompts and short responses the pairs repeat, so more of them may tell nothing new.",
        ),
        ours=peaks_over_pairs,
    ),
    order_claim(
        part="policy",
        name="policy",
        what="gold at the peak of RL at four sizes of the policy is",
        source="Gao et al., Sec. 3.4, of two sizes: the larger policy gains less; read in the paper",
        ordering=Ordering(
            published=rising([width(size) for size in reversed(POLICIES)]),
            ranks=True,
            mapping="The two sizes of policies there are here four widths, 8 to 64; gold is that at the peak of PPO, "
            "in deviations under the reference of the same size.",
            why="Each size has a reference of its own, so gold has another scale at each; there one gold model judges "
            "both sizes.",
        ),
        ours=peaks_over_policies,
    ),
)
