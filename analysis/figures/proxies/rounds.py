"""How much gold is there after each round of RLHF, and which choice makes a difference?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, column, headed
from analysis.figures.marks import EndLabel, curve, end_labels, ends_of, level, zero_line
from analysis.figures.style import DASHES, GOLD_LABEL, PALETTE, seeds_note
from analysis.headline.statement import brief
from analysis.records.load import further_axes
from analysis.records.names import axis_label, capitalized, in_words, value_text
from analysis.statistics.intervals import over_seeds

METHOD = "iterated"
HEIGHT = 1.5


def draw(curves: pd.DataFrame) -> Picture:
    """A panel for each choice, a line for each of its values: gold at the ends of rounds, as a mean over the rest."""
    ends = round_ends(curves)
    choices = choices_of(ends.drop(columns="round"))
    figure, panels = column(HEIGHT * max(len(choices), 1), rows=max(len(choices), 1), sharex=True)
    tables = {choice: means_of(ends, choice) for choice in choices or [""]}
    for axes, (choice, table) in zip(panels, tables.items(), strict=True):
        zero_line(axes)
        labels = []
        for number, (value, mean) in enumerate(table.groupby("value", sort=False)):
            color, dashes = PALETTE[number % len(PALETTE)], DASHES[number % len(DASHES)]
            bounds = ends_of(mean, "gold") if mean["seeds"].max() > 1 else None
            name = f"{choice_name(choice)} {value}".strip()
            curve(axes, name, mean["round"], mean["gold"], bounds, color=color, linestyle=dashes)
            labels.append(EndLabel(mean["round"].iloc[-1], mean["gold"].iloc[-1], str(value), color))
        axes.set_title(capitalized(choice_name(choice)))
        axes.set_xticks(range(int(ends["round"].max()) + 1))
        level([axes], [table], ("gold",))
        end_labels(axes, labels, HEIGHT - 0.4)
    panels[-1].set_xlabel("rounds")
    figure.supylabel(GOLD_LABEL)
    rest = ", averaged over the other choices" if len(choices) > 1 else ""
    words = f"Gold at the end of each round{rest}; {seeds_note(pd.concat(tables.values()))}. Round 0: the reference."
    return headed(figure, title_of(tables, choices), words)


def round_length(steps: Sequence[int]) -> int | None:
    """The steps of a round, from the steps of checkpoints, which are the same in each round; None where many would do.

    Where every step is a checkpoint, rounds of any length have the same ones in each.
    """
    there, last = set(steps), max(steps)
    if last == 0 or len(there) == last + 1 > 2:
        return None
    return next(
        length
        for length in sorted(there - {0})
        if last % length == 0 and all(step + length in there for step in there - {0} if step + length <= last)
    )


def measured_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of rounds of runs that have not diverged."""
    return curves[(curves["method"] == METHOD) & (curves["status"] == "ok")]


def round_ends(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows where rounds end, with the number of the round."""
    rows = measured_rows(curves)
    length = rows["run_id"].map(round_lengths(rows)).astype(int)
    return rows.assign(round=rows["step"] // length)[rows["step"] % length == 0]


def round_lengths(rows: pd.DataFrame) -> dict[str, int | None]:
    """The steps of a round of each run, from its own checkpoints; runs may have rounds of other lengths."""
    known: dict[tuple[int, ...], int | None] = {}
    found = {}
    for run_id, steps in rows.groupby("run_id", sort=False)["step"]:
        each = tuple(sorted(steps))
        if each not in known:
            known[each] = round_length(each)
        found[str(run_id)] = known[each]
    return found


def has_rounds(curves: pd.DataFrame) -> bool:
    """Whether there are steps of rounds, and it is known where each round ends."""
    rows = measured_rows(curves)
    return bool((rows["step"] > 0).any()) and None not in round_lengths(rows).values()


def choices_of(ends: pd.DataFrame) -> list[str]:
    """The settings that vary."""
    return [name for name in [*further_axes(ends), "beta"] if len(ends[name].unique()) > 1]


def means_of(ends: pd.DataFrame, choice: str) -> pd.DataFrame:
    """Gold of each value of a choice at the end of each round, with its interval over seeds."""
    known = ends.assign(value=ends[choice].map(value_text) if choice else "gold")
    seeds = known.groupby(["value", "round", "seed"], sort=False)["gold"].mean().reset_index()
    return over_seeds(seeds, ["value", "round"], ["gold"])


def choice_name(choice: str) -> str:
    """What a choice is called."""
    return "penalty" if choice == "beta" else axis_label(choice) if choice else ""


def title_of(tables: dict[str, pd.DataFrame], choices: Sequence[str]) -> str:
    """What gold is after the last round, of the choice whose values are furthest apart."""
    last = {choice: table[table["round"] == table["round"].max()] for choice, table in tables.items()}
    rounds = int(next(iter(last.values()))["round"].iloc[0])
    after = f"after {in_words(rounds)} round{'s' * (rounds > 1)}"
    choice = max(last, key=lambda name: float(np.ptp(last[name]["gold"])))
    rows = last[choice].sort_values("gold")
    told = [
        f"{brief(row.gold, (row.gold_high - row.gold_low) / 2)}" + (f" ({row.value})" if choices else "")
        for row in rows.iloc[[0, -1] if len(rows) > 1 else [0]].itertuples()
    ]
    name = f", by {choice_name(choice)}" if choices else ""
    return f"Gold is {' to '.join(told)} {after}{name}"


FIGURE = Kind(
    name="rounds",
    caption="How much gold is there after each round of RLHF, and which choice makes a difference?",
    rank=58,
    shows="proxies",
    draw=draw,
    applies=has_rounds,
)
