"""What trained policies say: likely responses, and where along gold their probability lies.

Shapes: R runs, n prompts, K responses to each, T response length, B bins of gold.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

PROMPTS = 3  # whose responses are shown
LIKELY = 8  # responses of the policy, and as many of the reference
EDGES = np.arange(-8.0, 12.01, 0.25)  # of bins of gold, in deviations under the reference


@dataclass(frozen=True, kw_only=True)
class PolicySummary:
    """Of R policies: the likeliest responses under them and under the reference, and how gold is distributed.

    A response may be there twice.
    """

    prompts: Tensor  # [n, L]
    responses: Tensor  # token ids [R, n, K, T], -1 behind the end
    log_probs: Tensor  # [R, n, K]
    reference: Tensor  # log pi_ref, [R, n, K]
    gold: Tensor  # [R, n, K]
    fluency: Tensor  # what fluency gives of it, [R, n, K]
    breaks: Tensor  # whether each token breaks the grammar, bool [R, n, K, T]
    proxy: Tensor  # [R, n, K]
    law: Tensor  # probability of gold in each bin, the first and the last being open, [R, B]
    reference_law: Tensor  # [B]


def bins_of(gold: Tensor) -> Tensor:
    """The number of the bin of each value of gold, same shape."""
    edges = torch.from_numpy(EDGES[1:-1]).to(gold.device)
    return torch.bucketize(gold.double().contiguous(), edges, right=True)


def likeliest(score: Tensor, count: int) -> Tensor:
    """Places of the `count` largest of the last axis, the first of equal ones first."""
    return torch.sort(score, dim=-1, descending=True, stable=True).indices[..., :count]
