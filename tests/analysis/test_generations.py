"""Best-of-n from generations, against all subsets, closed forms of the Gaussian, and quadrature; and its coverage."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from analysis import BestOfN, ResultsError, best_of_n
from analysis.generations.estimator import best_of, kl_of, ladder, n_of, subset_weights, tied
from analysis.generations.measure import curve_of, gains, law_row, pools_of
from analysis.generations.read import read_generations
from analysis.generations.scores import Score
from analysis.statistics.laws import fit_scaling_law

Array = np.ndarray
MAXIMA = {1: 0.0, 2: 1 / math.sqrt(math.pi), 3: 1.5 / math.sqrt(math.pi), 4: 1.0293753730}  # of n standard normals


def table(prompts: int, responses: int, seed: int = 0, proxies: int = 1, rho: float = 0.6) -> pd.DataFrame:
    """A Gaussian gold score, and Gaussian proxies whose correlation with it is rho, errors independent."""
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=prompts * responses)
    names = ["proxy"] if proxies == 1 else [f"proxy_{i}" for i in range(proxies)]
    scores = {name: 5 + 2 * (rho * gold + math.sqrt(1 - rho**2) * rng.normal(size=gold.size)) for name in names}
    prompt = np.repeat([f"p{i}" for i in range(prompts)], responses)
    return pd.DataFrame({"prompt": prompt, **scores, "gold": 3 * gold - 1})


def over_best(f: object, n: int) -> float:
    """The mean of f(z) for the largest z of n standard normals, by quadrature."""
    of: object = lambda z: f(z) * n * norm.pdf(z) * norm.cdf(z) ** (n - 1)  # noqa: E731
    return float(quad(of, -12, 12, limit=200)[0])


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
def test_the_estimate_is_the_mean_over_all_subsets_and_of_equal_scores_chance_decides(n: int) -> None:
    rng = np.random.default_rng(n)
    for scores in (rng.normal(size=6), np.array([1.0, 0.0, 1.0, 2.0, 0.0, 1.0]), np.zeros(6)):
        values = rng.normal(size=6)
        means = []
        for subset in itertools.combinations(range(6), n):
            top = max(scores[list(subset)])
            means.append(np.mean([values[i] for i in subset if scores[i] == top]))
        assert best_of(scores[None], [values[None]], np.array([n]))[0][0, 0] == pytest.approx(np.mean(means), abs=1e-12)


def test_the_order_of_a_file_says_nothing_even_among_equal_scores() -> None:
    scores, gold = np.array([[1.0, 1.0, 1.0, 2.0]]), np.array([[5.0, 1.0, 3.0, 0.0]])
    order = np.array([1, 3, 2, 0])
    n = np.array([1, 2, 3])
    (a,), (b,) = best_of(scores, [gold], n), best_of(scores[:, order], [gold[:, order]], n)
    np.testing.assert_allclose(a, b, atol=1e-12)


def test_weights_sum_to_one_for_pools_as_large_as_are_published() -> None:
    weights = subset_weights(12_600, np.array([1, 2, 1000, 12_500, 12_600]))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-9)
    assert weights[-1, -1] == pytest.approx(1.0)
    for n, i in ((2, 12_600), (1000, 12_000)):
        exact = math.comb(i - 1, n - 1) / math.comb(12_600, n)
        assert subset_weights(12_600, np.array([n]))[0, i - 1] == pytest.approx(exact, rel=1e-9)


def test_kl_and_its_inverse() -> None:
    assert kl_of(np.array([1, 2, 4])) == pytest.approx([0.0, math.log(2) - 0.5, math.log(4) - 0.75])
    n = np.array([1.0, 1.0001, 1.5, 2, 7, 64, 12_600, 1e9])
    np.testing.assert_allclose(n_of(kl_of(n)), n, rtol=1e-5)
    assert n_of(np.array([np.inf, 1e6])).tolist() == [np.inf, np.inf]
    assert np.isnan(n_of(np.array([np.nan]))).all()


def test_the_ladder_goes_to_its_end() -> None:
    assert ladder(2).tolist() == [1, 2]
    assert ladder(5).tolist() == [1, 2, 3, 4, 5]
    assert ladder(64).tolist() == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]


def test_gold_of_the_best_is_rho_times_the_expected_maximum_of_normals() -> None:
    found = best_of_n(table(400, 64, rho=0.6))
    curve = found.curves[found.curves["kind"] == "proxy"].set_index("n")
    for n in (2, 3, 4, 16, 64):
        expected = MAXIMA.get(n) or over_best(lambda z: z, n)
        row = curve.loc[n]
        assert abs(row["gold"] - 0.6 * expected) < 3.5 * row["gold_se"]
        assert abs(row["proxy"] - expected) < 3.5 * row["proxy_se"]
        assert row["gold_low"] < row["gold"] < row["gold_high"]
    assert curve.loc[1, ["gold", "proxy", "gold_se", "kl"]].tolist() == [0.0, 0.0, 0.0, 0.0]
    by_gold = found.curves[found.curves["kind"] == "gold"].set_index("n")
    assert abs(by_gold.loc[16, "gold"] - over_best(lambda z: z, 16)) < 3.5 * by_gold.loc[16, "gold_se"]
    law = found.laws.iloc[0]
    assert law["within_correlation_low"] < 0.6 < law["within_correlation_high"]
    assert law["correlation_low"] < 0.6 < law["correlation_high"]
    assert (found.gold_mean, found.gold_unit) == (pytest.approx(-1, abs=0.1), pytest.approx(3, abs=0.1))
    assert law["unit"] == pytest.approx(2, abs=0.05)
    assert found.notes == []


def test_a_score_is_measured_in_no_unit_and_prompts_may_differ_in_their_mean() -> None:
    rows = table(30, 16)
    found = best_of_n(rows)
    hard = rows["prompt"].str[1:].astype(float)
    moved = best_of_n(rows.assign(proxy=-7 + 0.01 * rows["proxy"], gold=100 + 20 * rows["gold"]))
    pd.testing.assert_frame_equal(found.curves, moved.curves, rtol=1e-6)
    harder = best_of_n(rows.assign(gold=rows["gold"] + hard))
    law = harder.laws.iloc[0]
    assert law["within_correlation"] == pytest.approx(found.laws.iloc[0]["within_correlation"])
    assert law["correlation"] < 0.5 * law["within_correlation"]
    ratio = harder.gold_unit / found.gold_unit
    np.testing.assert_allclose(ratio * harder.curves["gold"], found.curves["gold"], rtol=1e-9)


def test_rows_may_stand_in_any_order() -> None:
    rows = table(20, 8)
    pd.testing.assert_frame_equal(
        best_of_n(rows).curves[["n", "gold", "proxy"]],
        best_of_n(rows.sample(frac=1.0, random_state=1)).curves[["n", "gold", "proxy"]],
        rtol=1e-9,
    )


def overoptimized(z: Array) -> Array:
    """Gold, but for noise, where the proxy is z: it falls for large z."""
    return 0.8 * z - 0.45 * z**2


UNIT = math.sqrt(0.8**2 + 2 * 0.45**2 + 0.5**2)  # its standard deviation, with noise of 0.5
N = ladder(16)
TRUE = np.array([(over_best(overoptimized, int(n)) + 0.45) / UNIT for n in N])
LAW = fit_scaling_law(np.sqrt(kl_of(N))[1:], TRUE[1:], "bon")


def sampled(seed: int, prompts: int) -> pd.DataFrame:
    rng = np.random.default_rng([seed, 7])
    z, noise = rng.normal(size=prompts * 16), rng.normal(size=prompts * 16)
    return pd.DataFrame({"prompt": np.repeat(range(prompts), 16), "proxy": z, "gold": overoptimized(z) + 0.5 * noise})


def test_the_law_and_its_peak_are_found_within_their_intervals() -> None:
    found = best_of_n(sampled(0, 400))
    law = found.laws.iloc[0]
    for name in ("alpha", "beta", "peak_d", "peak_gold"):
        assert law[f"{name}_low"] < getattr(LAW, name) < law[f"{name}_high"]
        assert law[f"{name}_high"] - law[f"{name}_low"] < 0.5 * getattr(LAW, name)
    assert law["peak_kl"] == pytest.approx(law["peak_d"] ** 2)
    assert law["peak_n_low"] < n_of(np.array(LAW.peak_d**2)) < law["peak_n_high"]
    assert law["best_n"] == N[TRUE.argmax()]
    assert law["fall_low"] < TRUE.max() - TRUE[-1] < law["fall_high"]
    assert law["fall_low"] > 0
    curve = found.curves[found.curves["kind"] == "proxy"]
    np.testing.assert_allclose(curve["law"], law["alpha"] * curve["d"] - law["beta"] * curve["d"] ** 2)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    times, prompts = 80, 30
    hits = {"gold": 0, "alpha": 0, "beta": 0}
    for seed in range(times):
        found = read_generations(sampled(seed, prompts))
        pools = pools_of(found, None, 0.9)
        (of_gold,) = gains(pools, found.proxies["proxy"], [found.gold], N)
        score = Score(name="proxy", kind="proxy", numbers=found.proxies["proxy"])
        last = curve_of(score, N, of_gold, of_gold).iloc[-1]
        hits["gold"] += last["gold_low"] < TRUE[-1] < last["gold_high"]
        if seed < 40:
            row = law_row(score, N, of_gold, None)
            for name in ("alpha", "beta"):
                hits[name] += row[f"{name}_low"] < getattr(LAW, name) < row[f"{name}_high"]
    assert 0.87 * times <= hits["gold"] <= times  # 0.95, and three deviations of a binomial below
    assert min(hits["alpha"], hits["beta"]) >= 0.84 * 40


def test_ensembles_are_mean_least_and_mean_less_variance_of_recentred_members() -> None:
    rows = table(12, 8, proxies=3)
    found = best_of_n(rows, uncertainty=0.7)
    names = ["proxy_0", "proxy_1", "proxy_2"]
    around = rows[names] - rows.groupby("prompt")[names].transform("mean")
    members = around / around.std(ddof=0)
    by_hand = {
        "ensemble_mean": members.mean(axis=1),
        "ensemble_worst_case": members.min(axis=1),
        "ensemble_uncertainty_weighted": members.mean(axis=1) - 0.7 * members.var(axis=1, ddof=0),
    }
    for name, values in by_hand.items():
        alone = best_of_n(rows[["prompt", "gold"]].assign(proxy=values)).curves
        np.testing.assert_allclose(
            found.curves.loc[found.curves["score"] == name, ["gold", "proxy"]],
            alone.loc[alone["score"] == "proxy", ["gold", "proxy"]],
            atol=1e-10,
        )
    assert found.laws["kind"].tolist() == ["proxy"] * 3 + ["ensemble"] * 3


def test_an_ensemble_of_independent_errors_gains_what_theory_says() -> None:
    found = best_of_n(table(300, 16, proxies=4, rho=0.5))
    row = found.curves[(found.curves["score"] == "ensemble_mean") & (found.curves["n"] == 16)].iloc[0]
    rho = 0.5 / math.sqrt(0.25 + 0.75 / 4)  # of the mean of four with gold
    assert abs(row["gold"] - rho * over_best(lambda z: z, 16)) < 3.5 * row["gold_se"]


def test_every_n_has_the_same_prompts_and_a_note_tells_of_those_with_fewer_responses() -> None:
    rows = table(20, 8)
    fewer = rows.drop(index=rows.index[-3:])  # the last prompt has five
    found = best_of_n(fewer)
    assert (found.prompts, found.left_out, found.largest_n, found.fewest) == (19, 1, 8, 5)
    assert found.curves["prompts"].eq(19).all()
    assert "1 of 20 prompts have fewer than 8 responses and are left out" in found.notes[0]
    assert "--largest-n 5 takes all of them" in found.notes[0]
    pd.testing.assert_frame_equal(found.curves, best_of_n(rows[:-8]).curves, rtol=1e-9)
    five = best_of_n(fewer, largest_n=5)
    assert (five.prompts, five.left_out, five.responses, five.notes) == (20, 0, (5, 8), [])
    assert five.curves["n"].max() == 5


def test_ties_are_counted_and_told() -> None:
    rows = table(12, 8)
    found = best_of_n(rows.assign(proxy=rows["proxy"].round()))
    assert found.laws["tied"].iloc[0] == pytest.approx(
        np.mean([tied(part.round().to_numpy()[None]) for _, part in rows.groupby("prompt", sort=False)["proxy"]])
    )
    assert tied(np.array([[1.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]])) == 0.25
    assert "chance decides, and KL is an upper bound" in found.notes[0]


def test_one_prompt_has_no_intervals_and_few_are_told() -> None:
    one: BestOfN = best_of_n(table(1, 16))
    assert np.isnan(one.curves["gold_low"]).all()
    assert one.laws[["alpha_low", "fall_low", "correlation_low"]].isna().all(axis=None)
    assert np.isfinite(one.laws["alpha"].iloc[0])
    assert one.notes == ["there is one prompt, so there are no intervals"]
    assert "5 prompts are few" in best_of_n(table(5, 16)).notes[0]


def test_two_responses_have_gains_and_no_law() -> None:
    found = best_of_n(table(12, 2))
    assert found.curves["n"].max() == 2
    assert np.isnan(found.laws["alpha"].iloc[0])
    assert found.laws["best_n"].iloc[0] == 2


def test_many_prompts_are_resampled_in_groups() -> None:
    found = best_of_n(table(700, 4))
    law = found.laws.iloc[0]
    curve = found.curves[(found.curves["kind"] == "proxy") & (found.curves["n"] > 1)]
    plain = fit_scaling_law(curve["d"], curve["gold"], "bon")
    assert (law["alpha"], law["beta"]) == (pytest.approx(plain.alpha), pytest.approx(plain.beta))
    assert law["prompts"] == 700


def test_the_same_numbers_every_time() -> None:
    pd.testing.assert_frame_equal(best_of_n(table(12, 8)).laws, best_of_n(table(12, 8)).laws)


REFUSED = {
    "constant gold": (
        table(4, 4).assign(gold=1.0),
        {},
        "the table: gold is the same for all responses to a prompt, at every prompt, so it ranks none",
    ),
    "constant proxy": (
        table(4, 4).assign(proxy=lambda rows: rows["prompt"].str[1:].astype(float)),
        {},
        "the table: proxy is the same for all responses to a prompt",
    ),
    "one response": (
        table(4, 1),
        {},
        "the table: 4 of 4 prompts have one response, and best-of-n chooses among several; rows of one prompt must "
        "have the same prompt",
    ),
    "too large": (
        table(4, 4),
        {"largest_n": 9},
        "--largest-n 9: must be from 2 to 4, the most responses of a prompt",
    ),
    "too small": (table(4, 4), {"largest_n": 1}, "--largest-n 1: must be from 2 to 4"),
    "name of an ensemble": (
        table(4, 4).assign(ensemble_mean=lambda rows: -rows["proxy"]),
        {"proxy": ["proxy", "ensemble_mean"]},
        "the table: column ensemble_mean has the name of an ensemble that is computed here; rename it",
    ),
    "two columns": (
        pd.concat([table(4, 4), table(4, 4)[["proxy"]]], axis=1),
        {},
        "the table: has 2 columns proxy; which one is meant cannot be known",
    ),
    "uncertainty": (table(4, 4), {"uncertainty": -1.0}, "--uncertainty -1: must be a number of at least 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured_is_refused(case: str) -> None:
    rows, asked, message = REFUSED[case]
    with pytest.raises(ResultsError) as caught:
        best_of_n(rows, **asked)
    assert message in str(caught.value)


def test_there_is_no_fall_where_gold_is_highest_at_the_largest_n() -> None:
    """By chance, too: gold falls, and in a few prompts it does not seem to."""
    rng, rows, prompt = np.random.default_rng(0), [], np.repeat(np.arange(20), 64)
    for quality, length, noise in rng.normal(size=(20, 3, 20 * 64)):
        made = {"prompt": prompt, "proxy": quality + length + noise, "gold": quality - 0.7 * length**2}
        rows.append(best_of_n(pd.DataFrame(made)).laws.iloc[0])
    laws = pd.DataFrame(rows)
    at_end, fall = laws["best_n"] == laws["largest_n"], laws[["fall", "fall_low", "fall_high"]]
    assert 0 < at_end.sum() < len(laws)
    assert (fall.isna().all(axis=1) == at_end).all()
