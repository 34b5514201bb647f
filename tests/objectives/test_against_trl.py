"""Losses that Hugging Face TRL has too, against TRL's own code, values and gradients, on random log-probabilities.

TRL's trainers are asked for the loss of a batch with a model that returns given log-probabilities. Conventions:

    squared       TRL's IPO takes beta for tau and divides log-ratios by the number of tokens. At beta = 2 tau / |y|,
                  for responses equally long, ours is 4 tau^2 times theirs.
    ipo_averaged  TRL's IPO at beta = tau; at beta = 2 tau ours is 4 tau^2 times theirs, whatever the lengths.
    ln_dpo        TRL's `sigmoid_norm`, the same loss.
    kto           TRL's mean is over examples, two of each pair.
    simpo         TRL's gamma_logratios is gamma / beta inside the brackets: the same loss.
    orpo          TRL's beta is the weight of the odds ratio; its NLL is a mean over all tokens of the batch.
    dpo_sft, sft  TRL's SFT term is a mean over all tokens of the batch.
    bco_pair      TRL 1.16 has no threshold: ours with `threshold = "zero"`. A threshold δ is a reference that is higher
                  by δ / beta, and with that TRL's own code gives the loss with a running threshold, too.
"""

import os
import warnings
from collections import defaultdict
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simulator.objectives import OBJECTIVES
from simulator.objectives.mixtures import objective_called
from simulator.objectives.objective import RegularizerState
from simulator.objectives.stacked_losses import ObjectiveSlice, StackedPairs, pair_losses, remember
from simulator.sweeps.sweep import loss_name

BATCH, TOKENS = 16, 5
BETAS = (0.1, 0.7, 2.0)


@cache
def trainers() -> SimpleNamespace:
    """TRL's, which take seconds to be imported."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("trl", reason="the extra `test` installs TRL, which these losses are compared with")
        from trl import DPOTrainer, KTOTrainer
        from trl.experimental.cpo import CPOTrainer
        from trl.experimental.orpo import ORPOTrainer
    return SimpleNamespace(dpo=DPOTrainer, kto=KTOTrainer, cpo=CPOTrainer, orpo=ORPOTrainer)


class Given:
    """Log-probabilities of tokens [B, 2, T] under a policy and a reference, and which are there."""

    def __init__(self, seed: int, *, equally_long: bool) -> None:
        rng = np.random.default_rng(seed)
        count = np.full((BATCH, 2), TOKENS) if equally_long else rng.integers(1, TOKENS + 1, size=(BATCH, 2))
        self.there = torch.from_numpy(np.arange(TOKENS) < count[:, :, None])
        policy, reference = (-rng.exponential(size=(BATCH, 2, TOKENS)) - 0.05 for _ in range(2))
        self.tokens = (torch.from_numpy(policy) * self.there).requires_grad_()
        self.reference = (torch.from_numpy(reference) * self.there).sum(dim=2)

    @property
    def policy(self) -> Tensor:
        return self.tokens.sum(dim=2)

    @property
    def lengths(self) -> Tensor:
        return self.there.sum(dim=2)

    def ours(
        self,
        name: str,
        beta: float,
        mismatched: Tensor | None = None,
        memory: RegularizerState | None = None,
        **own: float | str,
    ) -> Tensor:
        numbers = {
            key: value if isinstance(value, str) else torch.tensor([[value]], dtype=torch.float64)
            for key, value in own.items()
        }
        given = StackedPairs(
            policy=self.policy[None],
            reference=self.reference[None],
            lengths=self.lengths[None],
            beta=torch.tensor([[beta]], dtype=torch.float64),
            mismatched={} if mismatched is None else {0: mismatched[None]},
            remembered={} if memory is None else {0: memory},
        )
        objective = objective_called(name, None, "")
        parts = [ObjectiveSlice(objective=objective, rows=1, hyperparameters=numbers)]
        if memory is not None:
            remember(given, parts)
        return pair_losses(given, parts).mean()


def stub(**more: Any) -> SimpleNamespace:
    """What TRL's methods look at of their trainer."""
    same = SimpleNamespace(device="cpu", gather=lambda x: x, gather_for_metrics=lambda x: x)
    return SimpleNamespace(
        model=SimpleNamespace(training=False),
        accelerator=same,
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        use_weighting=False,
        _metrics={"eval": defaultdict(list)},
        _total_train_tokens=0,
        calculate_KL=True,
        **more,
    )


def outputs_of(given: Given) -> SimpleNamespace:
    log_probs = given.tokens.transpose(0, 1).flatten(0, 1)
    nothing = torch.zeros_like(log_probs)
    return SimpleNamespace(log_probs=log_probs, entropy=nothing, mean_logits=nothing, is_top1=nothing.bool())


def inputs_of(given: Given) -> dict[str, Tensor]:
    mask = given.there.transpose(0, 1).flatten(0, 1).long()
    whole = torch.cat([torch.zeros(2 * BATCH, 1, dtype=torch.int64), mask], dim=1)  # a prompt of one token
    return {"input_ids": torch.ones_like(whole), "attention_mask": torch.ones_like(whole), "completion_mask": whole}


def theirs(
    given: Given, loss_type: list[str], beta: float, weights: list[float] | None = None, **args: float
) -> Tensor:
    trainer = stub(
        loss_types=loss_type,
        loss_weights=weights or [1.0] * len(loss_type),
        beta=beta,
        label_smoothing=args.pop("label_smoothing", 0.0),
        args=SimpleNamespace(**args),
    )
    chosen, rejected = given.reference.unbind(dim=1)
    inputs = inputs_of(given) | {"ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
    return trainers().dpo._compute_loss(trainer, lambda **_: outputs_of(given), inputs, return_outputs=False)


def assert_equal(given: Given, ours: Tensor, theirs: Tensor) -> None:
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6, abs=1e-6)
    (slope,), (expected,) = (torch.autograd.grad(loss, given.tokens) for loss in (ours, theirs))
    assert expected.abs().max() > 1e-4
    assert slope.numpy() == pytest.approx(expected.numpy(), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(
    ("name", "loss_type", "own", "args"),
    [
        ("logistic", "sigmoid", {}, {}),
        ("hinge", "hinge", {}, {}),
        ("robust_dpo", "robust", {"epsilon": 0.1}, {"label_smoothing": 0.1}),
        ("exo_pair", "exo_pair", {"epsilon": 1e-3}, {"label_smoothing": 1e-3}),
        ("nca_pair", "nca_pair", {}, {}),
        ("sppo_hard", "sppo_hard", {}, {}),
        ("apo_zero", "apo_zero", {}, {}),
        ("apo_down", "apo_down", {}, {}),
        ("ln_dpo", "sigmoid_norm", {}, {}),
        ("discopop", "discopop", {"tau": 0.05}, {"discopop_tau": 0.05}),
        ("discopop", "discopop", {"tau": 0.3}, {"discopop_tau": 0.3}),
        ("bco_pair", "bco_pair", {"threshold": "zero"}, {}),
        ("aot", "aot", {"epsilon": 0.0}, {}),
        ("aot", "aot", {"epsilon": 0.2}, {"label_smoothing": 0.2}),
        ("aot_unpaired", "aot_unpaired", {"epsilon": 0.0}, {}),
        ("aot_unpaired", "aot_unpaired", {"epsilon": 0.2}, {"label_smoothing": 0.2}),
    ],
)
def test_losses_of_the_dpo_trainer(
    name: str, loss_type: str, own: dict[str, float | str], args: dict[str, float], beta: float
) -> None:
    given = Given(1, equally_long=False)
    assert_equal(given, given.ours(name, beta, **own), theirs(given, [loss_type], beta, **args))


@pytest.mark.parametrize("tau", BETAS)
def test_the_squared_loss_is_ipo_per_token(tau: float) -> None:
    given = Given(2, equally_long=True)
    assert_equal(given, given.ours("squared", 2 * tau / TOKENS), 4 * tau**2 * theirs(given, ["ipo"], tau))


@pytest.mark.parametrize("tau", BETAS)
def test_ipo_averaged_is_theirs_for_any_lengths(tau: float) -> None:
    given = Given(9, equally_long=False)
    assert_equal(given, given.ours("ipo_averaged", 2 * tau), 4 * tau**2 * theirs(given, ["ipo"], tau))


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_dpo_with_an_sft_term(weight: float) -> None:
    given = Given(3, equally_long=True)
    both = theirs(given, ["sigmoid", "sft"], 0.3, [1.0, weight])
    assert_equal(given, given.ours("dpo_sft", 0.3, weight=weight), both)


def test_supervised_fine_tuning() -> None:
    given = Given(10, equally_long=True)
    assert_equal(given, given.ours("sft", 1.0), theirs(given, ["sft"], 1.0))


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(
    ("name", "types", "weights", "own", "args"),
    [
        ("logistic + 0.5 sft", ["sigmoid", "sft"], [1.0, 0.5], {}, {}),
        ("0.2*sft + 0.8 dpo + 2 sigmoid_norm", ["sigmoid", "sigmoid_norm", "sft"], [0.8, 2.0, 0.2], {}, {}),
        ("0.7 hinge + 0.3 nca", ["nca_pair", "hinge"], [0.3, 0.7], {}, {}),
        ("aot + apo_zero", ["aot", "apo_zero"], None, {"aot.epsilon": 0.1}, {"label_smoothing": 0.1}),
        (
            *("robust_dpo + 0.1 exo_pair", ["exo_pair", "robust"], [0.1, 1.0]),
            *({"robust_dpo.epsilon": 0.2, "exo_pair.epsilon": 0.2}, {"label_smoothing": 0.2}),
        ),
    ],
)
def test_sums_of_losses(
    name: str,
    types: list[str],
    weights: list[float] | None,
    own: dict[str, float],
    args: dict[str, float],
    beta: float,
) -> None:
    given = Given(11, equally_long=True)
    assert_equal(given, given.ours(name, beta, **own), theirs(given, types, beta, weights, **args))


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("name", "types"), [("bco_pair", ["bco_pair"]), ("bco_pair + 3 sppo", ["bco_pair"])])
def test_the_running_threshold_over_several_batches(name: str, types: list[str], beta: float) -> None:
    """The threshold is the mean of all rewards so far; TRL's own code has it as a reference that is higher."""
    objective = objective_called(name, None, "")
    own = {"threshold": "running"} if name in OBJECTIVES else {"bco_pair.threshold": "running"}
    memory = objective.remembers(own)
    assert memory is not None
    kept, rewards = memory.start(torch.tensor([[beta]])), []
    for seed in range(12, 17):
        given = Given(seed, equally_long=False)
        rewards.append(beta * (given.policy - given.reference).detach().numpy())
        ours = given.ours(name, beta, memory=kept, **own)
        shifted = Given(seed, equally_long=False)
        shifted.tokens = given.tokens
        shifted.reference = given.reference + np.mean(rewards) / beta
        expected = theirs(shifted, types, beta)
        if "sppo" in name:
            expected = expected + 3 * theirs(given, ["sppo_hard"], beta)
        assert_equal(given, ours, expected)
    assert abs(np.mean(rewards)) > 0.01


def test_every_name_of_a_loss_there_is_taken_here() -> None:
    """Those of 1.16, of which ipo is ours without a mean over tokens, and what earlier versions called another one."""
    same = ("exo_pair", "nca_pair", "bco_pair", "sppo_hard", "aot", "aot_unpaired", "apo_zero", "apo_down", "discopop")
    others = {"sigmoid": "logistic", "hinge": "hinge", "ipo": "squared", "robust": "robust_dpo", "sft": "sft"}
    others |= {"sigmoid_norm": "ln_dpo", "aot_pair": "aot_unpaired"}
    assert {name: loss_name(name) for name in (*same, *others)} == {name: name for name in same} | others


@pytest.mark.parametrize("beta", BETAS)
def test_conservative_dpo(beta: float) -> None:
    """Label smoothing has left the DPO trainer, and is CPO's, which has no reference."""
    given = Given(4, equally_long=False)
    trainer = stub(alpha=0.0, loss_type="sigmoid", beta=beta, label_smoothing=0.1)
    losses, _, _ = trainers().cpo.cpo_loss(trainer, *(given.policy - given.reference).unbind(dim=1))
    assert_equal(given, given.ours("conservative_dpo", beta, epsilon=0.1), losses.mean())


@pytest.mark.parametrize("beta", BETAS)
def test_simpo(beta: float) -> None:
    given = Given(5, equally_long=False)
    trainer = stub(alpha=0.0, loss_type="simpo", beta=beta, label_smoothing=0.0, simpo_gamma=0.5)
    losses, _, _ = trainers().cpo.cpo_loss(trainer, *(given.policy / given.lengths).unbind(dim=1))
    assert_equal(given, given.ours("simpo", beta, margin=0.5), losses.mean())


@pytest.mark.parametrize("weight", [0.1, 1.0])
def test_orpo(weight: float) -> None:
    given = Given(6, equally_long=True)
    per_token = given.policy / given.lengths
    gained, *_ = trainers().orpo.odds_ratio_loss(stub(beta=weight), *per_token.unbind(dim=1))
    expected = -per_token[:, 0].mean() - gained.mean()
    assert_equal(given, given.ours("orpo", 1.0, weight=weight), expected.double())


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_kto(shift: float) -> None:
    """With mean mismatched log-ratios below 0, where the origin is 0, and above it."""
    given, beta = Given(7, equally_long=False), 0.4
    mismatched = torch.from_numpy(np.random.default_rng(8).normal(loc=shift, size=(BATCH, 2)))
    trainer = stub(loss_type="kto", beta=beta, desirable_weight=1.3, undesirable_weight=0.7)
    trainer._compute_kl_logps = lambda model, batch: mismatched.flatten()
    batch = inputs_of(given) | {
        "label": torch.arange(2 * BATCH) < BATCH,
        "ref_logps": given.reference.T.flatten(),
        "ref_KL_logps": torch.zeros(2 * BATCH, dtype=torch.float64),
    }
    expected = trainers().kto._compute_loss(trainer, lambda **_: outputs_of(given), batch, return_outputs=False)
    ours = given.ours("kto", beta, mismatched, desirable=1.3, undesirable=0.7)
    assert_equal(given, ours, 2 * expected)
