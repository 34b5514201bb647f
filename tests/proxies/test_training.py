"""Proxy reward models against plain computations, planted knowledge, and themselves in a stack."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr

from simulator.engine.batches import batch_order
from simulator.engine.gradient_steps import advance, start
from simulator.engine.problem import Schedule
from simulator.engine.recorder import Recorder
from simulator.networks.architecture import Architecture
from simulator.networks.packing import whole_packing
from simulator.networks.parameters import initial_parameters, unstack
from simulator.networks.prefix_tree import all_responses, leaf_scores
from simulator.networks.transformer import sequence_scores
from simulator.preferences.draw import draw_labelled
from simulator.preferences.pairs import padded_preferences
from simulator.proxies.agreement import against_gold, correlation
from simulator.proxies.reward_model import Member, members_needed, members_of, proxy_architecture
from simulator.proxies.scores import make_proxy, scorer_of
from simulator.proxies.training import make_problem, train_members, values_of
from simulator.sweeps.grid import expand
from simulator.sweeps.stacking import proxy_stacks
from simulator.worlds.build import build_world
from simulator.worlds.listing import Listing
from simulator.worlds.protocol import World
from tests.conftest import small_sweep

PROXY = {"width": 8, "steps": 60, "batch": 16}


def members(sweep_axes: dict[str, object] | None = None, **tables: dict[str, object]) -> list[Member]:
    proxy = PROXY | tables.pop("proxy", {})
    grid = {"method": "best_of_n", "seeds": 2, **(sweep_axes or {})}
    return members_needed(expand(small_sweep(proxy=proxy, sweep=grid, **tables)))


def train(some: list[Member], world: World):
    with torch.no_grad():
        return train_members(some, world, Recorder())


def plain_scores(parameters: torch.Tensor, architecture: Architecture, tokens: np.ndarray) -> np.ndarray:
    """What one network says of each sequence [N, L + T], written out one position and one head at a time."""
    weights = {name: view[0].double() for name, view in unstack(parameters[None], architecture).items()}

    def norm(x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()

    found = []
    for sequence in tokens:
        x = weights["token"][torch.from_numpy(sequence)] + weights["position"][: len(sequence)]
        for layer in range(architecture.layers):
            query, key, value = (norm(x) @ weights[f"{layer}.attend"]).chunk(3, dim=-1)
            heads = []
            for part in torch.arange(architecture.width).chunk(architecture.heads):
                scores = query[:, part] @ key[:, part].T / math.sqrt(len(part))
                scores = scores.masked_fill(torch.ones_like(scores).triu(1) > 0, -math.inf)
                heads.append(scores.softmax(-1) @ value[:, part])
            x = x + torch.cat(heads, dim=-1) @ weights[f"{layer}.merge"]
            x = x + (norm(x) @ weights[f"{layer}.up"]).relu() @ weights[f"{layer}.down"]
        found.append(float(norm(x[-1]) @ weights["unembed"][:, 0]))
    return np.array(found)


def test_scores_of_packed_responses_and_of_the_tree_are_those_of_whole_sequences(rng: np.random.Generator) -> None:
    architecture = Architecture(vocabulary=3, context=5, layers=2, width=8, heads=2, outputs=1)
    parameters = torch.stack([initial_parameters(architecture, rng) for _ in range(2)])
    prompts, every = rng.integers(3, size=(4, 2)), all_responses(3, 3)
    tree = leaf_scores(unstack(parameters, architecture), architecture, torch.from_numpy(prompts), 3)
    packed = whole_packing(prompt_length=2, response_length=3, responses=27, device=torch.device("cpu"))
    asked = torch.from_numpy(prompts).expand(2, -1, -1)
    together = sequence_scores(
        unstack(parameters, architecture), architecture, packed, asked, torch.from_numpy(every).expand(2, 4, -1, -1)
    )
    for run in range(2):
        for row, prompt in enumerate(prompts):
            plain = plain_scores(parameters[run], architecture, np.column_stack([np.tile(prompt, (27, 1)), every]))
            assert tree[run, row].numpy() == pytest.approx(plain, abs=1e-5)
            assert together[run, row].numpy() == pytest.approx(plain, abs=1e-5)


def test_what_comes_after_the_end_is_a_token_of_its_own(rng: np.random.Generator) -> None:
    architecture = Architecture(vocabulary=4, context=5, layers=1, width=8, heads=2, outputs=1)
    parameters = initial_parameters(architecture, rng)[None]
    packed = whole_packing(prompt_length=2, response_length=3, responses=1, device=torch.device("cpu"))
    prompts, ended = torch.zeros(1, 1, 2, dtype=torch.int64), torch.tensor([[[[1, 2, -1]]]])
    found = sequence_scores(unstack(parameters, architecture), architecture, packed, prompts, ended)
    assert float(found) == pytest.approx(
        plain_scores(parameters[0], architecture, np.array([[0, 0, 1, 2, 3]]))[0], abs=1e-5
    )


def test_sizes_are_a_factor_of_four_apart_from_hundreds_to_a_million() -> None:
    sizes = []
    for width in (4, 8, 16, 32, 64, 128, 256):
        architecture = proxy_architecture(
            small_sweep(world={"vocabulary": 8, "response_length": 4}, proxy={"width": width})
        )
        sizes.append(architecture.parameters)
    ratios = np.array(sizes[1:]) / np.array(sizes[:-1])
    assert 200 < sizes[0] < 400
    assert 5e5 < sizes[-1] < 2e6
    assert ((ratios > 3) & (ratios < 5)).all()


def test_training_is_that_of_a_plain_loop(world: World, rng: np.random.Generator) -> None:
    """One proxy by torch's own AdamW and clipping, on the labelled pairs that are not held out."""
    (member,) = members({"seeds": 1}, proxy={"weight_decay": 0.1, "loss": "squared"})
    pairs = padded_preferences([draw_labelled(world, member.settings.data, member.seed)])
    problem = make_problem([member], world, pairs)
    problem = replace(problem, schedule=Schedule(steps=25, warmup=0, kind="constant"))
    kept = member.pairs - member.held_out
    first = initial_parameters(problem.architecture, rng)
    state = advance(start(first, 1), problem, 25)
    row = torch.nn.Parameter(first.clone())
    optimizer = torch.optim.AdamW([row], lr=member.settings.proxy.rate, weight_decay=0.1)
    for at in torch.from_numpy(batch_order(problem.batch_seeds[0], kept, 16, 0, 25)):
        assert (at < kept).all()
        blocks, texts = unstack(row[None], problem.architecture), (problem.prompts[:, at], problem.responses[:, at])
        scores = sequence_scores(blocks, problem.architecture, problem.packing, *texts)[0]
        loss = (scores[:, 0] - scores[:, 1] - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([row], 1.0)
        optimizer.step()
    assert state.parameters[0].numpy() == pytest.approx(row.detach().numpy(), abs=2e-4)


AXES = {"data.pairs": [30, 48], "data.label_noise": [0.0, 0.25], "proxy.loss": ["hinge", "logistic"]}


@pytest.mark.slow(but="8")
@pytest.mark.parametrize("width", [8, 32])
def test_a_stack_over_data_noise_seed_and_loss_gives_what_each_gives_alone(world: World, width: int) -> None:
    stack = members(AXES, proxy={"width": width})
    assert len(stack) == 2 * 2 * 2 * 2
    assert len({member.stack_key for member in stack}) == 1
    (stack,) = proxy_stacks(stack, {stack[0].stack_key: 100})
    together = train(list(stack), world)
    for member, (trained, facts) in zip(stack, together, strict=True):
        ((alone, said),) = train([member], world)
        assert torch.equal(alone.parameters, trained.parameters), member.name
        assert alone.scores == pytest.approx(trained.scores, abs=1e-6)
        for name, value in said.items():
            assert facts[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-5)), name


def test_held_out_pairs_are_the_last_and_never_trained_on(world: World) -> None:
    (member,) = members({"seeds": 1}, proxy={"held_out": 0.25})
    pairs = padded_preferences([draw_labelled(world, member.settings.data, member.seed)])
    problem = make_problem([member], world, pairs)
    assert problem.counts == (36,)
    ((trained, facts),) = train([member], world)
    values = values_of(trained.parameters[None], problem, torch.arange(48)[None])[0].numpy()
    gaps = values[:, 0] - values[:, 1]
    for name, part in (("train", slice(0, 36)), ("held_out", slice(36, 48))):
        assert facts[f"{name}_loss"] == pytest.approx(np.log1p(np.exp(-gaps[part])).mean(), rel=1e-5)
        assert facts[f"{name}_accuracy"] == pytest.approx(((np.sign(gaps[part]) + 1) / 2).mean())


def test_the_checkpoint_with_the_least_held_out_loss_is_kept(world: World) -> None:
    """On random labels, what is learned does not carry over, so an early checkpoint is best."""
    proxy = {"steps": 400, "learning_rate": 0.02, "width": 32, "held_out": 0.5}
    few = members({"seeds": 4}, proxy=proxy, data={"label_noise": 0.5, "pairs": 400})
    for _, facts in train(few, world):
        assert facts["best_step"] < 100
        assert facts["held_out_loss"] < 0.9


def test_what_gold_labels_is_learned(world: World) -> None:
    many = {"pairs": 2000, "labels": "deterministic"}
    good = train(members({"seeds": 2}, data=many, proxy={"steps": 600, "width": 32}), world)
    bad = train(members({"seeds": 2}, data=many | {"label_noise": 0.5}, proxy={"steps": 400, "width": 32}), world)
    for _, facts in good:
        assert facts["correlation"] > 0.85
        assert facts["gold_accuracy"] > 0.85
        assert facts["scale"] > 0
        assert facts["gold_loss"] < 0.6
    assert max(facts["correlation"] for _, facts in bad) < 0.5


def test_members_share_their_pairs_and_differ_in_all_else(world: World) -> None:
    some = members({"seeds": 1}, proxy={"members": 3, "combine": "worst_case"})
    assert [member.member for member in some] == [0, 1, 2]
    found = [trained.scores for trained, _ in train(some, world)]
    assert not np.allclose(found[0], found[1])
    assert not np.allclose(found[1], found[2])
    (single,) = members({"seeds": 1})
    assert single.name == some[0].name


def test_a_proxy_is_trained_once_for_all_who_need_it() -> None:
    grid = {"method": ["best_of_n", "gibbs", "rl", "gpo"], "penalty": [0.0, 0.1], "proxy.members": [1, 3]}
    grid |= {"proxy.combine": ["mean", "worst_case"], "data.labeller": ["proxy"]}
    runs = expand(small_sweep(proxy=PROXY, sweep={"seeds": 2, "loss": ["hinge"], "beta": [0.1], **grid}))
    assert len(members_needed(runs)) == 2 * 3
    assert all(len(members_of(run)) == run.settings.proxy.members for run in runs)


def test_correlation_is_that_of_scores_about_the_mean_of_their_prompt(rng: np.random.Generator) -> None:
    first = rng.normal(size=(3, 500)) + np.arange(3)[:, None]
    second = first + rng.normal(size=(3, 500)) - 5 * np.arange(3)[:, None]
    law = np.full((3, 500), 1 / 500)
    centred = [(scores - scores.mean(axis=1, keepdims=True)).ravel() for scores in (first, second)]
    assert correlation(law, first, second) == pytest.approx(pearsonr(*centred).statistic)
    assert math.isnan(correlation(law, first, np.ones((3, 500))))


def test_against_gold_by_planted_scores(rng: np.random.Generator) -> None:
    gold = rng.normal(size=(2, 400))
    pairs = np.column_stack([np.repeat([0, 1], 200), rng.integers(400, size=(400, 2))])
    listing = Listing(rows=np.arange(2), reference_probs=np.full((2, 400), 1 / 400), gold=gold, pairs=pairs)
    perfect = against_gold(listing, 8 * gold + 3)
    assert perfect["correlation"] == pytest.approx(1.0)
    assert perfect["shifted_correlation"] == pytest.approx(1.0)
    assert perfect["scale"] == pytest.approx(1 / 8)
    same = pairs[:, 1] == pairs[:, 2]
    assert perfect["gold_accuracy"] == pytest.approx(1.0 - same.mean() / 2)
    noise = against_gold(listing, rng.normal(size=(2, 400)))
    assert abs(noise["correlation"]) < 0.15
    assert noise["gold_loss"] == pytest.approx(math.log(2), abs=0.01)
    odd = against_gold(listing, np.minimum(gold, 1.0))  # knows nothing of what is best
    assert odd["shifted_correlation"] < odd["correlation"] - 0.1


@pytest.mark.parametrize("kind", ["enumerable", "sampled"])
def test_scores_of_the_listing_are_those_of_the_same_responses_read_anew(kind: str) -> None:
    ends = {"language": {"stop": 0.2}} if kind == "sampled" else {}
    here = build_world(small_sweep(world={"kind": kind, **ends}, measure={"baseline": 16}))
    some = members({"seeds": 2}, world={"kind": kind, **ends}, measure={"baseline": 16}, proxy={"members": 2})
    trained = [found for found, _ in train(some, here)]
    proxies = [
        make_proxy(trained[i : i + 2], here.listing, combine="uncertainty_weighted", uncertainty=0.5) for i in (0, 2)
    ]
    scorer = scorer_of(here, proxies)
    rows = torch.arange(3).expand(2, 3)
    listed = here.responses.expand(3, -1, -1) if kind == "enumerable" else here.measurement.baseline.responses
    again = scorer.of(rows, listed.expand(2, -1, -1, -1))
    assert again.numpy() == pytest.approx(scorer.tables.numpy(), abs=1e-4)
    assert (listed < 0).any() == (kind == "sampled")
    for proxy in proxies:
        assert (here.listing.reference_probs * proxy.table).sum(axis=1) == pytest.approx(np.zeros(3), abs=1e-6)
