"""What a search over losses came to: whether the loss that it found is better than its rivals at equal KL.

The command `search` leaves `history.parquet`, with all losses that were tried in the worlds of the search, and
`judged/world-SEED`, a sweep in each of the worlds that the search never saw; docs/explanation/search.md says how.

A draw is a world here: its seeds share language, prompts and gold, so they are averaged first, and intervals are over
worlds. All rivals are compared with one loss, so p-values are corrected for their number (Holm 1979), those of a
difference and those of equivalence apart.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from analysis.published.holm import holm
from analysis.records.load import ResultsError
from analysis.records.many import load
from analysis.records.names import loss_label
from analysis.statistics.comparison import compare

NAME = "found.py:found"
MARGIN = 0.05  # deviations of gold, on average over KL: what counts as the same
LEVEL = 0.05
JUDGED_IN = b"judged_in"  # in the metadata of the history
WORLD_COLUMNS = ("world_seed", "gold_seed")
TRAINING_SEED = "training_seed"
VERDICTS = ("better", "worse", "equivalent", "undecided")


def history_of(folder: str | Path) -> pd.DataFrame:
    """All losses of a search, a row each: see docs/explanation/search.md. Raises ResultsError."""
    path = Path(folder) / "history.parquet"
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: cannot be read as the history of a search ({error})") from None


def judged_folders(folder: str | Path) -> list[str | Path]:
    """The sweeps that judge what the history of a folder found, those of them that have ended."""
    try:
        told = (pq.read_schema(Path(folder) / "history.parquet").metadata or {}).get(JUDGED_IN, b"").decode()
    except (OSError, ValueError) as error:
        raise ResultsError(f"{folder}: has no history of a search that can be read ({error})") from None
    places = [Path(folder) / "judged" / f"world-{world}" for world in told.split()]
    return [place for place in places if (place / "curves.parquet").exists()]


def judged_curves(folder: str | Path) -> pd.DataFrame:
    """The curves of all worlds of the judging, with a world as a draw. Raises ResultsError."""
    folders = judged_folders(folder)
    if len(folders) < 2:
        raise ResultsError(f"{folder}: has no two worlds in which what was found was judged")
    curves = load(folders)
    ours = curves[curves["method"] == "gpo"]
    return ours.assign(**{TRAINING_SEED: ours["seed"], "seed": 0})


def comparisons(folder: str | Path, margin: float = MARGIN) -> pd.DataFrame:
    """What was found against each rival in the worlds of the judging, a row a rival.

    difference: of gold at equal KL, a mean over KL as far as both reach, in deviations; above 0 where what was found
    has more. low, high: its interval of 95 % over worlds. p_holm, equivalence_holm: corrected p-values, of no
    difference and of one of `margin` or more. verdict: "equivalent" where it is surely less than the margin, else
    "better" or "worse" where it is surely not 0, else "undecided". Raises ResultsError.
    """
    curves = judged_curves(folder)
    pool = [*WORLD_COLUMNS, TRAINING_SEED]
    rows = []
    for rival in dict.fromkeys(curves["loss"]):
        if rival == NAME:
            continue
        try:
            found = compare(curves, NAME, rival, pool=[name for name in pool if name in curves], margin=margin)
        except ValueError as error:
            raise ResultsError(f"{folder}: {error}") from None
        fields = ("difference", "low", "high", "p", "equivalence_p", "reach")
        rows.append({"rival": rival, **{name: getattr(found, name) for name in fields}, "worlds": found.seeds})
    table = pd.DataFrame(rows)
    return judged(table)


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """The table with corrected p-values, and a verdict on each row."""
    whole = table.assign(
        p_holm=corrected(table["p"].tolist()), equivalence_holm=corrected(table["equivalence_p"].tolist())
    )
    numbers = zip(*(whole[name] for name in ("difference", "p_holm", "equivalence_holm")), strict=True)
    return whole.assign(verdict=[verdict(*row) for row in numbers])


def verdict(difference: float, p: float, equivalence: float) -> str:
    """What is surely so, at 5 %."""
    if equivalence < LEVEL:
        return "equivalent"
    if p < LEVEL:
        return "better" if difference > 0 else "worse"
    return "undecided"


def corrected(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number; those that are not known count as 1."""
    return [1.0 if p is None else p for p in holm([None if np.isnan(p) else p for p in values])]


def overall(table: pd.DataFrame) -> str:
    """One sentence on all rivals, without a full stop."""
    counts = table["verdict"].value_counts()
    rivals = f"{len(table)} rivals"
    if counts.get("better", 0) == len(table):
        return f"The loss that was found is better than all {rivals} at equal KL"
    told = [f"{word} {counts[word]}" for word in VERDICTS if word in counts]
    return f"The loss that was found is not shown to be better than all {rivals} at equal KL: {', '.join(told)}"


def training_sentence(history: pd.DataFrame) -> str:
    """What the search came to in its own worlds, which judges nothing."""
    rivals = history[history["kind"] == "rival"].sort_values("regret", kind="stable")
    best, candidates = rivals.iloc[0], history[history["kind"] == "candidate"]
    found = history[history["kind"] == "found"]
    if found.empty:
        return f"The search has {candidates['generation'].nunique()} generations so far, and has not ended."
    count, own = candidates["generation"].nunique(), found["regret"].iloc[0]
    return (
        f"In the {len(worlds_in(history))} worlds of the search, after {count} generations and {len(candidates):,} "
        f"candidates, its regret is {own:.3f} deviations of gold; that of the best rival, {loss_label(best['name'])}, "
        f"is {best['regret']:.3f}. It was chosen there, so that proves nothing."
    )


def worlds_in(history: pd.DataFrame) -> list[str]:
    """The columns of regret in each world."""
    return [name for name in history if name.startswith("regret_")]


def findings(folder: str | Path) -> list[str]:
    """What a search came to, as sentences and a table in Markdown. Raises ResultsError."""
    told = training_sentence(history_of(folder))
    if len(judged_folders(folder)) < 2:
        return [told, "It was not judged yet."]
    table = comparisons(folder)
    return [
        f"{overall(table)}.",
        f"It was judged in {int(table['worlds'].min())} worlds that the search never saw, from the reference up to the "
        "KL that both losses reach. Intervals of 95 % are over worlds; verdicts hold at 5 % after Holm's correction; "
        f"less than {MARGIN:g} deviations of gold counts as the same.",
        told,
        "",
        "| against | more gold at equal KL | up to KL | verdict |",
        "|---|---|---|---|",
        *(
            f"| {loss_label(row.rival)} | {row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}] | {row.reach:.2f} | "
            f"{row.verdict} |"
            for row in table.itertuples()
        ),
    ]
