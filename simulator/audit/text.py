"""The table of an audit as lines of a terminal, at most 100 signs wide."""

import math
from collections.abc import Iterator

import pandas as pd

NAME = 36
PARTS = {
    "kl": "The penalty alone, against grad KL(pi || pi_ref)",
    "objective": "The objective, against grad (E r - tau KL(pi || pi_ref))",
}
COLUMNS = {"how": 11, "scale": 9, "bias": 9, "cosine": 9, "noise": 9, "one batch": 11}
LEAST = 1e-9  # what is smaller is rounding


def number(value: float) -> str:
    """Three digits; a dash where there is none."""
    if math.isnan(value):
        return "-"
    if abs(value) < LEAST:
        return "0"
    return f"{value:.3f}" if 0.01 <= abs(value) < 100 else f"{value:.2g}"


def lines_of(table: pd.DataFrame) -> Iterator[str]:
    """A title and a row an estimator; PPO's surrogates in one row for all steps."""
    yield " " * NAME + "".join(name.rjust(width) for name, width in COLUMNS.items())
    for part, title in PARTS.items():
        yield title
        for _, row in table[table["part"] == part].iterrows():
            shown = [number(row[name]) for name in ("scale", "bias", "cosine", "noise", "one_batch_cosine")]
            cells = [row["how"], *shown]
            widths = COLUMNS.values()
            yield f"  {row['estimator']}".ljust(NAME) + "".join(x.rjust(w) for x, w in zip(cells, widths, strict=True))
    yield from reuse_lines(table[table["part"] == "reuse"])


def reuse_lines(table: pd.DataFrame) -> Iterator[str]:
    """The bias of PPO's surrogates, a column a number of steps on the same responses."""
    yield "PPO on the same responses: bias after so many steps of the optimizer, against the gradient there"
    steps = list(dict.fromkeys(table["reuse"]))
    yield " " * NAME + "".join(str(step).rjust(9) for step in steps)
    for name in dict.fromkeys(table["estimator"]):
        bias = table[table["estimator"] == name].set_index("reuse")["bias"]
        yield f"  {name}".ljust(NAME) + "".join(number(bias[step]).rjust(9) for step in steps)


def words_of(table: pd.DataFrame) -> Iterator[str]:
    """What the columns are."""
    simulated = table[table["how"] == "simulated"]
    first = table.iloc[0]
    yield "scale: the mean along the exact gradient; 1 is right. bias: how far the mean is from it."
    yield "noise: the deviation of one batch. Bias and noise are in norms of the exact gradient."
    yield "cosine: of the mean to it. one batch: of a single batch to it, in the mean over batches."
    yield (
        f"{first['prompts']} prompts, {first['responses']} responses to each in a batch. Simulated: means of "
        f"{first['batches']:,} batches, bias ± {simulated['bias_se'].max():.1g} at most."
    )
