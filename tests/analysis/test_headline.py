"""Headlines against planted truths: what is there is said, what is not sure is called so, and enough seeds tell."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.headline.axes import axes_apart
from analysis.headline.best_beta import best_beta
from analysis.headline.diverged import diverged
from analysis.headline.headline import headline_of, sentences
from analysis.headline.losses import losses_apart
from analysis.headline.proxies import against_proxies
from analysis.headline.rise_and_fall import rise_and_fall
from analysis.headline.statement import Statement, brief
from analysis.headline.titles.penalties import penalty_effect
from analysis.records.names import axis_label, listed, loss_label, value_text
from analysis.statistics.common_curve import common_curve
from analysis.statistics.intervals import Estimate, mean_of
from analysis.statistics.peaks import peaks
from analysis.statistics.power import seeds_to_be_within, seeds_to_differ
from tests.helpers import synthetic_curves as planted

NO_FUNCTIONS = pd.DataFrame({"loss": [], "z": [], "slope": []})
FALL = float(planted.hump(np.array(2.25)) - planted.hump(np.array(5.5 / 1.04)))  # of the hump, at beta 0.01


def root(kl: np.ndarray) -> np.ndarray:
    """Gold that only rises."""
    return 0.5 * np.sqrt(kl)


def sweep(seed: int = 0, **how: Any) -> pd.DataFrame:
    plain = {"seeds": 8, "truth": {"logistic": planted.hump}, "spread": 0.05, "steps": 12}
    return planted.sweep(np.random.default_rng(seed), **(plain | how))


def test_a_rise_and_a_fall_are_said_with_their_sizes() -> None:
    best = planted.oracle([0.5, 1.0, 2.0, 4.0, 8.0], [1.0, 1.3, 1.7, 2.0, 2.0])
    found = rise_and_fall(pd.concat([sweep(), best], ignore_index=True))
    assert found.sure
    assert found.text.startswith("Gold rose to 1.1")
    assert "near 2." in found.text
    assert "and then fell by 0.3" in found.text
    assert "(logistic (DPO), β 0.01)" in found.text
    assert found.text.endswith("the best possible policy has 1.7 there")
    assert found.numbers["fall_low"] < FALL < found.numbers["fall_high"]
    assert found.numbers["peak_gold_low"] < 1.125 < found.numbers["peak_gold_high"]


def test_gold_that_only_rises_is_not_said_to_fall() -> None:
    found = rise_and_fall(sweep(truth={"logistic": root}))
    assert found.sure
    assert found.text.endswith("nats, at the end of training (logistic (DPO), β 0.01): no fall was seen")
    assert found.title.endswith("by the end of training")


def test_gold_that_only_falls_is_said_to_fall_from_the_start() -> None:
    found = rise_and_fall(sweep(truth={"logistic": lambda kl: -np.sqrt(kl)}))
    assert found.sure
    assert found.text.startswith("Gold falls from the start, by 2.")


def test_two_losses_apart_are_not_called_equal_by_halves() -> None:
    """0.3 apart: each lies 0.15 from their mean, and that is not what counts."""
    found = losses_apart(
        sweep(truth={"logistic": planted.hump, "mine": lambda kl: planted.hump(kl) + 0.3 * np.minimum(kl, 1)})
    )
    assert found is not None
    assert "within 0.2" not in found.text
    assert "mine (+0.2" in found.text


def test_the_noise_of_measuring_counts_in_every_sentence() -> None:
    """Gold measured with an error of 0.3 that all seeds share is not known to 0.03."""
    curves = sweep(3, noise=0.3, shared=1.0, spread=0.02)
    found = best_beta(curves)
    assert found is not None
    half = float(found.numbers["half"] or 0)
    assert half > 0.5
    shared = Estimate(value=0.1, error=0.01, degrees_of_freedom=5, shared_error=0.2)
    assert seeds_to_differ(shared) is None


def test_what_noise_hides_is_not_sure_and_as_many_seeds_as_it_says_tell() -> None:
    """Four seeds that scatter; then as many as a sweep of eight that is neither lucky nor unlucky asks for."""
    noisy = {"spread": 0.4, "steps": 12, "betas": (0.01,)}
    few = [rise_and_fall(sweep(seed, seeds=4, **noisy)) for seed in range(12)]
    unsure = [found for found in few if not found.sure]
    assert len(unsure) >= 4
    assert all("is not sure" in found.text for found in unsure)
    assert all("seeds would tell" in found.text or "more than 1,000 seeds" in found.text for found in unsure)
    rows = pd.concat([peaks(sweep(50 + seed, seeds=8, **noisy)) for seed in range(8)])
    usual = rows[["fall", "fall_se"]].median()
    enough = seeds_to_differ(Estimate(value=usual["fall"], error=usual["fall_se"], degrees_of_freedom=7))
    assert enough is not None
    then = [rise_and_fall(sweep(100 + seed, seeds=enough, **noisy)) for seed in range(12)]
    assert np.mean(["then fell by" in found.text for found in then]) >= 0.6


def test_one_seed_is_never_sure() -> None:
    found = headline_of(sweep(seeds=1, truth={"logistic": planted.hump, "hinge": planted.hump}), NO_FUNCTIONS)
    assert found
    assert not any(statement.sure for statement in found if statement.topic in ("rise_and_fall", "best_beta"))
    assert "one seed has no interval" in found[0].text
    assert "nan" not in " ".join(sentences(found)).lower()


def test_the_best_beta_is_sure_where_it_is_far_ahead_and_not_where_two_are_equal() -> None:
    curves = sweep(spread=0.02)
    last = curves["step"] == 11
    ahead = curves.assign(gold=curves["gold"] + 3.0 * (curves["beta"].eq(0.3) & last))
    found = best_beta(ahead)
    assert found is not None
    assert found.sure
    assert found.text.startswith("β 0.3 ends best, with ")
    edge = best_beta(curves.assign(gold=curves["gold"] + 3.0 * (curves["beta"].eq(10.0) & last)))
    assert edge is not None
    assert "it is the largest of the sweep, so the best may lie beyond" in edge.text
    noise = np.random.default_rng(3).normal(0, 0.3, len(curves))
    level = best_beta(curves.assign(gold=noise))
    assert level is not None
    assert not level.sure
    assert level.text.startswith("It is not sure which of β 0.01 to 10 ends best")
    assert best_beta(curves[curves["beta"] == 0.1]) is None


def higher(kl: np.ndarray) -> np.ndarray:
    """A hump half a deviation above the other from 1 nat on."""
    return planted.hump(kl) + 0.5 * np.minimum(kl, 1.0)


def test_equal_losses_are_called_so_and_one_that_differs_is_named() -> None:
    same = losses_apart(sweep(truth=dict.fromkeys(("logistic", "hinge", "squared"), planted.hump)))
    assert same is not None
    assert same.sure
    assert same.text.startswith("all three losses lie within 0.2 of the mean of the others at equal KL (to ")
    three = {"logistic": planted.hump, "hinge": planted.hump, "squared": planted.hump, "mine": higher}
    apart = losses_apart(sweep(truth=three))
    assert apart is not None
    assert "three of four losses lie within 0.2 of the mean of GPO's losses; mine (+0.4" in apart.text
    assert apart.text.endswith("has more gold")
    assert apart.numbers["mine: low"] < 0.45 < apart.numbers["mine: high"]
    assert losses_apart(sweep()) is None


def test_losses_that_are_equal_are_rarely_said_to_differ() -> None:
    """At most one in twenty sweeps may name any of three equal losses, whatever the seeds share."""
    wrong = 0
    for seed in range(60):
        found = common_curve(
            sweep(
                seed, seeds=5, spread=0.15, steps=3, truth=dict.fromkeys(("logistic", "hinge", "squared"), planted.hump)
            )
        )
        assert found is not None
        wrong += any(each.different for each in found.departures)
    assert wrong <= 5  # of 40, which 1 in 20 exceeds once in 70 times


def test_departures_are_differences_from_the_mean_at_equal_kl() -> None:
    """Without noise: each of two departs from the other by all of their difference, and the mean lies half way."""
    curves = sweep(
        truth={"logistic": planted.hump, "hinge": higher}, spread=0.0, seeds=3, betas=tuple(np.geomspace(0.01, 20, 60))
    )
    found = common_curve(curves)
    assert found is not None
    assert found.members == ("logistic", "hinge")
    half = 0.25 * np.minimum(found.kl, 1.0)
    by_name = {each.name: each for each in found.departures}
    inside = found.kl > 0.3  # below, the smallest KL that was reached is far from the reference
    assert by_name["hinge"].difference[inside] == pytest.approx(2 * half[inside], abs=0.04)
    assert by_name["logistic"].difference == pytest.approx(-by_name["hinge"].difference, abs=1e-12)
    assert found.gold[inside] == pytest.approx((planted.hump(found.kl) + half)[inside], abs=0.02)


def test_a_loss_that_hardly_moves_does_not_cut_the_others_off() -> None:
    curves = sweep(truth=dict.fromkeys(("logistic", "hinge", "squared"), planted.hump))
    curves.loc[curves["loss"] == "squared", ["kl", "gold"]] *= 0.02
    found = common_curve(curves)
    assert found is not None
    assert found.members == ("logistic", "hinge")
    assert found.reach > 3
    short = next(each for each in found.departures if each.name == "squared")
    assert short.kl[-1] < 0.2


def test_an_axis_that_costs_gold_is_said_with_its_size() -> None:
    clean, noisy = (
        sweep(4).assign(label_noise=noise, run_id=lambda t, n=noise: t["run_id"] + str(n)) for noise in (0.0, 0.3)
    )
    noisy["gold"] -= 0.4 * np.minimum(noisy["kl"], 1.0)
    (found,) = axes_apart(pd.concat([noisy, clean], ignore_index=True))
    assert found.sure
    assert found.text.startswith("At equal KL, label noise 0.3 has 0.3")
    assert "less gold than 0 (mean to " in found.text
    (none,) = axes_apart(pd.concat([clean, noisy.assign(gold=clean["gold"].to_numpy())], ignore_index=True))
    assert "lie within 0.2 of each other at equal KL" in none.text


@pytest.mark.parametrize("place", [1, 2])
def test_of_values_that_are_names_the_one_that_differs_is_stated(place: int) -> None:
    values = ("any", "likelier", "longer")
    parts = [sweep(4).assign(flip_toward=name, run_id=lambda t, n=name: t["run_id"] + n) for name in values]
    parts[place]["gold"] += 0.6 * np.minimum(parts[place]["kl"], 1.0)
    (found,) = axes_apart(pd.concat(parts, ignore_index=True))
    assert found.sure
    assert f"flip toward {values[place]} has 0.5" in found.text
    assert "more gold than any" in found.text
    alone = pd.concat([parts[0], parts[place]], ignore_index=True)
    (narrow,) = axes_apart(alone)
    width = [each.numbers["high"] - each.numbers["low"] for each in (found, narrow)]
    assert width[0] > width[1] > 0


def test_paths_against_proxies_are_told_by_the_size_of_the_proxy() -> None:
    rng, rows = np.random.default_rng(2), []
    for width, fall in ((4, 0.8), (64, 0.0)):
        for seed in range(6):
            for step, n in enumerate((1, 4, 16, 64, 256)):
                gold = (0.0, 0.8, 1.2, 1.2 - fall / 2, 1.2 - fall)[step] + rng.normal(0, 0.03)
                rows.append((f"{width}-{seed}", "best_of_n", seed, width, 100 * width, n, 1.0 * step, gold, 1.0 * step))
    names = ["run_id", "method", "seed", "proxy_width", "proxy_parameters", "n", "kl", "gold", "proxy"]
    table = pd.DataFrame(rows, columns=names)
    curves = table.assign(
        step=table["n"], n=table["n"].astype(float), loss=None, beta=np.nan, kappa=np.nan, status="ok"
    )
    (found,) = against_proxies(curves.assign(pairs=np.nan, label_noise=np.nan))
    assert found.text.startswith("By best-of-n, against the smallest proxy (400 parameters), gold rises to 1.19")
    assert "and then falls by 0.8" in found.text
    assert "against the largest proxy (6,400 parameters), gold rises to 1.2" in found.text
    assert found.text.endswith("and does not fall by 0.2")


def test_a_penalty_is_compared_at_equal_kl() -> None:
    def rl(penalty: float, gain: float, far: float) -> pd.DataFrame:
        table = sweep(5, betas=(penalty,), steps=10, spread=0.03)
        share = far / table["kl"].max()
        return table.assign(
            method="rl",
            loss=None,
            kl=share * table["kl"],
            gold=table["gold"] + gain * np.sqrt(table["kl"]),
            proxy=1.0,
            run_id=table["run_id"] + f"-{penalty}",
        )

    found = penalty_effect(pd.concat([rl(0.0, 0.0, 5.0), rl(0.1, 0.5, 4.0), rl(9.0, 0.5, 0.01)], ignore_index=True))
    assert found.sure
    assert found.text.startswith("At equal KL, penalty 0.1 has ")
    assert "more gold than 0 (to " in found.text


@pytest.mark.parametrize(
    ("loss", "slope", "words"),
    [
        ("exponential", lambda z: -np.exp(-z), "an overflow, since f grows exponentially where z is far negative"),
        ("squared", lambda z: 2 * (z - 1), "steps too large for a gradient that grows where z is far negative"),
        ("hinge", lambda z: np.where(z < 1, -1.0, 0.0), "the learning rate is too large"),
    ],
)
def test_the_likely_cause_of_diverging_follows_from_the_loss(loss: str, slope: Any, words: str) -> None:
    curves = sweep(truth={loss: planted.hump}, seeds=2).assign(margin_q05=-900.0)
    lost = curves["run_id"].eq(f"{loss}-0.01-1") & curves["step"].eq(11)
    curves.loc[lost, ["kl", "gold", "status"]] = [np.nan, np.nan, "diverged"]
    z = np.linspace(-6, 6, 121)
    found = diverged(curves, pd.DataFrame({"loss": loss, "z": z, "slope": slope(z)}))
    assert found is not None
    assert found.text.startswith(f"1 of 14 runs diverged ({loss_label(loss)} at β 0.01: probably {words}")
    assert "z reached -9 before" in found.text
    assert diverged(sweep(), NO_FUNCTIONS) is None


def test_headlines_are_one_to_five_sentences() -> None:
    two = [sweep(seed, truth=dict.fromkeys(("logistic", "hinge"), planted.hump)) for seed in (0, 1)]
    curves = pd.concat(
        [
            table.assign(pairs=pairs, run_id=table["run_id"] + str(pairs))
            for table, pairs in zip(two, (64, 256), strict=True)
        ]
    )
    found = headline_of(curves, NO_FUNCTIONS)
    assert [each.topic for each in found] == ["rise_and_fall", "best_beta", "losses", "axis pairs"]
    assert all("pairs 64" in each.text for each in found[:3])
    for text in sentences(found):
        assert text.endswith(".")
        assert not text[0].islower() or text[0] == "β"


@pytest.mark.parametrize("name", ["lengths", "divergences_apart"])
def test_what_a_sweep_is_made_for_comes_first(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others follow, as far as a headline has room."""
    curves = sweep(truth=dict.fromkeys(("logistic", "hinge"), planted.hump), seeds=3)
    for count, rest in ((2, ["rise_and_fall", "best_beta", "losses"]), (5, ["rise_and_fall"])):
        own = [Statement(topic=f"own {i}", text="Something", title="Something", sure=True) for i in range(count)]
        monkeypatch.setattr(f"analysis.headline.headline.{name}", lambda curves, own=own: own)
        assert [each.topic for each in headline_of(curves, NO_FUNCTIONS)] == [*(each.topic for each in own), *rest]


@pytest.mark.parametrize("effect", [0.5, 1.0])
def test_as_many_seeds_as_are_asked_for_find_an_effect_in_four_of_five_sweeps(effect: float) -> None:
    """Power by simulation: an effect of so many deviations, and intervals of Student's t."""
    known = Estimate(value=effect, error=1.0 / math.sqrt(10), degrees_of_freedom=9)
    count = seeds_to_differ(known)
    assert count is not None
    rng = np.random.default_rng(1)
    found = [mean_of(rng.normal(effect, 1.0, count)).interval()[0] > 0 for _ in range(2000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)
    assert seeds_to_differ(Estimate(value=1e-3, error=1.0, degrees_of_freedom=3)) is None


def test_as_many_seeds_as_are_asked_for_show_equality() -> None:
    known = Estimate(value=0.05, error=0.2 / math.sqrt(8), degrees_of_freedom=7)
    count = seeds_to_be_within(known, 0.2)
    assert count is not None
    rng = np.random.default_rng(2)
    shown = 0
    for _ in range(2000):
        low, high = mean_of(rng.normal(0.05, 0.2, count)).interval(0.9)
        shown += low > -0.2 and high < 0.2
    assert shown / 2000 == pytest.approx(0.8, abs=0.08)
    assert seeds_to_be_within(Estimate(value=0.3, error=0.01, degrees_of_freedom=3), 0.2) is None


def test_names_are_those_of_the_field() -> None:
    assert [
        loss_label(name) for name in ("logistic", "squared", "hinge", "truncated_quadratic", "simpo", "chi_po")
    ] == [
        *("logistic (DPO)", "squared (IPO)", "hinge (SLiC)", "truncated quadratic", "SimPO", "χPO"),
    ]
    assert loss_label("robust_dpo, epsilon 0.1") == "robust DPO, ε 0.1"
    assert loss_label("some/where/my_file.py:my_loss") == "my_file.py:my_loss"
    assert [axis_label(name) for name in ("label_noise", "policy_width", "train_learning_rate", "pairs")] == [
        *("label noise", "policy width", "learning rate", "pairs"),
    ]
    assert [value_text(value) for value in (0.25, 1024, 790272.0, "worst_case", np.nan)] == [
        *("0.25", "1,024", "790,272", "worst case", "none"),
    ]
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert [brief(1.18, 0.0034), brief(0.6812, 0.00041), brief(0.5, 1e-9), brief(0.5, 0.0)] == [
        "1.180 ± 0.003",
        "0.6812 ± 0.0004",
        "0.50 ± 0.00",
        "0.50 ± 0.00",
    ]
    assert [brief(1.123, 0.097), brief(0.62, 0.26), brief(-0.004, 0.09), brief(0.5, math.nan), brief(12.3, 2.2)] == [
        *("1.12 ± 0.10", "0.6 ± 0.3", "0.00 ± 0.09", "0.50", "12 ± 2"),
    ]


def test_what_leaves_out_0_is_not_printed_as_if_it_held_it() -> None:
    assert [brief(0.24, 0.19), brief(-0.24, 0.19), brief(0.19, 0.24)] == ["0.24 ± 0.19", "−0.24 ± 0.19", "0.2 ± 0.2"]
    assert [brief(3.4, 2.6), brief(2.6, 2.4), brief(1.2, 0.3)] == ["3.4 ± 2.6", "3 ± 2", "1.2 ± 0.3"]
