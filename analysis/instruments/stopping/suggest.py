"""Which beta and step a folder's records speak for, by the best rule that can be asked there."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.headline.statement import with_half
from analysis.instruments.stopping.candidates import Choice, choices
from analysis.instruments.stopping.record import Record, read_record
from analysis.instruments.stopping.rule import Rule, rules
from analysis.records.load import ResultsError
from analysis.records.names import loss_label, value_text
from analysis.statistics.intervals import mean_of


def suggestions(folder: str | Path, record: Record | None = None) -> pd.DataFrame:
    """What the best rule says of each data set and loss of a sweep: a row each.

    The rule is the one with the least regret in `record` (the study that ships, unless given) among those whose number
    means something with other training, and that find all they need in the folder. Columns: which data set and loss it
    is, `rule`, `number`, `chosen_beta`, `step`, `kl`; and since gold is known here, `regret`, the gold that the choice
    loses against the best one. Raises ResultsError.
    """
    record, offered = record or read_record(), choices(folder)
    rule = best_rule(record, offered)
    number = record.numbers[rule.name]
    rows = []
    for choice in offered:
        at = rule.choose(choice.seen, number)
        seen = choice.seen.iloc[at]
        chosen = {"rule": rule.name, "number": number, "chosen_beta": seen["beta"], "step": int(seen["step"])}
        rows.append(choice.where | chosen | {"kl": seen["kl"], "regret": choice.best - choice.gold.iloc[at]})
    return pd.DataFrame(rows)


def best_rule(record: Record, offered: Sequence[Choice]) -> Rule:
    """The best rule of a record that can choose everywhere. Raises ResultsError where there is none."""
    known = rules()
    for name in record.best_first():
        if name in known and known[name].travels and all(known[name].can_choose(choice.seen) for choice in offered):
            return known[name]
    raise ResultsError("suggest: the record has no rule that can choose among these policies")


def lines_of(folder: Path, record: Record) -> Iterator[str]:
    """What a terminal shows of the suggestions for a folder."""
    table, known = suggestions(folder, record), rules()
    rule = known[table["rule"].iloc[0]]
    yield f"rule: {rule.says(record.numbers[rule.name])}"
    about = record.about
    yield (
        f"its record: in {about['choices']} choices, in folds of worlds that it was not tuned on, it lost "
        f"{record.regret_of(rule.name)} deviations of gold against the best choice, a fixed beta "
        f"{record.regret_of('fixed beta')}"
    )
    for name in better_without(record, rule):
        why = f"needs {', '.join(known[name].needs)}" if known[name].travels else "is of the training of that study"
        yield f"not asked: {name}, which lost {record.regret_of(name)}, for it {why}"
    further = [name for name in table if name not in FIXED and len(table[name].unique()) > 1]
    for values, some in table.groupby(["loss", *further], sort=False, dropna=False):
        yield said_of(values, further, some)


FIXED = ("loss", "seed", "rule", "number", "chosen_beta", "step", "kl", "regret")


def better_without(record: Record, rule: Rule) -> list[str]:
    """The rules that did better in the record, which the folder has not all columns for."""
    names = record.best_first()
    return [name for name in names[: names.index(rule.name)] if name in rules()]


def said_of(values: tuple[object, ...], further: list[str], some: pd.DataFrame) -> str:
    """What is suggested for one loss, over its seeds."""
    who = ", ".join(
        [loss_label(str(values[0])), *(f"{n} {value_text(v)}" for n, v in zip(further, values[1:], strict=True))]
    )
    counted = Counter(some["chosen_beta"]).most_common()
    (beta, times), seeds = counted[0], len(some)
    often = "" if len(counted) == 1 else f" (in {times} of {seeds} data sets; else {listed(counted[1:])})"
    low, high = some["step"].min(), some["step"].max()
    steps = f"step {low:,}" if low == high else f"steps {low:,} to {high:,}"
    loss = mean_of(some["regret"])
    half = (loss.interval()[1] - loss.interval()[0]) / 2 if seeds > 1 else np.nan
    lost = with_half(loss.value, half)
    return f"{who}: beta {beta:g}{often}, {steps}, KL {some['kl'].mean():.2g} nats; here it loses {lost}"


def listed(counted: Sequence[tuple[float, int]]) -> str:
    """Further values of beta, the most frequent first."""
    return ", ".join(f"{beta:g}" for beta, _ in counted[:3])
