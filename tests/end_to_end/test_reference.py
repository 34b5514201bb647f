"""The pages of the reference that follow from the code say what the code says."""

import ast
import itertools
import json
import re
import tomllib
from importlib import import_module
from pathlib import Path
from types import FunctionType

import pytest

import run
from docs.reference import FOLDER, PAGES
from docs.writing.markdown import bound, cell, page, sentence, table
from docs.writing.million_runs import million_runs_page
from docs.writing.objectives import FAMILIES, MEANINGS, SOURCES
from docs.writing.python_interface import PACKAGES, public_names
from docs.writing.sweep_file import AXIS
from simulator import OBJECTIVES, Sweep
from simulator.objectives import KNOWN_AS
from simulator.settings.config_errors import known_keys
from simulator.storage.tables import COLUMNS

ROOT = Path(__file__).parents[2]
AGAIN = "a page of the reference is of other code: run `python docs/reference.py`"


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_what_the_code_of_today_says(name: str) -> None:
    assert text_of(name) == PAGES[name](), AGAIN


def test_the_plan_of_a_million_runs_follows_from_what_was_measured() -> None:
    facts = json.loads((ROOT / "docs" / "million_runs.json").read_text(encoding="utf-8"))
    written = (ROOT / "docs" / "explanation" / "million_runs.md").read_text(encoding="utf-8")
    assert written == million_runs_page(facts), "run `python docs/million_runs.py`"
    assert f"a million {1e6 * facts['quickstart']['core_seconds'] / 3600:,.0f} core-hours" in written


def test_every_key_of_a_sweep_file_is_described_once() -> None:
    keys = [key for key in known_keys(Sweep) if key not in ("texts", "code")]
    assert sorted(re.findall(r"^\| `([\w.]+)` \|", text_of("sweep_file.md"), flags=re.MULTILINE)) == sorted(keys)


def test_the_file_of_defaults_is_a_valid_sweep_that_shows_them() -> None:
    (tour,) = re.findall(r"```toml\n(.*?)```", text_of("sweep_file.md"), flags=re.DOTALL)
    tables = tomllib.loads(tour)
    assert tables["sweep"].pop("data.pairs") == [256, 1024]
    assert AXIS in tour
    assert Sweep.model_validate(tables) == Sweep()
    assert {*tables} == {*Sweep.model_fields} - {"texts", "code"}


def test_every_column_is_described() -> None:
    assert all(f"`{name}`" in text_of("columns.md") for name in COLUMNS)


def test_every_objective_is_in_one_family_with_its_parameters_and_source() -> None:
    assert sorted(name for family in FAMILIES for name in family.known_as) == sorted(OBJECTIVES)
    told = text_of("objectives.md")
    for name, objective in OBJECTIVES.items():
        assert len(re.findall(rf"^\| `{name}` \| .*(?:arXiv|Mitchell 2023|Ours)", told, flags=re.MULTILINE)) == 1, name
        assert all(f"`objective.{objective.table}.{key}`" in told for key in objective.parameters), name
    assert all(f"| `{other}` | `{name}` |" in told for other, name in KNOWN_AS.items())


def test_words_about_objectives_are_about_some_that_there_are() -> None:
    assert {*SOURCES} <= {*OBJECTIVES}
    assert {*MEANINGS} <= {*known_keys(Sweep)}


def test_every_command_and_what_it_takes_is_described() -> None:
    told = text_of("command_line.md")
    for name in ("sweep", "reproduce", "report", "losses", "export", "schema"):
        section = told.split(f"## `{name}`\n", 1)[1].split("\n## ", 1)[0]
        for argument in run.app[name].assemble_argument_collection(parse_docstring=True):
            assert argument.parameter.help
            assert not argument.show or f"| `{argument.names[0]}` |" in section
    assert re.findall(r"^\| (\d+) \|", told, flags=re.MULTILINE) == ["0", "1", "2", "130", "141"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_python_is_there(package: str) -> None:
    named = re.findall(rf"^::: {package}\.(\w+)$", text_of("python.md"), flags=re.MULTILINE)
    assert named == [name for name in import_module(package).__all__ if not name.startswith("__")]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_python_says_what_it_is(package: str) -> None:
    """Functions and classes by their docstrings, and anything else by the string below it."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / package).rglob("*.py")]
    told = {
        target.id
        for tree in trees
        for made, below in itertools.pairwise(tree.body)
        if isinstance(below, ast.Expr) and isinstance(made, ast.Assign | ast.AnnAssign)
        for target in (made.targets if isinstance(made, ast.Assign) else [made.target])
        if isinstance(target, ast.Name)
    }
    for name in public_names(package):
        value = getattr(import_module(package), name)
        if isinstance(value, type | FunctionType):
            assert value.__doc__, name
        else:
            assert name in told


def test_pieces_of_markdown() -> None:
    assert cell("a | b\n  c") == "a \\| b c"
    assert table(("x", "y"), [("1", ""), ("|", "2")]) == "| x | y |\n| --- | --- |\n| 1 | |\n| \\| | 2 |"
    assert page("# A", "b\n") == "# A\n\nb\n"
    assert [sentence(text) for text in ("of it", "n goes up", "λ", "Done.")] == ["Of it.", "n goes up.", "λ.", "Done."]
    assert [bound(value) for value in (0.02, 1e-9, 1000, 1e12, 2**63)] == ["0.02", "1e-09", "1,000", "1e12", "2^63"]
