"""The record of rules: how they did in the worlds of a study, and the numbers that they were tuned to there.

One ships, `record.json` beside this module; it is of the sweep `stopping`, and written by a command.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.headline.statement import with_half
from analysis.instruments.stopping.candidates import Choice
from analysis.instruments.stopping.judging import BASELINE, SUGGESTED, summary, tuned_on_all
from analysis.instruments.stopping.rule import rules
from analysis.records.load import ResultsError

SHIPPED = Path(__file__).with_name("record.json")
NAME = "record.json"


@dataclass(frozen=True, kw_only=True)
class Record:
    """How rules did.

    numbers: of each rule, tuned on all worlds of the study. means: a row a rule, the least regret first (`summary`).
    about: which study it was: choices, folds, what worlds differ in, the hash of what made it.
    """

    numbers: dict[str, float]
    means: pd.DataFrame
    about: dict[str, Any]

    def regret_of(self, rule: str) -> str:
        """The mean regret of a rule, with half of its interval."""
        row = self.means.set_index("rule").loc[rule]
        return with_half(row["regret"], (row["regret_high"] - row["regret_low"]) / 2)

    def best_first(self) -> list[str]:
        """The rules by their mean regret."""
        return [name for name in self.means["rule"] if name != SUGGESTED]


def record_of(judged: pd.DataFrame, offered: Sequence[Choice], made_by: dict[str, str]) -> Record:
    """The record of a study."""
    differ = {name: sorted({str(choice.where[name]) for choice in offered}) for name in offered[0].where}
    about = {
        "choices": len(offered),
        "folds": len({str(choice.fold) for choice in offered}),
        "differ": {name: values for name, values in differ.items() if len(values) > 1},
        **made_by,
    }
    return Record(numbers=tuned_on_all(rules(), offered), means=summary(judged), about=about)


def text_of(record: Record) -> str:
    """The record as JSON."""
    rows = json.loads(record.means.to_json(orient="records", double_precision=10))
    return json.dumps({"about": record.about, "numbers": record.numbers, "rules": rows}, indent=1) + "\n"


def read_record(path: Path = SHIPPED) -> Record:
    """The record in a file. Raises ResultsError."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        means = pd.DataFrame(held["rules"])
        record = Record(numbers={k: float(v) for k, v in held["numbers"].items()}, means=means, about=held["about"])
        means[["rule", "regret", "regret_low", "regret_high"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(f"{path}: is no record of rules ({error}); `rules` writes one") from None
    return record


def lines_of(record: Record) -> list[str]:
    """What a terminal shows: the rules, the least regret first, and whether any is better than a fixed beta."""
    shown = record.means.assign(
        number=[f"{record.numbers[name]:g}" if name in record.numbers else "-" for name in record.means["rule"]],
        regret=[record.regret_of(name) for name in record.means["rule"]],
        **{"less than fixed beta": [gain_text(row) for _, row in record.means.iterrows()]},
    )
    table = shown[["rule", "number", "regret", "less than fixed beta"]].to_string(index=False).splitlines()
    return ["", *table, "", *sentences(record)]


def gain_text(row: pd.Series) -> str:
    """What a rule loses less than the fixed beta; a dash for that itself."""
    return "-" if row["rule"] == BASELINE else with_half(row["gain"], (row["gain_high"] - row["gain_low"]) / 2)


def sentences(record: Record) -> list[str]:
    """What the study came to, in words; better and worse than the fixed beta are what stands Holm's correction."""
    means = record.means[record.means["rule"] != SUGGESTED]
    better, worse = (list(means.loc[means[column], "rule"]) for column in ("surely_better", "surely_worse"))
    fixed, about = record.regret_of(BASELINE), record.about
    said = [
        f"{about['choices']} choices in {about['folds']} folds of worlds: a fixed beta, tuned on the other folds, "
        f"loses {fixed} deviations of gold against the best choice of beta and step",
        f"surely better than that: {', '.join(better) or 'no rule'}; surely worse: {', '.join(worse) or 'no rule'}",
    ]
    if SUGGESTED in set(record.means["rule"]):
        said.append(
            f"the rule that is best on the other folds, which is what `suggest` asks: {record.regret_of(SUGGESTED)}"
        )
    return said


def findings(record: Record) -> list[str]:
    """What the study came to, in sentences for a page."""
    means = record.means.set_index("rule")
    better = [f"{name} ({record.regret_of(name)})" for name in record.best_first() if means.loc[name, "surely_better"]]
    return [
        f"A fixed β, tuned on other worlds, loses {record.regret_of(BASELINE)} deviations of gold against the best "
        f"choice of β and step ({record.about['choices']} choices in {record.about['folds']} languages).",
        f"Surely better than that, without gold: {', '.join(better) or 'no rule'}.",
        f"Whoever takes the rule that was best in other worlds loses {record.regret_of(SUGGESTED)}.",
    ]
