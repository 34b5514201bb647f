"""TOML as people write it: files with a size limit, `KEY=VALUE` overrides, dotted names."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simulator.complaints import ConfigError

SIZE_LIMIT = 2**20


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises ConfigError where it is missing, too large or malformed."""
    try:
        with open(path, "rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from None
    if len(content) > SIZE_LIMIT:
        raise ConfigError(f"{path}: must have at most {SIZE_LIMIT:,} bytes, but has more")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: must be UTF-8 text, but byte {error.start} is not ({error.reason})") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or a number of too many digits
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None


def override(tables: dict[str, Any], text: str) -> None:
    """Apply `KEY=VALUE` to `tables`: VALUE is read as TOML, or else as a string. Raises ConfigError."""
    name, equals, value = (part.strip() for part in text.partition("="))
    name = name.replace('"', "")
    if not equals or not all(name.split(".")):
        raise ConfigError(
            f"--set {text}: must be KEY=VALUE with a dotted key and no spaces around =, such as --set world.prompts=4"
        )
    try:
        read: Any = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        read = value
    place(tables, name, read)


def place(tables: dict[str, Any], name: str, value: Any) -> None:
    """Put `value` at the dotted `name`; of `sweep.data.pairs` the key is `data.pairs`. Raises ConfigError."""
    *folders, key = name.split(".", 1) if name.startswith("sweep.") else name.split(".")
    table: Any = tables
    for folder in folders:
        table = table.setdefault(folder, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{name}: {folder} is a value here, not a table that could hold {key}")
    table[key] = value


def flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of nested tables, each with its dotted name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flatten(f"{name}.{key}", inner)
    else:
        yield name, value
