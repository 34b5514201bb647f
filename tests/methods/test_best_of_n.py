"""Best-of-n against a proxy, exact where responses are listed."""

import numpy as np
import pytest

import simulator as sim

SETTINGS = {"proxy.width": 8, "proxy.batch": 16}


@pytest.fixture(scope="module")
def proxy(lab: sim.World) -> sim.Proxy:
    return sim.train_proxy(lab, lab.preferences(48), steps=40, settings=SETTINGS)


def law_of_the_best(law: np.ndarray, scores: np.ndarray, n: int) -> np.ndarray:
    """How probable each response [G] is as the best of n that are drawn from a law; equals share alike."""
    at_most, below = (
        np.array([law[keep].sum() for keep in some])
        for some in (scores[None, :] <= scores[:, None], scores[None, :] < scores[:, None])
    )
    level = at_most - below
    return law / level * (at_most**n - below**n)


def test_best_of_n_is_measured_as_its_law_says(lab: sim.World, proxy: sim.Proxy) -> None:
    rungs = [1, 2, 3, 4, 8, 16, 64]
    curves = sim.best_of_n(lab, proxy, rungs).set_index("n")
    listed = lab.responses.expand(len(lab.prompts), -1, -1)
    gold, scores = (some(lab.prompts, listed).numpy() for some in (lab.gold, proxy.score))
    log_law = lab.simulated.reference_log_probs.numpy()
    for n in (1, 4, 64):
        best = np.stack([law_of_the_best(np.exp(log_p), each, n) for log_p, each in zip(log_law, scores, strict=True)])
        ratio = np.log(best, out=np.zeros_like(best), where=best > 0) - log_law
        assert curves.loc[n, "gold"] == pytest.approx((best * gold).sum(axis=1).mean(), abs=1e-9)
        assert curves.loc[n, "proxy"] == pytest.approx((best * scores).sum(axis=1).mean(), abs=1e-9)
        assert curves.loc[n, "kl"] == pytest.approx((best * ratio).sum(axis=1).mean(), abs=1e-9)
        assert curves.loc[n, "kl_bound"] == pytest.approx(np.log(n) - (n - 1) / n)
        assert curves.loc[n, "kl"] <= curves.loc[n, "kl_bound"] + 1e-9
    assert curves.index.tolist() == rungs
    assert (curves["kl_source"] == "exact").all()
    assert curves["proxy"].is_monotonic_increasing
    assert (curves["step"] == curves.index).all()
