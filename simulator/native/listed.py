"""The compiled engine's sums over listed responses, and over samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.common.lazy import torch
from simulator.native.calls import double, pointer
from simulator.native.library import check, library

if TYPE_CHECKING:
    from torch import Tensor

SUMS = 11  # of each policy at each prompt, beside those of tables and of parts


def placements(scores: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """The share of others [..., b] below each of scores [..., m], and of scores below each of others; ties half.

    Both are float64, of one shape but for the last axis. Raises EngineError.
    """
    of_scores, of_others = torch.empty_like(scores), torch.empty_like(others)
    rows = scores.numel() // max(scores.shape[-1], 1)
    count, b = scores.shape[-1], others.shape[-1]
    check(
        library().engine_placements(
            rows, count, double(scores), b, double(others), b, double(of_scores), double(of_others)
        )
    )
    return of_scores, of_others


def moments(
    log_probs: Tensor,
    log_reference: Tensor,
    reference: Tensor,
    behaviour: Tensor,
    tables: Tensor,
    parts: Tensor | None = None,
    kinds: int = 0,
) -> Tensor:
    """Sums over responses, float64 [R, P, 11 + K + 5 kinds]; see source/listed.hpp.

    log_probs [R, P, G]; log_reference, reference and behaviour [P, G]; tables [K, P, G], gold first; parts uint8
    [R, P, G]: to which of so many kinds each response belongs. Raises EngineError.
    """
    found = log_probs.new_empty(*log_probs.shape[:2], SUMS + len(tables) + 5 * kinds, dtype=torch.float64)
    arrays = [double(tensor) for tensor in (log_probs, log_reference, reference, behaviour)]
    where = None if parts is None else pointer(parts, torch.uint8)
    check(library().engine_moments(*log_probs.shape, *arrays, len(tables), double(tables), where, double(found)))
    return found
