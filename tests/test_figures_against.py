"""Figures against proxies: each is drawn where it says something, from the table alone, with units and names."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from analysis import load, load_proxies
from analysis.figures import AGAINST, draw_all
from analysis.figures.families import ensemble, families, varying, with_labels
from analysis.figures.style import RC
from analysis.summary import means_along, peak_along, text
from simulator import run_sweep
from tests.conftest import small_sweep
from tests.test_figures import named, texts

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
    return run_sweep(sweep, tmp_path_factory.mktemp("against") / "all", workers=1)


@pytest.fixture(scope="module")
def against(folder: Path) -> pd.DataFrame:
    return load(folder)


def test_all_that_apply_are_written_and_none_of_offline_training(folder: Path) -> None:
    paths = draw_all(folder)
    assert {path.name for path in paths} == {
        f"{name}.{kind}" for name in (*AGAINST, "proxies") for kind in ("png", "svg")
    }
    before = {path: path.read_bytes() for path in paths}
    assert {path: path.read_bytes() for path in draw_all(folder)} == before


@pytest.mark.parametrize("name", AGAINST)
def test_every_axis_has_a_unit_and_every_method_and_value_is_named(name: str, against: pd.DataFrame) -> None:
    applies, draw = AGAINST[name]
    assert applies(against)
    with mpl.rc_context(RC):
        figure = draw(against)
    words = texts(figure)
    for label in named(figure):
        assert "[" in label, label
    assert "95 %" in words
    for method in {"coefficients": ["best-of-n", "RL"]}.get(name, ["best-of-n", "RL", "Gibbs"]):
        assert method in words
    told = {"penalty": "penalty 0.2", "coefficients": "label noise 0.25", "maxima": "label noise 0.25"}
    assert told.get(name, "848 parameters") in words


@pytest.mark.parametrize(
    ("keep", "names"),
    [
        (lambda t: t[t["method"] == "best_of_n"], {"overoptimization", "coefficients", "maxima"}),
        (lambda t: t[(t["method"] == "rl") & (t["proxy_width"] == 4)], {"overoptimization", "penalty"}),
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
    solid, dashed = ([line for line in figure.axes[0].lines if line.get_linestyle() == dash] for dash in ("-", "--"))
    solid = [line for line in solid if len(line.get_xdata()) > 2]
    for line, proxy, width in zip(solid, dashed, (4, 8, 16), strict=True):
        mean = part[part["proxy_width"] == width].groupby("step")[["kl", "gold", "proxy"]].mean()
        assert line.get_xdata() == pytest.approx(np.sqrt(mean["kl"].clip(lower=0)))
        assert line.get_ydata() == pytest.approx(mean["gold"])
        assert proxy.get_ydata() == pytest.approx(mean["proxy"])


def test_the_peak_is_that_of_the_mean_over_seeds(against: pd.DataFrame) -> None:
    part = against[(against["method"] == "best_of_n") & (against["proxy_width"] == 8) & (against["label_noise"] == 0)]
    means = part.groupby("step")["gold"].mean()
    assert peak_along(part)["gold"] == pytest.approx(means.max())
    assert peak_along(part)["step"] == means.idxmax()
    assert len(means_along(part, ["gold"])) == len(means)


def test_what_varies_and_how_it_is_called(against: pd.DataFrame) -> None:
    rows = with_labels(against)
    assert varying(rows) == ["proxy_parameters", "beta", "label_noise"]
    panels = list(families(against))
    assert {panel.along for panel in panels} == {"proxy_parameters"}
    assert len(panels) == 2 + 2 * 2 + 2
    assert [ensemble(*of) for of in ((1, "mean"), (5, "worst_case"), (np.nan, "mean"), (3, np.nan))] == [
        "one proxy",
        "worst case of 5",
        "mean",
        "mean of 3",
    ]


def test_the_report_tells_peaks_laws_and_trends(folder: Path) -> None:
    told = text(folder)
    for words in ("72 runs, 0 of them diverged", "against proxies", "law_alpha", "factor of ten in proxy_parameters"):
        assert words in told, words


def test_proxies_are_loaded_and_their_loss_is_there(folder: Path) -> None:
    table = load_proxies(folder)
    assert len(table) == 3 * 2 * 3
    assert table[["held_out_loss", "gold_accuracy", "correlation", "shifted_correlation"]].notna().all().all()
