"""Best-of-n against drawing n responses and keeping the best, against subsets, and against a continuous score."""

from itertools import combinations

import numpy as np
import pytest
import torch

from simulator.measurement.best_of_n import estimate, kl_bound, log_best_of_n, subset_weights
from simulator.measurement.ladder import ladder


def kl_of(law: torch.Tensor, reference: torch.Tensor) -> float:
    return float((law * (law / reference).log().nan_to_num(neginf=0.0)).sum(dim=-1).mean())


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_the_law_is_that_of_drawing_n_and_keeping_the_best(n: int, rng: np.random.Generator) -> None:
    reference = rng.dirichlet(np.ones(6), size=2)
    scores = np.array([[0.0, 1.0, 1.0, 2.0, 3.0, 3.0], [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]])
    laws = log_best_of_n(torch.from_numpy(reference).log(), torch.from_numpy(scores), torch.tensor([n]))[0].exp()
    repeats = 100_000
    for law, probability, score in zip(laws.numpy(), reference, scores, strict=True):
        drawn = rng.choice(6, p=probability, size=(repeats, n))
        best = drawn[np.arange(repeats), (score[drawn] + 1e-9 * rng.random(drawn.shape)).argmax(axis=1)]
        share = np.bincount(best, minlength=6) / repeats
        assert share == pytest.approx(law, abs=4.5 * 0.5 / np.sqrt(repeats))
        assert law.sum() == pytest.approx(1.0, abs=1e-12)


def test_one_is_the_reference_and_very_many_are_the_best(rng: np.random.Generator) -> None:
    reference = torch.from_numpy(rng.dirichlet(np.ones(50), size=3))
    scores = torch.from_numpy(rng.normal(size=(3, 50)))
    one, many = log_best_of_n(reference.log(), scores, torch.tensor([1, 10**9])).exp()
    assert one.numpy() == pytest.approx(reference.numpy(), abs=1e-14)
    assert many.argmax(dim=1).tolist() == scores.argmax(dim=1).tolist()
    assert many.max(dim=1).values.numpy() == pytest.approx(np.ones(3))


@pytest.mark.parametrize("n", [2, 16, 300])
def test_kl_of_a_nearly_continuous_score_is_the_closed_form_and_never_above_it(n: int) -> None:
    fine = torch.full((1, 2**17), 2.0**-17, dtype=torch.float64)
    law = log_best_of_n(fine.log(), torch.arange(2.0**17)[None], torch.tensor([n]))[0].exp()
    assert kl_of(law, fine) == pytest.approx(float(kl_bound(np.array(n))), abs=1e-4)
    coarse = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)
    law = log_best_of_n(coarse.log(), torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([n]))[0].exp()
    assert kl_of(law, coarse) < float(kl_bound(np.array(n)))


def test_mean_of_a_uniform_score_is_n_over_n_plus_one() -> None:
    count = 2**16
    fine = torch.full((1, count), 1 / count, dtype=torch.float64)
    score = (torch.arange(count, dtype=torch.float64)[None] + 0.5) / count
    for n, law in zip((1, 3, 10), log_best_of_n(fine.log(), score, torch.tensor([1, 3, 10])).exp(), strict=True):
        assert float((law * score).sum()) == pytest.approx(n / (n + 1), abs=1e-4)


def test_laws_stay_finite_where_probabilities_are_next_to_nothing() -> None:
    log_reference = torch.tensor([[-200.0, -90.0, -1e-3, -7.0]], dtype=torch.float64).log_softmax(dim=1)
    scores = torch.tensor([[0.0, 3.0, 1.0, 2.0]], dtype=torch.float64)
    laws = log_best_of_n(log_reference, scores, torch.tensor([1, 60_000]))
    assert torch.isfinite(laws).all()
    assert laws[0].numpy() == pytest.approx(log_reference.numpy(), abs=1e-9)
    assert float(laws[1, 0, 1] - log_reference[0, 1]) == pytest.approx(np.log(60_000), abs=1e-6)


@pytest.mark.parametrize("n", [1, 3, 6, 7])
def test_the_estimate_is_the_mean_over_all_subsets(n: int, rng: np.random.Generator) -> None:
    values = rng.normal(size=7)
    every = np.mean([values[max(subset)] for subset in combinations(range(7), n)])
    assert estimate(values, n)[0] == pytest.approx(every)


def test_the_estimate_is_unbiased_and_its_variance_is_right(rng: np.random.Generator) -> None:
    pool, n, repeats = 40, 8, 4000
    scores = np.sort(rng.random((repeats, pool)), axis=1)
    means, variances = estimate(scores**2, n)
    truth = n / (n + 2)  # the mean square of the largest of n uniform numbers
    error = means.std(ddof=1) / np.sqrt(repeats)
    assert abs(means.mean() - truth) < 4 * error
    assert np.sqrt(variances.mean()) == pytest.approx(means.std(ddof=1), rel=0.15)


def test_weights_sum_to_one_for_large_pools() -> None:
    for n in (1, 100, 4096, 8192):
        weights = subset_weights(8192, n)
        assert weights.sum() == pytest.approx(1.0, abs=1e-9)
        assert (weights[: n - 1] == 0).all()


@pytest.mark.parametrize("n", [0, 6])
def test_more_than_the_pool_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=rf"n \(={n}\) must be at least 1 and at most the pool \(=5\)"):
        estimate(np.zeros(5), n)


def test_the_ladder_rises_from_one_to_the_largest() -> None:
    for largest in (1, 2, 1000, 4096, 60_000):
        rungs = ladder(largest)
        assert rungs[0] == 1
        assert rungs[-1] == largest
        assert rungs == sorted(set(rungs))
    assert len(ladder(4096)) == 24
