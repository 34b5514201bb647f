"""What trained policies say at the end: their likely responses, and the law of gold under them.

Texts and the law of the reference stand once on the page, however many runs share them. Laws are lists of
probabilities in bins of equal width, from the first bin that has any.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.report.numbers import rounded

LEAST = 1e-6  # what is rarer has no place in a law
Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Laws:
    """The law of gold under each run, [bins], and under its reference; `first` is the middle of the first bin."""

    first: float
    width: float
    policy: dict[str, Array] = field(default_factory=dict)
    reference: dict[str, Array] = field(default_factory=dict)

    def mean(self, runs: Iterable[str]) -> Array | None:
        """The mean law of those of these runs that have one."""
        found = [self.policy[run] for run in runs if run in self.policy]
        return np.mean(found, axis=0) if found else None


def laws_of(table: pd.DataFrame) -> Laws:
    """The laws in a table of the columns run_id, gold, probability and reference."""
    if table.empty:
        return Laws(first=0.0, width=0.25)
    gold = np.sort(table["gold"].unique())
    width = float(np.diff(gold).min()) if len(gold) > 1 else 0.25
    place = np.rint((table["gold"].to_numpy() - gold[0]) / width).astype(int)
    laws = Laws(first=float(gold[0]), width=width)
    for run, rows in table.assign(place=place).groupby("run_id", sort=False):
        for name, held in (("probability", laws.policy), ("reference", laws.reference)):
            held[str(run)] = np.bincount(rows["place"], rows[name], minlength=int(place.max()) + 1)
    return laws


def law_json(law: Array | None) -> list[Any] | None:
    """A law as [the number of its first bin, probabilities]."""
    if law is None or not (law > LEAST).any():
        return None
    seen = np.flatnonzero(law > LEAST)
    part = law[seen[0] : seen[-1] + 1]
    return [int(seen[0]), [rounded(value, 3) if value > LEAST else 0 for value in part.tolist()]]


def is_log_ratio(table: pd.DataFrame) -> bool:
    """Whether the column `proxy` is log π/π_ref, as it is where no proxy is trained."""
    sure = table[(table["probability"] > 1e-300) & (table["reference"] > 1e-300)]
    ratio = np.log(sure["probability"].to_numpy(float)) - np.log(sure["reference"].to_numpy(float))
    return bool(np.allclose(ratio, sure["proxy"], rtol=1e-3, atol=1e-3))


class Responses:
    """The responses of runs as JSON: `items` [prompt, text, reference, gold] once, and for a run [item, π, proxy]."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._runs = {str(run): rows for run, rows in table.groupby("run_id", sort=False)}
        self._known: dict[tuple[Any, ...], int] = {}
        self._prompts: dict[str, int] = {}

    def __contains__(self, run: str) -> bool:
        return run in self._runs

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
        rows = self._runs[run]
        found = []
        for prompt in list(dict.fromkeys(rows["prompt"]))[:prompts]:
            here = rows[rows["prompt"] == prompt]
            likely = [here[name].rank(ascending=False, method="first") <= most for name in ("probability", "reference")]
            here = here[likely[0] | likely[1]].sort_values("probability", ascending=False, kind="stable")
            place = self._prompts.setdefault(str(prompt), len(self._prompts))
            columns = (here[name].tolist() for name in ("response", "reference", "gold", "probability", "proxy"))
            for text, reference, gold, probability, proxy in zip(*columns, strict=True):
                key = (place, str(text), rounded(reference, 3), rounded(gold))
                item = self._known.setdefault(key, len(self._known))
                shown = rounded(probability, 3) if probability >= 1e-12 else 0
                found.append([item, shown, rounded(proxy) if math.isfinite(proxy) else None])
        return {"rows": found, "ratio": is_log_ratio(rows)}
