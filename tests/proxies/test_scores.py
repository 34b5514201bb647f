"""Scores of responses that are read anew, against those of the world's listing."""

import numpy as np
import pytest
import torch

import simulator as sim
from simulator.proxies.scores import scorer_of
from tests.conftest import small_sweep


@pytest.mark.slow("ending")
@pytest.mark.parametrize("kind", ["enumerable", "ending", "sampled"])
def test_scores_of_the_listing_are_those_of_the_same_responses_read_anew(kind: str) -> None:
    listed_world, ends = kind != "sampled", {} if kind == "enumerable" else {"language": {"stop": 0.2}}
    proxy = {"width": 8, "steps": 60, "batch": 16, "members": 2, "combine": "uncertainty_weighted", "uncertainty": 0.5}
    lab = sim.make_world(
        small_sweep(
            world={"kind": "enumerable" if listed_world else kind, **ends}, measure={"baseline": 16}, proxy=proxy
        )
    )
    proxies = [sim.train_proxy(lab, lab.preferences(seed=seed), seed=seed) for seed in (0, 1)]
    here, ensembles = lab.simulated, [proxy.ensemble for proxy in proxies]
    scorer = scorer_of(here, ensembles)
    rows = torch.arange(3).expand(2, 3)
    listed = lab.responses.expand(3, -1, -1) if listed_world else here.measurement.baseline.responses
    again = scorer.of(rows, listed.expand(2, -1, -1, -1))
    assert again.numpy() == pytest.approx(scorer.tables.numpy(), abs=1e-4)
    assert (listed < 0).any() == bool(ends)
    for number, (proxy, ensemble) in enumerate(zip(proxies, ensembles, strict=True)):
        assert (here.listing.reference_probs * ensemble.table).sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-6)
        assert proxy.score(lab.prompts, listed).numpy() == pytest.approx(again[number].numpy(), abs=1e-6)
