"""What a run is: one cell of a grid, with a name that follows from its settings alone."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.complaints import rounded
from simulator.objective import Objective
from simulator.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Run:
    """One cell of the grid.

    objective, loss (its name) and beta: None where the method has none. kappa: of f, where the loss is one. axes: the
    dotted keys of the further axes, with the values here. proxies: whether a proxy has part in it. name: shared by two
    runs only if every setting that their method reads is equal. shared: what runs have in common that can be stacked.
    steps: of its training.
    """

    method: str
    objective: Objective | None
    loss: str | None
    beta: float | None
    kappa: float | None
    seed: int
    axes: Mapping[str, Any]
    settings: Settings
    proxies: bool
    name: str
    shared: str
    steps: int

    @property
    def run_id(self) -> str:
        """A name that two runs share only if every setting of theirs is equal."""
        told = [self.method, self.loss, None if self.beta is None else f"{self.beta:g}", str(self.seed)]
        named = digest([self.method, self.loss, self.beta, self.seed, self.name])
        return "-".join([*filter(None, told), named])

    def columns(self) -> dict[str, Any]:
        """What every record of the run says of it: the settings that vary, and kappa of its loss."""
        return {
            "run_id": self.run_id,
            "method": self.method,
            "loss": self.loss,
            "beta": self.beta,
            "kappa": self.kappa,
            "seed": self.seed,
            "pairs": self.settings.data.pairs,
            "label_noise": self.settings.data.label_noise,
            **{axis_column(name): value for name, value in self.axes.items()},
        }


def axis_column(name: str) -> str:
    """The column of an axis: its key, with its table in front unless that is [data]. `train.steps`: train_steps.

    `objective.vpo.alpha`: vpo_alpha.
    """
    return name.removeprefix("data.").removeprefix("objective.").replace(".", "_")


def apart(run: Run) -> str:
    """What is equal for runs whose loss is one computation: the objective, and all its parameters but real numbers."""
    if run.objective is None:
        return ""
    own = run.settings.objective.own(run.objective.table)
    return json.dumps([run.loss, {name: value for name, value in own.items() if not isinstance(value, float)}])


def digest(value: object) -> str:
    """Ten hexadecimal digits that name a value made of tables, lists, strings and numbers."""
    return hashlib.sha256(json.dumps(rounded(value), sort_keys=True).encode()).hexdigest()[:10]


def leave_out(tables: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """`tables` without some keys of each, as `keys` lists them by table; None stands for the whole table.

    A key with a dot is one of an inner table.
    """
    kept = {}
    for table, values in tables.items():
        dropped = keys.get(table, ())
        if dropped is None:
            continue
        inner: dict[str, list[str]] = {}
        for key in dropped:
            outer, _, rest = key.partition(".")
            inner.setdefault(outer, []).extend([rest] if rest else [])
        left = {key: value for key, value in values.items() if key not in dropped}
        some = {key: rest for key, rest in inner.items() if rest and key in left}
        kept[table] = left | leave_out({key: left[key] for key in some}, some)
    return kept
