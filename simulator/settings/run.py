"""What a run is: a cell of a grid, at one beta and seed, with a name that follows from its settings alone."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from simulator.common.column import Column
from simulator.common.identity import digest
from simulator.objectives.objective import Hyperparameters, Objective
from simulator.settings.tables import Settings

ANY_SEED = 0  # of a run that no seed has part in; the same in all grids, so that they can grow and be joined


class Cell(Protocol):
    """What decides how a run goes, its beta and seed aside; a GridCell is one, and a Run."""

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


def hyperparameters_of(cell: Cell) -> Hyperparameters:
    """The parameters of its objective."""
    return cell.settings.objective.of(objective_of(cell))


def responses_compared(cell: Cell) -> int:
    """K: how many responses to a prompt its objective compares."""
    objective = objective_of(cell)
    return int(hyperparameters_of(cell)[objective.ranked]) if objective.ranked else 2


def by_chance(cell: Cell) -> bool:
    """Whether runs differ by their seed: all but those on the whole population by a loss that draws no prompts."""
    whole = cell.objective is not None and cell.settings.data.population
    return not whole or objective_of(cell).calibrates(hyperparameters_of(cell)) > 0


@dataclass(frozen=True, kw_only=True)
class GridCell:
    """Runs that differ in nothing but beta and seed."""

    method: str
    objective: Objective | None  # None where the method has none
    axes: Mapping[str, Any]  # the dotted keys of the further axes, with the values here
    settings: Settings
    proxies: bool  # whether a proxy has part in them
    settings_digest: str  # shared by two cells only if every setting that their method reads is equal
    stack_key: str  # what runs have in common that can be stacked
    steps: int  # of training
    betas: tuple[float | None, ...]

    @property
    def loss(self) -> str | None:
        """The name of the objective."""
        return self.objective.name if self.objective else None

    def runs(self, seeds: Iterable[int], kappa: float | None) -> Iterator["Run"]:
        """A run for each beta and seed, or for each beta where no seed has part in them."""
        for beta, seed in itertools.product(self.betas, seeds if by_chance(self) else (ANY_SEED,)):
            yield Run(cell=self, beta=beta, kappa=kappa, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a cell of the grid."""

    cell: GridCell
    beta: float | None  # None where the method has none
    kappa: float | None  # of f, where the objective is a loss f(beta rho)
    seed: int

    @property
    def method(self) -> str:
        """How its policy is made."""
        return self.cell.method

    @property
    def objective(self) -> Objective | None:
        """What is trained on pairs, None where the method has none."""
        return self.cell.objective

    @property
    def loss(self) -> str | None:
        """The name of the objective."""
        return self.cell.loss

    @property
    def settings(self) -> Settings:
        """Every setting but those of the run itself."""
        return self.cell.settings

    @property
    def steps(self) -> int:
        """Of its training."""
        return self.cell.steps

    @property
    def stack_key(self) -> str:
        """What runs have in common that can be stacked."""
        return self.cell.stack_key

    @cached_property
    def run_id(self) -> str:
        """A name that two runs share only if every setting of theirs is equal."""
        parts = [self.method, self.loss, None if self.beta is None else f"{self.beta:g}", str(self.seed)]
        named = digest([self.method, self.loss, self.beta, self.seed, self.cell.settings_digest])
        return "-".join([*filter(None, parts), named])

    def columns(self) -> dict[str, Any]:
        """What every record of the run says of it: the settings that vary, and kappa of its loss."""
        return {
            "run_id": self.run_id,
            "method": self.method,
            "loss": self.loss,
            "beta": self.beta,
            "kappa": self.kappa,
            "seed": self.seed,
            "pairs": 0 if self.settings.data.population else self.settings.data.pairs,
            "label_noise": self.settings.data.label_noise,
            **{axis_column(name): value for name, value in self.cell.axes.items()},
        }


RUN_COLUMNS = (
    Column(name="run_id", unit="", about="a name that follows from all settings of the run", kind="name"),
    Column(name="method", unit="", about="how the policy was made", kind="setting"),
    Column(name="loss", unit="", about="the objective of training on pairs", kind="setting"),
    Column(name="beta", unit="", about="strength of the loss; of RL the penalty on KL", kind="setting"),
    Column(name="kappa", unit="", about="f''(0) / |f'(0)| of the loss", kind="setting"),
    Column(name="seed", unit="", about="of data, batches and parameters", kind="setting"),
    Column(name="pairs", unit="", about="labelled pairs; 0 where data are the whole population", kind="setting"),
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
    own = run.settings.objective.of(run.objective)
    return json.dumps([run.loss, {name: value for name, value in own.items() if not isinstance(value, float)}])
