"""The schema of sweep files against the loader: each refuses what the other does, cross-field rules aside."""

import json
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

import run
from simulator import ConfigError, Sweep
from simulator.settings.config_errors import known_keys
from simulator.settings.toml import check_values
from simulator.sweeps.grid import expand
from simulator.sweeps.json_schema import schema

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))
VALIDATOR = Draft202012Validator(schema())
KEYS = known_keys(Sweep)
SETTINGS = [key for key in KEYS if not key.startswith(("sweep.", "texts", "code"))]
WRONG = [True, "zzz", "", -7.5, 10**19, -(10**19), 1e300, [], [[1]], [True, "zzz"], {}, {"x": 1}, date(2020, 1, 1)]

Tables = dict[str, Any]


def loads(tables: Tables) -> bool:
    """Whether the loader takes the tables, at every point of the grid."""
    try:
        check_values(tables)
        expand(Sweep.model_validate(tables))
    except (ValidationError, ConfigError):
        return False
    return True


def validates(tables: Tables) -> bool:
    return bool(VALIDATOR.is_valid(tables))


def at(key: str, value: object, *, axis: str = "") -> Tables:
    """One key set, as itself or as an axis with a `quoted` or a `nested` name."""
    path = {"": key.split("."), "quoted": ["sweep", key], "nested": ["sweep", *key.split(".")]}[axis]
    tables: Any = value
    for part in reversed(path):
        tables = {part: tables}
    found: Tables = tables
    found.setdefault("sweep", {"loss": ["logistic"], "beta": [1.0], "seeds": 1})
    return found


def nodes(value: Any) -> Iterator[Tables]:
    """Every rule in a schema."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def test_the_schema_is_one_and_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    Draft202012Validator.check_schema(schema())
    assert run.main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == schema()
    assert printed.endswith("}\n")
    assert list(schema())[:3] == ["$schema", "title", "description"]


def test_it_tells_defaults_and_what_tables_and_parameters_are() -> None:
    tables = schema()["$defs"]
    assert tables["World"]["description"].startswith("[world]. Prompts, and responses of at most")
    assert tables["World"]["properties"]["prompts"]["default"] == 16
    assert tables["Grid"]["properties"]["beta"]["default"] == [0.01, 0.03, 0.1, 0.2, 0.5, 1.0, 3.0, 10.0]
    assert "description" in tables["vpo"]["properties"]["alpha"]
    assert tables["Gold"]["properties"]["reward"]["anyOf"][0]["enum"] == [
        "additive",
        "motif",
        "sentiment",
        "transformer",
    ]


def test_every_number_text_and_list_is_bounded() -> None:
    unbounded = []
    for rule in nodes(schema()):
        kind = rule.get("type")
        if kind in ("integer", "number"):
            low, high = {"minimum", "exclusiveMinimum"} & set(rule), {"maximum", "exclusiveMaximum"} & set(rule)
            unbounded += [] if low and high else [rule]
        elif (
            (kind == "string" and not {"enum", "const", "maxLength", "pattern"} & set(rule))
            or (kind == "array" and "maxItems" not in rule)
            or (kind == "object" and "additionalProperties" not in rule)
        ):
            unbounded.append(rule)
    assert not unbounded
    numbers = [rule for rule in nodes(Sweep.model_json_schema()) if rule.get("type") in ("integer", "number")]
    assert len(numbers) > 60


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_our_sweeps_are_valid_as_written_and_as_resolved(path: Path) -> None:
    hashes = {"texts": {"a b.txt": "0" * 64}, "code": {"mine.py": "f" * 64}}
    sweep = Sweep.from_toml(path)
    for tables in (
        tomllib.loads(path.read_text(encoding="utf-8")),
        tomllib.loads(sweep.to_toml()),
        tomllib.loads(sweep.model_copy(update=hashes).to_toml()),
    ):
        assert [error.message for error in VALIDATOR.iter_errors(tables)] == []


@pytest.mark.parametrize(
    "text",
    [
        "sweep.data.pairs = [64, 256]",
        '[sweep]\n"data.pairs" = 64\nobjective.vpo.alpha = [0.1, 1]\nmeasure.kl_estimators = [true, "k1"]',
        'sweep.loss = "our losses/mine.py:größe"\nsweep.method = "rl"\nsweep.beta = 1',
        'sweep.loss = ["dpo_sft", "a.py:f"]',
        'sweep.loss = ["logistic + 0.5 sft", "0.2*kto+ 1e-1 *dpo", "bco + aot_pair"]',
        'sweep.loss = "0.8 logistic + 0.2 squared"',
        "measure.kl_estimators = true",
        'measure.kl_estimators = "k2"',
        'measure.prompts = "all"\nproxy.learning_rate = "auto"\nworld.language.topics = "auto"',
    ],
)
def test_every_way_of_writing_is_valid(text: str) -> None:
    tables = tomllib.loads(text)
    assert [error.message for error in VALIDATOR.iter_errors(tables)] == []
    Sweep.model_validate(tables)


@pytest.mark.parametrize(
    "loss", ["logistic +", "0.5 sft", "logistic - sft", "vpo + sft", "logistic + sftt", "2 3 dpo + sft", "dpo + -1 sft"]
)
def test_what_is_no_sum_of_losses_is_refused_by_both(loss: str) -> None:
    tables = {"sweep": {"loss": [loss]}}
    assert not validates(tables)
    assert not loads(tables)


@pytest.mark.parametrize("axis", ["", "quoted", "nested"])
@pytest.mark.parametrize("key", SETTINGS)
def test_a_wrong_value_of_one_key_is_refused_by_both(key: str, axis: str) -> None:
    for value in WRONG:
        tables = at(key, value, axis=axis)
        if axis and key == "world.language.text":  # an axis of texts needs one to begin with, for its vocabulary
            tables["world"] = {"language": {"text": "a.txt"}}
        if key == "gold.length":  # which needs responses that end early
            tables["world"] = {"language": {"stop": 0.2}}
        if key == "data.population":  # how many pairs a world has is no matter of a schema
            tables["world"] = {"vocabulary": 4, "response_length": 2}
        assert loads(deepcopy(tables)) == validates(tables), value


@pytest.mark.parametrize(
    "key", ["method", "loss", "beta", "penalty", "seeds", "axes", "zzz", "data.zzz", "data", "world"]
)
def test_a_wrong_value_in_the_grid_is_refused_by_both(key: str) -> None:
    for value in WRONG:
        tables = {"sweep": {"loss": ["logistic"], "beta": [1.0], "seeds": 1} | {key: value}}
        assert loads(deepcopy(tables)) == validates(tables), value


FOLDERS = sorted({key.rpartition(".")[0] for key in KEYS if "." in key})


@pytest.mark.parametrize("folder", ["", *FOLDERS])
def test_an_unknown_key_is_refused_by_both(folder: str) -> None:
    for axis in ("", "quoted", "nested"):
        tables = at(f"{folder}.zzz".removeprefix("."), 1, axis=axis)
        assert not validates(tables)
        assert not loads(tables)


VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(WRONG),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None, database=None)
@given(st.sampled_from(KEYS), st.sampled_from(["", "quoted", "nested"]), VALUES)
def test_what_the_schema_refuses_the_loader_refuses(key: str, axis: str, value: object) -> None:
    tables = at(key, value, axis=axis)
    assert validates(tables) or not loads(deepcopy(tables))
