"""Passes by the compiled engine, in place of torch's: the same numbers up to rounding, several times as fast.

Shapes: R runs, N prompts, L prompt length, K responses to each, T response length, D numbers of one run's row.

It is taken where it was compiled, for float32 parameters on the CPU and widths that are multiples of 16, unless
`train.engine` says "torch" or passes are computed in another way (`simulator/networks/compute_mode.py`). What it gives
does not depend on what else is in a stack, nor on how many prompts go together.
"""

import threading
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from simulator.native import calls
from simulator.native.calls import Drawn
from simulator.native.library import WIDTHS, Sizes, in_use
from simulator.networks.architecture import ALIGNMENT, Architecture

TOGETHER = 8  # responses behind one prompt; more would leave a core's own cache
LANES = 16  # prompts at once, on the widest machines
_FREE = threading.local()


def updates(parameters: Tensor) -> bool:
    """Whether the engine updates these rows [R, D] here."""
    return (
        in_use()
        and parameters.dtype == torch.float32
        and parameters.device.type == "cpu"
        and parameters.is_contiguous()
        and parameters.shape[1] % ALIGNMENT == 0
        and len(parameters) > 0
    )


def takes(parameters: Tensor, architecture: Architecture) -> bool:
    """Whether the engine computes with these rows [R, D] here."""
    return (
        in_use()
        and parameters.dtype == torch.float32
        and parameters.device.type == "cpu"
        and architecture.width % WIDTHS == 0
        and len(parameters) > 0
    )


def sizes_of(architecture: Architecture, prompts: Tensor, responses: int, length: int, *, whole: bool = False) -> Sizes:
    """The sizes of a pass for prompts [..., L]; whole: whether responses are read with their last tokens."""
    return Sizes(
        vocabulary=architecture.vocabulary,
        context=architecture.context,
        layers=architecture.layers,
        width=architecture.width,
        heads=architecture.heads,
        outputs=architecture.outputs or architecture.vocabulary,
        prompt=prompts.shape[-1],
        responses=responses,
        length=length,
        whole=whole,
    )


def split(prompts: int, responses: int) -> int:
    """How many of so many responses to a prompt go behind one copy of it: few, and so that lanes are filled."""
    fitting = [k for k in range(1, min(TOGETHER, responses) + 1) if responses % k == 0]
    filling = [k for k in fitting if prompts * responses // k >= LANES]
    return max(filling, default=1)


def wants_gradient(parameters: Tensor) -> bool:
    """Whether a gradient of the rows may be asked for."""
    return torch.is_grad_enabled() and parameters.requires_grad


class Pass(torch.autograd.Function):
    """`calls.forward` and `calls.backward` as one operation of torch's; it can be differentiated once."""

    @staticmethod
    def forward(
        ctx: Any, parameters: Tensor, sizes: Sizes, prompts: Tensor, responses: Tensor, states: bool, keep: bool
    ) -> Any:
        """Values, and states if so asked; see `calls.forward`. keep: what a gradient needs."""
        rows, asked, said = parameters.contiguous(), prompts.contiguous(), responses.contiguous()
        memory = None
        if keep:
            memory = free_memory(calls.kept_numbers(sizes, len(rows), asked.shape[1]))
        values, found = calls.forward(sizes, rows, asked, said, kept=memory, states=states)
        if memory is not None:
            ctx.sizes, ctx.memory = sizes, memory
            ctx.save_for_backward(rows, asked, said)
        return (values, found) if states else values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """The gradient of the rows."""
        if ctx.memory is None:
            raise RuntimeError("the gradient of this pass was taken already, and it keeps what one needs")
        rows, asked, said = ctx.saved_tensors
        values, *states = (gradient.contiguous() for gradient in gradients)
        memory, ctx.memory = ctx.memory, None
        found = calls.backward(
            ctx.sizes, rows, asked, said, memory, cotangents=values, at_states=states[0] if states else None
        )
        _FREE.memory = memory
        return found, None, None, None, None, None


def free_memory(numbers: int) -> Tensor:
    """Room for so many numbers: what the last gradient has left, or new. New memory costs as much as a pass."""
    memory: Tensor | None = getattr(_FREE, "memory", None)
    _FREE.memory = None
    if memory is not None and numbers <= memory.numel() <= 2 * numbers:
        return memory
    del memory
    return torch.empty(numbers)


def token_log_probs(parameters: Tensor, architecture: Architecture, prompts: Tensor, responses: Tensor) -> Tensor:
    """log pi of each token of responses [R, N, K, T] to prompts [R, N, L], in nats; 0 behind an end."""
    runs, count, wide, length = responses.shape
    together = wide if wants_gradient(parameters) else split(count, wide)
    asked = prompts.repeat_interleave(wide // together, dim=1)
    said = responses.reshape(runs, -1, together, length)
    sizes = sizes_of(architecture, prompts, together, length)
    values: Tensor = Pass.apply(parameters, sizes, asked, said, False, wants_gradient(parameters))
    return values.view(responses.shape)


def response_states(parameters: Tensor, architecture: Architecture, prompts: Tensor, responses: Tensor) -> Tensor:
    """What each token of responses [R, N, K, T] to prompts [R, N, L] is predicted from, normed, [R, N, K, T, d]."""
    sizes = sizes_of(architecture, prompts, *responses.shape[2:])
    _, states = Pass.apply(parameters, sizes, prompts, responses, True, wants_gradient(parameters))
    found: Tensor = states
    return found


def sequence_scores(parameters: Tensor, architecture: Architecture, prompts: Tensor, responses: Tensor) -> Tensor:
    """What networks of one output say of whole responses [R, N, K, T] to prompts [R, N, L], [R, N, K]."""
    sizes = sizes_of(architecture, prompts, *responses.shape[2:], whole=True)
    scores: Tensor = Pass.apply(parameters, sizes, prompts, responses, False, wants_gradient(parameters))
    return scores


def sample(
    parameters: Tensor,
    architecture: Architecture,
    prompts: Tensor,
    noise: Tensor,
    *,
    temperature: Tensor | None,
    end: int | None,
    reference: Tensor | None = None,
) -> Drawn:
    """Responses of the rows [R, D] to prompts [N, L] or [R, N, L], with m of them for noise [T, N, m, V] to each.

    temperature [N, m]; noise may be of each run, [T, R, N, m, V]. reference [D]: what to compare with along them.
    """
    length, responses = len(noise), noise.shape[-2]
    count = prompts.shape[-2]
    together = split(count, responses)
    lots = responses // together
    drawn = calls.sample(
        sizes_of(architecture, prompts, together, length),
        parameters.contiguous(),
        prompts.repeat_interleave(lots, dim=-2).contiguous(),
        noise.contiguous().view(*noise.shape[:-3], count * lots, together, noise.shape[-1]),
        temperature=None if temperature is None else temperature.float().contiguous().view(count * lots, together),
        end=end,
        reference=reference,
    )
    shape = (len(parameters), count, responses)
    along = {name: value.view(shape) for name, value in drawn.along.items()}
    return Drawn(responses=drawn.responses.view(*shape, length), along=along)


def node_log_probs(parameters: Tensor, architecture: Architecture, prompts: Tensor, length: int) -> Tensor:
    """Next-token log-probabilities at the inner nodes of the prefix tree, float64 [R, P, M, V], for prompts [P, L]."""
    return calls.tree(sizes_of(architecture, prompts, 1, length), parameters.contiguous(), prompts.contiguous())


def leaf_scores(parameters: Tensor, architecture: Architecture, prompts: Tensor, length: int) -> Tensor:
    """What networks of one output say of every response of `length` tokens, float64 [R, P, V^T]."""
    sizes = sizes_of(architecture, prompts, 1, length, whole=True)
    return calls.tree(sizes, parameters.contiguous(), prompts.contiguous())
