"""The public Python surface by independent truth: closed forms, numpy, and what users get wrong."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import simulator as sim

EXACT = 1e-5  # nats and deviations; networks compute in float32


@pytest.fixture(scope="module")
def policies(world: sim.World, pairs: sim.Pairs) -> sim.Policies:
    return sim.train(world, pairs, loss=["logistic", "hinge"], beta=[0.05, 1.0], steps=30, seed=3)


def listed(world: sim.World) -> torch.Tensor:
    """Every response to every prompt, [P, G, T]."""
    return world.responses.expand(len(world.prompts), -1, -1)


def test_importing_is_fast_since_it_imports_nothing_heavy() -> None:
    program = (
        "import sys; import simulator; dir(simulator)\n"
        "heavy = {'torch', 'numpy', 'scipy', 'pandas', 'pydantic', 'pyarrow'} & set(sys.modules)\n"
        "print(heavy or 'nothing')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "nothing"


def test_every_public_name_is_there() -> None:
    assert {*sim.__all__} == {*sim._HOME, "__version__"}
    assert {*dir(sim)} == {*sim.__all__}
    for name in sim._HOME:
        assert getattr(sim, name) is not None
    assert callable(sim.training)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        sim.trian  # noqa: B018


def test_measurements_are_sums_over_all_responses(world: sim.World, policies: sim.Policies) -> None:
    """By numpy, from log-probabilities and gold alone."""
    everything, gold = listed(world), world.gold(world.prompts, listed(world)).numpy()
    reference = world.reference.log_prob(world.prompts, everything)[0].numpy()
    measured = world.measure(policies)
    assert (measured[["kl_se", "gold_se", "win_rate_se"]] == 0).all(axis=None)
    for row, log_prob in enumerate(policies.log_prob(world.prompts, everything).numpy()):
        law = np.exp(log_prob)
        assert np.allclose(law.sum(axis=1), 1, atol=EXACT)
        truth = {
            "kl": (law * (log_prob - reference)).sum(axis=1).mean(),
            "gold": (law * gold).sum(axis=1).mean(),
            "entropy": -(law * log_prob).sum(axis=1).mean(),
        }
        for name, value in truth.items():
            assert measured[name][row] == pytest.approx(value, abs=EXACT)


def test_a_function_of_log_probabilities_is_measured_as_the_policy(world: sim.World, policies: sim.Policies) -> None:
    ours = world.measure(policies)
    theirs = world.measure(policies.log_prob)
    alone = world.measure(lambda prompts, responses: policies[2].log_prob(prompts, responses)[0].numpy())
    for name in ("kl", "gold", "win_rate", "entropy", "proxy", "mu_squared"):
        assert np.allclose(theirs[name], ours[name], atol=10 * EXACT)
        assert np.allclose(alone[name], ours[name][2], atol=10 * EXACT)
    assert set(theirs["method"]) == {"external"}
    assert len(alone) == 1


def test_functions_with_a_known_answer(world: sim.World) -> None:
    same = world.measure(world.reference.log_prob)
    assert same["kl"][0] == pytest.approx(0, abs=EXACT)
    assert same["gold"][0] == pytest.approx(0, abs=EXACT)
    assert same["win_rate"][0] == pytest.approx(0.5, abs=EXACT)
    vocabulary, length = world.vocabulary, world.response_length
    uniform = world.measure(lambda prompts, some: np.full(some.shape[:2], -length * np.log(vocabulary)))
    assert uniform["entropy"][0] == pytest.approx(length * np.log(vocabulary))
    one = world.responses[5]

    def always(prompts: torch.Tensor, responses: torch.Tensor) -> torch.Tensor:
        return torch.where((responses == one).all(dim=-1), 0.0, -torch.inf)

    certain = world.measure(always)
    gold = world.gold(world.prompts, one.expand(len(world.prompts), 1, -1))
    assert certain["gold"][0] == pytest.approx(float(gold.mean()))
    assert certain["entropy"][0] == 0
    assert certain["mu_squared"][0] == np.inf


def test_the_oracle_is_the_upper_hull_of_every_policy(world: sim.World, policies: sim.Policies) -> None:
    measured = world.measure(policies)
    assert (world.oracle(measured["kl"]) >= measured["gold"] - EXACT).all()
    curve = world.oracle(np.linspace(0, 4, 9).reshape(3, 3))
    assert curve.shape == (3, 3)
    rising = np.diff(curve.ravel())
    assert (rising >= 0).all()
    assert (np.diff(rising) <= 1e-9).all()
    assert world.oracle(0.0) == pytest.approx(0, abs=1e-9)
    best = world.gold(world.prompts, listed(world)).amax(dim=1).mean()
    assert world.oracle(1e3) == pytest.approx(float(best))
    assert isinstance(world.oracle(1), float)


def test_the_oracle_is_the_optimum_of_a_general_solver(world: sim.World) -> None:
    """Gold under a bound on KL, maximized over all laws by a solver that knows nothing of Gibbs."""
    from scipy.optimize import minimize

    gold = world.gold(world.prompts, listed(world)).numpy()
    reference = world.reference.log_prob(world.prompts, listed(world))[0].numpy()

    def of(logits: np.ndarray) -> tuple[float, float]:
        law = np.exp(logits.reshape(gold.shape) - np.logaddexp.reduce(logits.reshape(gold.shape), axis=1)[:, None])
        return (law * gold).sum(axis=1).mean(), (law * (np.log(law) - reference)).sum(axis=1).mean()

    bound = {"type": "ineq", "fun": lambda logits: 0.5 - of(logits)[1]}
    found = minimize(lambda logits: -of(logits)[0], reference.ravel(), constraints=[bound])
    assert world.oracle(0.5) - 2e-3 < -found.fun < world.oracle(0.5) + 1e-6


def test_training_can_be_followed_stopped_and_gone_on_with(world: sim.World, pairs: sim.Pairs) -> None:
    whole = sim.train(world, pairs, loss="logistic", beta=[0.05, 0.5], steps=30, seed=3)
    stack = sim.training(world, pairs, loss="logistic", beta=[0.05, 0.5], steps=30, seed=3)
    assert len(stack) == 2
    assert stack.step == 0
    assert stack.curves.empty
    seen = []
    for row in stack:
        seen.append(row)
        if row.step >= 2:
            break
    before = stack.policies
    assert stack.step == 2
    assert list(before.table["step"]) == [2, 2]
    assert world.measure(before)["kl"][0] == pytest.approx(seen[-1].kl, abs=EXACT)
    kept = before.parameters.clone()
    seen += list(stack)
    assert torch.equal(before.parameters, kept)
    assert torch.equal(stack.policies.parameters, whole.parameters)
    pd.testing.assert_frame_equal(stack.curves, whole.curves)
    order = ["run_id", "step"]
    rows = pd.DataFrame(seen).sort_values(order)["kl"].tolist()
    assert rows == whole.curves.sort_values(order)["kl"].tolist()


def test_what_diverges_is_told_once(world: sim.World, pairs: sim.Pairs) -> None:
    stack = sim.training(world, pairs, beta=1.0, steps=30, settings={"train.learning_rate": 1e12, "train.clip": 0.0})
    rows = list(stack)
    assert [row.status for row in rows].count("diverged") == 1
    assert rows[-1].status == "diverged"
    assert stack.curves["status"].tolist() == [row.status for row in rows]


def test_a_function_as_a_loss_is_that_loss(world: sim.World, pairs: sim.Pairs) -> None:
    ours = sim.train(world, pairs, loss="logistic", beta=0.3, steps=20)
    f = sim.train(world, pairs, loss=lambda z: torch.log1p(torch.exp(-z)), beta=0.3, steps=20)

    def dpo(chosen: torch.Tensor, rejected: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.softplus(-beta * (chosen - rejected))

    several = sim.train(world, pairs, loss=[dpo, "logistic"], beta=0.3, steps=20)
    assert torch.allclose(f.parameters, ours.parameters, atol=1e-4)
    assert torch.allclose(several.parameters[0], ours.parameters[0], atol=1e-4)
    assert torch.equal(several.parameters[1], ours.parameters[0])
    assert f.table["loss"][0] == "lambda"
    assert several.table["loss"].tolist() == ["dpo", "logistic"]
    assert sim.train(world, pairs, loss=sim.LOSSES["hinge"], steps=2).table["loss"][0] == "hinge"


def test_a_loss_in_a_file(world: sim.World, pairs: sim.Pairs) -> None:
    Path("mine.py").write_text("def half(z):\n    return (z - 0.5).square()\n", encoding="utf-8")
    in_file = sim.train(world, pairs, loss="mine.py:half", beta=0.3, steps=10)
    given = sim.train(world, pairs, loss=lambda z: (z - 0.5).square(), beta=0.3, steps=10)
    assert torch.equal(in_file.parameters, given.parameters)
    assert in_file.table["loss"][0] == "mine.py:half"


def test_pairs_are_nested_labelled_by_gold_and_may_be_ones_own(world: sim.World, pairs: sim.Pairs) -> None:
    assert len(pairs) == 48
    assert pairs.prompts.shape == (48, world.prompts.shape[1])
    assert pairs.chosen.shape == pairs.rejected.shape == (48, world.response_length)
    more = world.preferences(96, seed=3)
    assert torch.equal(more.chosen[:48], pairs.chosen)
    assert pairs.gold is not None
    both = world.gold(pairs.prompts, torch.stack([pairs.chosen, pairs.rejected], dim=1))
    assert torch.equal(both, pairs.gold)
    sure = world.preferences(200, seed=3, labels="deterministic").gold
    assert sure is not None
    assert (sure[:, 0] >= sure[:, 1]).all()
    wrong = world.preferences(200, seed=3, labels="deterministic", label_noise=1.0).gold
    assert wrong is not None
    assert (wrong[:, 0] <= wrong[:, 1]).all()
    own = sim.Pairs(prompts=pairs.prompts, chosen=pairs.chosen, rejected=pairs.rejected)
    assert torch.equal(
        sim.train(world, own, beta=0.3, steps=10).parameters, sim.train(world, pairs, beta=0.3, steps=10).parameters
    )
    turned = sim.Pairs(prompts=pairs.prompts, chosen=pairs.rejected, rejected=pairs.chosen)
    ends = sim.train(world, turned, beta=0.3, steps=20).curves.iloc[-1]
    assert ends["train_accuracy"] > 0.5
    assert world.measure(sim.train(world, turned, beta=0.3, steps=20), pairs=pairs)["train_accuracy"][0] < 0.5


def test_replaced_tensors_are_heeded(world: sim.World, pairs: sim.Pairs) -> None:
    from dataclasses import replace

    turned = replace(pairs, chosen=pairs.rejected, rejected=pairs.chosen)
    own = sim.Pairs(prompts=pairs.prompts, chosen=pairs.rejected, rejected=pairs.chosen)
    first, second = (sim.train(world, each, beta=0.3, steps=10).parameters for each in (turned, own))
    assert torch.equal(first, second)


def test_samples_follow_the_policy(world: sim.World, policies: sim.Policies) -> None:
    drawn = policies.sample(world.prompts, 4000, seed=1)
    assert drawn.shape == (4, len(world.prompts), 4000, world.response_length)
    assert torch.equal(drawn, policies.sample(world.prompts, 4000, seed=1))
    assert not torch.equal(drawn, policies.sample(world.prompts, 4000, seed=2))
    assert torch.equal(policies[1].sample(world.prompts, 4000, seed=1)[0], drawn[1])
    law = policies.log_prob(world.prompts, listed(world)).exp()
    number = (drawn * world.vocabulary ** torch.arange(world.response_length - 1, -1, -1)).sum(dim=-1)
    assert torch.equal(world.responses[number], drawn)
    for row in range(4):
        for prompt in range(len(world.prompts)):
            counts = torch.bincount(number[row, prompt], minlength=len(world.responses)) / 4000
            assert (counts - law[row, prompt]).abs().max() < 0.05


def test_policies_are_kept_in_a_file(world: sim.World, policies: sim.Policies, tmp_path: Path) -> None:
    policies.save(tmp_path / "kept" / "four.safetensors")
    loaded = sim.load_policies(tmp_path / "kept" / "four.safetensors")
    assert torch.equal(loaded.parameters, policies.parameters)
    pd.testing.assert_frame_equal(loaded.table, policies.table)
    pd.testing.assert_frame_equal(world.measure(loaded), world.measure(policies))
    assert len(loaded[1:3]) == 2
    assert loaded[-1].table["beta"][0] == 1.0
    content = bytearray((tmp_path / "kept" / "four.safetensors").read_bytes())
    for damaged in (content[:100], content[:-4], content[:-1] + bytes([content[-1] ^ 1]), b"", b"\x80\x04."):
        (tmp_path / "bad").write_bytes(bytes(damaged))
        with pytest.raises(sim.ConfigError, match=r"bad: is no file of policies that Policies\.save wrote"):
            sim.load_policies(tmp_path / "bad")
    with pytest.raises(sim.ConfigError, match="none: cannot be read"):
        sim.load_policies(tmp_path / "none")


def test_a_proxy_scores_as_it_is_measured(world: sim.World, pairs: sim.Pairs) -> None:
    proxy = sim.train_proxy(world, pairs, width=16, members=2, steps=20, seed=3)
    assert proxy.facts["member"].tolist() == [0, 1]
    scores = proxy.score(world.prompts, listed(world)).numpy()
    reference = world.reference.log_prob(world.prompts, listed(world))[0].exp().numpy()
    best = sim.best_of_n(world, proxy, n=[1, 3])
    assert best["proxy"][0] == pytest.approx((reference * scores).sum(axis=1).mean(), abs=EXACT)
    rng = np.random.default_rng(0)
    wins = []
    for law, score in zip(reference, scores, strict=True):
        drawn = rng.choice(len(law), size=(40_000, 3), p=law / law.sum())
        wins.append(score[drawn].max(axis=1).mean())
    assert best["proxy"][1] == pytest.approx(np.mean(wins), abs=0.02)


def test_the_same_overrides_as_on_the_command_line() -> None:
    by_key = sim.make_world("quickstart", {"world.prompts": 2, "gold.reward": "motif", "world.response_length": 2})
    by_text = sim.make_world("quickstart", ["world.prompts=2", "gold.reward=motif", "world.response_length=2"])
    assert by_key.facts == by_text.facts
    assert by_key.facts["prompts"] == 2
    assert "motif" in repr(by_key)
    assert by_key.spell([0, 1]) == "ab"


def test_a_notebook_shows_what_things_are(world: sim.World, pairs: sim.Pairs, policies: sim.Policies) -> None:
    assert repr(world) == "World(kind='enumerable', prompts=3, vocabulary=4, response_length=3, gold='transformer')"
    assert repr(pairs) == "Pairs(48 labelled pairs, responses of 3 tokens)"
    assert repr(world.preferences(5, responses=4)) == "Pairs(5 prompts with 4 ranked responses, responses of 3 tokens)"
    assert repr(policies).startswith("Policies(gpo-logistic-0.05-3-")
    assert repr(world.reference) == "Policies(reference)"
    assert repr(sim.train_proxy(world, pairs, width=16, steps=2)) == "Proxy(width=16, members=1, pairs=48, seed=0)"


def test_two_checkpoints_are_the_beginning_and_the_end(world: sim.World, pairs: sim.Pairs) -> None:
    assert sim.train(world, pairs, steps=9, checkpoints=2).curves["step"].tolist() == [0, 9]


def test_pairs_of_two_identical_responses_count_half_in_accuracy(world: sim.World, pairs: sim.Pairs) -> None:
    same = sim.Pairs(prompts=pairs.prompts, chosen=pairs.chosen, rejected=pairs.chosen)
    facts = sim.train_proxy(world, same, width=16, steps=5).facts
    assert facts["train_accuracy"].tolist() == facts["held_out_accuracy"].tolist() == [0.5]
    policies = sim.train(world, same, steps=5)
    assert policies.curves["train_accuracy"].eq(0.5).all()
