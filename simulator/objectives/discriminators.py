"""The terms of GANPO on hidden states; see simulator/objectives/losses/ganpo.py.

Shapes: r runs, B pairs of a batch, T response length, d width, E numbers of one discriminator. Those of the r runs are
2r rows, first all D+, then all D-. Each scores three responses to a prompt: of the policy along its own label, of the
reference along its own, and of the reference along the other.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

from simulator.common.random_streams import random_stream
from simulator.networks.architecture import ALIGNMENT, Architecture
from simulator.networks.optimizer import Adam, adam_step, bias_corrections
from simulator.networks.parameters import Blocks
from simulator.networks.transformer import feed_forward, normed, read_out, response_states
from simulator.objectives.objective import BatchContext, Regularizer, RegularizerState

DECAY = 0.9  # of the moving averages
SLOWER = 0.5  # the discriminators' learning rate over the policy's


def shapes_of(architecture: Architecture, length: int) -> dict[str, tuple[int, int]]:
    """Name and shape of every weight of a discriminator."""
    d = architecture.width
    return {
        "project": (d, d),
        "position": (length, d),
        "0.attend": (d, 3 * d),
        "0.merge": (d, d),
        "0.up": (d, 4 * d),
        "0.down": (4 * d, d),
        "hidden": (d, d),
        "score": (d, 1),
    }


def weights_of(rows: Tensor, architecture: Architecture, length: int) -> Blocks:
    """The rows [2r, E] as named weights."""
    shapes = shapes_of(architecture, length)
    sizes = [math.prod(shape) for shape in shapes.values()]
    parts = rows[:, : sum(sizes)].split(sizes, dim=1)
    return {name: part.unflatten(1, shape) for part, (name, shape) in zip(parts, shapes.items(), strict=True)}


def initial(architecture: Architecture, length: int, rng: np.random.Generator) -> Tensor:
    """One row of random weights, float32 [E], filled up to a multiple of ALIGNMENT. Variance is 1/fan-in."""
    scales = {"position": 0.1}
    weights = [
        rng.normal(scale=scales.get(name, shape[0] ** -0.5), size=math.prod(shape))
        for name, shape in shapes_of(architecture, length).items()
    ]
    row = torch.from_numpy(np.concatenate(weights)).float()
    return pad(row, (0, -len(row) % ALIGNMENT))


def discriminate(weights: Blocks, architecture: Architecture, states: Tensor, token_mask: Tensor) -> Tensor:
    """Scores [rows, B] of responses with states [rows, B, T, d], of which the tokens `said` [rows, B, T] are there."""
    rows, count, length, width = states.shape
    x = (torch.bmm(states.flatten(1, 2), weights["project"]).unflatten(1, (count, length))) + weights["position"][
        :, None
    ]
    x = x.flatten(1, 2)
    heads, head_width = architecture.heads, width // architecture.heads
    projected = torch.bmm(normed(x), weights["0.attend"]).view(rows * count, length, 3, heads, head_width)
    query, key, value = projected.permute(2, 0, 3, 1, 4)
    hidden = (~token_mask).flatten(0, 1)[:, None, None]
    scores = torch.matmul(query * head_width**-0.5, key.transpose(-1, -2)).masked_fill(hidden, -torch.inf)
    read = torch.matmul(scores.softmax(dim=-1), value).transpose(1, 2)
    x = x + torch.bmm(read.reshape(x.shape), weights["0.merge"])
    x = feed_forward(weights, 0, x).unflatten(1, (count, length)) * token_mask.unsqueeze(3)
    pooled = x.sum(dim=2) / token_mask.sum(dim=2, keepdim=True)
    return read_out(torch.bmm(pooled, weights["hidden"]).relu(), weights["score"])[..., 0]


def mean_loss(logits: Tensor, real: bool) -> Tensor:
    """Mean of B(logit, 1 or 0) over the last axis of [rows, B]."""
    count = logits.shape[1]
    whole = pad(-logits if real else logits, (0, -count % ALIGNMENT))
    return softplus(whole)[:, :count].mean(dim=1)


def states_of(parameters: Tensor, context: BatchContext) -> tuple[Tensor, Tensor]:
    """Hidden states [2r, B, T, d] along both labels, chosen above rejected, and which tokens are there [2r, B, T].

    They are those of the policies with `parameters` [r, D].
    """
    states = response_states(parameters, context.architecture, context.packing, context.prompts, context.responses)
    token_mask = context.responses >= 0
    return torch.cat([states[:, :, 0], states[:, :, -1]]), torch.cat([token_mask[:, :, 0], token_mask[:, :, -1]])


def reference_states(context: BatchContext) -> Tensor:
    """Those of the frozen reference, [2r, B, T, d]."""
    with torch.no_grad():
        return states_of(context.reference.expand(len(context.parameters), -1), context)[0]


def other_label(values: Tensor) -> Tensor:
    """Rows of the other label in each row's place."""
    return values.roll(len(values) // 2, dims=0)


def discriminator_loss(scores: Tensor, means: Tensor) -> Tensor:
    """L_D of each row, [2r], for scores [2r, 3, B] of own policy, own reference, other reference; means [2r, 3, 1]."""
    policy, own, rejected = scores.unbind(dim=1)
    of_policy, of_own, of_rejected = means.unbind(dim=1)
    return (
        mean_loss(own - of_policy, True)
        + mean_loss(policy - of_own, False)
        + mean_loss(policy - of_rejected, True)
        + mean_loss(rejected - of_policy, False)
    ) / 4


def regularizer(
    weights: Blocks, context: BatchContext, memory: RegularizerState, states: Tensor, token_mask: Tensor
) -> Tensor:
    """λ ½ { B(D+(h_θ+) - m(h_r+), 1) + B(D-(h_θ-) - m(h_r-), 1) }, [r]."""
    scores = discriminate(weights, context.architecture, states, token_mask)
    each = mean_loss(scores - memory["means"][:, 1], True)
    chosen, rejected = each.chunk(2)
    return context.hyperparameters["weight"][:, 0] * (chosen + rejected) / 2


def squared_distance(context: BatchContext, states: Tensor, token_mask: Tensor) -> Tensor:
    """λ ½ { |h_θ+ - h_r+|² + |h_θ- - h_r-|² }, [r]."""
    distances = (states - reference_states(context)).square().mean(dim=3) * token_mask
    each = (distances.sum(dim=2) / token_mask.sum(dim=2)).mean(dim=1)
    chosen, rejected = each.chunk(2)
    return context.hyperparameters["weight"][:, 0] * (chosen + rejected) / 2


def start(context: BatchContext) -> RegularizerState:
    """Random discriminators with their optimizer, and moving averages that no batch has set yet."""
    length = context.responses.shape[3]
    rows = torch.stack(
        [
            initial(context.architecture, length, random_stream(seed, "discriminator", label))
            for label in ("chosen", "rejected")
            for seed in context.seeds
        ]
    ).to(context.parameters.device)
    return {
        "discriminators": rows,
        "first": torch.zeros_like(rows),
        "second": torch.zeros_like(rows),
        "steps": torch.zeros(len(rows), 1, dtype=torch.int64, device=rows.device),
        "means": torch.zeros(len(rows), 3, 1, device=rows.device),
    }


def update(
    context: BatchContext, memory: RegularizerState, states: Tensor, token_mask: Tensor, *, frozen: bool
) -> None:
    """One batch for the moving averages and, unless frozen, one step of the discriminators."""
    known = reference_states(context)
    inputs = torch.cat([states, known, other_label(known)], dim=1)
    there = torch.cat([token_mask, token_mask, other_label(token_mask)], dim=1)
    length = token_mask.shape[2]
    with torch.enable_grad():
        weights = {
            name: view.detach().requires_grad_()
            for name, view in weights_of(memory["discriminators"], context.architecture, length).items()
        }
        scores = discriminate(weights, context.architecture, inputs, there).unflatten(1, (3, -1))
        batch = scores.detach().mean(dim=2, keepdim=True)
        first = int(memory["steps"][0, 0]) == 0
        memory["means"].copy_(batch if first else DECAY * memory["means"] + (1 - DECAY) * batch)
        memory["steps"] += 1
        if frozen:
            return
        loss = discriminator_loss(scores, memory["means"])
        gradients = torch.autograd.grad(loss.sum(), list(weights.values()))
    flat = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)
    adam_step(
        memory["discriminators"],
        pad(flat, (0, -flat.shape[1] % ALIGNMENT)),
        Adam(first=memory["first"], second=memory["second"]),
        corrections=bias_corrections(int(memory["steps"][0, 0])),
        rate=SLOWER * context.rate.repeat(2, 1),
        weight_decay=0.0,
    )


def adversary(*, frozen: bool) -> Regularizer:
    """The term whose discriminators learn, or stay as they are."""

    def measured(context: BatchContext, memory: RegularizerState, states: Tensor, token_mask: Tensor) -> Tensor:
        weights = weights_of(memory["discriminators"], context.architecture, token_mask.shape[2])
        return regularizer(weights, context, memory, states, token_mask)

    def prepare(context: BatchContext, memory: RegularizerState, states: Tensor, token_mask: Tensor) -> None:
        update(context, memory, states, token_mask, frozen=frozen)

    return Regularizer(start=start, step=step_on_states(measured, prepare), value=value_on_states(measured))


def l2() -> Regularizer:
    """The term that holds hidden states near the reference's."""

    def measured(context: BatchContext, memory: RegularizerState, states: Tensor, token_mask: Tensor) -> Tensor:
        return squared_distance(context, states, token_mask)

    return Regularizer(
        start=lambda context: {}, step=step_on_states(measured, lambda *_: None), value=value_on_states(measured)
    )


Measured = Callable[[BatchContext, RegularizerState, Tensor, Tensor], Tensor]


def step_on_states(
    measured: Measured, prepare: Callable[[BatchContext, RegularizerState, Tensor, Tensor], None]
) -> Callable[[BatchContext, RegularizerState], tuple[Tensor, Tensor]]:
    """The step of a term on hidden states: `prepare` sees them first, and then the policy has the gradient."""

    def step(context: BatchContext, memory: RegularizerState) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            rows = context.parameters.detach().requires_grad_()
            states, token_mask = states_of(rows, context)
            prepare(context, memory, states.detach(), token_mask)
            value = measured(context, memory, states, token_mask)
            (gradient,) = torch.autograd.grad(value.sum(), rows)
        return value.detach(), gradient

    return step


def value_on_states(measured: Measured) -> Callable[[BatchContext, RegularizerState], Tensor]:
    """The value of a term on hidden states, for a measurement."""

    def value(context: BatchContext, memory: RegularizerState) -> Tensor:
        with torch.no_grad():
            return measured(context, memory, *states_of(context.parameters, context))

    return value
