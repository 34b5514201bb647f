"""What the claims of Tang et al. 2024 (arXiv:2405.08448) are judged by: kinds of training, compared at equal KL."""

import numpy as np
import pandas as pd

from analysis.published.claim import Finding, Records, UnknownError
from analysis.published.measures import (
    difference,
    fall,
    gold_by_seed,
    in_steps,
    mean_over_seeds,
    require_columns,
    slope_by_seed,
    without_axes,
)
from analysis.published.path_measures import (
    gap,
    gap_by_seed,
    gap_note,
    gold_by_strength,
    of_strengths,
    rank_correlation,
    rank_step,
)
from analysis.records.load import final_rows, without_diverged
from analysis.statistics.intervals import CORRELATION
from analysis.statistics.proxy_errors.phase_diagram import difference as peak_difference

KINDS = {"offline": "none", "online": "none", "ordered": "ordered", "shuffled": "shuffled"}
AXES = ("online_refresh", "online_replay")


def of_kind(records: Records, kind: str, loss: str = "squared") -> pd.DataFrame:
    """The rows of a loss: offline, online, or on an online run's pairs, ordered or shuffled. Raises UnknownError."""
    rows = without_diverged(require_columns(records.curves, "online_refresh"))
    rows = without_axes(rows[rows["method"].eq("gpo") & rows["loss"].eq(loss)], *AXES)
    fresh = rows["online_refresh"] > 0
    if kind == "offline":
        found = rows[~fresh]
    else:
        replay = rows["online_replay"] if "online_replay" in rows else pd.Series("none", index=rows.index)
        found = rows[fresh & replay.eq(KINDS[kind])]
    if found.empty:
        raise UnknownError(f"there are no runs of {loss} {kind}")
    return found


def compare(records: Records, a: str, b: str, *losses: str) -> Finding:
    """Gold of one kind of training less that of another at equal KL, for each loss."""
    both = {loss: (of_kind(records, a, loss), of_kind(records, b, loss)) for loss in losses}
    return Finding(estimates={loss: gap(*rows) for loss, rows in both.items()}, note=gap_note(both))


def peaks(records: Records) -> Finding:
    """The highest gold of online IPO, over steps and strengths, less that of offline IPO, by seeds that both have."""
    online, offline = (gold_by_strength(of_kind(records, kind)) for kind in ("online", "offline"))
    seeds = online.index.intersection(offline.index)
    if len(seeds) < 2:
        raise UnknownError("fewer than two seeds are there both online and offline")
    golds = (table.loc[seeds].to_numpy(float) for table in (online, offline))
    return Finding(estimates={"peak": peak_difference(*golds)})


def humps(records: Records) -> Finding:
    """The fall of gold at the smallest strength."""

    def weakest(kind: str) -> pd.DataFrame:
        rows = of_kind(records, kind)
        return rows[rows["beta"] == rows["beta"].min()]

    return Finding(estimates={kind: fall(weakest(kind)) for kind in ("online", "offline")})


def accuracy_at_end(rows: pd.DataFrame) -> pd.Series:
    """Accuracy on held-out pairs at the end, a mean over strengths, by seed; of seeds that have all strengths."""
    last = final_rows(require_columns(rows, "held_out_accuracy"))
    last = last[last.groupby("seed")["beta"].transform("nunique") == last["beta"].nunique()]
    return last.groupby("seed")["held_out_accuracy"].mean()


def classify(records: Records) -> Finding:
    """Accuracy of offline IPO on held-out pairs at the end less that of online IPO."""
    offline, online = (accuracy_at_end(of_kind(records, kind)) for kind in ("offline", "online"))
    note = f"offline {offline.mean():.3g}, online {online.mean():.3g}"
    return Finding(estimates={"accuracy": difference(offline, online)}, note=note)


def accuracy_and_gold(records: Records) -> Finding:
    """Rank correlation of held-out accuracy and gold over the checkpoints of offline runs, at every strength."""
    found = {}
    for beta, rows in of_strengths(of_kind(records, "offline")).items():
        gold, accuracy = (
            gold_by_seed(rows),
            gold_by_seed(require_columns(rows, "held_out_accuracy"), "held_out_accuracy"),
        )
        steps = [step for step in gold if step > 0 and step in accuracy]
        each = [
            rank_correlation(gold.loc[seed, steps].to_numpy(float), accuracy.loc[seed, steps].to_numpy(float))
            for seed in gold.index
        ]
        found[f"beta {beta:g}"] = in_steps(mean_over_seeds(each, bounds=CORRELATION), rank_step(len(steps)))
    return Finding(estimates=found)


def chosen_falls(records: Records) -> Finding:
    """The mean log-ratio of chosen responses at the end of offline IPO, at every strength."""
    groups = of_strengths(require_columns(of_kind(records, "offline"), "chosen_logratio"))
    estimates = {
        f"beta {beta:g}": mean_over_seeds(final_rows(rows).groupby("seed")["chosen_logratio"].mean())
        for beta, rows in groups.items()
    }
    return Finding(estimates=estimates)


def of_data(records: Records, behaviour: str, one: bool) -> pd.DataFrame:
    """The rows of IPO on pairs of one behaviour policy, with one side of the reference or none. Raises UnknownError."""
    rows = without_diverged(require_columns(records.curves, "behaviour"))
    rows = without_axes(rows[rows["method"].eq("gpo") & rows["loss"].eq("squared")], "behaviour", "one_from_reference")
    rows = rows[rows["behaviour"].eq(behaviour)]
    if behaviour != "reference":
        rows = rows[require_columns(rows, "one_from_reference")["one_from_reference"].astype(str).eq(str(one))]
    if rows.empty:
        sides = "" if behaviour == "reference" else f", {'one side' if one else 'no side'} of the reference"
        raise UnknownError(f"there are no runs of squared on pairs of {behaviour}{sides}")
    return rows


def data(records: Records, a: tuple[str, bool], b: tuple[str, bool]) -> Finding:
    """Gold on one kind of pairs less that on another at equal KL."""
    both = of_data(records, *a), of_data(records, *b)
    return Finding(estimates={"pairs": gap(*both)}, note=gap_note({"pairs": both}))


def by_width(records: Records) -> pd.DataFrame:
    """The gap between online and offline IPO, a row a seed and a column a width. Raises UnknownError."""
    rows = without_diverged(require_columns(records.curves, "online_refresh", "policy_width"))
    rows = without_axes(rows[rows["method"].eq("gpo") & rows["loss"].eq("squared")], "online_refresh", "policy_width")
    for there, kind in ((rows["online_refresh"] == 0, "offline"), (rows["online_refresh"] > 0, "online")):
        if set(rows.loc[there, "policy_width"]) != set(rows["policy_width"]) or not there.any():
            raise UnknownError(f"there are no runs of squared {kind} at every width")
    found = {
        width: gap_by_seed(some[some["online_refresh"] > 0], some[some["online_refresh"] == 0])[0]
        for width, some in rows.groupby("policy_width")
    }
    return pd.DataFrame(found)


def sizes(records: Records) -> Finding:
    """The gap between online and offline at every width."""
    table = by_width(records)
    return Finding(estimates={f"width {width}": mean_over_seeds(table[width]) for width in table})


def size_trend(records: Records) -> Finding:
    """The slope of the gap over log10 of the width."""
    table = by_width(records)
    table.columns = np.log10(np.asarray(table.columns, dtype=float))
    return Finding(estimates={"width": mean_over_seeds(slope_by_seed(table))})
