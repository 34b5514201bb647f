"""Sweeps of hundreds of seeds: the numbers are those of numpy, figures stay legible, and the page stays small."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import PchipInterpolator
from scipy.stats import t as student

from analysis import best, load, peaks, training_curves
from analysis.figures.layout import text_of
from analysis.figures.look import PAGE, drawn_as
from analysis.figures.offline.training import SEEDS
from analysis.records.load import final_rows, tradeoff_rows, without_diverged
from analysis.report.explorer.data import bytes_of_paths, page_content, page_json, shown_responses
from analysis.report.explorer.page_budget import LEVELS
from analysis.report.page import LIMIT, prepare_page
from analysis.statistics.common_curve import common_curve
from analysis.statistics.interpolation import interpolate_each
from analysis.statistics.intervals import resamples
from analysis.statistics.peaks import GROUPS, in_groups, jackknife_error, smooth_peak_and_fall
from tests.helpers import synthetic_curves as planted
from tests.helpers.figure_tables import FIGURES
from tests.helpers.report_fixture import beside, plant
from tests.helpers.synthetic_curves import hump

MANY = 200  # seeds
LINES = 60  # that a figure may have, of all its panels together
LOSSES = {"logistic": hump, "hinge": hump}


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    """A sweep of MANY seeds, whose gold is known."""
    made = planted.sweep(np.random.default_rng(1), seeds=MANY, truth=LOSSES, betas=(0.03, 0.3), steps=5)
    return made.astype({"seed": "Int64", "pairs": "Int64"}).assign(mu_squared=2 * made["kl"])


def test_means_and_intervals_are_those_of_numpy(curves: pd.DataFrame) -> None:
    found = training_curves(curves).set_index(["loss", "beta", "step"])
    for (loss, beta, step), row in found.iterrows():
        at = (curves["loss"] == loss) & (curves["beta"] == beta) & (curves["step"] == step)
        gold = curves.loc[at, "gold"].to_numpy()
        half = student.ppf(0.975, MANY - 1) * gold.std(ddof=1) / np.sqrt(MANY)
        assert row["seeds"] == len(gold) == MANY
        assert row["gold"] == pytest.approx(gold.mean(), rel=1e-12)
        assert row["gold_high"] - row["gold_low"] == pytest.approx(2 * half, rel=1e-9, abs=1e-15)


def test_a_peak_over_many_seeds_is_that_of_all_seeds(curves: pd.DataFrame) -> None:
    """With so many seeds no draw of them moves the peak, so its error is that of a mean over seeds at one place."""
    rows = curves[(curves["loss"] == "logistic") & (curves["beta"] == 0.03)]
    gold = rows.pivot(index="seed", columns="step", values="gold").to_numpy(float)
    top = gold.mean(axis=0).argmax()
    (row,) = peaks(rows).to_dict("records")
    standard_error = gold[:, top].std(ddof=1) / np.sqrt(MANY)
    assert row["peak_gold"] == pytest.approx(gold[:, top].mean(), abs=standard_error / 3)
    assert row["fall"] == pytest.approx((gold[:, top] - gold[:, -1]).mean(), abs=standard_error / 3)
    assert row["peak_gold_se"] == pytest.approx(standard_error, rel=0.35)
    half = student.ppf(0.975, GROUPS - 1) * row["peak_gold_se"]
    assert row["peak_gold_high"] - row["peak_gold"] == pytest.approx(half, rel=1e-9)


def test_up_to_so_many_seeds_none_are_put_together() -> None:
    gold = np.random.default_rng(0).standard_normal((GROUPS, 3))
    assert in_groups(gold) is gold
    more = np.random.default_rng(0).standard_normal((GROUPS * 3 + 1, 3))
    groups = in_groups(more)
    assert groups.shape == (GROUPS, 3)
    assert groups[0] == pytest.approx(more[:4].mean(axis=0))
    assert groups[-1] == pytest.approx(more[-3:].mean(axis=0))


@pytest.mark.slow
def test_errors_of_groups_are_those_of_seeds() -> None:
    """Over sweeps of many seeds, the error that groups show is on average the scatter of the peak between sweeps."""
    rng, found = np.random.default_rng(2), []
    for _ in range(30):
        gold = np.array([0.0, 1.0, 0.7]) + rng.standard_normal((2 * GROUPS, 3))
        found.append(smooth_peak_and_fall(gold))
    peak, error, fall, fall_error = np.array(found).T
    assert np.sqrt((error**2).mean()) == pytest.approx(peak.std(ddof=1), rel=0.35)
    assert np.sqrt((fall_error**2).mean()) == pytest.approx(fall.std(ddof=1), rel=0.35)
    assert jackknife_error(np.array([1.0, 2.0, 3.0])) == pytest.approx(np.sqrt(2 / 3 * 2))


def test_the_best_beta_of_many_seeds_is_that_of_the_mean(curves: pd.DataFrame) -> None:
    for row in best(curves).to_dict("records"):
        means = curves[curves["loss"] == row["loss"]].groupby(["beta", "step"])["gold"].mean()
        assert row["best_beta"] == means.idxmax()[0]
        assert row["seeds"] == MANY


def test_a_common_curve_of_many_seeds_is_that_of_scipy(curves: pd.DataFrame) -> None:
    found = common_curve(curves)
    assert found is not None
    assert found.seeds == MANY
    last = curves[curves["step"] == curves["step"].max()]
    each = [
        PchipInterpolator(np.sqrt([0.0, *rows["kl"]]), [0.0, *rows["gold"]])(np.sqrt(found.kl))
        for _, rows in last.sort_values("kl").groupby(["loss", "seed"])
    ]
    assert found.gold == pytest.approx(np.mean(each, axis=0), rel=1e-12, abs=1e-12)


def test_many_curves_are_interpolated_as_scipy_does_one() -> None:
    rng = np.random.default_rng(3)
    several = []
    for count in [0, *rng.integers(1, 9, 200)]:
        several.append((np.sort(rng.exponential(3, count)) + 0.01 * np.arange(count), rng.standard_normal(count)))
    at = np.sort(np.concatenate([np.linspace(0.0, 6.0, 50), [kl[-1] for kl, _ in several[1:]]]))
    found = interpolate_each(several, at)
    assert np.isnan(found[0, 1:]).all()
    for row, (kl, gold) in zip(found[1:], several[1:], strict=True):
        plain = PchipInterpolator(np.sqrt([0.0, *kl]), [0.0, *gold], extrapolate=False)(np.sqrt(at))
        same = at != kl[-1]  # there the root may round to either side, and gold is that of the point
        assert np.array_equal(row[same], plain[same], equal_nan=True)
        assert (row[~same] == gold[-1]).all()


def test_usual_resamples_are_shared_and_cannot_be_changed() -> None:
    assert resamples(7, times=5) is resamples(7, times=5)
    assert np.array_equal(resamples(7, times=5), resamples(7, np.random.default_rng(0), 5))
    with pytest.raises(ValueError, match="read-only"):
        resamples(7, times=5)[0, 0] = 1.0


def test_rows_are_those_of_a_plain_loop(curves: pd.DataFrame) -> None:
    rows = curves[curves["seed"] < 6].sample(frac=1, random_state=0).copy()
    lost = sorted(rows["run_id"].unique())[3]
    rows.loc[(rows["run_id"] == lost) & (rows["step"] == 4), "status"] = "diverged"
    kept = {run: table for run, table in rows.groupby("run_id") if run != lost}
    assert set(without_diverged(rows)["run_id"]) == set(kept)
    last = final_rows(rows).set_index("run_id")["step"]
    assert last.to_dict() == {run: table["step"].max() for run, table in kept.items()}
    assert set(tradeoff_rows(rows)["run_id"]) == set(kept)


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_draws_a_line_for_every_seed(name: str, curves: pd.DataFrame) -> None:
    with drawn_as(PAGE):
        figure = FIGURES[name](curves)
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    marked = sum(len(line.get_xdata()) for line in lines if line.get_marker() not in ("None", "", " "))
    assert len(lines) + sum(len(axes.collections) for axes in figure.axes) <= LINES
    assert marked <= LINES
    if name == "training":
        assert f"thin: the first {SEEDS} of {MANY} seeds of the smallest β" in text_of(figure, "words")


def test_the_page_of_many_seeds_is_small_and_says_which_are_left_out(curves: pd.DataFrame, tmp_path: Path) -> None:
    folder = plant(tmp_path / "many", curves, beside(curves[curves["seed"] < 4]))
    content = page_content(folder, load(folder))
    small, told = page_json(content, 30_000)
    assert len(small) <= 30_000
    assert f"of {MANY}, while means are over all" in told[0]
    assert len(prepare_page(folder).write().read_bytes()) < LIMIT


def test_what_cannot_fit_is_known_beforehand(curves: pd.DataFrame, tmp_path: Path) -> None:
    """The least that paths take is no more than what they take, so that no level is passed over that would fit."""
    few = curves[curves["seed"] < 12]
    content = page_content(plant(tmp_path / "few", few, beside(few)), few)
    sizes = [bytes_of_paths(content.parts, level) for level in LEVELS]
    assert 0 < sizes[0] < len(page_json(content, 10**9)[0])
    assert all(more >= less for more, less in pairwise(sizes))


def test_responses_that_no_page_can_show_are_not_kept(curves: pd.DataFrame, tmp_path: Path) -> None:
    some = curves[curves["seed"] < 30]
    tables = beside(some)
    parts = page_content(plant(tmp_path / "some", some, tables), some).parts
    assert shown_responses(tables["responses"], parts, 10**9) is tables["responses"]
    kept = shown_responses(tables["responses"], parts, 1000)
    assert 0 < kept["run_id"].nunique() <= 2 * 4
    assert set(kept["run_id"].str.rsplit("-", n=1).str[1].astype(int)) <= {0, 1}
