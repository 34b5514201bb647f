"""Figures that several processes draw: the same files as one process draws, also where a helper dies."""

from pathlib import Path

import pytest

from analysis.figures import side_by_side
from analysis.figures.drawing import draw_all


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}


@pytest.fixture(scope="module")
def alone(results: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return files(copied(results, tmp_path_factory.mktemp("drawn") / "alone", draw=True))


@pytest.fixture(autouse=True)
def _three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "MOST", 2)
    monkeypatch.setattr(side_by_side, "cores", lambda: 3)


def copied(results: Path, to: Path, *, draw: bool = False) -> Path:
    to.mkdir()
    for path in results.iterdir():
        if path.is_file():
            (to / path.name).write_bytes(path.read_bytes())
    if draw:
        draw_all(to)
    return to


@pytest.mark.slow
def test_helpers_draw_the_same_files(results: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    folder = copied(results, tmp_path / "together")
    with side_by_side.helpers() as some, side_by_side.drawing(folder, some) as figures:
        assert len(some) == 2
        figures.draw()
        figures.wait()
        assert {path.name for path in figures.claimed.iterdir()} == {Path(name).stem for name in alone}
    assert files(folder) == alone


@pytest.mark.long_only
def test_a_helper_alone_draws_all_of_one_folder_after_another(
    results: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    with side_by_side.helpers(1) as some:
        for name in ("first", "second"):
            folder = copied(results, tmp_path / name)
            with side_by_side.drawing(folder, some) as figures:
                figures.wait()
            assert files(folder) == alone


@pytest.mark.slow
def test_what_a_dead_helper_had_claimed_is_drawn_all_the_same(
    results: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    folder = copied(results, tmp_path / "after a death")
    with side_by_side.helpers(1) as some, side_by_side.drawing(folder, some) as figures:
        some[0].kill()
        some[0].wait()
        for name in [Path(name).stem for name in sorted(alone)][::2]:
            side_by_side.claims(figures.claimed, name)
        figures.draw()
        figures.wait()
        assert side_by_side.ask(some[0], ["nobody", "reads this"]) is False
    assert files(folder) == alone


def test_a_helper_that_meets_what_it_cannot_draw_ends_and_the_rest_is_drawn_here(tmp_path: Path) -> None:
    with side_by_side.helpers(1) as some, side_by_side.drawing(tmp_path, some):
        assert some[0].stdout
        assert some[0].stdout.readline() == ""  # nothing is there to draw, which the caller will say
        assert some[0].wait() != 0


def test_no_more_helpers_than_other_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "cores", lambda: 1)
    with side_by_side.helpers() as some:
        assert some == []
