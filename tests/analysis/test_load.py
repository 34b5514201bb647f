"""Analysis on planted truth: tables made so that the right answer is known."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import ResultsError, frontier, load, load_losses, peaks, training_curves
from analysis.records.about import DEFAULT, cards, methods_where, settings_of
from analysis.records.load import final_rows, further_axes, oracle_rows, trained_rows
from analysis.report.terminal_text import text
from analysis.statistics.intervals import over_seeds
from analysis.statistics.peaks import fall_with_error, falls
from analysis.statistics.tradeoff_curves import end_points, gold_at
from simulator.methods import METHODS
from simulator.storage.tables import describe_tables

STEPS = np.array([0, 1, 3, 10, 30, 100])


def planted(
    *, seeds: int = 4, losses: tuple[str, ...] = ("logistic", "hinge"), noise: float = 0.0, hump: float = 4.0, **more
) -> pd.DataFrame:
    """Curves on gold = kl - kl^2 / hump; KL grows with the step and falls with beta."""
    rng = np.random.default_rng(5)
    rows = []
    for loss in losses:
        for beta in (0.1, 1.0, 10.0):
            for seed in range(seeds):
                off = noise * rng.normal()
                for step in STEPS:
                    kl = 4.0 * step / (100 * (1 + beta)) * (1 + 0.02 * seed)
                    gold = kl - kl**2 / hump + off * (step > 0)
                    rows.append(
                        {
                            "run_id": f"{loss}-{beta}-{seed}-{more}",
                            "method": "gpo",
                            "loss": loss,
                            "beta": beta,
                            "kappa": 0.5,
                            "seed": seed,
                            "pairs": 64,
                            "label_noise": 0.0,
                            "step": step,
                            "kl": kl,
                            "gold": gold,
                            "mu_squared": 2 * kl,
                            "status": "ok",
                            **more,
                        }
                    )
    return pd.DataFrame(rows)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    repeats = 4000
    table = pd.DataFrame({"g": np.repeat(np.arange(repeats), 4), "x": rng.normal(3.0, 2.0, size=4 * repeats)})
    at = over_seeds(table, ["g"], ["x"])
    covered = ((at["x_low"] < 3.0) & (at["x_high"] > 3.0)).mean()
    assert covered == pytest.approx(0.95, abs=0.015)
    assert (at["seeds"] == 4).all()


def test_intervals_by_hand() -> None:
    at = over_seeds(pd.DataFrame({"g": ["a"] * 3, "x": [1.0, 2.0, 3.0]}), ["g"], ["x"]).iloc[0]
    assert at["x_se"] == pytest.approx(1 / np.sqrt(3))
    assert at["x_high"] - at["x"] == pytest.approx(4.302652730 / np.sqrt(3))


def test_one_seed_has_no_interval() -> None:
    at = over_seeds(pd.DataFrame({"g": ["a", "b"], "x": [1.0, 2.0]}), ["g"], ["x"])
    assert at[["x_low", "x_high", "x_se"]].isna().all().all()
    assert frontier(planted(seeds=1))[["low", "high"]].isna().all().all()


def test_the_frontier_is_the_planted_curve() -> None:
    table = frontier(planted())
    assert list(table.columns) == ["loss", "kl", "gold", "low", "high", "replicates", "seeds"]
    assert set(table["loss"]) == {"logistic", "hinge"}
    near = table[table["kl"] < 3.5]
    at_points = [0.0, 4 / 11, 2.0, 4 / 1.1]
    assert near["gold"].to_numpy() == pytest.approx((near["kl"] - near["kl"] ** 2 / 4).to_numpy(), abs=0.12)
    first = gold_at(
        pd.DataFrame({"kl": at_points[1:], "gold": [k - k**2 / 4 for k in at_points[1:]]}), np.array(at_points)
    )
    assert first == pytest.approx([k - k**2 / 4 for k in at_points])


def test_the_frontier_ends_where_the_first_replicate_ends() -> None:
    table = frontier(planted(losses=("hinge",)))
    assert table["kl"].max() <= 4 / 1.1
    assert table["kl"].max() > 0.95 * 4 / 1.1


def test_frontiers_by_another_setting() -> None:
    both = pd.concat([planted(pairs=64, hump=4.0), planted(pairs=256, hump=8.0)])
    table = frontier(both, by="pairs", pool="loss")
    assert set(table["pooled"]) == {"loss hinge, logistic"}
    at_two = table[(table["kl"] - 2.0).abs() < 0.03].groupby("pairs")["gold"].mean()
    assert at_two[256] - at_two[64] == pytest.approx(0.5, abs=0.1)
    assert set(table["replicates"]) == {8}
    with pytest.raises(ValueError, match="by = 'gold': must be a setting of the curves: method, loss"):
        frontier(both, by="gold")


def test_the_interpolation_never_overshoots() -> None:
    points = pd.DataFrame({"kl": [1.0, 1.1, 3.0, 3.0], "gold": [0.0, 1.0, 0.9, 1.1]})
    gold = gold_at(points, np.linspace(0, 3, 200))
    assert gold.max() <= 1.0
    assert gold.min() >= 0.0
    assert np.isnan(gold_at(points, np.array([3.01]))).all()


def test_peaks_and_falls_are_the_planted_ones() -> None:
    table = peaks(planted(losses=("logistic",))).set_index("beta")
    assert table["peak_step"].to_dict() == {0.1: 30, 1.0: 100, 10.0: 100}
    end = np.array([4 / 1.1 * (1 + 0.02 * seed) for seed in range(4)])
    top = 0.3 * end
    expected = (top - top**2 / 4 - (end - end**2 / 4)).mean()
    assert table.loc[0.1, "fall"] == pytest.approx(expected, abs=1e-9)
    assert table.loc[10.0, "fall"] == pytest.approx(0)
    assert table.loc[10.0, "peak_step"] == 100


def test_falls_are_unbiased_where_nothing_falls() -> None:
    """On flat noise, a peak picked and measured on the same seeds falls; a cross-fitted one does not."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(3000, 4, 10))
    fitted = np.array([falls(gold).mean() for gold in noise])
    naive = noise.mean(axis=1).max(axis=1) - noise.mean(axis=1)[:, -1]
    assert naive.mean() > 0.5
    assert abs(fitted.mean()) < 4 * fitted.std() / np.sqrt(len(fitted))


@pytest.mark.parametrize("kind", ["flat", "walk"])
def test_the_error_of_a_fall_is_not_too_small(kind: str) -> None:
    """Where nothing falls, an estimate two standard errors above 0 must be as rare as Student's t allows."""
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(2000, 4, 10))
    found = [fall_with_error(gold if kind == "flat" else gold.cumsum(axis=1)) for gold in noise]
    estimate, error = np.array(found).T
    assert estimate.std() < 1.1 * np.sqrt((error**2).mean())
    assert (estimate > 2 * error).mean() < 0.07


def test_one_seed_has_a_fall_without_error() -> None:
    estimate, error = fall_with_error(np.array([[0.0, 2.0, 0.5]]))
    assert estimate == 1.5
    assert np.isnan(error)
    assert peaks(planted(seeds=1))[["fall_se", "fall_low", "fall_high"]].isna().all().all()


def test_training_curves_leave_out_what_some_seed_did_not_reach() -> None:
    curves = planted(losses=("logistic",))
    gone = (curves["beta"] == 0.1) & (curves["seed"] == 0) & (curves["step"] > 3)
    curves.loc[gone, ["kl", "gold", "mu_squared"]] = np.nan
    curves = curves[~gone | (curves["step"] == 10)]
    curves.loc[gone & (curves["step"] == 10), "status"] = "diverged"
    means = training_curves(curves)
    assert means[means["beta"] == 0.1]["step"].max() == 3
    assert means[means["beta"] == 1.0]["step"].max() == 100
    assert end_points(curves).set_index("beta")["seeds"].to_dict() == {0.1: 3, 1.0: 4, 10.0: 4}


def test_peaks_are_those_of_the_seeds_that_came_through() -> None:
    curves = planted(losses=("logistic",), noise=0.3)
    lost = (curves["beta"] == 1.0) | ((curves["beta"] == 0.1) & (curves["seed"] == 0))
    gone = lost & (curves["step"] > 3)
    curves.loc[gone & (curves["step"] == 10), ["kl", "gold", "mu_squared", "status"]] = [np.nan] * 3 + ["diverged"]
    curves = curves[~gone | (curves["step"] == 10)]
    table = peaks(curves).set_index("beta")
    assert table["seeds"].to_dict() == {0.1: 3, 10.0: 4}
    kept = curves[(curves["beta"] == 0.1) & (curves["seed"] > 0)]
    assert table.loc[0.1, "end_gold"] == pytest.approx(kept.loc[kept["step"] == 100, "gold"].mean())
    assert table.loc[0.1, "end_kl"] == pytest.approx(end_points(curves).set_index("beta").loc[0.1, "kl"])


def test_no_run_that_came_through_is_an_empty_table() -> None:
    table = peaks(planted().assign(status="diverged"))
    assert table.empty
    assert {"loss", "fall", "fall_se", "fall_low"} <= set(table.columns)


def test_what_is_a_setting_and_what_varies() -> None:
    curves = pd.concat([planted(gold_seed=0), planted(gold_seed=1)])
    assert {"loss", "beta", "seed", "pairs", "gold_seed"} <= set(settings_of(curves))
    assert further_axes(curves) == ["gold_seed"]


def test_the_sweep_of_this_suite_is_read_as_it_is(results: Path, curves: pd.DataFrame) -> None:
    loaded = load(results)
    pd.testing.assert_frame_equal(loaded, curves)
    assert len(trained_rows(loaded)) + len(oracle_rows(loaded)) == len(loaded)
    assert len(final_rows(loaded)) == 54
    assert set(load_losses(results)["loss"]) == set(trained_rows(loaded)["loss"])
    said = text(results)
    assert "54 runs, 0 of them diverged" in said
    heading = "loss best beta sure peak gold at KL smallest beta falls by"
    assert said.splitlines()[3].split() == heading.split()
    table = frontier(loaded)
    assert (
        table["gold"] <= np.interp(table["kl"], oracle_rows(loaded)["kl"], oracle_rows(loaded)["gold"]) + 0.02
    ).all()


def test_a_running_sweep_is_read_from_its_parts(tmp_path: Path, curves: pd.DataFrame) -> None:
    (tmp_path / "parts").mkdir()
    with pytest.raises(ResultsError, match="holds no finished run yet"):
        load(tmp_path)
    rows = curves[curves["method"] == "gpo"]
    rows.iloc[:60].to_parquet(tmp_path / "parts" / "a.curves.parquet")
    rows.iloc[60:120].to_parquet(tmp_path / "parts" / "b.curves.parquet")
    assert len(load(tmp_path)) == 120
    assert "so far" in text(tmp_path)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="is no result directory"):
        load(tmp_path)
    with pytest.raises(ResultsError, match="is missing"):
        load_losses(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="is a file; name the result directory"):
        load(tmp_path / "file")
    with pytest.raises(ResultsError, match="cannot be read"):
        load("x" * 5000)
    (tmp_path / "curves.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(ResultsError, match=r"curves.parquet: cannot be read as Parquet"):
        load(tmp_path)
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "curves.parquet")
    with pytest.raises(ResultsError, match="lacks the column run_id"):
        load(tmp_path)


def test_noise_that_seeds_share_widens_their_interval() -> None:
    """Seeds that agree on a value that was measured with an error of 0.1 each do not know it any better."""
    table = pd.DataFrame({"beta": [1.0] * 4 + [2.0] * 4, "gold": [0.5] * 4 + [0.4, 0.5, 0.5, 0.6]})
    exact = over_seeds(table, ["beta"], ["gold"])
    assert (exact["gold_high"] - exact["gold_low"]).iloc[0] == pytest.approx(0)
    sampled = over_seeds(table.assign(gold_se=0.1), ["beta"], ["gold"])
    assert (sampled["gold_high"] - sampled["gold"]).iloc[0] == pytest.approx(1.95996 * 0.1, rel=1e-4)
    assert sampled["gold_se"].iloc[1] ** 2 == pytest.approx(exact["gold_se"].iloc[1] ** 2 + 0.01)


def test_intervals_cover_where_measurement_noise_is_shared_whole_or_not_at_all() -> None:
    rng = np.random.default_rng(3)
    for shared in (True, False):
        held = 0
        for _ in range(400):
            noise = rng.normal(scale=0.3, size=1 if shared else 5)
            table = pd.DataFrame({"beta": 1.0, "gold": rng.normal(scale=0.2, size=5) + noise, "gold_se": 0.3})
            row = over_seeds(table, ["beta"], ["gold"]).iloc[0]
            held += row["gold_low"] < 0 < row["gold_high"]
        assert held / 400 >= 0.93


def test_what_analysis_knows_of_the_tables_is_what_the_simulator_writes(curves: pd.DataFrame) -> None:
    """Analysis imports nothing of the simulator: it reads what each sweep says of its tables, or a copy of it."""
    written = describe_tables([method.card for method in METHODS.values()])
    assert json.loads(json.dumps(written)) == DEFAULT
    assert set(settings_of(curves)) == {"method", "loss", "beta", "kappa", "seed", "pairs", "label_noise"}


def test_a_measured_column_of_somebodys_own_is_no_axis(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(results, folder)
    told = json.loads((folder / "tables.json").read_text())
    told["columns"]["renyi"] = {"kind": "measured", "unit": "nats", "about": "a column of somebody's own"}
    told["methods"]["mine"] = {"label": "my method", "trajectory": True, "unheard_of": 1}
    (folder / "tables.json").write_text(json.dumps(told))
    table = pd.read_parquet(folder / "curves.parquet")
    table.assign(renyi=np.arange(float(len(table))), sort_of="a").to_parquet(folder / "curves.parquet", index=False)
    curves = load(folder)
    assert "renyi" not in settings_of(curves)
    assert further_axes(curves) == []
    assert "sort_of" in settings_of(trained_rows(curves))
    assert cards(curves)["mine"].label == "my method"
    assert methods_where(curves, "trajectory")[-1] == "mine"
    (folder / "tables.json").write_text("[")
    assert further_axes(load(folder)) == ["renyi"]


def test_a_fall_of_noise_that_seeds_share_is_covered() -> None:
    """Flat gold, measured with noise that all seeds share: the interval of the fall holds 0."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(100):
        noise = rng.normal(scale=0.05, size=10)
        rows = [
            {"run_id": str(seed), "method": "gpo", "loss": "hinge", "beta": 1.0, "kappa": 0.0, "seed": seed, "pairs": 1}
            | {"step": step, "kl": step, "gold": noise[step] + rng.normal(scale=0.01), "gold_se": 0.05}
            | {"mu_squared": 0.0, "label_noise": 0.0, "status": "ok"}
            for seed in range(4)
            for step in range(10)
        ]
        row = peaks(pd.DataFrame(rows)).iloc[0]
        held += row["fall_low"] <= 0 <= row["fall_high"]
    assert held >= 95
