"""The sweep file, from the JSON Schema: every key with its values, default and meaning, and all of it as TOML."""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from docs.writing.markdown import bound, code, fenced, page, sentence, table
from docs.writing.objectives import MEANINGS
from simulator.settings.toml import DEPTH, SIZE_LIMIT
from simulator.settings.world_spec import ENUMERABLE_LIMIT
from simulator.sweeps.json_schema import schema
from simulator.sweeps.sweep import CELL_LIMIT, LIST_LIMIT, RUN_LIMIT, Sweep

Rule = dict[str, Any]
VALUES = {  # that are told better than by their rule
    "sweep.loss": "names of [objectives](objectives.md), or `file.py:function`; one, or a list",
}
WIDE = 120  # columns of the file; a comment that would go beyond stands above its key
AXIS = '"data.pairs" = [256, 1024]  # not a default: any key of another table may be listed here and becomes an axis'


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key of a sweep file."""

    table: str
    name: str  # in its table, such as `language.slip`
    rule: Rule

    @property
    def full(self) -> str:
        """Its dotted name, as `--set` takes it."""
        return f"{self.table}.{self.name}"

    @property
    def meaning(self) -> str:
        """What it means, a sentence."""
        return MEANINGS.get(self.full) or sentence(self.rule["description"])


def sweep_file_page() -> str:
    """docs/reference/sweep_file.md."""
    return page(
        "# The sweep file",
        "Written by `python docs/reference.py` from the classes that check sweep files. A sweep file is TOML. Every "
        "table and every key is optional. Wrong keys, types and values are refused with the nearest right one. `--set "
        "data.pairs=256` sets a key for one call.",
        "## The defaults as a file",
        fenced("toml", tour()),
        *(part for name in tables() for part in section(name)),
        "## Axes",
        "Any key of another table may stand in `[sweep]`, by its quoted name and with a list, as `data.pairs` above. "
        "It becomes an axis of the grid: every value meets every other choice. A method that does not read "
        "the key is not run again for it. The values are a column of `curves.parquet`.",
        "## Limits",
        table(("of", "at most"), limits()),
        "## In an editor",
        "`python run.py schema > sweep.schema.json` writes a JSON Schema of sweep files. With `#:schema "
        "sweep.schema.json` as the first line of a sweep file, editors that use Taplo (VS Code with Even Better TOML) "
        "complete its keys, tell their meanings and mark mistakes.",
    )


def tables() -> list[str]:
    """The tables of a sweep file, `sweep` last."""
    return [name for name in Sweep.model_fields if name not in ("texts", "code", "sweep")] + ["sweep"]


@cache
def keys_of(name: str) -> list[Key]:
    """The keys of a table."""
    made = schema()
    start = made["properties"][name]["$ref"]
    return [Key(table=name, name=key, rule=rule) for key, rule in leaves(made, start, "")]


def leaves(made: Rule, ref: str, prefix: str) -> Iterator[tuple[str, Rule]]:
    """Every key of the table at a reference and of those in it, with its rule."""
    for name, rule in made["$defs"][ref.rpartition("/")[2]]["properties"].items():
        if ref.endswith("/Grid") and ("default" not in rule or "." in name):
            continue  # an axis
        if "$ref" in rule:
            yield from leaves(made, rule["$ref"], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", rule


def section(name: str) -> Iterator[str]:
    """What is said of a table."""
    about = inspect.getdoc(Sweep.model_fields[name].annotation) or ""
    yield f"## `[{name}]`"
    yield sentence(re.sub(r"^\[[\w.]+\]\. ", "", about))
    rows = [
        (code(key.full), VALUES.get(key.full) or values(key.rule), shown(key), key.meaning) for key in keys_of(name)
    ]
    yield table(("key", "values", "default", "meaning"), rows)


def shown(key: Key) -> str:
    """The default of a key as code; a long list by how many it has."""
    default = key.rule["default"]
    return "the six of GPO" if key.full == "sweep.loss" else code(toml(default))


def toml(value: Any) -> str:
    """A value as TOML."""
    return json.dumps(value, ensure_ascii=False)


def values(rule: Rule) -> str:
    """The values that a rule lets through."""
    if "anyOf" in rule:
        return " or ".join(dict.fromkeys(values(inner) for inner in rule["anyOf"]))
    if "enum" in rule:
        return ", ".join(code(toml(value)) for value in rule["enum"])
    if "const" in rule:
        return code(toml(rule["const"]))
    kinds = {"boolean": "`true` or `false`", "array": "a list of them", "string": text_of(rule)}
    return kinds.get(rule["type"]) or f"{'a whole number' if rule['type'] == 'integer' else 'a number'}{span(rule)}"


def text_of(rule: Rule) -> str:
    """A text of so many characters."""
    most = rule.get("maxLength")
    return "a character, or nothing" if most == 1 else f"a text of at most {most:,} characters" if most else "a text"


def span(rule: Rule) -> str:
    """From where to where a number goes."""
    low = f" from {bound(rule['minimum'])}" if "minimum" in rule else f" above {bound(rule['exclusiveMinimum'])}"
    high = f" to {bound(rule['maximum'])}" if "maximum" in rule else f", below {bound(rule['exclusiveMaximum'])}"
    return low + high


def limits() -> list[tuple[str, str]]:
    """What a sweep file may have at most."""
    return [
        ("bytes of a sweep file", f"{SIZE_LIMIT:,}"),
        ("parts of a dotted key, and tables or lists inside each other", str(DEPTH)),
        ("values of a list", f"{LIST_LIMIT:,}"),
        ("runs of a grid", f"{RUN_LIMIT:,}"),
        ("combinations of method, loss and further axes", str(CELL_LIMIT)),
        ("responses that are listed, prompts × vocabulary^response_length", f"{ENUMERABLE_LIMIT:,}"),
    ]


def tour() -> str:
    """A whole sweep file: every key with its default and its meaning."""
    parts = []
    for name in tables():
        keys = keys_of(name)
        width = max(len(assignment(key)) for key in keys if len(assignment(key)) < WIDE // 3)
        parts.append("\n".join([f"[{name}]", *(line for key in keys for line in lines(key, width))]))
    return "\n\n".join([*parts[:-1], f"{parts[-1]}\n{AXIS}"])


def assignment(key: Key) -> str:
    """The default of a key, as a line of the file."""
    return f"{key.name} = {toml(key.rule['default'])}"


def lines(key: Key, width: int) -> list[str]:
    """A key with its meaning as a comment behind it, or above it where that would be too wide."""
    meaning = key.meaning.removesuffix(".")
    if re.match(r"[A-Z]([a-z]| )", meaning):
        meaning = meaning[0].lower() + meaning[1:]
    line = f"{assignment(key):<{width}}  # {meaning}"
    return [line] if len(line) <= WIDE else [f"# {key.name}: {meaning}", assignment(key)]
