"""Which beta ends training with the most gold?

Of the loss of `rise_and_fall`, at the end of training, over the seeds that every beta has. The best beta is sure where
the interval of its paired difference from each other beta lies above 0, corrected for their number (Bonferroni).
"""

import math

import pandas as pd

from analysis.headline.rise_and_fall import shown_loss
from analysis.headline.statement import Number, Statement, brief, would_tell
from analysis.records.checks import balanced
from analysis.records.load import final_rows
from analysis.records.names import listed, loss_label
from analysis.statistics.intervals import LEVEL, mean_of
from analysis.statistics.power import seeds_to_differ


def best_beta(curves: pd.DataFrame, place: str = "") -> Statement | None:
    """The statement, from rows at one combination of further axes; None for fewer than two betas."""
    loss, last = shown_loss(curves), final_rows(curves)
    last = last[(last["loss"] == loss) & last["beta"].notna()]
    gold = balanced(last.pivot_table(index="seed", columns="beta", values="gold"))
    if gold.shape[1] < 2:
        return None
    seeds, top = len(gold), float(gold.mean().idxmax())
    noise = noise_of(last, seeds_kept=list(gold.index))
    half = interval_half(gold[top], noise.get(top, 0.0))
    shared = {float(beta): math.hypot(noise.get(top, 0.0), noise.get(beta, 0.0)) for beta in gold.columns}
    rivals = {float(beta): mean_of(gold[top] - gold[beta], shared[beta]) for beta in gold.columns if beta != top}
    level = 1 - (1 - LEVEL) / len(rivals)
    unsure = [beta for beta, lead in rivals.items() if not lead.interval(level)[0] > 0]
    edge = {gold.columns[0]: "smallest", gold.columns[-1]: "largest"}.get(top, "")
    where = ", ".join(filter(None, [loss_label(loss), place]))
    value = brief(float(gold[top].mean()), half)
    needed = None
    if not unsure:
        text = f"β {top:g} ends best, with {value} ({where})"
        title = f"β {top:g} ends best, with {value}"
        if edge:
            text += f"; it is the {edge} of the sweep, so the best may lie beyond"
    else:
        closest = min(unsure, key=lambda beta: rivals[beta].value)
        counts = [seeds_to_differ(rivals[beta], level) for beta in unsure] if seeds > 1 else [None]
        needed = None if None in counts else max(count for count in counts if count is not None)
        lead = brief(rivals[closest].value, interval_half(gold[top] - gold[closest], shared[closest]))
        among = span_of([top, *unsure])
        text = (
            f"It is not sure which of β {among} ends best: {top:g} leads {closest:g} by {lead} "
            f"({where}; {would_tell(needed, seeds)})"
        )
        title = f"β {top:g} ends highest, with {value}; not surely ahead of {span_of(unsure)}"
    numbers: dict[str, Number] = {
        "loss": loss,
        "beta": top,
        "gold": float(gold[top].mean()),
        "half": half,
        "at_the_end": bool(edge),
    }
    return Statement(topic="best_beta", text=text, title=title, sure=not unsure, numbers=numbers, seeds=needed)


def span_of(betas: list[float]) -> str:
    """Several betas in a sentence: each of up to three, or the first and the last."""
    found = sorted(betas)
    return listed([f"{beta:g}" for beta in found]) if len(found) <= 3 else f"{found[0]:g} to {found[-1]:g}"


def interval_half(values: pd.Series, shared: float) -> float:
    """Half of the interval of a mean over seeds that share an error; NaN for one."""
    low, high = mean_of(values, shared).interval()
    return (high - low) / 2


def noise_of(last: pd.DataFrame, seeds_kept: list[int]) -> dict[float, float]:
    """The standard error that measuring gave to gold at each beta, which seeds share; nothing where it is exact."""
    if "gold_se" not in last:
        return {}
    rows = last[last["seed"].isin(seeds_kept)]
    squares = (rows["gold_se"].fillna(0.0) ** 2).groupby(rows["beta"]).mean()
    return {float(beta): math.sqrt(value) for beta, value in squares.items()}
