"""Figures: every one is drawn, in both kinds, from the tables alone, and says what it shows."""

from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis import ResultsError, load
from analysis.figures.drawing import draw_all, draw_losses, parts_of
from analysis.figures.style import RC, log_axis, loss_styles
from analysis.records.load import has_finished_run
from analysis.report.terminal_text import text
from simulator import LOSSES, run_sweep
from simulator.objectives.local_shape import sample_losses
from tests.analysis.test_load import planted
from tests.conftest import small_sweep
from tests.helpers.figure_tables import FIGURES


def named(figure) -> list[str]:
    """What the axes of a figure are called, those of its panels and those that all share."""
    labels = [label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel())]
    return [label for label in (*labels, figure.get_supxlabel(), figure.get_supylabel()) if label]


def texts(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_every_figure_is_written_in_both_kinds_and_again_with_the_same_bytes(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("curves.parquet", "losses.parquet", "margins.parquet", "runs.parquet"):
        (folder / name).write_bytes((results / name).read_bytes())
    paths = draw_all(folder)
    names = {"losses", "links", "weights", *FIGURES}
    assert {path.name for path in paths} == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    before = {path: path.read_bytes() for path in paths}
    for path in paths:
        if path.suffix == ".svg":
            assert len(ElementTree.parse(path).getroot()) > 1
        else:
            assert before[path].startswith(b"\x89PNG")
    assert {path: path.read_bytes() for path in draw_all(folder)} == before


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_has_a_unit_and_every_loss_is_named(name: str, curves: pd.DataFrame) -> None:
    with mpl.rc_context(RC):
        figure = FIGURES[name](curves)
    words = texts(figure)
    assert len(named(figure)) >= 3 if name != "tradeoff" else 2
    for label in named(figure):
        assert "[" in label or label.startswith("β (small"), label
    assert any("nats per response" in label for label in named(figure))
    for loss in curves["loss"].dropna().unique():
        assert loss in words
    if name != "mu_squared":
        assert "95 % interval (Student's t) over 3 seeds" in words


@pytest.mark.parametrize("name", ["tradeoff", "training", "across_beta"])
def test_the_oracle_is_in_every_frontier_figure(name: str, curves: pd.DataFrame) -> None:
    figure = FIGURES[name](curves)
    for axes in figure.axes:
        if axes.get_xlabel() != "" or axes.get_title():
            top = max((line.get_ydata()[-1] for line in axes.lines if len(line.get_ydata()) > 50), default=None)
            assert top == pytest.approx(curves.loc[curves["method"] == "oracle", "gold"].max())


@pytest.mark.parametrize("name", FIGURES)
def test_one_seed_says_so(name: str) -> None:
    figure = FIGURES[name](planted(seeds=1))
    if name != "mu_squared":
        assert "one seed: no intervals" in texts(figure)


def test_the_points_are_those_of_the_table(curves: pd.DataFrame) -> None:
    figure = FIGURES["mu_squared"](curves)
    drawn = sorted(float(x) for line in figure.axes[0].lines[:-1] for x in line.get_xdata())
    loss = figure.axes[0].get_title()
    rows = curves[(curves["loss"] == loss) & (curves["step"] > 0)]
    assert drawn == pytest.approx(sorted(rows.groupby(["beta", "step"])["mu_squared"].mean()))


def test_a_loss_without_kappa_is_left_out_of_the_collapse_and_named(curves: pd.DataFrame) -> None:
    assert "κ = 0, so left out: hinge" in texts(FIGURES["regularization"](curves))


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
    assert {"tradeoff-pairs-16", "tradeoff-pairs-32", "losses"} <= names
    assert len(names) == 1 + 2 * len(FIGURES)


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
    assert "hinge" in texts(figure)
    (title,) = [text for text in figure.findobj(mpl.text.Text) if text.get_text() == figure.get_suptitle()][:1]
    extent = title.get_window_extent()
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.x1


@pytest.mark.parametrize("name", FIGURES)
def test_policies_that_never_moved_are_drawn_without_warning(name: str) -> None:
    still = planted(losses=("hinge", "savage")).assign(kl=0.0, gold=0.0, mu_squared=0.0)
    figure = FIGURES[name](still)
    figure.draw_without_rendering()
    assert figure.get_suptitle() or figure.axes[0].get_title()


def test_the_tradeoff_shows_ends_of_the_seeds_that_came_through() -> None:
    curves = planted(losses=("logistic",))
    gone = (curves["beta"] == 0.1) & (curves["seed"] > 0) & (curves["step"] > 3)
    curves.loc[gone & (curves["step"] == 10), ["kl", "gold", "status"]] = [np.nan, np.nan, "diverged"]
    figure = FIGURES["tradeoff"](curves[~gone | (curves["step"] == 10)])
    assert figure.axes[1].get_xlim()[1] > 4 / 1.1


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
    assert "pairs = 256" in (tmp_path / "figures" / "training-pairs-256.svg").read_text()


def test_losses_alone(tmp_path: Path) -> None:
    table = pd.DataFrame(sample_losses(LOSSES))
    draw_losses(table, tmp_path / "losses.svg")
    assert "truncated_quadratic" in (tmp_path / "losses.svg").read_text()
    with pytest.raises(ResultsError, match=r"must end in .png, .svg, .pdf"):
        draw_losses(table, tmp_path / "losses.docx")
    with pytest.raises(ResultsError, match="cannot be written"):
        draw_losses(table, tmp_path / "missing" / "losses.png")
