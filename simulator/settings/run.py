"""What a run is: one cell of a grid, with a name that follows from its settings alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from simulator.common.column import Column
from simulator.common.identity import digest
from simulator.objectives.objective import Objective, Own
from simulator.settings.tables import Settings


class Cell(Protocol):
    """What decides how a run goes, its beta and seed aside; a Run is one. objective: None where the method has none."""

    @property
    def settings(self) -> Settings:
        """All settings."""
        ...

    @property
    def objective(self) -> Objective | None:
        """The pairwise objective."""
        ...


def objective_of(cell: Cell) -> Objective:
    """Its objective."""
    assert cell.objective is not None
    return cell.objective


def own_of(cell: Cell) -> Own:
    """The parameters of its objective."""
    return cell.settings.objective.own(objective_of(cell).table)


def responses_compared(cell: Cell) -> int:
    """K: how many responses to a prompt its objective compares."""
    objective = objective_of(cell)
    return int(own_of(cell)[objective.ranked]) if objective.ranked else 2


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
    settings_digest: str
    stack_key: str
    steps: int

    @property
    def run_id(self) -> str:
        """A name that two runs share only if every setting of theirs is equal."""
        told = [self.method, self.loss, None if self.beta is None else f"{self.beta:g}", str(self.seed)]
        named = digest([self.method, self.loss, self.beta, self.seed, self.settings_digest])
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


RUN_COLUMNS = (
    Column(name="run_id", unit="", about="a name that follows from all settings of the run", kind="name"),
    Column(name="method", unit="", about="how the policy was made", kind="setting"),
    Column(name="loss", unit="", about="the objective of training on pairs", kind="setting"),
    Column(name="beta", unit="", about="strength of the loss; of RL the penalty on KL", kind="setting"),
    Column(name="kappa", unit="", about="f''(0) / |f'(0)| of the loss", kind="setting"),
    Column(name="seed", unit="", about="of data, batches and parameters", kind="setting"),
    Column(name="pairs", unit="", about="labelled pairs", kind="setting"),
    Column(name="label_noise", unit="share", about="of labels that are flipped", kind="setting"),
)
STEP = Column(name="step", unit="steps", about="of training; n or the number of tau where nothing trains", kind="place")
KL_SOURCE = Column(name="kl_source", unit="", about="how kl came about: exact, sampled or bound", kind="name")
STATUS = Column(name="status", unit="", about="ok, or diverged", kind="name")


def axis_column(name: str) -> str:
    """The column of an axis: its key, with its table in front unless that is [data]. `train.steps`: train_steps.

    `objective.vpo.alpha`: vpo_alpha.
    """
    return name.removeprefix("data.").removeprefix("objective.").replace(".", "_")


def objective_key(run: Run) -> str:
    """What is equal for runs whose loss is one computation: the objective, and all its parameters but real numbers."""
    if run.objective is None:
        return ""
    own = run.settings.objective.own(run.objective.table)
    return json.dumps([run.loss, {name: value for name, value in own.items() if not isinstance(value, float)}])
