"""Figures and text where objectives are many: variants of one, those without beta, and every style told apart."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import run
import simulator as sim
from analysis import frontier, load, peaks, variants
from analysis.figures.drawing import applicable_figures, draw_all
from analysis.figures.layout import shown_data
from analysis.figures.offline.learning_rate import draw as draw_pace
from analysis.figures.offline.neighbours import draw as draw_neighbours
from analysis.records.load import tradeoff_rows
from analysis.records.names import loss_label
from analysis.statistics.common_curve import common_curve
from tests.analysis.test_figures import texts
from tests.conftest import heard, small_sweep
from tests.helpers.figure_tables import TOGETHER


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of losses with and without beta and parameters, over two learning rates."""
    grid = {
        "loss": ["logistic", "vpo", "simper", "orpo"],
        "beta": [0.1, 1.0],
        "seeds": 2,
        "objective.vpo.alpha": [0.1, 1.0],
        "train.learning_rate": [0.003, 0.01],
    }
    with heard():
        return sim.run_sweep(small_sweep(sweep=grid), tmp_path_factory.mktemp("results") / "neighbours", workers=1)


@pytest.mark.slow
def test_runs_have_the_axes_that_they_read(folder: Path) -> None:
    curves = load(folder)
    runs = curves[curves["method"] == "gpo"].drop_duplicates("run_id")
    assert runs.groupby("loss").size().to_dict() == {"logistic": 8, "vpo": 16, "simper": 4, "orpo": 4}
    assert runs.loc[runs["loss"] != "vpo", "vpo_alpha"].isna().all()
    assert set(runs.loc[runs["loss"] == "vpo", "vpo_alpha"]) == {0.1, 1.0}
    assert runs.loc[runs["loss"].isin(["simper", "orpo"]), "beta"].isna().all()


def test_variants_of_one_objective_stand_side_by_side(folder: Path) -> None:
    curves = load(folder)
    told = variants(curves)
    assert set(told["loss"].dropna()) == {"logistic", "vpo, alpha 0.1", "vpo, alpha 1", "simper", "orpo"}
    assert "vpo_alpha" not in told
    assert "train_learning_rate" in told
    assert len(told) == len(curves)
    same = told["loss"].eq("vpo, alpha 0.1") == (curves["loss"].eq("vpo") & curves["vpo_alpha"].eq(0.1))
    assert same.all()
    assert variants(told) is told


def test_a_frontier_by_loss_takes_variants_for_losses(folder: Path) -> None:
    curves = load(folder)
    table = frontier(curves[curves["train_learning_rate"].eq(0.01)], by="loss")
    assert set(table["loss"]) == {"logistic", "vpo, alpha 0.1", "vpo, alpha 1", "simper", "orpo"}
    assert set(table["replicates"]) == {2}


def test_without_beta_every_checkpoint_is_a_point_of_the_trade_off(folder: Path) -> None:
    curves = load(folder)
    points = tradeoff_rows(curves)
    counts = points.groupby("loss")["step"].nunique()
    assert counts["logistic"] == 1
    assert counts["simper"] > 3
    rows = curves[(curves["loss"] == "simper") & (curves["train_learning_rate"] == 0.01)]
    table = frontier(rows)
    far = rows[rows["seed"] == 0].sort_values("kl").iloc[-1]
    near = rows[rows["seed"] == 1].sort_values("kl").iloc[-1]
    assert table["kl"].max() <= min(far["kl"], near["kl"]) + 1e-9
    assert table["kl"].max() > 0.9 * min(far["kl"], near["kl"])


@pytest.mark.slow
def test_every_figure_is_drawn_and_says_what_it_shows(folder: Path) -> None:
    names = {path.name for path in draw_all(folder)}
    assert {
        "pace.png",
        "neighbours-train_learning_rate-0.003.svg",
        "regularization-train_learning_rate-0.01.png",
    } <= names
    curves = variants(load(folder))
    part = curves[curves["train_learning_rate"].isna() | curves["train_learning_rate"].eq(0.01)]
    words = texts(draw_neighbours(part))
    for shown in (
        "VPO, α 0.1",
        "VPO, α 1",
        "SimPER",
        "ORPO",
        "gold less the others'",
        "the path of one without β",
    ):
        assert shown in words
    words = texts(draw_pace(curves))
    for shown in ("SimPER", "ORPO", "learning rate 0.003", "learning rate 0.01", "training step", "nats per response"):
        assert shown in words
    assert "logistic" not in words


def test_the_pace_is_that_of_the_table(folder: Path) -> None:
    curves = variants(load(folder))
    figure = draw_pace(curves)
    rows = curves[(curves["loss"] == "simper") & (curves["train_learning_rate"] == 0.003) & (curves["step"] > 0)]
    mean = rows.groupby("step")[["kl", "gold"]].mean()
    data = shown_data(figure)
    for panel, column in (("panel 1", "kl"), ("panel 2", "gold")):
        line = data[(data["panel"] == panel) & (data["line"] == "SimPER, learning rate 0.003")]
        assert line["y"].to_numpy() == pytest.approx(mean[column].to_numpy())
        assert line["x"].to_numpy() == pytest.approx(mean.index.to_numpy(float))


@pytest.mark.usefixtures("undrawn")
def test_the_text_has_every_objective(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["report", str(folder)]) == 0
    told = capsys.readouterr().out
    for name in ("logistic (DPO)", "VPO, α 0.1", "VPO, α 1", "SimPER", "ORPO"):
        assert name in told
    table = peaks(load(folder))
    assert len(table) == (2 + 2 * 2 + 1 + 1) * 2
    assert np.isfinite(table["peak_gold"]).all()


@pytest.mark.slow(but="losses0")
@pytest.mark.parametrize("losses", [["simper"], ["vpo"], ["rpo_loo", "discopop"], ["orpo", "simper"]])
@pytest.mark.filterwarnings("ignore:loss discopop:UserWarning")
def test_sweeps_without_any_loss_of_gpo_are_drawn(
    losses: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with heard():
        out = sim.run_sweep(small_sweep(sweep={"loss": losses, "beta": [0.3], "seeds": 1}), tmp_path / "out", workers=1)
    assert run.main(["report", str(out)]) == 0
    told = capsys.readouterr().out
    names = {path.stem for path in (out / "figures").iterdir()}
    assert {"tradeoff", "training", "mu_squared"} <= names
    assert ("neighbours" in names) == (common_curve(variants(load(out))) is not None)
    for name in ("regularization", "best_beta"):
        assert (name in names) == (not set(losses) <= {"simper", "orpo"})
    assert ("losses" in names) == ("discopop" in losses)
    assert ("pace" in names) == bool({"simper", "orpo"} & set(losses))
    for name in losses:
        assert loss_label(name) in told


def test_a_sweep_of_gpo_alone_has_no_neighbours(curves: pd.DataFrame) -> None:
    assert "neighbours" not in applicable_figures(curves)
    assert not any(applies(curves) for applies, _ in TOGETHER.values())
