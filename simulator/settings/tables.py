"""What a run is: every setting but its method, loss, beta and seed, with its rule and its default.

A sweep file has one table for each part of the experiment. Every key is optional.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from gold_rewards import GOLD_REWARDS, Labels
from simulator.languages.text import BYTES
from simulator.measurement.ensemble import COMBINATIONS
from simulator.networks.compute_mode import Compile, Precision
from simulator.objectives import OBJECTIVES
from simulator.objectives.gpo import LOSSES
from simulator.objectives.objective import Own, Parameter
from simulator.settings.table import (
    Count,
    Heads,
    Layers,
    PathText,
    Positive,
    Seed,
    Share,
    Table,
    Width,
    at_least,
    choice,
    one_byte,
    one_of,
)
from simulator.settings.toml import flatten

Behaviour = Literal["reference", "tempered", "uniform", "mixture"]


ENUMERABLE_LIMIT = 2**23


ESTIMATORS = ("k1", "k2", "k3")


KNOWN_AS = {"dpo": "logistic", "ipo": "squared", "slic": "hinge"}


ALSO_KNOWN_AS = KNOWN_AS | {
    **{"cdpo": "conservative_dpo", "robust": "robust_dpo", "exo": "exo_pair", "nca": "nca_pair", "sppo": "sppo_hard"},
    **{
        "apo": "apo_zero",
        "chipo": "chi_po",
        "χpo": "chi_po",
        "xpo": "vpo",
        "selm": "vpo",
        "rpo": "rpo_squared",
        "sft": "dpo_sft",
    },
}


LossName = Annotated[str, AfterValidator(one_of(LOSSES, known_as=KNOWN_AS)), choice(LOSSES)]  # of a reward model


RewardName = Annotated[str, AfterValidator(one_of(GOLD_REWARDS)), choice(GOLD_REWARDS)]


Combination = Annotated[str, AfterValidator(one_of(COMBINATIONS)), choice(COMBINATIONS)]


Estimator = Annotated[str, AfterValidator(one_of(ESTIMATORS)), choice(ESTIMATORS)]


def all_or_none(value: Any) -> Any:
    """`true` for every estimator, `false` for none; one name for itself."""
    if isinstance(value, bool):
        return ESTIMATORS if value else ()
    if isinstance(value, list | tuple) and len(value) > len(ESTIMATORS):
        raise PydanticCustomError("too_many", "must list at most {most} names", {"most": len(ESTIMATORS)})
    return (value,) if isinstance(value, str) else value


Slip = Annotated[float, Field(gt=0, lt=1, json_schema_extra={"minimum": 1e-9}), AfterValidator(at_least(1e-9))]


EndByte = Annotated[
    str, Field(max_length=1, json_schema_extra={"not": {"pattern": r"[^\x00-\x7f]"}}), AfterValidator(one_byte)
]


class Language(Table):
    """[world.language]. What the reference learns: a Markov grammar (simulator/languages/markov.py), or the bytes of a
    `text`.

    topics, branching, slip and stop shape the grammar; held_out and end belong to a text (simulator/languages/text.py).
    """

    topics: Count | Literal["auto"] = "auto"
    branching: Count | Literal["auto"] = "auto"
    slip: Slip = 0.02
    stop: Annotated[float, Field(ge=0, le=0.99)] = 0.0
    text: PathText = ""
    held_out: Annotated[float, Field(ge=0.01, le=0.9)] = 0.1
    end: EndByte = ""

    @property
    def ends(self) -> bool:
        """Whether responses may end before their last token."""
        return bool(self.end or self.stop)

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        foreign = ("topics", "branching", "slip", "stop") if self.text else ("held_out", "end")
        for name in foreign:
            if getattr(self, name) != type(self).model_fields[name].default:
                rule = "belongs to the synthetic language, not to a text" if self.text else "needs language.text"
                raise ValueError(f"{name} (={getattr(self, name)!r}) {rule}")
        return self


class World(Table):
    """[world]. Prompts, and responses of at most `response_length` tokens out of `vocabulary`.

    In an `enumerable` world every response is listed and all is exact; in a `sampled` one of any size, policies are
    measured on samples. A text has its 256 bytes as vocabulary and is sampled, unless said.
    """

    kind: Literal["enumerable", "sampled"] = "enumerable"
    vocabulary: Annotated[int, Field(ge=2, le=1024)] = 8
    response_length: Annotated[int, Field(ge=1, le=256)] = 4
    prompts: Count = 16
    prompt_length: Annotated[int, Field(ge=1, le=256)] = 2
    language: Language = Language()
    seed: Seed = 0

    @property
    def spoken(self) -> int:
        """Tokens of the synthetic language but the one that ends a response."""
        return self.vocabulary - (self.language.stop > 0)

    @property
    def topics(self) -> int:
        """Topics of the language; "auto" means 4, or as many as there are tokens."""
        return min(4, self.spoken) if self.language.topics == "auto" else self.language.topics

    @property
    def branching(self) -> int:
        """Grammatical successors of a token; "auto" means V^(2/3), for two thirds of the largest entropy."""
        auto = self.language.branching == "auto"
        return round(self.spoken ** (2 / 3)) if auto else int(self.language.branching)

    @model_validator(mode="before")
    @classmethod
    def _takes_bytes(cls, table: Any) -> Any:
        """A text brings its vocabulary along, and is too large to be listed."""
        if not isinstance(table, dict):
            return table
        language = table.get("language")
        text = language.get("text") if isinstance(language, dict) else getattr(language, "text", "")
        return {"kind": "sampled", "vocabulary": BYTES} | table if text else table

    @model_validator(mode="after")
    def _speaks(self) -> Self:
        if self.language.text:
            if self.vocabulary != BYTES:
                raise ValueError(
                    f"vocabulary (={self.vocabulary}) must be {BYTES} with language.text, whose bytes are the tokens; "
                    'kind is then "sampled", too'
                )
            return self
        for name, value in (("topics", self.topics), ("branching", self.branching)):
            if value > self.spoken:
                end = " less the end token" if self.language.stop else ""
                raise ValueError(f"language.{name} (={value}) must be at most vocabulary{end} (={self.spoken})")
        readable = self.topics * self.spoken ** (self.prompt_length - 1)
        if self.prompts > readable:
            raise ValueError(
                f"prompts (={self.prompts}) must be at most topics * vocabulary^(prompt_length - 1) (={readable}), "
                "the number of different prompts"
            )
        return self

    @model_validator(mode="after")
    def _can_be_listed(self) -> Self:
        if self.kind != "enumerable":
            return self
        if self.language.ends:
            raise ValueError('responses that end early (language.stop, language.end) need kind = "sampled"')
        if self.prompts * self.vocabulary**self.response_length > ENUMERABLE_LIMIT:
            raise ValueError(
                f"prompts * vocabulary^response_length (={self.prompts} * {self.vocabulary}^{self.response_length}) "
                f"must be at most {ENUMERABLE_LIMIT:,} for every response to be listed: lower vocabulary, "
                'response_length or prompts, or take kind = "sampled"'
            )
        return self


class Reference(Table):
    """[reference]. Maximum-likelihood training of the reference; its architecture is that of [policy]."""

    steps: Count = 2000
    batch: Count = 128
    learning_rate: Positive = 0.01


class Gold(Table):
    """[gold]. Content (`reward`) plus `fluency` times fluency, each in standard deviations under the reference."""

    reward: RewardName = "transformer"
    fluency: Annotated[float, Field(ge=0, le=1000)] = 1.0
    seed: Seed = 0


class Data(Table):
    """[data]. Preference pairs of one seed, and who labels them; see simulator/preferences/pairs.py.

    Gold labels `pairs` of them. Where `labeller` is "proxy", those train a proxy, and policies learn from the `pool`
    pairs that it labels. `distinct`: a pair whose two responses are the same is drawn again.
    """

    pairs: Annotated[int, Field(ge=1, le=10**7)] = 1024
    behaviour: Behaviour = "reference"
    behaviour_temperature: Positive = 2.0
    uniform_share: Share = 0.25
    labels: Labels = "bradley_terry"
    temperature: Positive = 1.0
    label_noise: Share = 0.0
    distinct: bool = False
    labeller: Literal["gold", "proxy"] = "gold"
    pool: Annotated[int, Field(ge=1, le=10**7)] = 8192

    @property
    def learned_from(self) -> int:
        """How many pairs a policy is trained on."""
        return self.pairs if self.labeller == "gold" else self.pool


class Network(Table):
    """The sizes of a transformer."""

    layers: Layers = 1
    width: Width = 16
    heads: Heads = 2

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width (={self.width}) must be divisible by heads (={self.heads})")
        return self


class Policy(Network):
    """[policy]. Architecture of the policy and of the reference that it starts from."""


class Proxy(Network):
    """[proxy]. Reward models that learn from gold's labels; see simulator/proxies/training.py.

    `steps` steps on `batch` pairs each; the best checkpoint on the `held_out` share of the pairs is kept. "auto" is a
    learning rate of 0.08 / width. `members` differ in their first parameters and the order of their batches alone.
    """

    width: Width = 32
    loss: LossName = "logistic"
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.1
    steps: Count = 1000
    batch: Count = 64
    learning_rate: Positive | Literal["auto"] = "auto"
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    members: Annotated[int, Field(ge=1, le=100)] = 1
    combine: Combination = "mean"
    uncertainty: Annotated[float, Field(ge=0, le=1e6)] = 0.5

    @property
    def rate(self) -> float:
        """The peak learning rate."""
        return 0.08 / self.width if self.learning_rate == "auto" else self.learning_rate


class BestOfN(Table):
    """[best_of_n]. n runs from 1 to `largest`; where responses cannot be listed, each prompt has a `pool` of them."""

    largest: Annotated[int, Field(ge=1, le=10**9)] = 4096
    pool: Annotated[int, Field(ge=2, le=10**6)] = 8192


class Rl(Table):
    """[rl]. Policy gradients against a proxy; see simulator/methods/rl.py.

    Each step takes `responses` of the policy to each of `prompts` prompts, or to all where there are fewer. `clip` and
    `reuse`, the steps of the optimizer on the same responses, are PPO's.
    """

    algorithm: Literal["rloo", "ppo", "exact"] = "rloo"
    prompts: Annotated[int, Field(ge=1, le=10**6)] = 16
    responses: Annotated[int, Field(ge=2, le=10**4)] = 8
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    reuse: Annotated[int, Field(ge=1, le=1000)] = 4


class Train(Table):
    """[train]. `batch` pairs a step, or all pairs where there are fewer; `clip` = 0 leaves gradients alone.

    `precision` and `compile`: see simulator/networks/compute_mode.py.
    """

    steps: Count = 600
    batch: Count = 32
    learning_rate: Positive = 0.003
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: Annotated[int, Field(ge=0, le=10**9)] = 0
    clip: Annotated[float, Field(ge=0, le=1e12)] = 1.0
    checkpoints: Annotated[int, Field(ge=2, le=10_000)] = 24
    precision: Precision = "float32"
    compile: Compile = "auto"

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
    pairs: Annotated[int, Field(ge=1, le=10**6)] = 256
    keep: Literal["all", "newest"] = "all"
    labeller: Literal["gold", "proxy"] = "gold"


def field_of(parameter: Parameter) -> Any:
    """The type and the default of a parameter of an objective."""
    told = Field(description=parameter.about)
    if parameter.words:
        return Annotated[Literal[parameter.words], told], parameter.default
    kind, default = (int, int(parameter.default)) if parameter.whole else (float, float(parameter.default))
    least, most = kind(parameter.least), kind(parameter.most)
    return Annotated[kind, Field(ge=least, le=most), told], default


class ObjectiveTables(Table):
    """[objective]. A table for each objective of `sweep.loss` that has parameters beside beta."""

    def own(self, table: str) -> Own:
        """The parameters in one of the tables, none where there is no such table."""
        return getattr(self, table).model_dump() if table else {}


if TYPE_CHECKING:
    Objectives = ObjectiveTables
else:
    _TABLES = {
        objective.table: create_model(
            objective.table,
            __base__=Table,
            **{name: field_of(parameter) for name, parameter in objective.parameters.items()},
        )
        for objective in OBJECTIVES.values()
        if objective.table
    }
    Objectives = create_model(
        "Objectives", __base__=ObjectiveTables, **{name: (table, table()) for name, table in _TABLES.items()}
    )


class Measure(Table):
    """[measure]. How policies are measured where responses cannot be listed, and which KL estimators are recorded.

    Each policy answers `samples` times to each of the first `prompts` prompts. `baseline` responses of the reference to
    each of these prompts fix the scale of gold. On a run's own pairs it is measured on the first `pairs`.
    """

    prompts: Annotated[int, Field(ge=2, le=10**9)] | Literal["all"] = "all"
    samples: Annotated[int, Field(ge=2, le=10**6)] = 32
    baseline: Annotated[int, Field(ge=2, le=10**6)] = 256
    pairs: Count = 1024
    kl_estimators: Annotated[
        tuple[Estimator, ...], Field(strict=False, max_length=len(ESTIMATORS)), BeforeValidator(all_or_none)
    ] = ()


class Settings(Table):
    """Everything that a run needs to know but its method, loss, beta and seed."""

    world: World = World()
    reference: Reference = Reference()
    gold: Gold = Gold()
    data: Data = Data()
    policy: Policy = Policy()
    train: Train = Train()
    proxy: Proxy = Proxy()
    best_of_n: BestOfN = BestOfN()
    rl: Rl = Rl()
    online: Online = Online()
    objective: Objectives = Objectives()
    measure: Measure = Measure()

    @property
    def measured_prompts(self) -> int:
        """How many prompts policies are measured on."""
        return self.world.prompts if self.measure.prompts == "all" else self.measure.prompts

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
