"""[data]: pairs of one seed, and who labels them; how many a file of the user's own has, and how many there can be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from gold_rewards import FlipToward, Labels
from simulator.common.errors import ConfigError, nearest, short
from simulator.common.user_files import user_path
from simulator.settings.table import TEXT, Positive, Share, Table, path_like

if TYPE_CHECKING:
    from simulator.settings.tables import Settings

PARQUET, LINES = ".parquet", (".jsonl", ".json")
KINDS = f"must end in {PARQUET}, or in .jsonl for JSON lines"
MOST_BYTES = 2**31
MOST_PAIRS = 10**7
POPULATION_LIMIT = 300_000  # pairs that each step reads


def ends_as_pairs(value: str) -> str:
    """Refuse a file of another kind; none is fine too."""
    if value and Path(value).suffix not in (PARQUET, *LINES):
        raise ValueError(f"{short(value)}: {KINDS}")
    return value


PairsFile = Annotated[
    str,
    Field(
        max_length=TEXT,
        json_schema_extra={"pattern": r"^$|^[^\x00-\x1f\x7f-\x9f]*[^/\x00-\x1f\x7f-\x9f]\.(parquet|jsonl|json)$"},
    ),
    AfterValidator(path_like),
    AfterValidator(ends_as_pairs),
]


Behaviour = Literal["reference", "tempered", "uniform", "mixture", "best_of_n"]


Filter = Literal["none", "ches", "displacement"]


class Data(Table):
    """[data]. Preference pairs of one seed, and who labels them; see simulator/preferences/pairs.py.

    Gold labels `pairs` of them. Where `labeller` is "proxy", those train a proxy, and policies learn from the `pool`
    pairs that it labels. `distinct`: a pair whose two responses are the same is drawn again.
    """

    pairs: Annotated[int, Field(ge=1, le=10**7)] = 1024
    """Pairs that gold labels, for each seed."""
    behaviour: Behaviour = "reference"
    """Which policy μ pairs are drawn from: the reference, or "tempered", "uniform", "mixture"; "best_of_n": the best of
    some of its responses by gold, where all are listed."""
    behaviour_temperature: Positive = 2.0
    """Of "tempered"."""
    uniform_share: Share = 0.25
    """Of "mixture"."""
    behaviour_n: Annotated[int, Field(ge=1, le=10**6)] = 4
    """n of "best_of_n"."""
    one_from_reference: bool = False
    """True: one of the two responses of a pair is the reference's, and only the other one is of μ."""
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


def file_of(name: str) -> Path:
    """The file of this name. Raises ConfigError where there is none, or it is too large, or of another kind."""
    path, key = user_path(name), f"data.file = {name}"
    try:
        if not path.exists():
            there = [other.name for other in path.parent.glob("*") if other.suffix in (PARQUET, *LINES)]
            raise ConfigError(f"{key}: there is no such file (looked for in {Path.cwd()}){nearest(path.name, there)}")
        if not path.is_file():
            raise ConfigError(f"{key}: is {'a folder' if path.is_dir() else 'no regular file'}; name a file of pairs")
        if path.suffix not in (PARQUET, *LINES):
            raise ConfigError(f"{key}: {KINDS}")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ConfigError(f"{key}: has {size:,} bytes; at most {MOST_BYTES:,} are read")
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{key}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return path


def pairs_in(name: str) -> int:
    """How many rows a file of pairs has. Raises ConfigError."""
    path = file_of(name)
    try:
        if path.suffix == PARQUET:
            from pyarrow.parquet import read_metadata

            count = int(read_metadata(path).num_rows)
        else:
            with path.open("rb") as file:
                count = sum(bool(line.strip()) for line in file)
    except Exception as error:  # whatever a damaged file makes of a library
        text = short(" ".join(str(error).split()))
        raise ConfigError(f"data.file = {name}: cannot be read ({type(error).__name__}: {text})") from None
    if not 1 <= count <= MOST_PAIRS:
        raise ConfigError(f"data.file = {name}: has {count:,} rows; must have at least 1 and at most {MOST_PAIRS:,}")
    return count


def population_pairs(settings: Settings) -> int:
    """How many unordered pairs of responses all prompts have; those of a response with itself count unless distinct."""
    responses = settings.world.responses
    return settings.world.prompts * responses * (responses - 1 if settings.data.distinct else responses + 1) // 2


def check_population(settings: Settings) -> None:
    """Raises ValueError where there is no expectation over all pairs, or these are too many."""
    data = settings.data
    if not data.population:
        return
    if not settings.spec.lists_responses:
        raise ValueError('data.population needs world.kind = "enumerable", where every response is listed')
    for key, usual in (("file", ""), ("labeller", "gold"), ("filter", "none")):
        if (value := getattr(data, key)) != usual:
            raise ValueError(
                f'data.population is of all pairs, as gold labels them, and data.{key} is "{short(value)}"'
            )
    if (count := population_pairs(settings)) > POPULATION_LIMIT:
        raise ValueError(
            f"data.population: all pairs of responses are {count:,}, and must be at most {POPULATION_LIMIT:,}: lower "
            "world.vocabulary, world.response_length or world.prompts"
        )
