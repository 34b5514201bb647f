"""Proxies that train as one stack, against each trained alone."""

import itertools

import pytest
import torch

import simulator as sim
from simulator.engine.recorder import Recorder
from simulator.proxies.reward_model import ensemble_of
from simulator.proxies.training import train_members
from simulator.sweeps.stacking import proxy_stacks
from tests.conftest import small_sweep


@pytest.mark.slow(but="8")
@pytest.mark.parametrize("width", [8, 32])
def test_a_stack_over_data_noise_seed_and_loss_gives_what_each_gives_alone(lab: sim.World, width: int) -> None:
    stack = []
    for pairs, noise, loss, seed in itertools.product([30, 48], [0.0, 0.25], ["hinge", "logistic"], [0, 1]):
        proxy = {"width": width, "steps": 60, "batch": 16, "loss": loss}
        sweep = small_sweep(proxy=proxy, data={"pairs": pairs, "label_noise": noise})
        stack += ensemble_of(sweep.settings_at({}), seed, {})
    assert len({member.stack_key for member in stack}) == 1
    (stack,) = proxy_stacks(stack, {stack[0].stack_key: 100})
    with torch.no_grad():
        together = train_members(stack, lab.simulated, Recorder())
    assert len(together) == 2 * 2 * 2 * 2
    for member, (trained, facts) in zip(stack, together, strict=True):
        data, asked = member.settings.data, member.settings.proxy
        pairs = lab.preferences(data.pairs, seed=member.seed, label_noise=data.label_noise)
        one = sim.train_proxy(
            lab, pairs, seed=member.seed, width=width, loss=asked.loss, steps=60, settings={"proxy.batch": 16}
        )
        (alone,) = one.ensemble.members
        assert torch.equal(alone.parameters, trained.parameters), member.name
        assert alone.scores == pytest.approx(trained.scores, abs=1e-6)
        for name, value in one.facts.iloc[0].items():
            assert facts[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-5)), name
