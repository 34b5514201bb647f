"""Every key of a sweep file says what it means, where it is declared."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from simulator import Sweep
from simulator.settings.config_errors import known_keys
from simulator.settings.tables import Proxy
from simulator.sweeps.json_schema import schema
from simulator.sweeps.key_meanings import key_meanings, tables_in


class Base(BaseModel):
    """A table."""

    steps: int = 1
    """Of the
    optimizer.
    """
    batch: int = 2
    """Of the base."""
    silent: int = 3


class Inner(Base):
    """A table that extends it."""

    batch: int = 4
    """Of the inner one."""
    told: Annotated[int, Field(description="In a field.")] = 5

    @property
    def no_key(self) -> int:
        """Of no key."""
        return 1


class Outer(BaseModel):
    """A table with one in it."""

    inner: Inner = Inner()


def test_meanings_are_the_docstrings_under_the_fields() -> None:
    assert key_meanings(Base) == {"steps": "Of the\noptimizer.", "batch": "Of the base."}
    assert key_meanings(Inner) == {
        "steps": "Of the\noptimizer.",
        "batch": "Of the inner one.",
        "told": "In a field.",
    }
    assert tables_in(Outer) == [Outer, Inner]
    assert key_meanings(Proxy)["heads"] == "Of attention; they divide the width."


@pytest.mark.parametrize("table", tables_in(Sweep)[1:], ids=lambda table: table.__name__)
def test_every_key_has_a_meaning(table: type[BaseModel]) -> None:
    inner = {name for name, field in table.model_fields.items() if field.annotation in tables_in(Sweep)}
    named = {name.partition(".")[0] for name in known_keys(table)} - inner
    assert set(key_meanings(table)) == named


def test_the_schema_tells_the_meanings() -> None:
    tables = schema()["$defs"]
    assert tables["Train"]["properties"]["clip"]["description"] == key_meanings(Sweep().train.__class__)["clip"]
    assert "three" in tables["Measure"]["properties"]["kl_estimators"]["description"]
    assert "fresh draw" in tables["Grid"]["properties"]["seeds"]["description"]
    assert tables["kto"]["properties"]["desirable"]["description"]
