"""The diagram of errors and divergences: planted peaks are found, differences paired, and nothing more is stated."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator
from analysis.figures.layout import shown_data, text_of
from analysis.figures.look import PAGE, drawn_as
from analysis.figures.proxies import goodhart, law_fits, overoptimization
from analysis.headline.headline import headline_of
from analysis.headline.statement import brief
from analysis.headline.titles.divergences import divergences_apart, which_wins
from analysis.statistics.peaks import peak_along
from analysis.statistics.proxy_errors.phase_diagram import difference, phase_diagram
from simulator.planted import ERROR_LAWS
from tests.analysis.test_figures import check_rules, texts
from tests.planted.test_laws import listed_of

SWEEPS = Path(simulator.__file__).parent / "sweeps" / "shipped"
SEEDS, STEPS = 8, np.arange(1, 13)
PEAKS = {  # of gold, along steps 1 to 12, and gold at the end
    ("gaussian", "kl"): (1.5, 1.2),
    ("gaussian", "chi2"): (1.5, 1.2),
    ("gaussian", "jensen_shannon"): (1.5, 1.2),
    ("student", "kl"): (0.3, -2.0),
    ("student", "chi2"): (1.1, -2.0),
    ("student", "jensen_shannon"): (0.1, -2.0),
}
NOTHING = pd.DataFrame({"loss": []})


def planted(
    peaks: dict[tuple[str, str], tuple[float, float]] = PEAKS, *, seeds: int = SEEDS, scatter: float = 0.3
) -> pd.DataFrame:
    """Paths that rise to a peak at step 6 and go to their end, with a level of each seed that divergences share."""
    rng = np.random.default_rng(3)
    levels = scatter * rng.normal(size=(seeds, 1))
    levels -= levels.mean() * (seeds > 1)
    rows = []
    for (law, divergence), (peak, end) in peaks.items():
        mean = np.interp(STEPS, [0, 6, 12], [0.0, peak, end])
        gold = mean + levels * (STEPS / 12) + 0.01 * rng.normal(size=(seeds, len(STEPS)))
        for seed in range(seeds):
            for step, value in zip(STEPS, gold[seed], strict=True):
                run = f"{law}-{divergence}-{seed}"
                rows.append((run, "gibbs", None, seed, law, divergence, step, 0.3 * step, value, 0.0, 1.0, "ok"))
    names = ["run_id", "method", "loss", "seed", "proxy_error", "gibbs_divergence", "step", "kl", "gold", "gold_se"]
    table = pd.DataFrame(rows, columns=[*names, "proxy", "status"])
    return table.assign(beta=np.nan, kappa=np.nan, loss=table["loss"].astype(object))


def test_the_planted_winner_is_named_and_the_difference_is_paired() -> None:
    curves = planted()
    diagram = phase_diagram(curves)
    assert diagram
    assert diagram.better("student")
    assert not diagram.better("gaussian")
    assert diagram.alike("gaussian")
    assert (diagram.behind("kl"), diagram.behind("chi2")) == (["student"], [])
    cell = diagram.cells["student", "chi2"]
    assert cell.over_kl.value == pytest.approx(0.8, abs=0.02)
    assert cell.kl == pytest.approx(1.8)
    assert cell.over_kl.error < 0.1 * cell.peak.error  # the level of a seed goes out of the difference
    wins, ends = divergences_apart(curves)
    assert wins.sure
    assert ends.sure
    assert wins.text.startswith("At its best penalty, χ² leaves more gold than KL for Student errors (0.8")
    assert (
        "; for the other errors no divergence surely does, and all lie within 0.2 of it. χ² is not surely" in wins.text
    )
    start = "At the smallest penalty, under every divergence, gold ends below the reference for Student errors (−2.0 ±"
    assert ends.text.startswith(start)
    assert " under KL) and above it for Gaussian errors (1.2 ±" in ends.text


def test_peaks_are_those_of_the_statistics_and_the_reference_may_be_one() -> None:
    curves = planted({("thin", "kl"): (-1.0, -3.0), ("thin", "chi2"): (1.0, -1.0)}, scatter=0.1)
    diagram = phase_diagram(curves)
    assert diagram
    never, some = diagram.cells["thin", "kl"], diagram.cells["thin", "chi2"]
    assert (never.peak.value, never.kl, never.peak.interval()) == (0.0, 0.0, (0.0, 0.0))
    found = peak_along(curves[curves["gibbs_divergence"] == "chi2"])
    assert some.peak.value == pytest.approx(found["gold"])
    assert some.peak.interval() == pytest.approx((found["gold_low"], found["gold_high"]))


def test_the_jackknife_of_a_difference_of_plain_means_is_students() -> None:
    """Where all seeds peak at one place by far, leaving out seeds is what the error of a mean is."""
    rng = np.random.default_rng(0)
    first, second = (np.column_stack([np.zeros(6), top + rng.normal(size=6), np.zeros(6)]) for top in (50.0, 40.0))
    found = difference(first, second)
    each = first[:, 1] - second[:, 1]
    assert found.value == pytest.approx(each.mean())
    assert found.error == pytest.approx(each.std(ddof=1) / np.sqrt(6))
    assert found.degrees_of_freedom == 5


def test_no_winner_is_named_where_none_was_planted() -> None:
    same = {(law, name): (1.0, 0.8) for law in ("gaussian", "thin") for name in ("kl", "chi2", "alpha")}
    alike = divergences_apart(planted(same))[0]
    assert alike.text == "At its best penalty, every divergence leaves as much gold as KL, within 0.2, for every error"
    loose = planted(same, seeds=3)
    loose["gold"] += np.random.default_rng(1).normal(size=len(loose))
    wins, ends = divergences_apart(loose)
    assert not wins.sure
    assert wins.title.startswith("It is not sure that a divergence leaves more gold than KL at its best penalty (")
    assert wins.text.endswith(". None of the three is surely behind the best, for any error")
    assert not ends.sure


def test_no_divergence_is_the_best_everywhere_where_each_is_behind_somewhere() -> None:
    crossed = PEAKS | {("gaussian", "kl"): (2.5, 1.2)}
    wins = divergences_apart(planted(crossed))[0]
    assert wins.text.endswith(". Each of the three is surely behind the best for some error")


def test_more_laws_need_a_surer_difference_and_it_is_printed_as_it_is_judged() -> None:
    """The verdict on a law is Bonferroni's over all laws and divergences: what one law shows, twenty do not."""
    laws = [f"law {number}" for number in range(20)]
    each = 0.5 + 0.45 * np.linspace(-1.5, 1.5, SEEDS)
    curves = planted({(law, name): (1.0, 0.5) for law in laws for name in ("kl", "chi2")}, scatter=0.0)
    there = (curves["proxy_error"] == laws[0]) & (curves["gibbs_divergence"] == "chi2")
    curves.loc[there, "gold"] += each[curves.loc[there, "seed"]]
    alone, among = phase_diagram(curves[curves["proxy_error"] == laws[0]]), phase_diagram(curves)
    assert alone
    assert among
    assert alone.cells[laws[0], "chi2"] == among.cells[laws[0], "chi2"]
    assert (alone.level, among.level) == pytest.approx((0.95, 1 - 0.05 / 20))
    assert (alone.better(laws[0]), among.better(laws[0])) == (True, False)
    low, high = among.cells[laws[0], "chi2"].over_kl.interval(among.level)
    assert f"by {brief((low + high) / 2, (high - low) / 2)}, for law 0 errors" in which_wins(among).title


def test_errors_of_the_sweep_are_as_large_as_gold_and_as_good_as_the_page_says(rng: np.random.Generator) -> None:
    """1/√2 for what has nothing to do with gold, √((1 + r)/2) for a correlation of r with it."""
    shipped = tomllib.loads((SWEEPS / "goodhart.toml").read_text())
    listed = listed_of(rng, 4, length=5)
    gold = listed.within(listed.answers.gold) / listed.deviation(listed.answers.gold)
    for name in shipped["sweep"]["proxy.error"]:
        law = ERROR_LAWS[name]
        parameters = {"growth": 1.0, "correlation": 0.5, **shipped["proxy"]}
        error = law.plant(listed, {key: parameters[key] for key in law.reads}, 3).of(listed.answers)
        proxy = gold + error / (listed.spread(error) if law.scaled else 1.0)
        found = listed.covariance(proxy, gold) / listed.deviation(proxy)
        assert found == pytest.approx(np.sqrt(0.75 if name == "correlated" else 0.5), abs=0.05), name


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_are_not_sure(seeds: int) -> None:
    wins, _ = divergences_apart(planted(seeds=seeds, scatter=2.0))
    assert not wins.sure
    assert "seed" in wins.text


def test_it_applies_where_kl_and_another_divergence_are_there() -> None:
    curves = planted()
    assert goodhart.FIGURE.applies(curves)
    for few in (curves.drop(columns="gibbs_divergence"), curves[curves["gibbs_divergence"] != "kl"]):
        assert not goodhart.FIGURE.applies(few)
        assert divergences_apart(few) == []
    trained = curves[curves["proxy_error"] == "student"].drop(columns="proxy_error")  # proxies that learned
    wins, ends = divergences_apart(trained)
    assert wins.title.startswith("χ² leaves more gold than KL, by 0.8")
    assert wins.text.endswith(". χ² is not surely behind the best")
    assert "gold ends below the reference (−2.0 ± " in ends.text


def test_further_settings_have_their_first_value() -> None:
    first = planted().assign(proxy_noise=0.5)
    second = planted(dict.fromkeys(PEAKS, (0.1, -9.0))).assign(proxy_noise=2.0)
    second["run_id"] += "-2"
    diagram = phase_diagram(pd.concat([first, second], ignore_index=True))
    assert diagram
    assert diagram.place == "proxy noise 0.5"
    assert diagram.cells == (phase_diagram(first) or diagram).cells


def test_the_headline_has_it_in_place_of_the_sentence_on_one_error() -> None:
    topics = [each.topic for each in headline_of(planted(), NOTHING)]
    assert topics == ["divergences", "smallest_penalty"]
    plain = planted()
    plain = plain[plain["gibbs_divergence"] == "kl"]
    assert [each.topic for each in headline_of(plain, NOTHING)] == ["proxies"]


def test_figures_of_single_paths_are_left_to_other_methods() -> None:
    curves = planted()
    figures = (overoptimization.FIGURE, law_fits.FIGURE)
    assert not any(figure.applies(curves) for figure in figures)
    one = curves[curves["gibbs_divergence"] == "kl"]
    assert all(figure.applies(one) for figure in figures)
    drawn = one.assign(method="best_of_n", gibbs_divergence=None, run_id="n-" + one["run_id"], n=one["step"])
    both = pd.concat([curves, drawn], ignore_index=True)
    assert overoptimization.FIGURE.applies(both)
    with drawn_as(PAGE):
        figure = overoptimization.draw(both)
    panels = shown_data(figure)["panel"]
    assert panels.str.contains("best").all()
    assert not panels.str.contains("ibbs").any()


def test_the_figure_draws_the_planted_peaks() -> None:
    curves = planted()
    with drawn_as(PAGE):
        figure = goodhart.draw(curves)
        check_rules(figure)
        one = goodhart.draw(planted(seeds=1))
        check_rules(one)
    assert "▲1.1" in texts(figure).replace(" ", "")
    assert "one seed, so there are no intervals" in texts(one)
    assert text_of(figure, "title").startswith("χ² leaves more gold than KL for Student")
    bold = {text.get_text() for axes in figure.axes for text in axes.texts if text.get_weight() == "bold"}
    assert {text[:1] for text in bold} == {"▲"}
    data = shown_data(figure)
    cells = data[(data["line"] == "Student") & (data["x"] == "chi2")]
    assert cells["y"].item() == pytest.approx(1.1, abs=0.25)
    assert cells["low"].item() < cells["y"].item() < cells["high"].item()
    paths = data[data["panel"].isin(["Student error", "Gaussian error"])]
    assert sorted(paths["line"].unique()) == ["KL", "χ²"]
    assert len(paths) == 4 * (len(STEPS) + 1)
