"""Figures against proxies: each is drawn where it says something, from the table alone, with units and names."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from analysis import frontier, load, load_proxies, trends
from analysis.figures.drawing import draw_all
from analysis.figures.layout import shown_data
from analysis.figures.style import RC
from analysis.records.proxy_settings import ensemble, families, varied_settings, with_labels
from analysis.report.terminal_text import text
from analysis.statistics.peaks import means_along, peak_along
from simulator import run_sweep
from tests.analysis.test_figures import KINDS, check_rules, texts
from tests.analysis.test_peaks import at_places_of_two_others
from tests.conftest import heard, small_sweep
from tests.helpers.figure_tables import AGAINST

PROXY = {"steps": 30, "batch": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sweep = small_sweep(
        proxy=PROXY,
        best_of_n={"largest": 64},
        rl={"prompts": 3, "responses": 4},
        train={"steps": 20, "checkpoints": 6},
        sweep={
            "method": ["best_of_n", "rl", "gibbs"],
            "penalty": [0.0, 0.2],
            "seeds": 3,
            "proxy.width": [4, 8, 16],
            "data.label_noise": [0.0, 0.25],
        },
    )
    with heard():
        return run_sweep(sweep, tmp_path_factory.mktemp("against") / "all", workers=1)


@pytest.fixture(scope="module")
def against(folder: Path) -> pd.DataFrame:
    return load(folder)


@pytest.mark.parametrize("name", AGAINST)
def test_no_title_is_cut_off(name: str, against: pd.DataFrame) -> None:
    two = against[against["method"].isin(["best_of_n", "rl"])]  # fewer panels, less room
    with mpl.rc_context(RC):
        check_rules(AGAINST[name][1](two))


@pytest.mark.slow
def test_all_that_apply_are_written_and_none_of_offline_training(folder: Path) -> None:
    paths = draw_all(folder)
    assert {path.name for path in paths} == {f"{name}.{kind}" for name in (*AGAINST, "proxies") for kind in KINDS}
    before = {path: path.read_bytes() for path in paths}
    assert {path: path.read_bytes() for path in draw_all(folder)} == before


@pytest.mark.parametrize("name", AGAINST)
def test_every_axis_has_a_unit_and_every_method_and_value_is_named(name: str, against: pd.DataFrame) -> None:
    applies, draw = AGAINST[name]
    assert applies(against)
    with mpl.rc_context(RC):
        figure = draw(against)
        check_rules(figure)
    words = texts(figure)
    assert "95 %" in words
    for method in {"coefficients": ["best-of-n", "RL"]}.get(name, ["best-of-n", "RL", "Gibbs"]):
        assert method in words
    shown = {"penalty": "penalty 0.2", "coefficients": "label noise 0.25", "maxima": "label noise 0.25"}
    assert shown.get(name, "3,232 par" if name == "spending" else "848 par") in words


@pytest.mark.parametrize(
    ("keep", "names"),
    [
        (lambda t: t[t["method"] == "best_of_n"], {"overoptimization", "law_residuals", "coefficients", "maxima"}),
        (
            lambda t: t[(t["method"] == "rl") & (t["proxy_width"] == 4)],
            {"overoptimization", "law_residuals", "penalty"},
        ),
        (lambda t: t[t["method"] == "oracle"], set()),
    ],
)
def test_figures_are_drawn_where_they_say_something(keep, names: set[str], against: pd.DataFrame) -> None:
    part = keep(against)
    found = {name for name, (applies, _) in AGAINST.items() if not with_labels(part).empty and applies(part)}
    assert found == names


def test_solid_and_dashed_lines_are_gold_and_proxy_of_the_table(against: pd.DataFrame) -> None:
    part = against[(against["method"] == "best_of_n") & (against["label_noise"] == 0.0)]
    figure = AGAINST["overoptimization"][1](part)
    data = shown_data(figure)
    gold, proxy = (
        [rows for name, rows in data.groupby("line", sort=False) if name.startswith(kind)] for kind in ("gold", "proxy")
    )
    for line, dashed, width in zip(gold, proxy, (4, 8, 16), strict=True):
        mean = part[part["proxy_width"] == width].groupby("step")[["kl", "gold", "proxy"]].mean()
        assert line["x"].to_numpy() == pytest.approx(np.sqrt(mean["kl"].clip(lower=0)).to_numpy())
        assert line["y"].to_numpy() == pytest.approx(mean["gold"].to_numpy())
        assert dashed["y"].to_numpy() == pytest.approx(mean["proxy"].to_numpy())


def test_the_peak_is_cross_fitted(against: pd.DataFrame) -> None:
    part = against[(against["method"] == "best_of_n") & (against["proxy_width"] == 8) & (against["label_noise"] == 0)]
    gold = part.pivot(index="seed", columns="step", values="gold")
    found = peak_along(part)
    assert found["gold"] == pytest.approx(at_places_of_two_others(gold), abs=0.02)
    assert found["gold"] <= gold.mean().max() + 1e-12
    assert found["gold_low"] < found["gold"] < found["gold_high"]
    assert found["kl"] == pytest.approx(part.loc[part["step"] == gold.mean().idxmax(), "kl"].mean())
    assert len(means_along(part, ["gold"])) == gold.shape[1]


def test_what_varies_and_how_it_is_called(against: pd.DataFrame) -> None:
    rows = with_labels(against)
    assert varied_settings(rows) == ["proxy_parameters", "beta", "label_noise"]
    panels = list(families(against))
    assert {panel.varied for panel in panels} == {"proxy_parameters"}
    assert len(panels) == 2 + 2 * 2 + 2
    assert [ensemble(*of) for of in ((1, "mean"), (5, "worst_case"), (np.nan, "mean"), (3, np.nan))] == [
        "one proxy",
        "worst case of 5",
        "mean",
        "mean of 3",
    ]


def test_the_report_says_where_gold_peaks(folder: Path) -> None:
    told = text(folder)
    for words in (
        "72 runs, none of them diverged",
        "By best-of-n, label noise 0, against the smallest proxy",
        "proxy width",
        "falls by: from its peak to the last point",
    ):
        assert words in told, words


def test_the_frontier_of_a_method_is_its_path(against: pd.DataFrame) -> None:
    part = against[(against["proxy_width"] == 8) & (against["label_noise"] == 0)]
    table = frontier(part, by="method")
    assert set(table["method"]) == {"best_of_n", "rl", "gibbs"}
    assert (table["replicates"] == 3).all()
    seeds = [path for _, path in part[part["method"] == "best_of_n"].groupby("seed")]
    reached = min(path["kl"].max() for path in seeds)
    found = table[(table["method"] == "best_of_n") & (table["kl"] > 0.1) & (table["kl"] < reached)]
    by_hand = np.mean([np.interp(found["kl"], path["kl"], path["gold"]) for path in seeds], axis=0)
    assert len(found) > 10
    assert found["gold"].to_numpy() == pytest.approx(by_hand, abs=0.05)
    rl = part[(part["method"] == "rl") & (part["beta"] == 0.0)]
    assert table.loc[table["method"] == "rl", "kl"].max() <= rl.groupby("run_id")["kl"].max().min()


def test_a_frontier_of_several_methods_is_refused_unless_they_are_compared(against: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"the curves are of .*best_of_n.*; take those of one, or by = .method."):
        frontier(against, by="proxy_width")
    with pytest.raises(ValueError, match="against = 'nonsense': must be a column of the curves with numbers: proxy"):
        trends(against, "nonsense")


def test_proxies_are_loaded_and_their_loss_is_there(folder: Path) -> None:
    table = load_proxies(folder)
    assert len(table) == 3 * 2 * 3
    assert table[["held_out_loss", "gold_accuracy", "correlation", "shifted_correlation"]].notna().all().all()


AWKWARD = {
    "algorithms and their own axes": {
        "method": ["best_of_n", "rl"],
        "penalty": [0.0, 0.1],
        "rl.algorithm": ["rloo", "ppo"],
        "rl.clip": [0.1, 0.2],
        "train.steps": [4, 8],
    },
    "axes of single methods": {"method": ["best_of_n", "rl"], "train.steps": [4, 8], "best_of_n.largest": [8, 16]},
    "gibbs alone": {"method": ["gibbs"], "proxy.width": [4, 8, 16]},
    "a law that cannot be fitted": {"method": ["best_of_n"], "best_of_n.largest": [2]},
    "ensembles": {
        "method": ["best_of_n", "rl"],
        "proxy.combine": ["mean", "worst_case", "uncertainty_weighted"],
        "proxy.members": [1, 2],
        "proxy.uncertainty": [0.1, 0.5],
    },
    "worlds and losses": {"method": ["best_of_n", "rl"], "policy.width": [8, 16], "proxy.loss": ["hinge", "logistic"]},
    "offline by gold and by proxies": {
        "method": ["gpo", "rl"],
        "loss": ["logistic"],
        "beta": [0.1],
        "data.labeller": ["gold", "proxy"],
        "proxy.width": [4, 8],
    },
}


@pytest.mark.long_only("ensembles", "worlds and losses", "algorithms and their own axes")
@pytest.mark.slow(but=("gibbs alone", "axes of single methods"))
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_grids_are_reported_and_drawn(name: str, tmp_path: Path) -> None:
    """Axes that only some methods have, several worlds, and paths without a law."""
    sweep = small_sweep(
        proxy={"steps": 10, "batch": 16, "width": 8},
        best_of_n={"largest": 16},
        rl={"prompts": 3, "responses": 4},
        train={"steps": 4, "checkpoints": 3},
        sweep={"seeds": 2, **AWKWARD[name]},
    )
    with heard():
        folder = run_sweep(sweep, tmp_path / "awkward", workers=1)
    drawn = {path.stem for path in draw_all(folder)}
    assert {"overoptimization", "proxies"} <= drawn
    assert "peak gold" in text(folder)
    if "gpo" in AWKWARD[name]["method"]:
        assert {"tradeoff-labeller-gold", "tradeoff-labeller-proxy-proxy_width-4"} <= drawn
    if "rl" in AWKWARD[name]["method"] and "best_of_n" in AWKWARD[name]["method"]:
        assert "spending" in drawn


def test_spending_draws_each_method_once_and_no_oracle_of_many_worlds(tmp_path: Path) -> None:
    sweep = small_sweep(
        proxy={"steps": 10, "batch": 16, "width": 8},
        best_of_n={"largest": 8},
        rl={"prompts": 3, "responses": 4},
        train={"checkpoints": 3},
        sweep={"seeds": 2, "method": ["best_of_n", "rl"], "train.steps": [4, 8], "policy.width": [8, 16]},
    )
    with heard():
        curves = load(run_sweep(sweep, tmp_path / "spent", workers=1))
    figure = AGAINST["spending"][1](curves)
    over_kl = shown_data(figure).query("panel == 'panel 1'")
    counts = over_kl.groupby("line").size()
    assert len(counts) == 2 * 2
    assert set(counts) <= {3, len(curves.loc[curves["method"] == "best_of_n", "n"].unique())}
    assert "over 2 seeds" in texts(figure)


def test_members_of_an_ensemble_are_no_seeds() -> None:
    """Five members of one seed that agree and two seeds that do not: the interval is that of two."""
    from analysis.figures.proxies import reward_models as proxies

    rows = [
        {"proxy": f"{seed}-{member}-{size}", "seed": seed, "member": member, "pairs": 100, "label_noise": 0.0}
        | {"parameters": size, "loss": "logistic", "gold_loss": 0.6, "gold_accuracy": 0.7}
        | {"correlation": 0.6 + 0.02 * seed, "shifted_correlation": 0.2}
        for seed in range(2)
        for member in range(5)
        for size in (100, 400)
    ]
    figure = proxies.draw(pd.DataFrame(rows))
    assert "over 2 seeds" in texts(figure)
    data = shown_data(figure).query("panel == 'panel 1'")
    half = 12.706 * np.std([0.6, 0.62], ddof=1) / np.sqrt(2)
    assert (data["high"] - data["low"]).to_numpy() == pytest.approx([2 * half] * 2, rel=1e-3)
