"""Figures: every one is drawn, in both kinds, from the tables alone, and says what it shows."""

from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis import ResultsError, load
from analysis.figures.drawing import draw_all, draw_losses, theory_figures
from analysis.figures.layout import plain, shown_data, text_of
from analysis.figures.look import PAGE
from analysis.figures.offline.tradeoff import shown_losses
from analysis.figures.style import RC, log_axis, loss_styles
from analysis.records.load import has_finished_run, load_losses, pairwise_rows
from analysis.records.names import loss_label
from analysis.records.parts import parts_of
from analysis.report.terminal_text import text
from simulator import LOSSES, run_sweep
from simulator.objectives.local_shape import sample_losses
from tests.analysis.test_load import planted
from tests.conftest import small_sweep
from tests.helpers.figure_tables import FIGURES

KINDS = ("png", "svg", "pdf", "csv")
WITHOUT_UNIT = (
    "rounds",
    *("β", "z = βρ", "f(z)", "|f′", "KL / half", "training step", "weight of", "z less", "parameters", "comparisons"),
)


def named(figure) -> list[str]:
    """What the axes of a figure are called, those of its panels and those that all share."""
    labels = [label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())]
    return [label for label in (*labels, text_of(figure, "x_axis"), figure.get_supylabel()) if label]


def texts(figure) -> str:
    found = " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))
    return " ".join(found.replace("\u00a0", " ").split())


def has_unit(label: str) -> bool:
    """Whether a label names a unit, or is of what has none."""
    return "[" in label or label.startswith(WITHOUT_UNIT)


def check_rules(figure) -> None:
    """What holds of every figure: its title, its words, its axes, its lines, and text that is legible and not cut."""
    assert figure.get_size_inches()[0] == PAGE.width
    figure.draw_without_rendering()
    assert len(text_of(figure, "title")) > 15
    for written in figure.findobj(mpl.text.Text):
        if written.get_text() and written.get_visible():
            assert written.get_fontsize() >= 6
    for written in figure.texts:
        extent = written.get_window_extent()
        assert extent.x0 >= 0
        assert extent.x1 <= figure.bbox.x1
        assert extent.y0 >= 0
        assert extent.y1 <= figure.bbox.y1 + 1
    for label in named(figure):
        assert has_unit(plain(label)), label
    names = shown_data(figure).groupby("panel")["line"].unique()
    for lines in names:
        assert len([line for line in lines if line != "oracle" and not line.startswith("proxy")]) <= 7


@pytest.mark.slow
def test_every_figure_is_written_in_every_kind_and_again_with_the_same_bytes(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("curves.parquet", "losses.parquet", "margins.parquet", "runs.parquet"):
        (folder / name).write_bytes((results / name).read_bytes())
    paths = draw_all(folder)
    names = {"losses", "links", "weights", *FIGURES}
    assert {path.name for path in paths} == {f"{name}.{kind}" for name in names for kind in KINDS}
    before = {path: path.read_bytes() for path in paths}
    for path in paths:
        if path.suffix == ".svg":
            assert len(ElementTree.parse(path).getroot()) > 1
        if path.suffix == ".png":
            assert before[path].startswith(b"\x89PNG")
        if path.suffix == ".csv":
            assert list(pd.read_csv(path)) == ["panel", "x_axis", "y_axis", "line", "x", "y", "low", "high"]
    assert {path: path.read_bytes() for path in draw_all(folder)} == before


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_has_a_unit_and_every_loss_is_named(name: str, curves: pd.DataFrame) -> None:
    with mpl.rc_context(RC):
        figure = FIGURES[name](curves)
        check_rules(figure)
    words = texts(figure)
    for loss in curves["loss"].dropna().unique():
        assert loss_label(loss) in words
    assert "over 3 seeds" in words


@pytest.mark.parametrize("name", ["tradeoff", "training"])
def test_the_oracle_is_in_every_figure_of_paths(name: str, curves: pd.DataFrame) -> None:
    data = shown_data(FIGURES[name](curves))
    best = data[data["line"] == "oracle"].groupby("panel")["y"].max()
    assert len(best) == (1 if name == "tradeoff" else 6)
    assert best.to_numpy() == pytest.approx(curves.loc[curves["method"] == "oracle", "gold"].max())


def test_of_many_losses_the_first_are_drawn_in_every_process() -> None:
    names = ("logistic", "squared", "savage", *(f"own_{letter}" for letter in "zyxwvutsrq"))
    assert shown_losses(planted(seeds=1, losses=names)) == list(names[:6])


@pytest.mark.parametrize("name", FIGURES)
def test_one_seed_says_so(name: str) -> None:
    figure = FIGURES[name](planted(seeds=1))
    assert "one seed, so there are no intervals" in texts(figure) or "over 1 seed" in texts(figure)


def test_the_points_are_those_of_the_table(curves: pd.DataFrame) -> None:
    data = shown_data(FIGURES["mu_squared"](curves))
    drawn = data[(data["panel"] == "panel 1") & (data["line"] == "logistic (DPO)")]
    rows = curves[(curves["loss"] == "logistic") & (curves["step"] > 0)]
    rows = rows[rows["beta"] == rows["beta"].min()]
    means = rows.groupby("step")[["mu_squared", "kl"]].mean()
    assert drawn["x"].to_numpy() == pytest.approx(means["mu_squared"].to_numpy())
    assert drawn["y"].to_numpy() == pytest.approx(means["kl"].to_numpy())


def test_the_best_beta_is_drawn_from_the_ends_of_training(curves: pd.DataFrame) -> None:
    data = shown_data(FIGURES["best_beta"](curves))
    drawn = data[data["line"] == "squared (IPO)"]
    last = curves[(curves["loss"] == "squared") & (curves["step"] == curves["step"].max())]
    assert drawn["y"].to_numpy() == pytest.approx(last.groupby("beta")["gold"].mean().to_numpy())
    assert drawn["x"].tolist() == sorted(last["beta"].unique())


def test_departures_are_those_of_the_common_curve(curves: pd.DataFrame) -> None:
    """Less their mean at equal KL: over all losses the departures sum to 0, and each has a name and a band."""
    data = shown_data(FIGURES["tradeoff"](curves))
    below = data[data["panel"] != "panel 1"]
    assert below["line"].nunique() == 6
    sums = below.groupby("x")["y"].sum()
    assert np.abs(sums).max() < 1e-9
    assert (below["low"] <= below["y"]).all()
    assert (below["y"] <= below["high"]).all()


def test_a_loss_without_kappa_is_left_out_of_the_collapse_and_named(curves: pd.DataFrame) -> None:
    assert "hinge (SLiC) has none above 0" in texts(FIGURES["regularization"](curves))


def test_losses_differ_in_colour_dash_and_marker() -> None:
    styles = loss_styles(LOSSES)
    for key in ("color", "linestyle", "marker"):
        assert len({str(style[key]) for style in styles.values()}) == len(LOSSES)


@pytest.mark.slow
def test_further_axes_have_figures_of_their_own(tmp_path: Path) -> None:
    sweep = small_sweep(
        sweep={"loss": ["squared"], "beta": [0.1, 1.0], "seeds": 2, "data.pairs": [16, 32], "gold.fluency": [0.5]},
        train={"steps": 6, "checkpoints": 3},
    )
    folder = run_sweep(sweep, tmp_path / "axes", workers=1)
    names = {path.stem for path in draw_all(folder)}
    assert names == {
        "losses",
        "by_pairs",
        *(f"{name}-pairs-{pairs}" for name in (*FIGURES, "mass") for pairs in (16, 32)),
    }


def test_nothing_to_draw_is_said(tmp_path: Path) -> None:
    wild = small_sweep(sweep={"loss": ["exponential"], "beta": [1e6], "seeds": 2}, train={"steps": 6, "checkpoints": 3})
    folder = run_sweep(wild, tmp_path / "wild", workers=1)
    assert load(folder)["status"].eq("diverged").any()
    assert not has_finished_run(folder)
    with pytest.raises(ResultsError, match="every run diverged, so there is nothing to draw"):
        draw_all(folder)
    assert "nothing is left to draw" in text(folder)


@pytest.mark.parametrize("name", FIGURES)
def test_a_hinge_alone_is_drawn_without_warning(name: str) -> None:
    with mpl.rc_context(RC):
        figure = FIGURES[name](planted(losses=("hinge",)).assign(kappa=0.0))
        figure.draw_without_rendering()
        check_rules(figure)
    assert "hinge" in texts(figure)


@pytest.mark.parametrize("name", FIGURES)
def test_policies_that_never_moved_are_drawn_without_warning(name: str) -> None:
    still = planted(losses=("hinge", "savage")).assign(kl=0.0, gold=0.0, mu_squared=0.0)
    figure = FIGURES[name](still)
    figure.draw_without_rendering()
    assert text_of(figure, "title")


def test_the_tradeoff_shows_ends_of_the_seeds_that_came_through() -> None:
    curves = planted(losses=("logistic",))
    gone = (curves["beta"] == 0.1) & (curves["seed"] > 0) & (curves["step"] > 3)
    curves.loc[gone & (curves["step"] == 10), ["kl", "gold", "status"]] = [np.nan, np.nan, "diverged"]
    figure = FIGURES["tradeoff"](curves[~gone | (curves["step"] == 10)])
    assert figure.axes[0].get_xlim()[1] > 4 / 1.1


def test_an_oracle_without_runs_yet_is_left_out() -> None:
    oracle = planted(losses=("logistic",), seeds=1).assign(method="oracle", loss=None, pairs=None)
    curves = pd.concat([planted(gold_seed=0), oracle.assign(gold_seed=0), oracle.assign(gold_seed=1)])
    ((at, part),) = parts_of(curves)
    assert at == {}
    assert set(part["gold_seed"]) == {0}
    assert (part["method"] == "oracle").sum() == len(oracle)


def test_a_short_logarithmic_axis_has_labels() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([2.0, 8.0], [3.0, 3000.0])
    log_axis(axes, "x")
    log_axis(axes, "y")
    figure.draw_without_rendering()
    shown = [label.get_text() for label in axes.get_xticklabels() if 2 <= label.get_position()[0] <= 8]
    assert shown == ["2", "5"]
    assert sum(3 <= place <= 3000 for place in axes.get_yticks()) == 3


def test_a_loss_looks_the_same_in_every_sweep() -> None:
    assert loss_styles(["savage"])["savage"] == loss_styles(LOSSES)["savage"]
    assert loss_styles(["mine", "hinge"])["hinge"] == loss_styles(LOSSES)["hinge"]
    assert loss_styles(["mine"])["mine"] not in loss_styles(LOSSES).values()


@pytest.mark.slow
def test_figures_of_an_axis_say_its_value(tmp_path: Path) -> None:
    both = pd.concat([planted(pairs=64), planted(pairs=256)])
    assert [at for at, _ in parts_of(both)] == [{"pairs": 64}, {"pairs": 256}]
    both.to_parquet(tmp_path / "curves.parquet")
    pd.DataFrame(sample_losses(LOSSES)).to_parquet(tmp_path / "losses.parquet")
    draw_all(tmp_path)
    assert "Pairs 256: after its peak" in (tmp_path / "figures" / "training-pairs-256.svg").read_text()


def test_losses_alone(tmp_path: Path) -> None:
    table = pd.DataFrame(sample_losses(LOSSES))
    draw_losses(table, tmp_path / "losses.svg")
    assert "truncated quadratic" in (tmp_path / "losses.svg").read_text()
    with pytest.raises(ResultsError, match=r"must end in .png, .svg, .pdf"):
        draw_losses(table, tmp_path / "losses.docx")
    with pytest.raises(ResultsError, match="cannot be written"):
        draw_losses(table, tmp_path / "missing" / "losses.png")


def test_margins_say_nothing_of_z_where_losses_are_of_other_links(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = {name: pd.read_parquet(results / f"{name}.parquet") for name in ("margins", "runs")}
    monkeypatch.setattr("analysis.figures.drawing.load_table", lambda folder, name: read[name])
    given = pairwise_rows(load(results)), load_losses(results), results
    assert set(theory_figures(*given)) == {"links", "weights"}
    older = read["runs"].drop(columns="train.divergence")
    for runs, count in ((older, 2), (older.assign(**{"train.divergence": "chi2"}), 0)):
        read["runs"] = runs
        assert len(theory_figures(*given)) == count
