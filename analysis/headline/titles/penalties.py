"""Does a KL penalty give reinforcement learning more gold at equal KL?

The largest penalty that does not keep RL at the reference against the smallest, along training, at equal KL as far as
both reach, draw by draw.
"""

import pandas as pd

from analysis.headline.statement import Statement, brief, near, would_tell
from analysis.records.load import further_axes, without_diverged
from analysis.statistics.common_curve import far_reaching
from analysis.statistics.comparison import SIMILAR, Comparison, compare_families
from analysis.statistics.power import seeds_to_differ


def penalty_effect(rows: pd.DataFrame) -> Statement:
    """The statement, from rows of reinforcement learning at several penalties."""
    found = compared(rows)
    if found is None:
        text = "Gold and proxy score of RL at several KL penalties"
        return Statement(topic="penalty", text=text, title=text, sure=False)
    half = (found.high - found.low) / 2
    reach = f"to {near(found.reach)} nats"
    numbers = {name: float(getattr(found, name)) for name in ("difference", "low", "high", "reach")}
    sure, needed = True, None
    if found.low > 0 or found.high < 0:
        word = "more" if found.difference > 0 else "less"
        amount = brief(abs(found.difference), half)
        text = f"At equal KL, penalty {found.a:g} has {amount} {word} gold than {found.b:g} ({reach})"
    elif found.smallest_margin < SIMILAR:
        mean = "" if found.equivalent else " on average"
        both = f"{found.a:g} against {found.b:g}, {reach}"
        text = f"A KL penalty changes gold at equal KL by less than {SIMILAR:g}{mean} ({both})"
    else:
        sure, needed = False, seeds_to_differ(found.estimate)
        tell = would_tell(needed, found.seeds)
        text = f"Whether a KL penalty gives more gold at equal KL is not sure ({brief(found.difference, half)}; {tell})"
    return Statement(topic="penalty", text=text, title=text, sure=sure, numbers=numbers, seeds=needed)


def compared(rows: pd.DataFrame) -> Comparison | None:
    """The comparison; None where there is no second penalty, or nothing in common."""
    rl = without_diverged(rows[rows["method"] == "rl"])
    reach = rl.groupby("beta")["kl"].max()
    penalties = sorted(far_reaching({float(value): float(far) for value, far in reach.items()}))
    if len(penalties) < 2:
        return None
    ends = [rl[rl["beta"] == value].sort_values("step", kind="stable") for value in (penalties[-1], penalties[0])]
    ends = [part[part["kl"] >= part.groupby("run_id")["kl"].cummax()] for part in ends]
    try:
        return compare_families(
            float(penalties[-1]), float(penalties[0]), ends[0], ends[1], apart=["method", "beta", *further_axes(rl)]
        )
    except ValueError:
        return None
