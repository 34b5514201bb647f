"""The passes that are written out, against the plain network and torch's automatic differentiation."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from simulator.networks.architecture import Architecture
from simulator.networks.backbone import packed_states
from simulator.networks.packing import Packing, packing, whole_packing
from simulator.networks.parameters import initial_parameters, unstack

CPU = torch.device("cpu")
SHORT = {"prompt_length": 2, "response_length": 3, "responses": 2, "device": CPU}  # fewer places than a register has
LONGER = {"prompt_length": 3, "response_length": 8, "responses": 2, "device": CPU}


def network(**sizes: int) -> Architecture:
    return Architecture(**{"vocabulary": 5, "context": 11, "layers": 2, "width": 8, "heads": 2, **sizes})


def rows_of(architecture: Architecture, runs: int) -> Tensor:
    rows = [initial_parameters(architecture, np.random.default_rng(seed)) for seed in range(runs)]
    return torch.stack(rows).double() * 1.5


def texts(packed: Packing, runs: int, vocabulary: int) -> Tensor:
    rng = np.random.default_rng(7)
    return torch.from_numpy(rng.integers(vocabulary, size=(runs, 3, len(packed.position))))


def plain_states(parameters: Tensor, architecture: Architecture, packed: Packing, tokens: Tensor) -> Tensor:
    """The same network as anyone would write it, one run after another, every place computed."""
    blocks, found = unstack(parameters, architecture), []
    for run in range(len(tokens)):
        weights = {name: view[run] for name, view in blocks.items()}
        x = weights["token"][tokens[run]] + weights["position"][packed.position]
        for layer in range(architecture.layers):
            split = (layer_norm(x, x.shape[-1:]) @ weights[f"{layer}.attend"]).unflatten(2, (3, architecture.heads, -1))
            query, key, value = split.permute(2, 0, 3, 1, 4)
            scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + packed.bias
            x = x + (scores.softmax(-1) @ value).transpose(1, 2).flatten(2) @ weights[f"{layer}.merge"]
            x = x + (layer_norm(x, x.shape[-1:]) @ weights[f"{layer}.up"]).relu() @ weights[f"{layer}.down"]
        found.append(layer_norm(x, x.shape[-1:])[:, packed.read].flatten(0, 1))
    return torch.stack(found)


@pytest.mark.parametrize("sizes", [{}, {"layers": 1}, {"heads": 1}, {"vocabulary": 70}], ids=str)
@pytest.mark.parametrize("packed", [packing(**SHORT), packing(**LONGER), whole_packing(**SHORT)])
def test_states_and_gradient_are_those_of_the_plain_network(sizes: dict[str, int], packed: Packing) -> None:
    architecture = network(**sizes)
    tokens = texts(packed, 3, architecture.vocabulary)
    found = []
    for states in (packed_states, plain_states):
        rows = rows_of(architecture, 3).requires_grad_()
        value = states(rows, architecture, packed, tokens)
        looked_at = torch.linspace(-1, 1, value[0].numel()).double().view(value.shape[1:])
        (gradient,) = torch.autograd.grad((value * looked_at).sin().sum(), rows)
        found.append((value.detach().numpy(), gradient.numpy()))
    for ours, plain in zip(*found, strict=True):
        assert ours == pytest.approx(plain, abs=1e-12)


def test_nothing_is_kept_where_no_gradient_is_asked() -> None:
    architecture, packed = network(), packing(**SHORT)
    with torch.no_grad():
        states = packed_states(rows_of(architecture, 2).requires_grad_(), architecture, packed, texts(packed, 2, 5))
    assert states.grad_fn is None


def test_a_stream_beyond_all_numbers_has_no_states() -> None:
    architecture, packed = network(), packing(**SHORT)
    rows = rows_of(architecture, 2).float()
    rows[1] *= 1e25
    states = packed_states(rows, architecture, packed, texts(packed, 2, 5))
    assert states[0].isfinite().all()
    assert states[1].isnan().all()


def test_a_pass_says_that_it_can_be_differentiated_once() -> None:
    architecture, packed = network(), packing(**SHORT)
    rows = rows_of(architecture, 2).requires_grad_()
    states = packed_states(rows, architecture, packed, texts(packed, 2, 5)).sin().sum()
    torch.autograd.grad(states, rows, retain_graph=True)
    with pytest.raises(RuntimeError, match="one gradient, and that one has been taken"):
        torch.autograd.grad(states, rows)
