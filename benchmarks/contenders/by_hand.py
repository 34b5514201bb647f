"""What a good engineer would write for one run: a module, a loss, torch's own Adam.

Shapes: N pairs, L prompt length, T response length, S = L + T - 1 places, d width, H heads of e channels, B pairs of a
step, D numbers of a row of parameters.

The network is that of simulator/networks/transformer.py. Chosen and rejected responses are one batch of 2B sequences,
each with a copy of its prompt; the reference is asked once, beforehand; logits are computed for the tokens of
responses only. Of two ways to write a line the faster was kept: one fused Adam, cross entropy, softplus. Which
attention is faster depends on the size, so there are both.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, scaled_dot_product_attention, softplus
from torch.nn.utils import clip_grad_norm_

from benchmarks.contenders.cases import BETA, CLIP, LEARNING_RATE, Case
from simulator.common.random_streams import random_stream
from simulator.engine.problem import TrainingProblem
from simulator.networks.architecture import Architecture
from simulator.networks.parameters import unstack

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention by torch's own function, for [N, H, S, e] each."""
    return scaled_dot_product_attention(query, key, value, is_causal=True)


@cache
def causal_bias(places: int, device: torch.device) -> Tensor:
    """0 where a place (row) may look at another (column), -inf elsewhere, [S, S]."""
    return torch.full((places, places), -torch.inf, device=device).triu(1)


def written_out(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention as two products and a softmax, for [N, H, S, e] each."""
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-1, -2))
    return torch.matmul((scores + causal_bias(query.shape[2], query.device)).softmax(dim=-1), value)


ATTENTIONS: dict[str, Attention] = {"fused attention": fused, "attention written out": written_out}


class Block(nn.Module):
    """Attention and MLP, each behind a layer norm, without biases or gain."""

    def __init__(self, width: int, heads: int, attention: Attention) -> None:
        super().__init__()
        self.heads, self.attention = heads, attention
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attend = nn.Linear(width, 3 * width, bias=False)
        self.merge = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, S, d] to the same."""
        split = self.attend(self.norm(x)).unflatten(2, (3, self.heads, -1))
        read = self.attention(*split.permute(2, 0, 3, 1, 4))
        x = x + self.merge(read.transpose(1, 2).flatten(2))
        return x + self.down(self.up(self.norm(x)).relu())


class Transformer(nn.Module):
    """A causal transformer with learned positions for up to `context` places."""

    def __init__(self, architecture: Architecture, attention: Attention = fused) -> None:
        super().__init__()
        width = architecture.width
        self.token = nn.Embedding(architecture.vocabulary, width)
        self.position = nn.Parameter(torch.zeros(architecture.context, width))
        self.blocks = nn.ModuleList(Block(width, architecture.heads, attention) for _ in range(architecture.layers))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.unembed = nn.Linear(width, architecture.vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """What logits are read from, [N, S, d], for tokens [N, S]."""
        x = self.token(tokens) + self.position[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def weights_of(network: Transformer) -> dict[str, Tensor]:
    """The weights by the names that they have in a row, each a view in the shape that it has there."""
    weights = {"token": network.token.weight, "position": network.position, "unembed": network.unembed.weight.T}
    for number, block in enumerate(network.blocks):
        for name in ("attend", "merge", "up", "down"):
            weights[f"{number}.{name}"] = getattr(block, name).weight.T
    return weights


def set_row(network: Transformer, row: Tensor, architecture: Architecture) -> None:
    """Give the network the parameters of a row [D]; places beyond the architecture's have zeros."""
    weights = weights_of(network)
    with torch.no_grad():
        weights["position"].zero_()
        for name, values in unstack(row[None], architecture).items():
            weights[name][: values.shape[1]].copy_(values[0])


def network_of(row: Tensor, architecture: Architecture, attention: Attention = fused) -> Transformer:
    """The network with the parameters of a row [D], on its device."""
    network = Transformer(architecture, attention).to(row.device)
    set_row(network, row, architecture)
    return network


def row_of(network: Transformer, architecture: Architecture) -> Tensor:
    """The network's parameters as a row [D]: what `set_row` takes."""
    weights = weights_of(network)
    row = network.position.new_zeros(architecture.row)
    with torch.no_grad():
        for name, values in unstack(row[None], architecture).items():
            values[0].copy_(weights[name][: values.shape[1]])
    return row


@dataclass(frozen=True, kw_only=True)
class Data:
    """Pairs of one run: sequences [N, 2, L + T], chosen first, and reference_log_probs [N, 2] in nats."""

    sequences: Tensor
    reference_log_probs: Tensor


def data_of(problem: TrainingProblem) -> Data:
    """The pairs of a stack's first run."""
    prompts, responses = problem.prompts[0], problem.responses[0]
    return Data(
        sequences=torch.cat([prompts.unsqueeze(1).expand(-1, 2, -1), responses], dim=2),
        reference_log_probs=problem.reference_log_probs[0],
    )


def log_probs(network: Transformer, sequences: Tensor, prompt_length: int) -> Tensor:
    """log pi of the responses in sequences [N, L + T], in nats, [N]."""
    states = network(sequences[:, :-1])[:, prompt_length - 1 :]
    said = sequences[:, prompt_length:]
    logits = network.unembed(states).flatten(0, 1)
    return -cross_entropy(logits, said.flatten(), reduction="none").view(said.shape).sum(dim=1)


def epochs(case: Case, device: torch.device) -> Iterator[Tensor]:
    """Batches [B] without an end, each epoch in an order of its own."""
    rng = random_stream(0, "benchmark", "batches")
    while True:
        order = torch.from_numpy(rng.permutation(case.pairs)).to(device)
        yield from order.split(case.batch)


def training(case: Case, network: Transformer, data: Data, batches: Iterable[Tensor]) -> Iterator[None]:
    """Train the network in place by DPO, a step each time that it is asked for the next."""
    parameters = list(network.parameters())
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, fused=True)
    for chosen in batches:
        sequences = data.sequences[chosen].transpose(0, 1).flatten(0, 1)
        reference = data.reference_log_probs[chosen].T
        ratios = log_probs(network, sequences, case.prompt_length).view(2, -1) - reference
        loss = softplus(-BETA * (ratios[0] - ratios[1])).mean()
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        yield
