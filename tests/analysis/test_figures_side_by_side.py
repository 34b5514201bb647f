"""Figures that several processes draw: the same files as one process draws, also where a helper dies."""

from pathlib import Path

import pytest

from analysis.figures import side_by_side
from analysis.figures.drawing import draw_all


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}


@pytest.fixture
def alone(results: Path, tmp_path: Path) -> dict[str, bytes]:
    return files(copied(results, tmp_path / "alone", draw=True))


def copied(results: Path, to: Path, *, draw: bool = False) -> Path:
    to.mkdir()
    for path in results.iterdir():
        if path.is_file():
            (to / path.name).write_bytes(path.read_bytes())
    if draw:
        draw_all(to)
    return to


def test_helpers_draw_the_same_files(
    results: Path, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "MOST", 2)
    monkeypatch.setattr(side_by_side, "cores", lambda: 3)
    folder = copied(results, tmp_path / "together")
    with side_by_side.helpers(folder) as others:
        assert len(others.running) == 2
        side_by_side.draw_beside(folder, others)
        assert {path.name for path in others.claimed.iterdir()} == {Path(name).stem for name in alone}
    assert files(folder) == alone


def test_a_helper_alone_draws_all(results: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    folder, claims = copied(results, tmp_path / "by helper"), tmp_path / "claims"
    claims.mkdir()
    helper = side_by_side.start_helper(folder, claims)
    assert helper.wait() == 0
    assert files(folder) == alone


def test_what_a_dead_helper_had_claimed_is_drawn_all_the_same(
    results: Path, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "MOST", 1)
    monkeypatch.setattr(side_by_side, "cores", lambda: 2)
    folder = copied(results, tmp_path / "after a death")
    with side_by_side.helpers(folder) as others:
        for name in [Path(name).stem for name in sorted(alone)][::2]:
            side_by_side.claims(others.claimed, name)
        others.running[0].kill()
        side_by_side.draw_beside(folder, others)
    assert files(folder) == alone
