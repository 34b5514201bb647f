"""What trained policies say at the end: their likely responses, and the law of gold under them.

Texts and the law of the reference stand once on the page, however many runs share them. Laws are lists of
probabilities in bins of WIDTH, from the first bin that has any.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.report.explorer.json_numbers import rounded

WIDTH = 0.25  # of a bin of gold, in deviations under the reference
LATER = {"fluency": np.nan, "breaks": ""}  # columns that earlier versions did not write
LEAST = 1e-6  # what is rarer has no place in a law
Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class GoldDistributions:
    """The law of gold under each run, [bins], and under its reference; `first` is the middle of the first bin."""

    first: float
    policy: dict[str, Array] = field(default_factory=dict)
    reference: dict[str, Array] = field(default_factory=dict)

    def mean(self, runs: Iterable[str]) -> Array | None:
        """The mean law of those of these runs that have one."""
        found = [self.policy[run] for run in runs if run in self.policy]
        return np.mean(found, axis=0) if found else None


def gold_distributions(table: pd.DataFrame) -> GoldDistributions:
    """The laws in a table of the columns run_id, gold, probability and reference."""
    if table.empty:
        return GoldDistributions(first=0.0)
    gold = np.sort(table["gold"].unique())
    place = np.rint((table["gold"].to_numpy() - gold[0]) / WIDTH).astype(int)
    run, names = pd.factorize(table["run_id"])
    held = {}
    for name in ("probability", "reference"):
        law = np.zeros((len(names), int(place.max()) + 1))
        np.add.at(law, (run, place), table[name].to_numpy(float))
        held[name] = dict(zip(map(str, names), law, strict=True))
    return GoldDistributions(first=float(gold[0]), policy=held["probability"], reference=held["reference"])


def distribution_json(law: Array | None) -> list[Any] | None:
    """A law as [the number of its first bin, probabilities]."""
    if law is None or not (law > LEAST).any():
        return None
    seen = np.flatnonzero(law > LEAST)
    part = law[seen[0] : seen[-1] + 1]
    return [int(seen[0]), [rounded(value, 3) if value > LEAST else 0 for value in part.tolist()]]


def log_ratios(table: pd.DataFrame) -> dict[str, bool]:
    """For each run whether its column `proxy` is log π/π_ref, as it is where no proxy is trained."""
    sure = table[(table["probability"] > 1e-300) & (table["reference"] > 1e-300)]
    ratio = np.log(sure["probability"].to_numpy(float)) - np.log(sure["reference"].to_numpy(float))
    close = pd.Series(np.isclose(ratio, sure["proxy"].to_numpy(float), rtol=1e-3, atol=1e-3))
    return {str(run): bool(all_close) for run, all_close in close.groupby(sure["run_id"].to_numpy()).all().items()}


class ResponseTable:
    """A table of responses by run; `rows_of` one are (prompt, response, reference, gold, probability, proxy, fluency,
    breaks, rank), likeliest first.

    The rank is the better of those that a response has under the policy and under the reference. Rows of a run are made
    when they are asked for: a page shows those of few runs.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.ratios = log_ratios(table)
        groups = table.groupby(["run_id", "prompt"], sort=False)
        ranks = [groups[name].rank(ascending=False, method="first") for name in ("probability", "reference")]
        ranked = table.assign(rank=np.minimum(*ranks) if len(table) else 0.0)
        ranked = ranked.sort_values("probability", ascending=False, kind="stable")
        ranked = ranked.assign(**{name: none for name, none in LATER.items() if name not in ranked})
        names = ["prompt", "response", "reference", "gold", "probability", "proxy", *LATER, "rank"]
        number, known = pd.factorize(ranked["run_id"])
        by_run = ranked[names].iloc[np.argsort(number, kind="stable")]
        self._columns = [by_run[name].array for name in names]
        ends = np.cumsum(np.bincount(number, minlength=len(known))).tolist()
        self._places = dict(zip(map(str, known), zip([0, *ends], ends, strict=False), strict=True))
        self.order = {prompt: place for place, prompt in enumerate(dict.fromkeys(table["prompt"].tolist()))}

    def __contains__(self, run: str) -> bool:
        return run in self._places

    def __len__(self) -> int:
        return len(self._places)

    def rows_of(self, run: str) -> list[tuple[Any, ...]]:
        """The rows of a run that is in the table."""
        first, end = self._places[run]
        return list(zip(*(column[first:end].tolist() for column in self._columns), strict=True))


class ResponseItems:
    """What runs say as JSON: `items` [prompt, text, reference, gold, part of fluency, signs of what breaks the grammar]
    once, and for a run [item, π, proxy].
    """

    def __init__(self, table: ResponseTable) -> None:
        self._table = table
        self._known: dict[tuple[Any, ...], int] = {}
        self._prompts: dict[str, int] = {}

    def __contains__(self, run: str) -> bool:
        return run in self._table

    @property
    def items(self) -> list[list[Any]]:
        """Every response that some run of `of` names."""
        return [list(key) for key in self._known]

    @property
    def prompts(self) -> list[str]:
        """The prompts that responses are to."""
        return list(self._prompts)

    def of(self, run: str, prompts: int, most: int) -> dict[str, Any]:
        """The responses of a run to its first prompts, as JSON: the `most` likeliest under policy and reference."""
        rows = self._table.rows_of(run)
        shown = sorted({row[0] for row in rows}, key=self._table.order.__getitem__)[:prompts]
        found = []
        for wanted in shown:
            for prompt, text, reference, gold, probability, proxy, fluency, breaks, rank in rows:
                if prompt == wanted and rank <= most:
                    place = self._prompts.setdefault(str(prompt), len(self._prompts))
                    key = (place, str(text), rounded(reference, 3), rounded(gold), rounded(fluency), str(breaks))
                    item = self._known.setdefault(key, len(self._known))
                    found.append([item, rounded(probability, 3) if probability >= 1e-12 else 0, rounded(proxy)])
        return {"rows": found, "ratio": self._table.ratios.get(run, False)}
