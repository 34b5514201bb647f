"""What a run is: every setting but its method, loss, beta and seed, with its rule and its default.

A sweep file has one table for each part of the experiment. Every key is optional.
"""

from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    model_validator,
)

from gold_rewards import KINDS
from simulator.divergences import DIVERGENCES
from simulator.divergences.alpha import LEAST, MOST, USUAL
from simulator.networks.compute_mode import Compile, Engine, Precision
from simulator.own_rewards.source import CodeSource
from simulator.settings.data_table import Data, check_population, population_pairs
from simulator.settings.labels import check_labels
from simulator.settings.objective_tables import Objectives
from simulator.settings.proxy_table import Proxy
from simulator.settings.table import (
    Count,
    Positive,
    Table,
    choice,
    one_of,
)
from simulator.settings.toml import flatten
from simulator.settings.world_spec import WORLD_TABLES, Gold, Measure, Policy, Reference, World, WorldSpec


class Train(Table):
    """[train]. `batch` pairs a step, or all pairs where there are fewer; `clip` = 0 leaves gradients alone.

    `precision`, `compile` and `engine`: see simulator/networks/compute_mode.py.
    """

    steps: Count = 600
    """Of the optimizer; of "iterated": in each round."""
    batch: Count = 32
    """Pairs that each step learns from, or all where there are fewer."""
    learning_rate: Positive = 0.003
    """At its peak."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam, or "adamw", which uses weight_decay."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Of "adamw"."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Of the learning rate; "linear" and "cosine" go down to nearly 0, so that the last step still moves."""
    warmup: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Steps in which the learning rate rises."""
    clip: Annotated[float, Field(ge=0, le=1e12)] = 1.0
    """Largest norm of a run's gradient; 0 leaves it alone."""
    checkpoints: Annotated[int, Field(ge=2, le=10_000)] = 24
    """How often policies are measured; spaced evenly in the logarithm of the step. Of "iterated": in each round."""
    precision: Precision = "float32"
    """Of matrix products; "bfloat16" is faster from a width of 256 on."""
    engine: Engine = "auto"
    """What computes passes: "native", the compiled engine; "torch"; "auto": the first where it is there and applies."""
    compile: Compile = "auto"
    """Whether passes are compiled: "always" or "never"; "auto" compiles runs of 50,000 steps and more, on a CPU."""
    divergence: Annotated[str, AfterValidator(one_of(DIVERGENCES)), choice(DIVERGENCES)] = "kl"
    """Whose link φ margins are differences of: z = β (φ(u_w) − φ(u_l)), u = π/π_ref, in losses f(z) and RPO; "kl" has
    log u. κ is that of f; at the reference β counts twice with "chi2_kl", and half with "jensen_shannon"."""
    alpha: Annotated[float, Field(ge=LEAST, le=MOST)] = USUAL
    """α of "alpha": from KL(π ‖ π_ref) near 0 to KL(π_ref ‖ π) near 1."""
    reference_sync: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Steps after which the reference of the loss follows the policy, again and again; 0: never (TR-DPO)."""
    reference_mixup: Annotated[float, Field(gt=0, le=1)] = 0.6
    """How far it follows then, in parameters: π_ref ← α π + (1 − α) π_ref; 1: it becomes the policy."""

    @property
    def moves_reference(self) -> bool:
        """Whether the reference of the loss ever follows the policy."""
        return 0 < self.reference_sync < self.steps

    @model_validator(mode="after")
    def _warms_up(self) -> Self:
        if self.warmup > self.steps:
            raise ValueError(f"warmup (={self.warmup}) must be at most steps (={self.steps})")
        return self


class Online(Table):
    """[online]. Fresh pairs from the policy as it trains; see simulator/preferences/online.py.

    After every `refresh` steps (0: never) each run draws `pairs` pairs from its policy, which the `labeller` labels,
    and goes on with all pairs that it has had, or with the newest alone. With `replay` another policy draws them, which
    is trained so; see simulator/methods/algorithms/replayed.py.
    """

    refresh: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Fresh pairs after every so many steps; 0: never, which is offline training."""
    pairs: Annotated[int, Field(ge=1, le=10**6)] = 256
    """How many each time."""
    keep: Literal["all", "newest"] = "all"
    """Which pairs training goes on with: all that a run has had; "newest": drop those from before."""
    labeller: Literal["gold", "proxy"] = "gold"
    """Who labels them: gold or the proxy."""
    replay: Literal["none", "ordered", "shuffled"] = "none"
    """Train on the fresh pairs of another policy, which is trained online: "ordered": as it drew them; "shuffled": in
    rounds of as many pairs, in random order."""

    def rounds(self, steps: int) -> int:
        """How many rounds of fresh pairs a run of so many steps has."""
        return (steps - 1) // self.refresh if self.refresh else 0

    def round_at(self, step: int, steps: int) -> int:
        """The round that begins after `step` of `steps` steps, 0 where none does."""
        begins = self.refresh and step and step % self.refresh == 0 and step < steps
        return step // self.refresh if begins else 0


class MethodTable(Table):
    """A table of a sweep file that belongs to one method, `[key]`."""

    key: ClassVar[str]


T = TypeVar("T", bound=MethodTable)


class Settings(Table):
    """Everything that a run needs to know but its method, loss, beta and seed.

    Those of a sweep also have the table of each method; see simulator/sweeps/sweep.py.
    """

    world: World = World()
    reference: Reference = Reference()
    gold: Gold = Gold()
    data: Data = Data()
    policy: Policy = Policy()
    train: Train = Train()
    proxy: Proxy = Proxy()
    online: Online = Online()
    objective: Objectives = Objectives()
    measure: Measure = Measure()
    _source: CodeSource = PrivateAttr(default=CodeSource())

    @property
    def spec(self) -> WorldSpec:
        """What makes the world."""
        return WorldSpec(**{name: getattr(self, name) for name in WORLD_TABLES}, source=self._source)

    @property
    def source(self) -> CodeSource:
        """Where code of the user's own is found."""
        return self._source

    def found_in(self, source: CodeSource) -> Self:
        """The same settings, with code of the user's own found elsewhere."""
        copy = self.model_copy()
        copy._source = source
        return copy

    @property
    def measured_prompts(self) -> int:
        """How many prompts policies are measured on."""
        return self.measure.prompts_of(self.world)

    @property
    def learned_from(self) -> int:
        """How many pairs a policy is trained on, before online ones."""
        return population_pairs(self) if self.data.population else self.data.learned_from

    def of(self, kind: type[T]) -> T:
        """The table of a method in these settings, by its class."""
        table = getattr(self, kind.key)
        assert isinstance(table, kind)
        return table

    @model_validator(mode="after")
    def _judges_what_is_said(self) -> Self:
        if self.gold.reward in KINDS and KINDS[self.gold.reward].of_text and not self.world.language.text:
            raise ValueError(
                f"gold.reward (={self.gold.reward}) judges text and needs world.language.text, a text file"
            )
        return self

    @model_validator(mode="after")
    def _labels_what_is_there(self) -> Self:
        check_labels(self)
        check_population(self)
        return self

    @model_validator(mode="after")
    def _lists_what_is_tilted(self) -> Self:
        if self.policy.kind != "transformer" and not self.spec.lists_responses:
            raise ValueError(
                f'policy.kind (="{self.policy.kind}") needs world.kind = "enumerable", where every response is listed'
            )
        return self

    @model_validator(mode="after")
    def _ranks_what_is_listed(self) -> Self:
        if self.data.behaviour == "best_of_n" and not self.spec.lists_responses:
            raise ValueError(
                'data.behaviour (="best_of_n") needs world.kind = "enumerable", where every response is listed; '
                'elsewhere take "reference", "tempered", "uniform" or "mixture"'
            )
        return self

    @model_validator(mode="after")
    def _weighs_lengths_that_differ(self) -> Self:
        if self.gold.length and not self.world.language.ends:
            raise ValueError(
                f"gold.length (={self.gold.length:g}) weighs the number of tokens, which is "
                f"{self.world.response_length} for all responses of this world; let some end early, such as by "
                "world.language.stop = 0.2, or take 0"
            )
        return self

    @model_validator(mode="after")
    def _measures_what_is_there(self) -> Self:
        if self.measured_prompts > self.world.prompts:
            raise ValueError(
                f"measure.prompts (={self.measured_prompts}) must be at most world.prompts (={self.world.prompts})"
            )
        return self


def flat_settings(settings: Settings) -> dict[str, Any]:
    """Every setting by its dotted key, as a user writes it."""
    return {
        name.removeprefix(".").replace("sweep.axes.", "sweep."): value
        for name, value in flatten("", settings.model_dump())
    }
