"""Every world that is taken makes a page of less than 400 kB."""

from pathlib import Path

import pytest

from analysis.playground.lessons import SEEDS, questions
from analysis.playground.page import LIMIT, about_page, page_data, playground_page
from simulator.common.errors import ConfigError
from simulator.playground.command import engine_and_tables, open_sweep, page_parts
from simulator.playground.world_data import TABLES, world_data

FITS = [(), ("world.prompts=9",), ("world.vocabulary=4", "world.response_length=6", "world.prompts=2")]
FITS += [("policy.width=32", "world.prompts=2"), ("world.response_length=3", "world.prompts=24")]


@pytest.mark.parametrize("changes", FITS, ids=" ".join)
def test_what_is_taken_fits(changes: tuple[str, ...]) -> None:
    sweep, world = open_sweep(Path("playground"), (), served=False, out=Path("page.html"))
    (data, losses, python), made_with = page_parts(sweep, world, questions(), SEEDS, pytest.fail, served=False)
    _, other = open_sweep(Path("playground"), changes, served=False, out=Path("page.html"))
    engine, tables = engine_and_tables(other)
    assert len(tables) <= TABLES
    shown = page_data({**data, **world_data(other)}, losses, python)
    page = playground_page(shown, about=about_page("0.0.0", made_with), engine=engine, tables=tables)
    assert len(page.encode()) < LIMIT == 400_000


@pytest.mark.parametrize(
    "changes", [("world.prompts=12",), ("world.vocabulary=4", "world.response_length=6")], ids=" ".join
)
def test_what_would_not_fit_is_refused(changes: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"kB of the page: must be at most|must be at most 16,384 in the playground"):
        open_sweep(Path("playground"), changes, served=False, out=Path("page.html"))


@pytest.mark.parametrize("served", [False, True])
def test_responses_that_end_early_are_refused(served: bool) -> None:
    with pytest.raises(ConfigError, match=r"world.language.stop = 0.1: ends responses early"):
        open_sweep(Path("playground"), ("world.language.stop=0.1",), served=served, out=Path("page.html"))
