"""Wolf, Kirk & Musolesi 2025, Reward Model Overoptimisation in Iterated RLHF (arXiv:2505.18126).

Rounds of pairs, a proxy and PPO: what they take over from those before. Gold is the policy's at the end of a round.
The paper compares designs along one choice at a time; there KL with interpolated starts is paid for from the start.
"""

from collections.abc import Mapping

import pandas as pd

from analysis.published.claim import LEAST, Claim, Finding, Paper, Part, Records, UnknownError, above, below
from analysis.published.measures import difference, mean_over_seeds, require_columns, without_axes
from analysis.published.ordering import Ordering, order_claim
from analysis.records.load import without_diverged
from analysis.records.number_format import number

ROUNDS = 4
AXES = ("iterated_data", "iterated_proxies", "iterated_start")
BEST = ("concatenate", "last", "reference")
PUBLISHED = {  # gold after four rounds, by data, proxies and start, as others quote the paper's summary table
    BEST: 0.448,
    ("last", "last", "reference"): 0.357,
    ("last", "mean", "reference"): 0.314,
    ("last", "average_weights", "reference"): 0.304,
    ("last", "worst_case", "reference"): 0.294,
    ("sample", "last", "reference"): 0.276,
    ("sample", "last", "interpolated"): 0.199,
    ("sample", "last", "last"): -0.063,
}
NAMES = {
    BEST: "concatenate",
    ("last", "last", "reference"): "take last",
    ("last", "mean", "reference"): "ensemble",
    ("last", "average_weights", "reference"): "average weights",
    ("last", "worst_case", "reference"): "worst case",
    ("sample", "last", "reference"): "sample",
    ("sample", "last", "interpolated"): "interpolate",
    ("sample", "last", "last"): "last policy",
}
LAST = ("last", "last", "reference")
SAMPLE = ("sample", "last", "reference")
Design = tuple[str, str, str]


def of_design(records: Records, design: Design) -> pd.DataFrame:
    """The rows of the runs of one design. Raises UnknownError."""
    rows = without_diverged(records.curves)
    rows = without_axes(rows[rows["method"].eq("iterated")], *AXES)
    for column, value in zip(AXES, design, strict=True):
        rows = rows[require_columns(rows, column)[column].eq(value)]
    if rows.empty:
        raise UnknownError(f"there are no runs of the design {NAMES[design]}")
    if len(rows["beta"].unique()) > 1:
        raise UnknownError("there are runs of several KL penalties; take those of one")
    return rows


def round_ends(records: Records) -> list[int]:
    """The step at which each round ends. Raises UnknownError where rounds differ between runs."""
    runs = require_columns(records.runs, "method", "train.steps", "iterated.rounds")
    settings = runs.loc[runs["method"] == "iterated", ["train.steps", "iterated.rounds"]].drop_duplicates()
    if len(settings) != 1:
        raise UnknownError("there are no rounds of one length and number")
    steps, rounds = (int(value) for value in settings.iloc[0])
    return [steps * (turn + 1) for turn in range(rounds)]


def after(records: Records, design: Design, turn: int, column: str = "gold") -> pd.Series:
    """A column at the end of a round, by seed; turn: its number from 0 on, or -1 for the last of ROUNDS.

    Raises UnknownError, also where there are other than ROUNDS rounds.
    """
    ends = round_ends(records)
    if len(ends) != ROUNDS:
        raise UnknownError(f"there are {len(ends)} rounds; the claim is of {ROUNDS}")
    step = ends[turn]
    rows = require_columns(of_design(records, design), column)
    found = rows[rows["step"] == step].set_index("seed")[column]
    if found.empty:
        raise UnknownError(f"nothing was measured at step {step}, where a round ends")
    return found


def gain(records: Records, design: Design, first: int = 0, last: int = -1) -> pd.Series:
    """Gold at the end of a round less that at the end of an earlier one, by seed. Raises UnknownError."""
    return (after(records, design, last) - after(records, design, first)).dropna()


def compare(records: Records, design: Design, others: Mapping[str, Design]) -> Finding:
    """Gold of a design after all rounds less that of each of some others."""
    own = after(records, design, -1)
    estimates = {name: difference(own, after(records, other, -1)) for name, other in others.items()}
    note = ", ".join(f"{name} {number(after(records, other, -1).mean(), 2)}" for name, other in others.items())
    return Finding(estimates=estimates, note=f"gold after all rounds: {number(own.mean(), 2)}; {note}")


def merged(records: Records) -> Finding:
    """Gold with the proxies of all rounds combined less that with the newest proxy."""
    newest = after(records, LAST, -1)
    each = {NAMES[design]: after(records, design, -1) for design in PUBLISHED if design[1] != "last"}
    note = ", ".join(f"{name} {number(gold.mean(), 2)}" for name, gold in each.items())
    return Finding(
        estimates={name: difference(gold, newest) for name, gold in each.items()},
        note=f"gold after all rounds: {number(newest.mean(), 2)}; {note}",
    )


def improves(records: Records, design: Design) -> Finding:
    """Gold after all rounds less that after the first."""
    return Finding(estimates={NAMES[design]: mean_over_seeds(gain(records, design))})


def gap_closes(records: Records) -> Finding:
    """How far the proxy's score is from gold after the first round less the same after all."""
    first, last = ((after(records, BEST, turn, "proxy") - after(records, BEST, turn)).abs() for turn in (0, -1))
    note = f"proxy and gold apart: {number(first.mean(), 2)} after the first round, {number(last.mean(), 2)} at the end"
    return Finding(estimates={"concatenate": difference(first, last)}, note=note)


def diminishes(records: Records) -> Finding:
    """What the second round gains less what the last one does."""
    early, late = gain(records, BEST, 0, 1), gain(records, BEST, -2, -1)
    return Finding(estimates={"concatenate": difference(early, late)})


def of_designs(records: Records) -> pd.DataFrame:
    """Gold of each of the eight designs after all rounds, by seed."""
    return pd.DataFrame({NAMES[design]: after(records, design, -1) for design in PUBLISHED})


PAPER = Paper(
    title="Iterated RLHF (Wolf et al. 2025, arXiv:2505.18126)",
    parts={
        "": Part(
            config="wolf",
            quick=(*("sweep.seeds=3", "train.steps=30", "train.checkpoints=4", "proxy.steps=60", "proxy.width=8"),),
        )
    },
    claims=(
        Claim(
            name="improves",
            statement=f"With all pairs so far and a restart from the reference, gold after four rounds is at least "
            f"{LEAST:g} above gold after the first",
            source="Wolf et al., Sec. 5.1, Figure 4",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=lambda records: improves(records, BEST),
        ),
        Claim(
            name="gap-closes",
            statement="With all pairs so far and a restart from the reference, the proxy's score is closer to gold "
            f"after four rounds than after one, by at least {LEAST:g}",
            source="Wolf et al., Sec. 5.1, Figure 4",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=gap_closes,
        ),
        Claim(
            name="diminishes",
            statement="With all pairs so far and a restart from the reference, the last round gains at least "
            f"{LEAST:g} less than the second",
            source="Wolf et al., Sec. 5.1",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=diminishes,
        ),
        Claim(
            name="concatenate",
            statement=f"All pairs so far give at least {LEAST:g} more gold than the newest, or as many from each round",
            source="Wolf et al., Sec. 5.2, Figure 5a",
            unit="deviations of gold after four rounds",
            rule=above(LEAST),
            estimate=lambda records: compare(records, BEST, {"take last": LAST, "sample": SAMPLE}),
        ),
        Claim(
            name="no-free-lunch",
            statement="The mean, the least or the averaged weights of the proxies of all rounds do not give "
            f"{LEAST:g} more gold than the newest proxy",
            source="Wolf et al., Sec. 5.3, Figure 5c",
            unit="deviations of gold after four rounds",
            rule=below(LEAST),
            estimate=merged,
        ),
        Claim(
            name="restart",
            statement="On as many pairs from each round, a restart from the reference gives at least "
            f"{LEAST:g} more gold than going on or interpolating",
            source="Wolf et al., Sec. 5.4, Figure 7",
            unit="deviations of gold after four rounds",
            rule=above(LEAST),
            estimate=lambda records: compare(
                records,
                SAMPLE,
                {"last policy": ("sample", "last", "last"), "interpolate": ("sample", "last", "interpolated")},
            ),
        ),
        Claim(
            name="interpolate",
            statement="On as many pairs from each round, interpolated starts gain over the rounds, by at least "
            f"{LEAST:g}",
            source="Wolf et al., Sec. 5.4, Figure 7b",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=lambda records: improves(records, ("sample", "last", "interpolated")),
        ),
        Claim(
            name="no-recovery",
            statement="On as many pairs from each round, a policy that goes on does not gain "
            f"{LEAST:g} from the first round to the last",
            source="Wolf et al., Sec. 5.4, Figure 7b",
            unit="deviations of gold",
            rule=below(LEAST),
            estimate=lambda records: improves(records, ("sample", "last", "last")),
        ),
        order_claim(
            name="designs",
            what="gold after four rounds of the eight designs is",
            source="Wolf et al., gold of the fourth round, as others quote it",
            ordering=Ordering(
                published={NAMES[design]: gold for design, gold in PUBLISHED.items()},
                ranks=False,
                mapping="A design is what its rounds take over: pairs, proxies, and the start of the policy. Each "
                "round has 256 pairs, a proxy and PPO; gold after four of them stands for gold of the fourth round.",
                why="Rounds are short here, so a policy that goes on may not be far gone by the fourth, and proxies of "
                "small worlds are good after few pairs.",
            ),
            ours=of_designs,
        ),
    ),
)
