"""The compiled engine as Python calls it: where it is, which instructions it uses, and its functions on tensors.

Shapes: R runs, N prompts, L prompt length, K responses to each, T response length, V vocabulary, d width, D numbers of
one run's row of parameters. All tensors are contiguous and on the CPU: parameters float32, token ids int64.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES

from simulator.common.lazy import torch
from simulator.native.identity import FOLDER, source_hash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from torch import Tensor

NAME = "_engine"
SUFFIXES = (*EXTENSION_SUFFIXES, ".so", ".dylib", ".dll")
REASONS = {  # what the functions give back where they do nothing
    1: "there is no memory left for it",
    2: "the engine does not take these sizes",
    3: "a token is not of the vocabulary",
}
WIDTHS = 16  # of which a network's width is a multiple


class Sizes(ctypes.Structure):
    """What a pass needs to know: source/sizes.h."""

    _fields_ = tuple(
        (name, c_int64)
        for name in (
            *("vocabulary", "context", "layers", "width", "heads", "outputs"),
            *("prompt", "responses", "length", "whole"),
        )
    )


class EngineError(RuntimeError):
    """The engine refused what it was asked."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The library, or why there is none."""

    library: ctypes.CDLL | None
    why: str = ""


SIGNATURES = {
    "instructions": (c_char_p,),
    "source": (c_char_p,),
    "choose": (c_int, c_char_p),
    "kept_floats": (c_int64, POINTER(Sizes), c_int64),
    "forward": (c_int, POINTER(Sizes), c_int64, c_int64, c_void_p, c_int64, *[c_void_p] * 5),
    "backward": (c_int, POINTER(Sizes), c_int64, c_int64, c_void_p, c_int64, *[c_void_p] * 6),
    "adam": (c_int, c_int64, c_int64, *[c_void_p] * 6, c_int64, c_double),
    "sample": (
        *(c_int, POINTER(Sizes), c_int64, c_int64, c_void_p, c_int64, c_void_p, c_int64),
        *(c_void_p, c_int64, c_int64, c_void_p, c_int64, *[c_void_p] * 5),
    ),
    "tree": (c_int, POINTER(Sizes), c_int64, c_int64, c_void_p, c_int64, c_void_p, c_int, c_void_p),
}


@cache
def find() -> Found:
    """The library beside this file, if it is there and of the source that is there."""
    for suffix in SUFFIXES:
        path = FOLDER / f"{NAME}{suffix}"
        if not path.exists():
            continue
        try:
            library = ctypes.CDLL(str(path))
            for name, (result, *arguments) in SIGNATURES.items():
                function = getattr(library, f"engine_{name}")
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError) as error:
            return Found(library=None, why=f"{path.name} cannot be loaded ({error})")
        here = source_hash()
        if here and library.engine_source().decode() != here:
            return Found(library=None, why="it was compiled from another version of its source; install the package again")
        return Found(library=library)
    return Found(library=None, why="it was not compiled when the package was installed, for want of a C++ compiler")


def library() -> ctypes.CDLL:
    """The library. Raises EngineError where there is none."""
    found = find()
    if found.library is None:
        raise EngineError(f"the compiled engine is not there: {found.why}")
    return found.library


def instructions() -> str:
    """The instruction set that is used: "avx512", "avx2", "neon" or "sse2"; empty without a library."""
    found = find().library
    return found.engine_instructions().decode() if found else ""


@contextmanager
def using(name: str) -> Iterator[bool]:
    """Use this instruction set while the block runs; gives whether this machine has it."""
    before = instructions()
    try:
        yield bool(library().engine_choose(name.encode()))
    finally:
        library().engine_choose(before.encode())


def check(code: int) -> None:
    """Raises EngineError for what a function gave back, MemoryError where memory is what was missing."""
    if code == 1:
        raise MemoryError(REASONS[1])
    if code:
        raise EngineError(REASONS.get(code, f"the engine gave back {code}"))


def pointer(tensor: "Tensor | None") -> int | None:
    """Where a tensor begins."""
    if tensor is None:
        return None
    assert tensor.is_contiguous() and tensor.device.type == "cpu"
    return tensor.data_ptr()


def forward(
    sizes: Sizes,
    parameters: "Tensor",
    prompts: "Tensor",
    responses: "Tensor",
    *,
    keep: bool,
    states: bool = False,
) -> "tuple[Tensor, Tensor | None, Tensor | None]":
    """Log-probabilities [R, N, K, T] of responses [R, N, K, T] to prompts [R, N, L]; or scores [R, N, K].

    Where so asked, with the normed states that each token is predicted from, [R, N, K, T, d], and with what a gradient
    needs. parameters [R, D]. Raises EngineError and MemoryError.
    """
    runs, count = prompts.shape[:2]
    values = parameters.new_empty(responses.shape[:3] if sizes.whole else responses.shape)
    found = parameters.new_empty(*responses.shape, sizes.width) if states else None
    kept = parameters.new_empty(runs * library().engine_kept_floats(byref(sizes), count)) if keep else None
    check(
        library().engine_forward(
            byref(sizes),
            runs,
            count,
            pointer(parameters),
            parameters.shape[1],
            pointer(prompts),
            pointer(responses),
            pointer(values),
            pointer(found),
            pointer(kept),
        )
    )
    return values, found, kept


def backward(
    sizes: Sizes,
    parameters: "Tensor",
    prompts: "Tensor",
    responses: "Tensor",
    kept: "Tensor",
    *,
    cotangents: "Tensor",
    at_states: "Tensor | None" = None,
) -> "Tensor":
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
            pointer(prompts),
            pointer(responses),
            pointer(cotangents),
            pointer(at_states),
            pointer(kept),
            pointer(gradient),
        )
    )
    return gradient


def adam(
    parameters: "Tensor",
    gradient: "Tensor",
    first: "Tensor",
    second: "Tensor",
    *,
    rate: "Tensor",
    limit: "Tensor",
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
    """Responses int64 [R, N, K, T]; with a reference, kl, entropy and ratio along them, float64 [R, N, K]."""

    responses: "Tensor"
    kl: "Tensor | None" = None
    entropy: "Tensor | None" = None
    ratio: "Tensor | None" = None


def sample(
    sizes: Sizes,
    parameters: "Tensor",
    prompts: "Tensor",
    noise: "Tensor",
    *,
    temperature: "Tensor | None",
    end: int | None,
    reference: "Tensor | None" = None,
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
            pointer(prompts),
            prompts[0].numel() if prompts.dim() == 3 else 0,
            pointer(noise),
            noise[0].numel(),
            noise[0, 0].numel() if noise.dim() == 5 else 0,
            pointer(temperature),
            -1 if end is None else end,
            pointer(drawn),
            pointer(reference),
            *(pointer(along.get(name)) for name in ("kl", "entropy", "ratio")),
        )
    )
    return Drawn(responses=drawn, **along)


def tree(sizes: Sizes, parameters: "Tensor", prompts: "Tensor") -> "Tensor":
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
            pointer(prompts),
            sizes.whole,
            pointer(found),
        )
    )
    return found
