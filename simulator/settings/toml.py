"""TOML as people write it: files with a size limit, `KEY=VALUE` overrides, dotted names."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simulator.common.errors import EMPTY, ConfigError, printable, short, shown
from simulator.common.text_encoding import without_mark

SIZE_LIMIT = 2**18
DEPTH = 16  # parts of a dotted key, and tables or lists inside each other
QUOTED = re.compile(
    r'''"""(?:\\.|[^\\])*?(?:"""|\Z)|'{3}.*?(?:'{3}|\Z)|"(?:\\.|[^"\\\n])*+"?|'[^'\n]*+'?|\#[^\n]*+''', re.DOTALL
)
LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{DEPTH}}}")


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
        text = without_mark(content).decode("utf-8")
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from None


def parse(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises ValueError that tells the line.

    Keys of very many parts are found beforehand, since a parser's time grows with the square of their number.
    """
    bare = QUOTED.sub(lambda found: "#" if found[0].startswith("#") else "_", text)
    if long := LONG_KEY.search(bare):
        raise ValueError(f"a key must have at most {DEPTH} parts, but there is {short(long[0])}…")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"must nest at most {DEPTH} tables or lists") from None
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        raise ValueError(f"{printable(str(error))}{f': {line_of(text, int(at[1]))}' if at else ''}") from None
    except ValueError:
        number = next(i for i, line in enumerate(text.split("\n"), start=1) if re.search(r"\d[\d_]{4000}", line))
        where = f"(at line {number}): {line_of(text, number)}"
        raise ValueError(f"a whole number must have at most 64 bits {where}") from None


def line_of(text: str, number: int) -> str:
    """A line of a text by its number, short."""
    return short(text.split("\n")[number - 1].strip())


def check_values(tables: Mapping[str, Any]) -> None:
    """Raises ConfigError where tables and lists nest too deeply, or a whole number has more than 64 bits."""
    left: list[tuple[str, Any, int]] = [("", tables, 0)]
    while left:
        name, inner, depth = left.pop()
        if depth > DEPTH:
            raise ConfigError(f"{short(name)}: must nest at most {DEPTH} tables or lists")
        named = inner.items() if isinstance(inner, Mapping) else (("", value) for value in inner)
        for key, value in named:
            where = f"{name}.{key or EMPTY}".removeprefix(".") if isinstance(inner, Mapping) else name
            if isinstance(value, int) and not -(2**63) <= value < 2**64:
                raise ConfigError(f"{short(where)} = {shown(value)}: must be a whole number of at most 64 bits")
            if isinstance(value, Mapping | list):
                left.append((where, value, depth + 1))


def override(tables: dict[str, Any], text: str) -> str:
    """Apply `KEY=VALUE` to `tables`: VALUE is read as TOML, or else as a string; the KEY. Raises ConfigError."""
    name, equals, value = (part.strip() for part in text.partition("="))
    name = name.replace('"', "")
    if not equals or not all(name.split(".")):
        raise ConfigError(
            f"--set {short(text)}: must be KEY=VALUE with a dotted key and no spaces around =, such as "
            "--set world.prompts=4"
        )
    try:
        read: Any = parse(f"value = {value}")["value"]
    except ValueError:
        read = value
    place(tables, name, read)
    return name


def place(tables: dict[str, Any], name: str, value: Any) -> None:
    """Put `value` at the dotted `name`; of `sweep.data.pairs` the key is `data.pairs`. Raises ConfigError."""
    *folders, key = name.split(".", 1) if name.startswith("sweep.") else name.split(".")
    table: Any = tables
    for folder in folders:
        table = table.setdefault(folder, {})
        if not isinstance(table, dict):
            raise ConfigError(
                f"{short(name)}: {short(folder)} is a value here, not a table that could hold {short(key)}"
            )
    table[key] = value


def flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of nested tables, each with its dotted name."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flatten(f"{name}.{key}", inner)
    else:
        yield name, value
