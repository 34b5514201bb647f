"""What makes a world: the tables of a sweep file that it follows from."""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

from simulator.languages import LANGUAGES
from simulator.languages.text import BYTES
from simulator.own_rewards.source import CodeSource
from simulator.settings.gold_table import Gold as Gold
from simulator.settings.table import (
    Count,
    Heads,
    Layers,
    PathText,
    Positive,
    Seed,
    Table,
    Width,
    at_least,
    choice,
    choice_or_own,
    one_byte,
    one_of,
    one_or_own,
)

ENUMERABLE_LIMIT = 2**23


PolicyKind = Literal["transformer", "tabular", "linear"]
FEATURES = ("tokens", "positions", "bigrams")
PolicyFeatures = Annotated[PathText, AfterValidator(one_or_own(FEATURES)), choice_or_own(FEATURES)]
ESTIMATORS = ("k1", "k2", "k3")
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
    kind: "auto" for these two, or the name of another language.
    """

    kind: Annotated[str, AfterValidator(one_of(["auto", *LANGUAGES])), choice(["auto", *LANGUAGES])] = "auto"
    """Which language: "auto" takes a text where one is named, and else a grammar; or the name of one that was added."""
    topics: Count | Literal["auto"] = "auto"
    """Of the grammar; "auto" takes 4, or as many as there are tokens; the first token of a prompt is its topic."""
    branching: Count | Literal["auto"] = "auto"
    """Grammatical successors of a token; "auto" takes vocabulary^(2/3)."""
    slip: Slip = 0.02
    """How often the language breaks its own grammar."""
    stop: Annotated[float, Field(ge=0, le=0.99)] = 0.0
    """How often a response ends before each token, with the last one of the vocabulary."""
    text: PathText = ""
    """A UTF-8 file to learn from instead, or "shipped:reviews"; then the next two count, the four above do not."""
    held_out: Annotated[float, Field(ge=0.01, le=0.9)] = 0.1
    """Share of the text that prompts come from."""
    end: EndByte = ""
    r"""An ASCII character that ends a response, such as "\n"."""

    @property
    def ends(self) -> bool:
        """Whether responses may end before their last token."""
        return bool(self.end or self.stop or (self.kind in LANGUAGES and LANGUAGES[self.kind].ends))

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        grammar, text = ("topics", "branching", "slip", "stop"), ("held_out", "end")
        foreign = (*grammar, "text", *text) if self.kind != "auto" else grammar if self.text else text
        for name in foreign:
            if getattr(self, name) != type(self).model_fields[name].default:
                rule = "belongs to the synthetic language, not to a text" if self.text else "needs language.text"
                rule = rule if self.kind == "auto" else f'needs language.kind = "auto", not "{self.kind}"'
                raise ValueError(f"{name} (={getattr(self, name)!r}) {rule}")
        return self


class World(Table):
    """[world]. Prompts, and responses of at most `response_length` tokens out of `vocabulary`.

    In an `enumerable` world every response is listed, those that end early too, and all is exact; in a `sampled` one of
    any size, policies are measured on samples. A text has its 256 bytes as vocabulary and is sampled, unless said.
    """

    kind: Literal["enumerable", "sampled"] = "enumerable"
    """In an "enumerable" world all responses are listed; in a "sampled" one policies are measured on samples."""
    vocabulary: Annotated[int, Field(ge=2, le=1024)] = 8
    """Tokens; vocabulary^response_length responses are listed for each prompt, or fewer where some end early."""
    response_length: Annotated[int, Field(ge=1, le=256)] = 4
    """Tokens of a response, at most."""
    prompts: Count = 16
    """Different prompts that the world has."""
    prompt_length: Annotated[int, Field(ge=1, le=256)] = 2
    """Tokens of a prompt."""
    language: Language = Language()
    seed: Seed = 0
    """Of the language, the prompts and the reference."""

    @property
    def chain_vocabulary(self) -> int:
        """Tokens of the synthetic language but the one that ends a response."""
        return self.vocabulary - (self.language.stop > 0)

    @property
    def responses(self) -> int:
        """G: how many different responses there are to a prompt."""
        spoken, length = self.vocabulary - 1, self.response_length
        ending = sum(spoken**tokens for tokens in range(length + 1))
        return ending if self.language.ends else self.vocabulary**length

    @property
    def topics(self) -> int:
        """Topics of the language; "auto" means 4, or as many as there are tokens."""
        return min(4, self.chain_vocabulary) if self.language.topics == "auto" else self.language.topics

    @property
    def branching(self) -> int:
        """Grammatical successors of a token; "auto" means V^(2/3), for two thirds of the largest entropy."""
        auto = self.language.branching == "auto"
        return round(self.chain_vocabulary ** (2 / 3)) if auto else int(self.language.branching)

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
        if self.language.kind != "auto":
            return self
        if self.language.text:
            if self.vocabulary != BYTES:
                raise ValueError(
                    f"vocabulary (={self.vocabulary}) must be {BYTES} with language.text, whose bytes are the tokens; "
                    'kind is then "sampled", too'
                )
            return self
        for name, value in (("topics", self.topics), ("branching", self.branching)):
            if value > self.chain_vocabulary:
                end = " less the end token" if self.language.stop else ""
                raise ValueError(
                    f"language.{name} (={value}) must be at most vocabulary{end} (={self.chain_vocabulary})"
                )
        readable = self.topics * self.chain_vocabulary ** (self.prompt_length - 1)
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
        if self.language.end:
            raise ValueError(
                f'language.end (={self.language.end!r}) ends responses of a text, which need kind = "sampled"'
            )
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
    """Of the optimizer."""
    batch: Count = 128
    """Texts that each step learns from."""
    learning_rate: Positive = 0.01
    """At its peak."""


class Network(Table):
    """The sizes of a transformer."""

    layers: Layers = 1
    """Blocks of the transformer."""
    width: Width = 16
    """Channels."""
    heads: Heads = 2
    """Of attention; they divide the width."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width (={self.width}) must be divisible by heads (={self.heads})")
        return self


class Policy(Network):
    """[policy]. Which class policies are of, and the architecture of the reference, which is always a transformer.

    Policies of the other two classes tilt the law of the reference, π ∝ π_ref exp h; layers, width and heads are then
    those of the reference alone (simulator/worlds/policy_classes/tilted.py).
    """

    kind: PolicyKind = "transformer"
    """The class of policies: "transformer": a copy of the reference; "tabular": a number for each response to each
    prompt; "linear": log-linear in `features`. The last two where responses are listed."""
    features: PolicyFeatures = "bigrams"
    """Of "linear": "tokens": how often each comes; "positions": which stands at each place; "bigrams": how often each
    pair of neighbours comes, the prompt's last token included; "mine.py:features", a function of your own
    (docs/howto/own_features.md)."""


class Measure(Table):
    """[measure]. How policies are measured where responses cannot be listed, and which KL estimators are recorded.

    Each policy answers `samples` times to each of the first `prompts` prompts. `baseline` responses of the reference to
    each of these prompts fix the scale of gold. On a run's own pairs it is measured on the first `pairs`.
    """

    prompts: Annotated[int, Field(ge=2, le=10**9)] | Literal["all"] = "all"
    """How many prompts policies are measured on; this one and the next three in sampled worlds only."""
    samples: Annotated[int, Field(ge=2, le=10**6)] = 32
    """Responses of each policy to each of them."""
    baseline: Annotated[int, Field(ge=2, le=10**6)] = 256
    """Responses of the reference to each of them, which fix the zero and the unit of gold."""
    pairs: Count = 1024
    """Of a run's own, that train_loss and its neighbours are measured on."""
    held_out: Annotated[int, Field(ge=0, le=10**6)] = 0
    """Pairs that nothing learns from, drawn and labelled like those of [data]: `held_out_loss` and `held_out_accuracy`
    of policies on them are recorded."""
    displacement: bool = False
    """True: `pairs.parquet` records CHES and the displacement rate of each of these pairs, and where its responses end
    (in listed worlds too, where `pairs` says how many)."""
    kl_estimators: Annotated[
        tuple[Estimator, ...], Field(strict=False, max_length=len(ESTIMATORS)), BeforeValidator(all_or_none)
    ] = ()
    """Estimators of KL that are recorded beside it: "k1", "k2", "k3", or true for all three."""

    def prompts_of(self, world: World) -> int:
        """How many prompts of a world policies are measured on."""
        return world.prompts if self.prompts == "all" else self.prompts


@dataclass(frozen=True, kw_only=True)
class WorldSpec:
    """What makes a world: the tables that it follows from."""

    world: World
    reference: Reference
    gold: Gold
    policy: Policy
    measure: Measure
    source: CodeSource = field(default=CodeSource(), compare=False)  # where code of the user's own is found

    @property
    def measured_prompts(self) -> int:
        """How many prompts policies are measured on."""
        return self.measure.prompts_of(self.world)

    @property
    def lists_responses(self) -> bool:
        """Whether every response of the world is listed."""
        return self.world.kind == "enumerable"


WORLD_TABLES = tuple(each.name for each in fields(WorldSpec) if each.compare)
