"""The list of all responses of a small world, in the order of their numbers, and laws over it.

Shapes: R runs, P prompts, G responses of up to T tokens, V vocabulary, M inner nodes of the prefix tree.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulator.networks.architecture import FILL
from simulator.networks.listing.prefix_tree import all_responses, leaf_log_probs, numbers_of

NEVER = -1e4  # nats; stands for the logarithm of 0, whose gradient is not defined


@dataclass(frozen=True, kw_only=True)
class ResponseList:
    """Every response that there is, in the order of its number: token ids [G, T], FILL in every place behind an end.

    Where none ends early, they are the leaves of the tree. Elsewhere each stands at the leaf that has ends in place of
    FILL: leaves [G]; numbers [V^T]: the response that each leaf begins with; open [M]: inner nodes before an end, as
    what is predicted at others does not count.
    """

    responses: Tensor
    vocabulary: int
    end: int | None = None
    leaves: Tensor | None = None
    numbers: Tensor | None = None
    open: Tensor | None = None

    @property
    def lengths(self) -> Tensor:
        """Tokens of each response, its end included, [G]."""
        return (self.responses != FILL).sum(dim=-1)

    def log_probs(self, nodes: Tensor) -> Tensor:
        """log pi of every response, [R, P, G], from log-probabilities at the inner nodes [R, P, M, V]."""
        if self.open is None:
            return leaf_log_probs(nodes, self.vocabulary)
        said = nodes.masked_fill(~self.open.unsqueeze(-1), 0.0)
        return leaf_log_probs(said, self.vocabulary)[..., self.leaves]

    def number(self, responses: Tensor) -> Tensor:
        """The numbers of responses [..., T], [...]."""
        place = numbers_of(self.whole(responses), self.vocabulary)
        return place if self.numbers is None else self.numbers[place]

    def whole(self, responses: Tensor) -> Tensor:
        """Responses [..., T] with ends in place of FILL."""
        return responses if self.end is None else responses.masked_fill(responses == FILL, self.end)

    def at_leaves(self, log_probs: Tensor) -> Tensor:
        """log pi [R, P, G] at all leaves of the tree, [R, P, V^T]; NEVER where no response stands."""
        if self.leaves is None:
            return log_probs
        shape = *log_probs.shape[:2], self.vocabulary ** self.responses.shape[1]
        return log_probs.new_full(shape, NEVER).index_copy(2, self.leaves, log_probs)

    def to(self, device: torch.device) -> "ResponseList":
        """The same on `device`."""
        own: dict[str, Any] = {name: each.to(device) for name, each in vars(self).items() if isinstance(each, Tensor)}
        return replace(self, **own)


def list_responses(vocabulary: int, length: int, end: int | None = None) -> ResponseList:
    """All responses of `length` tokens, or of up to as many where the token `end` ends one."""
    leaves = all_responses(vocabulary, length)
    if end is None:
        return ResponseList(responses=torch.from_numpy(leaves), vocabulary=vocabulary)
    over = (leaves == end).cumsum(axis=1) - (leaves == end) > 0
    kept, place = np.flatnonzero((~over | (leaves == end)).all(axis=1)), vocabulary ** np.arange(length)[::-1]
    opens = [(all_responses(vocabulary, depth) != end).all(axis=1) for depth in range(1, length)]
    return ResponseList(
        responses=torch.from_numpy(np.where(over, FILL, leaves)[kept]),
        vocabulary=vocabulary,
        end=end,
        leaves=torch.from_numpy(kept),
        numbers=torch.from_numpy(np.searchsorted(kept, np.where(over, end, leaves) @ place)),
        open=torch.from_numpy(np.concatenate([[True], *opens])),
    )
