"""Training of proxy reward models against a plain loop, plain computations and planted knowledge."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import simulator as sim
from simulator.common.random_streams import random_stream
from simulator.engine.batches import batch_order
from tests.helpers.plain_network import plain_scores

SMALL = {"proxy.width": 8, "proxy.batch": 16}


def texts(pairs: sim.Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts with the chosen, and with the rejected response, [N, L + T] each."""
    return torch.cat([pairs.prompts, pairs.chosen], dim=1), torch.cat([pairs.prompts, pairs.rejected], dim=1)


def parameters(proxy: sim.Proxy) -> torch.Tensor:
    return proxy.ensemble.members[0].parameters


def test_training_is_that_of_a_plain_loop(lab: sim.World) -> None:
    """One proxy by torch's own AdamW and clipping, on the labelled pairs that are not held out.

    Those are repeated there, so that it is a late checkpoint that is kept.
    """
    drawn = lab.preferences(43, seed=3, labels="deterministic", distinct=True)
    steps, rate, kept = 35, 0.01, 43
    pairs = sim.Pairs(
        **{name: getattr(drawn, name)[[*range(kept), *range(5)]] for name in ("prompts", "chosen", "rejected")}
    )
    settings = SMALL | {"proxy.weight_decay": 0.1, "proxy.loss": "squared", "proxy.learning_rate": rate}
    proxy = sim.train_proxy(lab, pairs, seed=3, steps=steps, settings=settings)
    # a step so short shows the parameters that training begins with
    row = torch.nn.Parameter(
        parameters(sim.train_proxy(lab, pairs, seed=3, steps=1, settings=settings | {"proxy.learning_rate": 1e-12}))
    )
    architecture = proxy.ensemble.members[0].architecture
    optimizer = torch.optim.AdamW([row], lr=rate, weight_decay=0.1)
    orders = int(random_stream(3, "proxy", "order", 0).integers(2**62))
    best = int(proxy.facts["best_step"][0])
    assert best == steps
    for step, at in enumerate(torch.from_numpy(batch_order(orders, kept, 16, 0, best)), start=1):
        assert (at < kept).all()
        # one step of warm-up, then half a cosine that would end at the step after the last
        optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * max(step - 2, 0) / (steps - 1))) / 2
        chosen, rejected = (plain_scores(row, architecture, text[at]) for text in texts(pairs))
        loss = (chosen - rejected - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([row], 1.0)
        optimizer.step()
    assert parameters(proxy).numpy() == pytest.approx(row.detach().numpy(), abs=2e-4)


def test_held_out_pairs_are_the_last_and_never_trained_on(lab: sim.World) -> None:
    pairs, settings = lab.preferences(48, distinct=True), SMALL | {"proxy.held_out": 0.25}
    proxy = sim.train_proxy(lab, pairs, steps=60, settings=settings)
    row, architecture = parameters(proxy).double(), proxy.ensemble.members[0].architecture
    chosen, rejected = (plain_scores(row, architecture, text) for text in texts(pairs))
    gaps = (chosen - rejected).numpy()
    (facts,) = proxy.facts.to_dict("records")
    for name, part in (("train", slice(0, 36)), ("held_out", slice(36, 48))):
        assert facts[f"{name}_loss"] == pytest.approx(np.log1p(np.exp(-gaps[part])).mean(), rel=1e-5)
        assert facts[f"{name}_accuracy"] == pytest.approx(((np.sign(gaps[part]) + 1) / 2).mean())

    def turned(places: slice) -> torch.Tensor:
        """The parameters after one step on every pair that is trained on, where these have the other label."""
        chosen, rejected = pairs.chosen.clone(), pairs.rejected.clone()
        chosen[places], rejected[places] = pairs.rejected[places], pairs.chosen[places]
        other = replace(pairs, chosen=chosen, rejected=rejected)
        return parameters(sim.train_proxy(lab, other, steps=1, settings=settings | {"proxy.batch": 48}))

    assert torch.equal(turned(slice(36, 48)), turned(slice(0, 0)))
    for place in range(36):
        assert not torch.equal(turned(slice(place, place + 1)), turned(slice(0, 0)))


def test_the_checkpoint_with_the_least_held_out_loss_is_kept(lab: sim.World) -> None:
    """On random labels, what is learned does not carry over, so an early checkpoint is best."""
    settings = SMALL | {"proxy.learning_rate": 0.02, "proxy.width": 32, "proxy.held_out": 0.5}
    for seed in range(4):
        pairs = lab.preferences(400, seed=seed, label_noise=0.5)
        proxy = sim.train_proxy(lab, pairs, seed=seed, steps=400, settings=settings)
        assert proxy.facts["best_step"][0] < 100
        assert proxy.facts["held_out_loss"][0] < 0.9


@pytest.mark.parametrize("seed", [0, 1])
def test_what_gold_labels_is_learned(lab: sim.World, seed: int) -> None:
    many, settings = {"labels": "deterministic", "seed": seed}, SMALL | {"proxy.width": 32}
    good = sim.train_proxy(lab, lab.preferences(2000, **many), seed=seed, steps=600, settings=settings)
    noisy = lab.preferences(2000, **many, label_noise=0.5)
    bad = sim.train_proxy(lab, noisy, seed=seed, steps=400, settings=settings)
    (facts,) = good.facts.to_dict("records")
    assert facts["correlation"] > 0.85
    assert facts["gold_accuracy"] > 0.85
    assert facts["scale"] > 0
    assert facts["gold_loss"] < 0.6
    assert bad.facts["correlation"][0] < 0.5


def test_members_share_their_pairs_and_differ_in_all_else(lab: sim.World) -> None:
    pairs = lab.preferences(48)
    some = sim.train_proxy(lab, pairs, members=3, combine="worst_case", steps=60, settings=SMALL)
    assert some.facts["member"].tolist() == [0, 1, 2]
    found = [trained.scores for trained in some.ensemble.members]
    assert not np.allclose(found[0], found[1])
    assert not np.allclose(found[1], found[2])
    single = sim.train_proxy(lab, pairs, steps=60, settings=SMALL)
    assert single.facts["proxy"][0] == some.facts["proxy"][0]
    assert torch.equal(parameters(single), parameters(some))
