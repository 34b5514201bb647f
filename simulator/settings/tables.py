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

from gold_rewards import KINDS, FlipToward, Labels
from simulator.divergences import DIVERGENCES
from simulator.divergences.alpha import LEAST, MOST, USUAL
from simulator.networks.compute_mode import Compile, Engine, Precision
from simulator.own_rewards.source import CodeSource
from simulator.settings.labels import check_labels
from simulator.settings.objective_tables import Objectives
from simulator.settings.pair_counts import PairsFile, check_population, pairs_in, population_pairs
from simulator.settings.proxy_table import Proxy
from simulator.settings.table import (
    Count,
    Positive,
    Share,
    Table,
    choice,
    one_of,
)
from simulator.settings.toml import flatten
from simulator.settings.world_spec import WORLD_TABLES, Gold, Measure, Policy, Reference, World, WorldSpec

Behaviour = Literal["reference", "tempered", "uniform", "mixture"]


Filter = Literal["none", "ches", "displacement"]


class Data(Table):
    """[data]. Preference pairs of one seed, and who labels them; see simulator/preferences/pairs.py.

    Gold labels `pairs` of them. Where `labeller` is "proxy", those train a proxy, and policies learn from the `pool`
    pairs that it labels. `distinct`: a pair whose two responses are the same is drawn again.
    """

    pairs: Annotated[int, Field(ge=1, le=10**7)] = 1024
    """Pairs that gold labels, for each seed."""
    behaviour: Behaviour = "reference"
    """Which policy μ pairs are drawn from: the reference, or "tempered", "uniform", "mixture"."""
    behaviour_temperature: Positive = 2.0
    """Of "tempered"."""
    uniform_share: Share = 0.25
    """Of "mixture"."""
    labels: Labels = "bradley_terry"
    """How gold chooses: "bradley_terry": by chance, the surer the further apart; "deterministic": the better one;
    "ties": by chance, or neither; "intransitive": by chance, and beating the other's kind in a circle counts beside
    gold."""
    temperature: Positive = 1.0
    """Of all labels but deterministic ones."""
    label_noise: Share = 0.0
    """Share of labels that are flipped."""
    flip_toward: FlipToward = "any"
    """Which response flipped labels choose: values but "any" flip a label only if that makes such a response the
    chosen one."""
    tie_strength: Positive = 1.0
    """Of "ties": ν of Davidson 1970; two equal responses are tied with probability ν / (2 + ν)."""
    cycle: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Of "intransitive": what beating the other's kind counts, in deviations of gold."""
    length_bias: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0
    """What one token more counts for who labels, in deviations of gold; where responses may end early."""
    annotators: Annotated[int, Field(ge=1, le=100)] = 1
    """Of `disagreement`: how many label, one drawn for each pair, each with a gold of their own."""
    disagreement: Share = 0.0
    """Share of what annotators want that is their own taste, a gold drawn with another seed, and not gold."""
    file: PairsFile = ""
    """Pairs of your own instead of drawn ones, Parquet or JSON lines, trained on as they are (docs/howto/own_pairs.md);
    data.pairs is then how many of them, and all unless said."""
    population: bool = False
    """True: no pairs are drawn; each step has the exact expectation over all pairs of responses and both labels
    (simulator/preferences/population.py). Where responses are listed, and these are few. No seed has part in that, so
    there is one run, of seed 0, whatever sweep.seeds is; a loss that draws prompts (vpo) keeps a run for each seed."""
    distinct: bool = False
    """True: a pair of two identical responses is drawn again (`identical_pairs` in world.json)."""
    labeller: Literal["gold", "proxy"] = "gold"
    """Who labels what policies learn from offline; "proxy": the proxy, which learns from the pairs above."""
    pool: Annotated[int, Field(ge=1, le=10**7)] = 8192
    """Pairs that the proxy labels then."""
    filter: Filter = "none"
    """Drops pairs before a policy or a proxy learns from them: "ches": those of the largest length-normalized CHES at
    the reference; "displacement": those of the least displacement rate there (simulator/pair_scores/)."""
    filter_share: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the pairs that the filter drops; Razin et al. 2024 keep the 5 % of least CHES, which is 0.95."""

    @model_validator(mode="before")
    @classmethod
    def _takes_all_of_a_file(cls, table: Any) -> Any:
        """A file of pairs brings their number along."""
        if not (isinstance(table, dict) and isinstance(table.get("file"), str) and table["file"]):
            return table
        return table if "pairs" in table else table | {"pairs": pairs_in(table["file"])}

    @property
    def learned_from(self) -> int:
        """How many pairs are labelled for a policy, those that a filter drops included."""
        return self.pairs if self.labeller == "gold" else self.pool

    def kept(self, pairs: int) -> int:
        """How many of so many labelled pairs the filter leaves, at least one."""
        return pairs if self.filter == "none" else pairs - min(round(self.filter_share * pairs), pairs - 1)


class Train(Table):
    """[train]. `batch` pairs a step, or all pairs where there are fewer; `clip` = 0 leaves gradients alone.

    `precision`, `compile` and `engine`: see simulator/networks/compute_mode.py.
    """

    steps: Count = 600
    """Of the optimizer."""
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
    """How often policies are measured; spaced evenly in the logarithm of the step."""
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

    @model_validator(mode="after")
    def _warms_up(self) -> Self:
        if self.warmup > self.steps:
            raise ValueError(f"warmup (={self.warmup}) must be at most steps (={self.steps})")
        return self


class Online(Table):
    """[online]. Fresh pairs from the policy as it trains; see simulator/preferences/online.py.

    After every `refresh` steps (0: never) each run draws `pairs` pairs from its policy, which the `labeller` labels,
    and goes on with all pairs that it has had, or with the newest alone.
    """

    refresh: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Fresh pairs after every so many steps; 0: never, which is offline training."""
    pairs: Annotated[int, Field(ge=1, le=10**6)] = 256
    """How many each time."""
    keep: Literal["all", "newest"] = "all"
    """Which pairs training goes on with: all that a run has had; "newest": drop those from before."""
    labeller: Literal["gold", "proxy"] = "gold"
    """Who labels them: gold or the proxy."""

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
