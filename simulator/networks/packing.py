"""Several responses behind one prompt, packed into one sequence.

Shapes: R runs, N sequences, K responses packed behind one prompt, L prompt length, T response length,
S = L + K (T - 1) packed positions.

K responses to one prompt are packed into one sequence: the prompt, then each response less its last
token, which predicts nothing. A mask hides the responses from each other and positions restart at each,
so the prompt is computed once and the result is what K separate sequences would give. For a network that judges whole
responses they are packed with their last token, and it alone is read.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How K responses lie behind a prompt of L tokens, i tokens of each: S = L + K i positions.

    position [S]: the position that each place has in its own sequence.
    bias [S, S]: 0 where a place (row) may look at another (column), -inf elsewhere.
    read: the places whose output is read.
    source [K T]: for each token of the responses, the place among those read whose output predicts it.
    """

    position: Tensor
    bias: Tensor
    read: slice
    source: Tensor


def _packed(
    prompt_length: int, inner: int, responses: int, read: slice, source: np.ndarray, to: torch.device
) -> Packing:
    """`inner` tokens of each of `responses` responses behind one prompt."""
    owner = np.repeat(np.arange(responses + 1), [prompt_length] + [inner] * responses)
    position = np.concatenate(
        [np.arange(prompt_length)] + [np.arange(prompt_length, prompt_length + inner)] * responses
    )
    visible = ((owner[None] == 0) | (owner[:, None] == owner[None])) & (position[:, None] >= position[None])
    return Packing(
        position=torch.as_tensor(position, device=to),
        bias=torch.as_tensor(np.where(visible, 0.0, -np.inf), dtype=torch.float32, device=to),
        read=read,
        source=torch.as_tensor(source, dtype=torch.int64, device=to),
    )


@cache
def packing(*, prompt_length: int, response_length: int, responses: int, device: torch.device) -> Packing:
    """The packing of `responses` responses behind one prompt, each less its last token: what predicts all tokens."""
    inner = response_length - 1
    source = [[0, *range(1 + k * inner, 1 + (k + 1) * inner)] for k in range(responses)]
    read = slice(prompt_length - 1, None)
    return _packed(prompt_length, inner, responses, read, np.concatenate(source), device)


@cache
def whole_packing(*, prompt_length: int, response_length: int, responses: int, device: torch.device) -> Packing:
    """The packing of `responses` whole responses behind one prompt, of which the last places are read."""
    read = slice(prompt_length + response_length - 1, None, response_length)
    return _packed(prompt_length, response_length, responses, read, np.arange(responses), device)


def pack(prompts: Tensor, responses: Tensor) -> Tensor:
    """Packed tokens [R, N, S] of responses [R, N, K, T] less their last tokens, behind prompts [R, N, L]."""
    return torch.cat([prompts, responses.clamp(min=0)[..., :-1].flatten(2)], dim=2)
