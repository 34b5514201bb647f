"""Claims on online and offline training, and on rounds of RLHF, on records that were made for them."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analysis import PAPERS, Estimate
from analysis.published.claim import Records, Verdict
from analysis.published.judging import decide
from analysis.published.papers.wolf import PUBLISHED

SEEDS, STEPS = range(4), range(13)


def judged(paper: str, name: str, records: Records) -> Verdict:
    (claim,) = (claim for claim in PAPERS[paper].claims if claim.name == name)
    return decide(claim, records)


def estimate_of(paper: str, name: str, records: Records) -> Estimate:
    (claim,) = (claim for claim in PAPERS[paper].claims if claim.name == name)
    (found,) = claim.estimate(records).estimates.values()
    return found


def offline(accuracy: Callable[[int, int], float]) -> Records:
    """Offline IPO at two strengths whose gold rises at each step, and whose accuracy is as given, of step and seed."""
    rows = [
        {"run_id": f"{beta}-{seed}", "method": "gpo", "loss": "squared", "beta": beta, "kappa": 1.0, "seed": seed}
        | {"step": step, "status": "ok", "kl": step / 10, "gold": step / 10, "online_refresh": 0}
        | {"held_out_accuracy": accuracy(step, seed)}
        for beta in (0.1, 1.0)
        for seed in SEEDS
        for step in STEPS
    ]
    return Records(pd.DataFrame(rows))


def test_accuracy_and_gold_go_together_or_do_not() -> None:
    rng = np.random.default_rng(0)
    assert judged("tang", "correlation", offline(lambda step, seed: 0.5 + step / 100)).verdict == "fails"
    level = offline(lambda step, seed: 0.5 + (step % 2) / 100 + 1e-4 * rng.normal())
    assert judged("tang", "correlation", level).verdict == "holds"


def test_seeds_whose_ranks_agree_are_not_exact() -> None:
    same = estimate_of("tang", "correlation", offline(lambda step, seed: 0.5 + step / 100))
    step = 12 / (12**3 - 12) / 2
    assert same.value == 1.0
    assert same.error == pytest.approx(step / np.sqrt(12 * len(SEEDS)))
    assert same.bounds == (-1.0, 1.0)


def rounds(gold: Callable[[int, int], float]) -> Records:
    """The eight designs after one round, whose gold is of their place from best to worst, and of the seed."""
    rows = [
        {"run_id": f"{place}-{seed}", "method": "iterated", "loss": None, "beta": 0.0, "kappa": np.nan, "seed": seed}
        | {"step": 10, "status": "ok", "kl": 1.0, "gold": gold(place, seed)}
        | dict(zip(("iterated_data", "iterated_proxies", "iterated_start"), design, strict=True))
        for place, design in enumerate(PUBLISHED)
        for seed in SEEDS
    ]
    records = Records(pd.DataFrame(rows))
    settings = {"method": ["iterated"], "train.steps": [10], "iterated.rounds": [1]}
    object.__setattr__(records, "runs", pd.DataFrame(settings))  # which are read from a folder
    return records


def test_designs_in_the_order_that_was_published() -> None:
    assert judged("wolf", "order-designs", rounds(lambda place, seed: -place)).verdict == "holds"
    assert judged("wolf", "order-designs", rounds(lambda place, seed: place)).verdict == "fails"
    assert judged("wolf", "order-designs", rounds(lambda place, seed: place * (-1) ** seed)).verdict == "undecided"
