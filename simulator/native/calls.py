"""The compiled engine's functions on tensors.

Shapes: R runs, N prompts, L prompt length, K responses to each, T response length, V vocabulary, d width, D numbers of
one run's row of parameters. All tensors are contiguous and on the CPU: parameters float32, token ids int64.
"""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import byref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.common.lazy import torch
from simulator.native.library import REASONS, EngineError, Sizes, Training, check, library

if TYPE_CHECKING:
    from torch import Tensor


WHOLE = ("prompts", "responses", "order", "loss")  # of what a stack trains on


def pointer(tensor: Tensor | None, dtype: torch.dtype | None = None) -> int | None:
    """Where a contiguous tensor of this type, float32 unless said, begins on the CPU. Raises EngineError."""
    if tensor is None:
        return None
    wanted = dtype or torch.float32
    if tensor.dtype != wanted or tensor.device.type != "cpu" or not tensor.is_contiguous():
        raise EngineError(
            f"a contiguous tensor of {wanted} on the CPU is needed, not {tensor.dtype} on {tensor.device}"
        )
    return tensor.data_ptr()


def whole(tensor: Tensor | None) -> int | None:
    """`pointer` of a tensor of whole numbers, int64."""
    return pointer(tensor, torch.int64)


def double(tensor: Tensor | None) -> int | None:
    """`pointer` of a tensor in float64."""
    return pointer(tensor, torch.float64)


def kept_numbers(sizes: Sizes, runs: int, prompts: int) -> int:
    """How many numbers a forward pass keeps for its gradient. Raises EngineError."""
    count: int = library().engine_kept_floats(byref(sizes), runs, prompts)
    if count < 0:
        raise EngineError(REASONS[2])
    return count


def forward(
    sizes: Sizes,
    parameters: Tensor,
    prompts: Tensor,
    responses: Tensor,
    *,
    kept: Tensor | None = None,
    states: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities [R, N, K, T] of responses [R, N, K, T] to prompts [R, N, L]; or scores [R, N, K].

    Where so asked, with the normed states that each token is predicted from, [R, N, K, T, d]. parameters [R, D]. kept:
    `kept_numbers` numbers, where what a gradient needs is written. Raises EngineError and MemoryError.
    """
    runs, count = prompts.shape[:2]
    values = parameters.new_empty(responses.shape[:3] if sizes.whole else responses.shape)
    found = parameters.new_empty(*responses.shape, sizes.width) if states else None
    assert kept is None or kept.numel() >= kept_numbers(sizes, runs, count)
    check(
        library().engine_forward(
            byref(sizes),
            runs,
            count,
            pointer(parameters),
            parameters.shape[1],
            whole(prompts),
            whole(responses),
            pointer(values),
            pointer(found),
            pointer(kept),
        )
    )
    return values, found


def backward(
    sizes: Sizes,
    parameters: Tensor,
    prompts: Tensor,
    responses: Tensor,
    kept: Tensor,
    *,
    cotangents: Tensor,
    at_states: Tensor | None = None,
) -> Tensor:
    """The gradient [R, D] for cotangents of what `forward` gave, which kept `kept`; that is used up.

    Raises EngineError and MemoryError.
    """
    gradient = torch.empty_like(parameters)
    check(
        library().engine_backward(
            byref(sizes),
            *prompts.shape[:2],
            pointer(parameters),
            parameters.shape[1],
            whole(prompts),
            whole(responses),
            pointer(cotangents),
            pointer(at_states),
            pointer(kept),
            pointer(gradient),
        )
    )
    return gradient


def adam(
    parameters: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    *,
    rate: Tensor,
    limit: Tensor,
    step: int,
    weight_decay: float,
) -> None:
    """Clip each run's gradient [R, D] to its `limit` [R, 1], and update parameters and moments in place.

    rate [R, 1]: this step's. step counts from 1. Raises EngineError.
    """
    check(
        library().engine_adam(
            *parameters.shape,
            pointer(parameters),
            pointer(gradient),
            pointer(first),
            pointer(second),
            pointer(rate),
            pointer(limit),
            step,
            weight_decay,
        )
    )


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Responses int64 [R, N, K, T]; with a reference `along` them "kl", "entropy" and "ratio", float64 [R, N, K]."""

    responses: Tensor
    along: Mapping[str, Tensor]


def sample(
    sizes: Sizes,
    parameters: Tensor,
    prompts: Tensor,
    noise: Tensor,
    *,
    temperature: Tensor | None,
    end: int | None,
    reference: Tensor | None = None,
) -> Drawn:
    """K responses to each of the prompts, [N, L] or [R, N, L], each token the largest of logit / temperature + noise.

    noise [T, N, K, V] or [T, R, N, K, V], float32; temperature [N, K], float32; end: the token after which a response
    is over; reference [D]: the policy to compare with. Raises EngineError and MemoryError.
    """
    runs, count = len(parameters), prompts.shape[-2]
    shape = (runs, count, sizes.responses)
    drawn = prompts.new_empty(*shape, sizes.length)
    names = ("kl", "entropy", "ratio") if reference is not None else ()
    along = {name: parameters.new_empty(shape, dtype=torch.float64) for name in names}
    check(
        library().engine_sample(
            byref(sizes),
            runs,
            count,
            pointer(parameters),
            parameters.shape[1],
            whole(prompts),
            prompts[0].numel() if prompts.dim() == 3 else 0,
            pointer(noise),
            noise[0].numel(),
            noise[0, 0].numel() if noise.dim() == 5 else 0,
            pointer(temperature),
            -1 if end is None else end,
            whole(drawn),
            pointer(reference),
            *(double(along.get(name)) for name in ("kl", "entropy", "ratio")),
        )
    )
    return Drawn(responses=drawn, along=along)


def tree(sizes: Sizes, parameters: Tensor, prompts: Tensor) -> Tensor:
    """Next-token log-probabilities at the inner nodes of the prefix tree, float64 [R, P, M, V], for prompts [P, L].

    For a network that judges whole responses, the score of every response, [R, P, V^T]. Raises EngineError and
    MemoryError.
    """
    vocabulary, length = sizes.vocabulary, sizes.length
    inner = sum(vocabulary**depth for depth in range(length))
    shape = (vocabulary**length,) if sizes.whole else (inner, vocabulary)
    found = parameters.new_empty(len(parameters), len(prompts), *shape, dtype=torch.float64)
    check(
        library().engine_tree(
            byref(sizes),
            len(parameters),
            len(prompts),
            pointer(parameters),
            parameters.shape[1],
            whole(prompts),
            sizes.whole,
            double(found),
        )
    )
    return found


def train(
    sizes: Sizes,
    parameters: Tensor,
    first: Tensor,
    second: Tensor,
    diverged: Tensor,
    *,
    pairs: Mapping[str, Tensor | None],
    factor: Tensor,
    begun: int,
    batch: int,
    weight_decay: float,
) -> None:
    """Steps on pairs by losses of beta times the margin; everything given before the star is updated in place.

    parameters and moments [R, D]; diverged int64 [R]: the first step whose loss was not finite, -1 for none. pairs:
    prompts [R, N, L], responses [R, N, 2, T], reference [R, N, 2], float32, order [steps, R, batch] or None for all
    pairs at each step, beta, rate and limit, float32 [R], and loss, int64 [R]: which of the six. factor: of the rate at
    each step, float32 [steps]. begun: steps before. Raises EngineError and MemoryError.
    """
    prompts = pairs["prompts"]
    assert prompts is not None
    training = Training(
        pairs=prompts.shape[1],
        batch=batch,
        steps=len(factor),
        factor=pointer(factor),
        begun=begun,
        weight_decay=weight_decay,
        **{name: (whole if name in WHOLE else pointer)(tensor) for name, tensor in pairs.items()},
    )
    check(
        library().engine_train(
            byref(sizes),
            *(len(parameters), pointer(parameters), parameters.shape[1], pointer(first), pointer(second)),
            byref(training),
            whole(diverged),
        )
    )


def judge(sizes: Sizes, weights: Tensor, texts: Tensor) -> Tensor:
    """Scores [N] of texts [N, S] by an encoder with `weights`; see source/judging.hpp. Raises EngineError."""
    scores = weights.new_empty(len(texts))
    check(
        library().engine_judge(byref(sizes), len(texts), pointer(weights), len(weights), whole(texts), pointer(scores))
    )
    return scores
