"""Gold rewards: their scale, their closed forms, and that nothing but their stream decides them."""

import numpy as np
import pytest
import torch

import simulator as sim
from gold_rewards import GOLD_REWARDS, KINDS, scale_under
from gold_rewards.rewards.motif import ECHO_WEIGHT, Motif, MotifReward
from simulator.measurement.gibbs import gibbs
from simulator.networks.listing.prefix_tree import all_responses
from tests.conftest import small_sweep

OF_TOKENS = [name for name, kind in KINDS.items() if not kind.of_text]
SIZES = {"vocabulary": 4, "prompt_length": 2, "response_length": 3}


def make(name: str, seed: int = 0):
    return GOLD_REWARDS[name](**SIZES, rng=np.random.default_rng(seed))


def everything(prompt: list[int]) -> tuple[np.ndarray, np.ndarray]:
    texts = all_responses(4, 3)
    return np.repeat([prompt], len(texts), axis=0), texts


@pytest.mark.parametrize("name", OF_TOKENS)
def test_only_the_stream_decides(name: str) -> None:
    torch.manual_seed(1)
    first = make(name)(*everything([1, 2]))
    torch.manual_seed(2)
    assert (make(name)(*everything([1, 2])) == first).all()
    assert not np.allclose(make(name, seed=1)(*everything([1, 2])), first)
    assert first.std() > 0.1


def reference_of(world: sim.World) -> torch.Tensor:
    """log pi_ref of every response, [P, G]."""
    return world.simulated.reference_log_probs


def gold_in(world: sim.World) -> torch.Tensor:
    """Gold of every response, [P, G]."""
    return world.gold(world.prompts, world.responses.expand(len(world.prompts), -1, -1))


@pytest.mark.parametrize("name", OF_TOKENS)
def test_gold_is_standardized_under_the_reference(name: str) -> None:
    world = sim.make_world(small_sweep(gold={"reward": name, "fluency": 0.5}))
    law, gold = reference_of(world).exp(), gold_in(world)
    assert (law * gold).sum(dim=1).numpy() == pytest.approx(0, abs=1e-9)
    assert (law * gold.square()).sum(dim=1).mean().item() == pytest.approx(1)


@pytest.mark.parametrize("name", ["transformer", "motif"])
def test_content_depends_on_the_prompt(name: str) -> None:
    assert not np.allclose(make(name)(*everything([0, 1])), make(name)(*everything([0, 2])))


def test_fluency_makes_the_unlikely_worse(lab: sim.World) -> None:
    reference = reference_of(lab)
    rare = reference < reference.quantile(0.2, dim=1, keepdim=True)

    def gold_of_rare(fluency: float) -> float:
        return gold_in(sim.make_world(small_sweep(gold={"fluency": fluency})))[rare].mean().item()

    assert gold_of_rare(2.0) < gold_of_rare(0.0) - 1.0


def test_a_flat_reward_has_no_scale() -> None:
    with pytest.raises(ValueError, match="same for every response"):
        scale_under(np.full((1, 4), 0.25), np.ones((1, 4)))
    with pytest.raises(ValueError, match="not finite"):
        scale_under(np.full((1, 2), 0.5), np.array([[1.0, -np.inf]]))


def test_motif_by_hand() -> None:
    reward = MotifReward(
        motifs=(
            Motif(first=0, second=1, adjacent=True, weight=2.0),
            Motif(first=0, second=1, adjacent=False, weight=0.5),
            Motif(first=3, second=3, adjacent=False, weight=-1.5),
        )
    )
    prompts = np.array([[2, 2]] * 5)
    responses = np.array([[0, 1, 0], [0, 3, 1], [3, 1, 3], [1, 0, 0], [2, 1, 0]])
    assert reward(prompts, responses) == pytest.approx([2.5, 0.5, -1.5, 0.0, ECHO_WEIGHT])
    assert reward.explain(prompts[0], responses[2]) == ["3 … 3: -1.50"]
    assert reward.explain(prompts[0], responses[4]) == ["repeats the prompt's last token 2: -1.00"]


def test_motif_explains_its_whole_score() -> None:
    reward = make("motif")
    prompts, texts = everything([1, 2])
    for prompt, text, score in zip(prompts, texts, reward(prompts, texts), strict=True):
        assert sum(float(line.split(": ")[1]) for line in reward.explain(prompt, text)) == pytest.approx(
            score, abs=0.05
        )


def test_equal_counts_are_exact_ties_for_additive() -> None:
    prompts, texts = everything([0, 0])
    scores = make("additive")(prompts, texts)
    kinds = {tuple(sorted(text)) for text in texts.tolist()}
    assert len(np.unique(scores)) == len(kinds) == 20


def test_no_reward_touches_the_generator_of_torch() -> None:
    before = torch.get_rng_state()
    for name in OF_TOKENS:
        make(name)
    assert torch.equal(torch.get_rng_state(), before)


def test_large_worlds_are_scored_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make("transformer")(*everything([1, 2]))
    monkeypatch.setattr("gold_rewards.encoder.AT_ONCE", 7)
    assert make("transformer")(*everything([1, 2])) == pytest.approx(whole, abs=1e-5)


def test_rules_can_be_read(lab: sim.World) -> None:
    assert make("additive").rules()[3].startswith("each token 3: ")
    assert len(make("motif").rules()) == 8 + 1
    assert "random transformer" in lab.facts["gold_rules"][0]


def test_additive_gibbs_factorizes_over_tokens() -> None:
    """With independent tokens, tilting whole responses is tilting each token."""
    prompts, texts = everything([0, 0])
    reward = make("additive")
    token_law = np.log([0.1, 0.2, 0.3, 0.4])
    reference = torch.from_numpy(token_law[texts].sum(axis=1))[None]
    whole = gibbs(reference, torch.from_numpy(reward(prompts, texts))[None], torch.tensor([0.7], dtype=torch.float64))[
        0, 0
    ].numpy()
    tilted = token_law + reward.weights / 0.7
    tilted -= np.log(np.exp(tilted).sum())
    assert whole == pytest.approx(tilted[texts].sum(axis=1), abs=1e-9)


@pytest.mark.parametrize("name", OF_TOKENS)
def test_what_comes_after_the_end_of_a_response_does_not_count(name: str) -> None:
    """A response that is over scores the same whether its reward was made for longer ones or not at all longer."""
    rng = np.random.default_rng(2)
    prompts, said = rng.integers(5, size=(40, 2)), rng.integers(5, size=(40, 3))
    longer = np.concatenate([said, np.full((40, 4), -1)], axis=1)
    reward = GOLD_REWARDS[name](vocabulary=5, prompt_length=2, response_length=7, rng=np.random.default_rng(0))
    other = np.concatenate([said, rng.integers(5, size=(40, 4))], axis=1)
    scores = reward(prompts, longer)
    assert np.isfinite(scores).all()
    assert np.std(scores) > 0
    assert not np.allclose(scores, reward(prompts, other))
    two_fewer = reward(prompts, longer[:, :5]) if name != "transformer" else scores
    assert two_fewer == pytest.approx(scores)
    alone = np.concatenate([reward(prompts[i : i + 1], longer[i : i + 1]) for i in range(40)])
    mixed = reward(np.concatenate([prompts, prompts]), np.concatenate([longer, other]))[:40]
    assert alone == pytest.approx(scores, abs=1e-5)
    assert mixed == pytest.approx(scores, abs=1e-5)
