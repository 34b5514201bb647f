"""The stacked transformer against one network written plainly, one sequence at a time."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from simulator.networks.architecture import Architecture
from simulator.networks.packing import packing
from simulator.networks.parameters import initial_parameters, unstack
from simulator.networks.transformer import response_states, sequence_log_probs, token_log_probs

ARCHITECTURE = Architecture(vocabulary=5, context=6, layers=2, width=12, heads=3)
CPU = torch.device("cpu")


def plain_log_probs(weights: dict[str, Tensor], text: list[int]) -> Tensor:
    """Next-token log-probabilities [S, V] of one network after each token of `text`, written with loops."""
    a = ARCHITECTURE
    e = a.width // a.heads

    def norm(x: Tensor) -> Tensor:
        return (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt()

    xs = [weights["token"][token] + weights["position"][i] for i, token in enumerate(text)]
    for layer in range(a.layers):
        qkv = [norm(x) @ weights[f"{layer}.attend"] for x in xs]
        after = []
        for i, x in enumerate(xs):
            heads = []
            for h in range(a.heads):
                query = qkv[i][h * e : (h + 1) * e]
                keys = [qkv[j][a.width + h * e : a.width + (h + 1) * e] for j in range(i + 1)]
                values = [qkv[j][2 * a.width + h * e : 2 * a.width + (h + 1) * e] for j in range(i + 1)]
                weight = torch.stack([query @ key / math.sqrt(e) for key in keys]).softmax(0)
                heads.append(sum(w * v for w, v in zip(weight, values, strict=True)))
            y = x + torch.cat(heads) @ weights[f"{layer}.merge"]
            after.append(y + (norm(y) @ weights[f"{layer}.up"]).clamp(min=0) @ weights[f"{layer}.down"])
        xs = after
    return torch.stack([(norm(x) @ weights["unembed"]).log_softmax(0) for x in xs])


@pytest.fixture
def stack() -> Tensor:
    rows = [initial_parameters(ARCHITECTURE, np.random.default_rng(seed)) for seed in range(3)]
    return torch.stack(rows).double() * 1.5


def test_packed_responses_have_the_log_probs_of_the_plain_network(stack: Tensor, rng: np.random.Generator) -> None:
    prompts = torch.from_numpy(rng.integers(5, size=(3, 4, 3)))
    responses = torch.from_numpy(rng.integers(5, size=(3, 4, 2, 4)))
    packed = packing(prompt_length=3, response_length=4, responses=2, device=CPU)
    got = token_log_probs(stack, ARCHITECTURE, packed, prompts, responses)
    for run in range(3):
        weights = {name: view[0] for name, view in unstack(stack[run : run + 1], ARCHITECTURE).items()}
        for n in range(4):
            for k in range(2):
                text = [*prompts[run, n].tolist(), *responses[run, n, k].tolist()]
                plain = plain_log_probs(weights, text[:-1])
                expected = [plain[2 + t, text[3 + t]].item() for t in range(4)]
                assert got[run, n, k].numpy() == pytest.approx(expected, abs=1e-10)


def test_hidden_states_are_what_tokens_are_predicted_from(stack: Tensor, rng: np.random.Generator) -> None:
    prompts = torch.from_numpy(rng.integers(5, size=(3, 4, 3)))
    responses = torch.from_numpy(rng.integers(5, size=(3, 4, 2, 4)))
    packed = packing(prompt_length=3, response_length=4, responses=2, device=CPU)
    states = response_states(stack, ARCHITECTURE, packed, prompts, responses)
    logits = torch.einsum("rnktd,rdv->rnktv", states, unstack(stack, ARCHITECTURE)["unembed"])
    log_probs = logits.log_softmax(dim=-1).gather(4, responses.unsqueeze(4))[..., 0]
    expected = token_log_probs(stack, ARCHITECTURE, packed, prompts, responses)
    assert log_probs.numpy() == pytest.approx(expected.numpy(), abs=1e-5)


def test_one_token_responses_need_no_packed_place(stack: Tensor) -> None:
    packed = packing(prompt_length=2, response_length=1, responses=3, device=CPU)
    prompts, responses = torch.zeros(3, 1, 2, dtype=torch.int64), torch.arange(3).view(1, 1, 3, 1).expand(3, 1, 3, 1)
    got = token_log_probs(stack, ARCHITECTURE, packed, prompts, responses)
    weights = {name: view[1] for name, view in unstack(stack, ARCHITECTURE).items()}
    assert got[1, 0, :, 0].numpy() == pytest.approx(plain_log_probs(weights, [0, 0])[1, :3].numpy(), abs=1e-10)


def test_unstack_shares_memory_and_uses_every_parameter(stack: Tensor) -> None:
    blocks = unstack(stack, ARCHITECTURE)
    assert sum(view[0].numel() for view in blocks.values()) == ARCHITECTURE.parameters == stack.shape[1]
    for view in blocks.values():
        view.zero_()
    assert (stack == 0).all()


def test_a_response_that_is_over_is_read_up_to_its_end() -> None:
    """Against a packing that has no room for more, values and gradients."""
    architecture = Architecture(vocabulary=5, context=6, layers=2, width=8, heads=2)
    parameters = initial_parameters(architecture, np.random.default_rng(0)).unsqueeze(0).double()
    rng = np.random.default_rng(1)
    prompts = torch.from_numpy(rng.integers(5, size=(1, 7, 2)))
    short = torch.from_numpy(rng.integers(5, size=(1, 7, 2, 3)))
    filled = torch.cat([short, torch.full((1, 7, 2, 2), -1)], dim=-1)
    found = []
    for responses in (short, filled):
        packed = packing(prompt_length=2, response_length=responses.shape[3], responses=2, device=torch.device("cpu"))
        row = parameters.clone().requires_grad_()
        log_probs = token_log_probs(row, architecture, packed, prompts, responses)
        (gradient,) = torch.autograd.grad(log_probs.sum(), row)
        found.append((log_probs.detach().sum(dim=-1).numpy(), gradient.numpy()))
    for short_one, filled_one in zip(*found, strict=True):
        assert filled_one == pytest.approx(short_one, rel=1e-12, abs=1e-12)


def test_the_gradient_agrees_with_finite_differences() -> None:
    architecture = Architecture(vocabulary=3, context=4, layers=2, width=4, heads=2)
    packed = packing(prompt_length=2, response_length=3, responses=2, device=CPU)
    prompts = torch.tensor([[[0, 1], [2, 0]]])
    responses = torch.tensor([[[[0, 1, 2], [2, 2, 0]], [[1, 1, 0], [0, 0, 1]]]])

    def value(rows: Tensor) -> Tensor:
        return sequence_log_probs(rows, architecture, packed, prompts, responses).sin().sum()

    rows = (1.5 * initial_parameters(architecture, np.random.default_rng(0)).double()[None]).requires_grad_()
    step = 1e-6
    (gradient,) = torch.autograd.grad(value(rows), rows)
    for place in range(0, architecture.parameters, 7):
        moved = torch.zeros_like(rows)
        moved[0, place] = step
        slope = (value(rows.detach() + moved) - value(rows.detach() - moved)) / (2 * step)
        assert gradient[0, place].item() == pytest.approx(slope.item(), abs=1e-7)
