"""How many pairs a file of the user's own has, so that all are trained on unless said; and how many there can be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from simulator.common.errors import ConfigError, nearest, short
from simulator.common.user_files import user_path
from simulator.settings.table import TEXT, path_like

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
