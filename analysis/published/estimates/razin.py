"""What the claims of Razin et al. 2024 (arXiv:2410.08847) are judged by: where chosen responses end, and which ones.

Claims are judged at the smallest beta. The edit distance of a pair is Levenshtein's, between its two responses as they
are spelled, over the length of the longer one. Its negative is one of the authors' measures of similarity.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from analysis.published.claim import Finding, Records, UnknownError
from analysis.published.measures import (
    ends_note,
    mean_difference_at_kl,
    mean_over_seeds,
    require_columns,
    without_axes,
)
from analysis.records.load import final_rows, load_table, without_diverged
from analysis.records.number_format import number
from analysis.statistics.intervals import CORRELATION
from analysis.statistics.mass import ledger_of

NAMES = {"logistic": "DPO", "squared": "IPO"}
CLASS = "policy_kind"
OUTSIDE = ("unseen", "ungrammatical")  # parts of the responses that no pair has
AS_MANY = 1.05  # times as many pairs, or as much fewer: the same number

Finals = dict[str, pd.DataFrame]


def offline(records: Records, *allowed: str) -> pd.DataFrame:
    """The rows of DPO and IPO at the smallest beta, with the class of their policies. Raises UnknownError."""
    rows = without_diverged(records.curves)
    rows = rows[rows["method"].eq("gpo") & rows["loss"].isin(NAMES)]
    missing = [name for name in NAMES if not (rows["loss"] == name).any()]
    if missing:
        raise UnknownError(f"there are no runs of {', '.join(missing)}")
    rows = without_axes(rows[rows["beta"] == rows["beta"].min()], CLASS, *allowed)
    if CLASS not in rows:
        kinds = require_columns(records.runs, "run_id", "policy.kind").set_index("run_id")["policy.kind"]
        rows = rows.assign(**{CLASS: rows["run_id"].map(kinds)})
    return rows


def of_class(rows: pd.DataFrame, kind: str) -> Finals:
    """The rows of policies of one class, by loss. Raises UnknownError."""
    found = {name: rows[(rows["loss"] == loss) & (rows[CLASS] == kind)] for loss, name in NAMES.items()}
    for name, table in found.items():
        if table.empty:
            raise UnknownError(f"there are no {kind} policies of {name}")
    return found


def transformers(records: Records) -> Finals:
    """The rows of transformers, by loss. Raises UnknownError."""
    return of_class(require_columns(offline(records), "chosen_logratio", "train_loss"), "transformer")


def ends_of(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column at the end of training, by seed."""
    return final_rows(rows).groupby("seed")[column].mean()


def displaced(records: Records) -> Finding:
    """The mean log-ratio of chosen responses at the end of training."""
    each = transformers(records)
    estimates = {name: mean_over_seeds(ends_of(rows, "chosen_logratio")) for name, rows in each.items()}
    return Finding(estimates=estimates, note=ends_note(each))


def loss_falls(records: Records) -> Finding:
    """log of the loss at the end of training over that at the reference. Raises UnknownError for losses below 0."""
    estimates = {}
    for name, rows in transformers(records).items():
        first = rows[rows["step"] == 0].groupby("seed")["train_loss"].mean()
        last = ends_of(rows, "train_loss")
        if first.empty or not ((first > 0).all() and (last > 0).all()):
            raise UnknownError(f"the loss of {name} is not known at the reference, or not above 0")
        estimates[name] = mean_over_seeds(np.log(last / first).dropna())
    return Finding(estimates=estimates)


def linear_less(records: Records) -> Finding:
    """The log-ratio of chosen responses with linear policies less that with transformers at equal KL, by seed."""
    rows = require_columns(offline(records), "chosen_logratio")
    linear, networks = of_class(rows, "linear"), of_class(rows, "transformer")
    estimates, reaches = {}, []
    for name in NAMES.values():
        each, reach = mean_difference_at_kl(linear[name], networks[name], "chosen_logratio")
        estimates[name] = mean_over_seeds(each)
        reaches.append(f"{number(reach, 2)} ({name})")
    return Finding(estimates=estimates, note=f"compared from 0 up to {', '.join(reaches)} nats, as far as both go")


@lru_cache(maxsize=2**16)
def edit_distance(one: str, other: str) -> float:
    """Levenshtein's distance over the length of the longer text, 0 for two that are empty."""
    row = list(range(len(other) + 1))
    for i, sign in enumerate(one, start=1):
        before, row[0] = row[0], i
        for j, against in enumerate(other, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (sign != against))
    return row[-1] / max(len(one), len(other), 1)


def with_similarity(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs with `similarity`, less their edit distance."""
    texts = require_columns(pairs, "chosen", "rejected")
    found = [-edit_distance(str(a), str(b)) for a, b in zip(texts["chosen"], texts["rejected"], strict=True)]
    return pairs.assign(similarity=found)


def scored_pairs(records: Records, runs: Sequence[str]) -> pd.DataFrame:
    """What is recorded of single pairs of these runs. Raises UnknownError where nothing is."""
    pairs = pd.DataFrame() if records.folder is None else load_table(records.folder, "pairs", list(runs))
    if pairs.empty:
        raise UnknownError("pairs were not recorded one by one; measure.displacement does so")
    return pairs


def ranks(records: Records, score: str) -> Finding:
    """Spearman's correlation over pairs of a score with the log-ratio of the chosen response at the end, by seed."""
    estimates = {}
    for name, rows in transformers(records).items():
        last = final_rows(rows)
        pairs = scored_pairs(records, sorted(last["run_id"].unique()))
        pairs = with_similarity(pairs) if score == "similarity" else pairs
        known = pairs[["run_id", score, "chosen_logratio"]].dropna()
        each = {
            run: table[score].rank().corr(table["chosen_logratio"].rank()) for run, table in known.groupby("run_id")
        }
        by_seed = last.assign(rank=last["run_id"].map(each).astype(float)).groupby("seed")["rank"].mean()
        estimates[name] = mean_over_seeds(by_seed, bounds=CORRELATION)
    return Finding(estimates=estimates)


def gone_outside(records: Records) -> Finding:
    """The probability that responses of no pair gain from the reference to the end of training, by seed."""
    estimates, told = {}, []
    for name, rows in transformers(records).items():
        last = final_rows(rows)
        ledger = pd.DataFrame() if records.folder is None else ledger_of(records.folder, last)
        if ledger.empty:
            raise UnknownError("the ledger was not recorded; it is, where every response is listed")
        gained = (ledger["mass"] - ledger["reference_mass"]).groupby([ledger["seed"], ledger["part"]]).mean().unstack()
        estimates[name] = mean_over_seeds(gained[list(OUTSIDE)].sum(axis=1))
        parts = ", ".join(f"{part} {gained[part].mean():+.2f}" for part in gained)
        told.append(f"{name}: {parts}")
    return Finding(estimates=estimates, note="; ".join(told))


def filtered(records: Records) -> tuple[Finals, Finals]:
    """The rows of what CHES left of the most pairs, and of as many pairs without a filter, by loss.

    Raises UnknownError where one of them is not there.
    """
    rows = require_columns(offline(records, "filter", "pairs"), "chosen_logratio", "filter", "pairs")
    runs = require_columns(records.runs, "run_id", "data.filter_share")
    share = rows["run_id"].map(runs.set_index("run_id")["data.filter_share"]).astype(float)
    by_ches = rows["filter"] == "ches"
    most = rows.loc[by_ches, "pairs"].max()
    kept = most * (1 - share[by_ches & (rows["pairs"] == most)].max())
    alike = np.log(rows["pairs"].astype(float) / kept).abs() <= np.log(AS_MANY)
    found = rows[by_ches & (rows["pairs"] == most)], rows[(rows["filter"] == "none") & alike]
    if any(table.empty for table in found):
        raise UnknownError("there are no runs on what CHES leaves of the pairs, and on as many pairs without a filter")
    return of_class(found[0], "transformer"), of_class(found[1], "transformer")


def filter_removes(records: Records) -> Finding:
    """The mean log-ratio of the chosen responses that CHES left, at the end of training on them."""
    left, _ = filtered(records)
    estimates = {name: mean_over_seeds(ends_of(rows, "chosen_logratio")) for name, rows in left.items()}
    return Finding(estimates=estimates, note=ends_note(left))


def filter_less(records: Records) -> Finding:
    """That log-ratio less the one of as many pairs without a filter, by seed."""
    left, control = filtered(records)
    estimates = {}
    for name in NAMES.values():
        apart = ends_of(left[name], "chosen_logratio") - ends_of(control[name], "chosen_logratio")
        estimates[name] = mean_over_seeds(apart.dropna())
    named = {f"{name} filtered": rows for name, rows in left.items()} | control
    return Finding(estimates=estimates, note=ends_note(named))
