"""The ledger as users ask for it: a command, a table, a figure."""

from pathlib import Path

import pandas as pd
import pytest

import analysis
from analysis.figures.instruments.regret import BANDS, draw, title_of
from analysis.figures.layout import shown_data
from analysis.figures.look import PAGE, drawn_as
from analysis.instruments.regret import PARTS, is_of_these_curves
from run import main
from simulator import run_sweep
from tests.analysis.test_figures import check_rules
from tests.conftest import small_sweep


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with its ledger."""
    made = tmp_path_factory.mktemp("regret") / "sweep"
    sweep = {"loss": ["logistic", "squared"], "beta": [0.05, 0.5], "seeds": 2, "method": ["gpo", "best_of_n"]}
    run_sweep(small_sweep(gold={"reward": "additive"}, sweep=sweep), made, workers=1)
    assert main(["regret", str(made), "--workers", "1"]) == 0
    return made


def test_every_run_on_pairs_has_a_row(folder: Path) -> None:
    table, curves = analysis.regret(folder), pd.read_parquet(folder / "curves.parquet")
    last = curves[curves["method"] == "gpo"].groupby("run_id").last()
    assert set(table["run_id"]) == set(last.index)
    assert (table.set_index("run_id")["gold"] == last["gold"].reindex(table["run_id"])).all()
    assert (table[list(PARTS)].sum(axis=1) - table["total"]).abs().max() < 1e-9
    assert (table["total"] > -1e-9).all()


def test_it_says_why_others_have_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["regret", str(folder), "--workers", "2"]) == 0
    said = capsys.readouterr().out
    assert "since method best_of_n does not train on pairs" in said
    assert f"picture in {folder / 'figures' / 'regret.png'}" in said
    assert (folder / "figures" / "regret.png").stat().st_size > 0


def test_processes_change_no_number(folder: Path) -> None:
    before = (folder / "regret.parquet").read_bytes()
    assert main(["regret", str(folder), "--workers", "2"]) == 0
    assert (folder / "regret.parquet").read_bytes() == before


def test_a_ledger_of_other_curves_is_made_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = analysis.regret(folder)
    made: list[Path] = []
    monkeypatch.setattr("analysis.instruments.regret.make", made.append)
    assert is_of_these_curves(folder / "regret.parquet")
    whole = (folder / "curves.parquet").read_bytes()
    (folder / "curves.parquet").write_bytes(whole[:-1] + b"x")
    analysis.regret(folder)
    (folder / "curves.parquet").write_bytes(whole)
    assert made == [folder]
    pd.testing.assert_frame_equal(analysis.regret(folder), before)


def test_the_figure_shows_every_part_of_every_loss(folder: Path) -> None:
    with drawn_as(PAGE):
        figure = draw(analysis.regret(folder))
        check_rules(figure)
    shown = shown_data(figure)
    assert shown.groupby("panel")["line"].nunique().tolist() == [len(BANDS) + 1] * 2
    assert title_of(analysis.regret(folder))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"sweep": {"method": "best_of_n"}}, "method best_of_n does not train on pairs"),
        ({"world": {"kind": "sampled"}}, "responses are not listed"),
        ({"sweep": {"loss": ["simpo"]}}, "is no function of beta rho alone"),
        ({"data": {"labels": "deterministic"}, "sweep": {"loss": ["logistic"]}}, "has no minimum over all pairs"),
        ({"data": {"labels": "deterministic"}, "gold": {"reward": "transformer"}}, "labels are sure"),
    ],
)
def test_a_sweep_that_cannot_be_split(
    tables: dict[str, dict[str, object]], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sweep(small_sweep(**{"gold": {"reward": "additive"}, **tables}), tmp_path / "sweep", workers=1)
    assert main(["regret", str(tmp_path / "sweep"), "--workers", "1"]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_without_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["regret", str(tmp_path)]) == 2
    assert "is no folder of a sweep that has ended" in capsys.readouterr().err
    with pytest.raises(analysis.ResultsError, match="is no folder of a sweep that has ended"):
        analysis.regret(tmp_path)
