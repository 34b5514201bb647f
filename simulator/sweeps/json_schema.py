"""What a sweep file may say, as JSON Schema (draft 2020-12), so that editors complete keys and mark mistakes.

The tables come from the models of simulator/settings/tables.py, and what their keys mean from the docstrings there. Of
[sweep] a schema must say more than its model does: one value stands for a list of one, and every key of another table
may be listed, by its quoted name or in a nested table.
"""

import json
from typing import Any

from simulator.objectives import KNOWN_AS, OBJECTIVES
from simulator.objectives.mixtures import SUM_PATTERN
from simulator.sweeps.key_meanings import key_meanings, tables_in
from simulator.sweeps.sweep import LIST_LIMIT, Sweep

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
OWN_LOSS = r"^[^\x00-\x1f\x7f-\x9f]*\.py:[^\W\d]\w*$"
SHOWN_KEYS = ("title", "description", "default")


def schema_text() -> str:
    """The schema as a text of many lines."""
    return json.dumps(schema(), indent=2)


def schema() -> Schema:
    """The schema of a sweep file, defaults included."""
    made = Sweep.model_json_schema()
    tables: Schema = made["$defs"]
    for table in tables_in(Sweep)[1:]:
        for name, meaning in key_meanings(table).items():
            tables[table.__name__]["properties"][name]["description"] = meaning
    grid = tables["Grid"]
    keys: Schema = grid["properties"]
    del keys["axes"]
    ours = {"type": "string", "enum": [*OBJECTIVES, *KNOWN_AS]}
    patterns = [{"type": "string", "pattern": each, "maxLength": 4096} for each in (OWN_LOSS, SUM_PATTERN)]
    keys["loss"]["items"] = {"anyOf": [ours, *patterns]}
    for name in ("method", "loss", "beta", "penalty"):
        keys[name] = one_or_several(keys[name]["items"], most=keys[name]["maxItems"]) | shown_keys(keys[name])
    measure = tables["Measure"]["properties"]
    several: Schema = measure["kl_estimators"]
    rule = {name: value for name, value in several.items() if name not in SHOWN_KEYS}
    measure["kl_estimators"] = {"anyOf": [{"type": "boolean"}, several["items"], rule]} | shown_keys(several)
    for name, key in made["properties"].items():
        if "$ref" in key and name not in ("sweep", "keep"):
            keys[name] = nested(key["$ref"], tables)
            keys |= quoted(name, f"#/$defs/Grid/properties/{name}", keys[name])
    head = {
        "$schema": DIALECT,
        "title": "Sweep file",
        "description": "A sweep of the alignment simulator; every table and every key is optional.",
    }
    return head | {name: value for name, value in plain(made).items() if name not in head}


def shown_keys(key: Schema) -> Schema:
    """What is told of a key beside its rule."""
    return {name: key[name] for name in SHOWN_KEYS if name in key}


def one_or_several(item: Schema, most: int = LIST_LIMIT) -> Schema:
    """One value, or a list of different ones."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1, "maxItems": most, "uniqueItems": True}]}


def nested(ref: str, tables: Schema) -> Schema:
    """A table in [sweep] whose keys are those of the table at `ref` as axes: `data.pairs = [64, 256]`."""
    inner: Schema = {}
    for key, value in tables[ref.rpartition("/")[2]]["properties"].items():
        if "$ref" in value:
            inner[key] = nested(value["$ref"], tables)
        else:
            lists = any(choice.get("type") == "array" for choice in value.get("anyOf", ()))
            inner[key] = one_or_several(without_lists(value) if lists else {"$ref": f"{ref}/properties/{key}"})
    return {"type": "object", "properties": inner, "additionalProperties": False, "minProperties": 1}


def without_lists(value: Schema) -> Schema:
    """What one value of a key may be that a list is allowed for, too."""
    return {"anyOf": [choice for choice in value["anyOf"] if choice.get("type") != "array"]}


def quoted(name: str, ref: str, table: Schema) -> Schema:
    """The keys of a nested table at `ref` by their dotted names, `"data.pairs" = [64, 256]`."""
    keys: Schema = {}
    for key, value in table["properties"].items():
        here = f"{ref}/properties/{key}"
        keys |= quoted(f"{name}.{key}", here, value) if "properties" in value else {f"{name}.{key}": {"$ref": here}}
    return keys


def plain(value: Any) -> Any:
    """Without the titles that are names again, and without the defaults of whole tables."""
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    dropped = {"title"} if isinstance(value.get("title"), str) else set()
    dropped |= {"default"} if isinstance(value.get("default"), dict) and "$ref" in value else set()
    return {name: plain(inner) for name, inner in value.items() if name not in dropped}
