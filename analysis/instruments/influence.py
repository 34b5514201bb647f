"""Which labelled pairs cost gold, and which scores find them: what the command `influence` leaves, read and averaged.

A data set is a unit: everything is computed in each of them, and then averaged, with Student's interval over data sets.
Where words say that something is so, it is so at 5 % in two-sided tests with the correction of Holm 1979 over all
scores of that class of policies. docs/explanation/influence.md derives what is computed.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.published.holm import holm
from analysis.records.load import ResultsError
from analysis.statistics.intervals import CORRELATION, SHARE, UNBOUNDED, Estimate, mean_of

FILES = ("influence", "groups", "dropped", "judged")
TRUTH, RANDOM = "truth", "random"
SURE = 0.05
MEASURED = (
    *("correlation", "regret_correlation", "group_correlation"),
    *("gold_gained", "regret_added", "kl_added", "dropped_against_gold"),
)
HEADS = (
    *("policy", "score", "needs gold", "rank correlation"),
    *("gold by dropping 5 %", "regret by dropping 5 %", "of these against gold"),
)
TESTED = ("correlation", "gold_gained", "regret_added")
NAMES = {
    "truth": "the values themselves",
    "influence_gold": "influence on gold",
    "gold_margin": "gold margin",
    "influence_held_out": "held-out influence",
    "gradient_product": "gradient product",
    "disagreement": "disagreement",
    "margin": "margin",
    "gradient_norm": "gradient norm",
    "ches": "CHES",
    "reference_margin": "reference margin",
    "random": "random",
}


def label_values(folder: str | Path) -> pd.DataFrame:
    """A row for each labelled pair, data set and class of policies that the command `influence` trained without.

    `value` is the gold of the policy trained on all pairs less that of the one trained without this pair, the mean of
    two orders of batches (`value_0`, `value_1`): below 0 the pair costs gold. `regret_added` and `kl_added` are what
    the pair adds to regret at the policy's own KL, and to KL. `against_gold`: the label chooses the response of less
    gold. Then the scores. Raises ResultsError.
    """
    return read(folder, "influence")


def read(folder: str | Path, name: str) -> pd.DataFrame:
    """One of the tables FILES. Raises ResultsError."""
    path = Path(folder) / f"{name}.parquet"
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: cannot be read; the command `influence` writes it ({error})") from None


def score_means(judged: pd.DataFrame) -> pd.DataFrame:
    """A row a class of policies and score: the mean of each of MEASURED over data sets, NAME, NAME_low and NAME_high.

    And for each of TESTED, NAME_p: the p-value against 0, with Holm's correction over the scores but for `truth`.
    """
    rows = []
    for (policy, score), some in judged.groupby(["policy", "score"], sort=False):
        row = {"policy": policy, "score": score, "needs_gold": bool(some["needs_gold"].iloc[0]), "seeds": len(some)}
        for name in MEASURED:
            estimate = mean_of(some[name], bounds=CORRELATION if "correlation" in name else UNBOUNDED)
            low, high = estimate.interval()
            row |= {name: estimate.value, f"{name}_low": low, f"{name}_high": high, f"{name}_p": two_sided(estimate)}
        rows.append(row)
    table = pd.DataFrame(rows)
    for name in MEASURED:
        column = f"{name}_p"
        if name not in TESTED:
            table = table.drop(columns=column)
            continue
        for _, of_policy in table[table["score"] != TRUTH].groupby("policy", sort=False):
            table.loc[of_policy.index, column] = holm([None if math.isnan(p) else p for p in of_policy[column]])
    return table


def two_sided(estimate: Estimate) -> float:
    """The p-value of the two-sided test that the truth is 0; NaN where nothing is known."""
    above = estimate.beyond(0.0)
    return 2 * min(above, 1 - above)


def additivity(groups: pd.DataFrame) -> pd.DataFrame:
    """A row a class of policies and data set: how the values of groups follow from the sums of values of their pairs.

    `slope` and `correlation` (Pearson's) of value on sum; 1 and 1 where values simply add up.
    """
    rows = []
    for (policy, data_set), some in groups.groupby(["policy", "data_set"], sort=False):
        total, value = some[f"sum_{TRUTH}"].to_numpy(float), some["value"].to_numpy(float)
        covariance = np.cov(total, value)
        rows.append(
            {
                "policy": policy,
                "data_set": data_set,
                "slope": covariance[0, 1] / covariance[0, 0],
                "correlation": covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]),
            }
        )
    return pd.DataFrame(rows)


def findings(folder: str | Path) -> list[str]:
    """Markdown: a table of the scores, and sentences on what was found. Raises ResultsError."""
    means = score_means(read(folder, "judged"))
    lines = [f"| {' | '.join(HEADS)} |", f"{'|---' * len(HEADS)}|"]
    for _, row in means.iterrows():
        lines.append(f"| {' | '.join(cells(row))} |")
    return [*lines, "", *sentences(folder)]


def brief(folder: str | Path) -> list[str]:
    """What was found, in a sentence for each class of policies. Raises ResultsError."""
    judged, found = read(folder, "judged"), []
    for policy, rows in score_means(judged).groupby("policy", sort=False):
        first = judged[judged["policy"] == policy].groupby("data_set").first()
        free = rows[~rows["needs_gold"] & (rows["score"] != RANDOM)]
        gaining = free[(free["gold_gained_p"] < SURE) & (free["gold_gained"] > 0)]
        nearer = free[(free["regret_added_p"] < SURE) & (free["regret_added"] < 0)]
        known = rows.set_index("score", drop=False)
        gain = with_interval(known.loc["influence_gold"], "gold_gained", 2).removesuffix("*")
        found.append(
            f"{str(policy).capitalize()} policies: the exact values of single pairs with two orders of batches have a "
            f"rank correlation of {interval_text(first['agreement'])}. Without the worst 5 % by influence on gold, "
            f"which needs gold, new training gains {gain}; of {len(free)} scores that need none, {len(gaining)} gain "
            f"some{named(gaining)}. Nearer to the best policy of the same KL: {len(nearer) or 'none'}{named(nearer)}."
        )
    return found


def named(rows: pd.DataFrame) -> str:
    """The scores of some rows in brackets; nothing where there is none."""
    return f" ({', '.join(NAMES.get(name, name) for name in rows['score'])})" if len(rows) else ""


def summary(folder: str | Path) -> list[str]:
    """The same for a terminal. Raises ResultsError."""
    means = score_means(read(folder, "judged"))
    table = pd.DataFrame([cells(row) for _, row in means.iterrows()], columns=list(HEADS))
    return [*table.drop(columns=HEADS[2]).to_string(index=False).splitlines(), "", *sentences(folder)]


def cells(row: pd.Series) -> tuple[str, ...]:
    """What tables say of a score."""
    return (
        str(row["policy"]),
        NAMES.get(row["score"], row["score"]),
        "yes" if row["needs_gold"] else "no",
        with_interval(row, "correlation"),
        with_interval(row, "gold_gained"),
        with_interval(row, "regret_added"),
        f"{100 * row['dropped_against_gold']:.0f} %",
    )


def with_interval(row: pd.Series, name: str, decimals: int = 3) -> str:
    """A mean and its interval; a star where it differs from 0 with Holm's correction."""
    star = "*" if row.get(f"{name}_p", math.nan) < SURE and row["score"] != TRUTH else ""
    if math.isnan(row[f"{name}_low"]):
        return f"{row[name]:.{decimals}f}"
    ends = f"[{row[f'{name}_low']:.{decimals}f}, {row[f'{name}_high']:.{decimals}f}]"
    return f"{row[name]:.{decimals}f} {ends}{star}".replace("-", "−")


def sentences(folder: str | Path) -> list[str]:
    """What was found, class by class of policies. Raises ResultsError."""
    judged, groups = read(folder, "judged"), read(folder, "groups")
    means, found = score_means(judged), []
    for policy, rows in means.groupby("policy", sort=False):
        found += [
            reliability_sentence(policy, judged[judged["policy"] == policy]),
            ranking_sentence(policy, rows),
            dropping_sentence(policy, rows),
            regret_sentence(policy, rows),
            additivity_sentence(policy, groups[groups["policy"] == policy], rows),
        ]
    found.append("Brackets are 95 % intervals over data sets; a star: not 0, with Holm's correction over the scores.")
    return found


def reliability_sentence(policy: object, judged: pd.DataFrame) -> str:
    """How well values can be known."""
    first = judged.groupby("data_set").first()
    agreement, ceiling = interval_text(first["agreement"], CORRELATION), interval_text(first["ceiling"], SHARE)
    return (
        f"{policy} policies: values with two orders of batches have a rank correlation of {agreement}, so no score can "
        f"be expected to exceed {ceiling} with their mean."
    )


def ranking_sentence(policy: object, rows: pd.DataFrame) -> str:
    """Which scores rank pairs as their values do."""
    free = rows[~rows["needs_gold"] & (rows["score"] != RANDOM)]
    sure = free[(free["correlation_p"] < SURE) & (free["correlation"] > 0)].sort_values("correlation", ascending=False)
    wrong = free[(free["correlation_p"] < SURE) & (free["correlation"] < 0)]
    named = [f"{NAMES.get(row['score'], row['score'])} {row['correlation']:.2f}" for _, row in sure.iterrows()]
    told = f"{policy} policies: of {len(free)} scores without gold, {len(sure)} rank pairs as their values do"
    told += f" ({', '.join(named)})" if named else ""
    if len(wrong):
        told += f", {len(wrong)} the other way round ({', '.join(NAMES.get(name, name) for name in wrong['score'])})"
    known = rows[rows["score"] == "influence_gold"].iloc[0]
    return f"{told}; influence on gold, which needs it, {with_interval(known, 'correlation', 2)}."


def dropping_sentence(policy: object, rows: pd.DataFrame) -> str:
    """What dropping the worst pairs brings."""
    by = rows.set_index("score", drop=False)
    free = rows[~rows["needs_gold"] & (rows["score"] != RANDOM)]
    sure = free[(free["gold_gained_p"] < SURE) & (free["gold_gained"] > 0)]
    lost = free[(free["gold_gained_p"] < SURE) & (free["gold_gained"] < 0)]
    told = (
        f"{policy} policies: without the worst 5 % by their values, fresh training has "
        f"{with_interval(by.loc[TRUTH], 'gold_gained')} more gold; without random ones "
        f"{with_interval(by.loc[RANDOM], 'gold_gained')}"
    )
    names = ", ".join(
        f"{NAMES.get(row['score'], row['score'])} {row['gold_gained']:+.3f}" for _, row in sure.iterrows()
    )
    told += f"; {len(sure)} of {len(free)} scores without gold gain some" + (f" ({names})" if names else "")
    if len(lost):
        told += f", {len(lost)} lose some ({', '.join(NAMES.get(name, name) for name in lost['score'])})"
    return f"{told}.".replace("-0.", "−0.")


def regret_sentence(policy: object, rows: pd.DataFrame) -> str:
    """Whether what dropping brings is more than another KL."""
    others = rows[~rows["score"].isin((TRUTH, RANDOM))]
    sure = others[others["regret_added_p"] < SURE]
    by = rows.set_index("score", drop=False)
    change = with_interval(by.loc[TRUTH], "regret_added")
    told = f"{policy} policies: at the KL that is then reached, regret changes by {change} without the worst by values"
    for word, some in (("lower", sure[sure["regret_added"] < 0]), ("higher", sure[sure["regret_added"] > 0])):
        named_ones = [
            f"{NAMES.get(row['score'], row['score'])} {row['regret_added']:+.3f}" for _, row in some.iterrows()
        ]
        told += f"; {word} with {', '.join(named_ones)}" if named_ones else f"; {word} with no score"
    return f"{told}.".replace("-0.", "−0.")


def additivity_sentence(policy: object, groups: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Whether values add up, and how well sums of scores rank groups."""
    table, by = additivity(groups), rows.set_index("score", drop=False)
    ranks = [
        f"{with_interval(by.loc[name], 'group_correlation', 2)} by sums of {told}"
        for name, told in ((TRUTH, "values"), ("influence_gold", "influence on gold"))
    ]
    slope, correlation = interval_text(table["slope"]), interval_text(table["correlation"], CORRELATION)
    return (
        f"{policy} policies: the value of a random group of 5 % is {slope} times the sum of the values of its pairs, "
        f"with a correlation of {correlation}; the rank correlation of groups is {' and '.join(ranks)}."
    )


def interval_text(values: pd.Series, bounds: tuple[float, float] = UNBOUNDED) -> str:
    """A mean over data sets with its interval, which ends at the bounds."""
    estimate = mean_of(values, bounds=bounds)
    low, high = estimate.interval()
    text = f"{estimate.value:.2f}" if math.isnan(low) else f"{estimate.value:.2f} [{low:.2f}, {high:.2f}]"
    return text.replace("-", "−")
