"""The score of every token of every response at one prompt: the gradient of its log-probability, exactly.

Shapes: G responses of up to T tokens, n different tokens in their places (a prefix and what follows it), D parameters,
R rows of a chunk.

Responses that share a prefix share its scores, so they are kept once: `tokens` [n + 1, D], whose last row is 0, and
`path` [G, T], the row of each token of each response, which is the last one behind an end.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from simulator.networks.listing.prefix_tree import numbers_of
from simulator.worlds.protocol import ListedWorld

ROWS = 256  # of parameters, copies of one policy, that go through the network at once
MOST_LAWS = 2**22  # numbers of laws that a chunk holds, of classes without a network


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A policy at one prompt, float64."""

    tokens: Tensor  # the score of each token in its place, [n + 1, D]
    path: Tensor  # [G, T]
    log_probs: Tensor  # log pi of each token, 0 behind an end, [G, T]
    gram: Tensor  # products of the scores of the tokens of each response, [G, T, T]

    @property
    def law(self) -> Tensor:
        """pi of each response, [G]."""
        return self.log_probs.sum(dim=-1).exp()

    def sum_of(self, weights: Tensor) -> Tensor:
        """The sum over responses and tokens of weights [G, T] times scores, [D]."""
        each = self.tokens.new_zeros(len(self.tokens)).index_add_(0, self.path.flatten(), weights.flatten())
        return each @ self.tokens

    def squares(self, weights: Tensor) -> Tensor:
        """The squared norm of what `sum_of` adds of each response, [G], for weights [G, T]."""
        return torch.einsum("gs,gst,gt->g", weights, self.gram, weights)


def places_of(world: ListedWorld) -> tuple[Tensor, Tensor, Tensor]:
    """Where different tokens stand: a response [n] and a place in it [n]; and the path of every response [G, T]."""
    listed, responses = world.response_list, world.responses
    whole, said = listed.whole(responses), responses >= 0
    path = torch.empty_like(responses)
    rows, places, count = [], [], 0
    for place in range(responses.shape[1]):
        here = torch.nonzero(said[:, place])[:, 0]
        names, row = torch.unique(numbers_of(whole[here, : place + 1], listed.vocabulary), return_inverse=True)
        path[here, place] = row + count
        first = torch.empty(len(names), dtype=here.dtype, device=here.device)
        first[row.flip(0)] = here.flip(0)
        rows.append(first)
        places.append(torch.full_like(first, place))
        count += len(names)
    path[~said] = count
    return torch.cat(rows), torch.cat(places), path


def scores_at(world: ListedWorld, parameters: Tensor, prompt: int) -> Scores:
    """The scores of a policy with parameters [D] at the prompt of this row, on the CPU."""
    rows, places, path = places_of(world)
    theta, length = parameters.double(), world.responses.shape[1]
    size = ROWS if world.policy_class.is_network else max(1, MOST_LAWS // world.reference_log_probs.numel())
    tokens = theta.new_zeros(len(rows) + 1, len(theta))
    said = theta.new_zeros(len(rows) + 1)
    for first in range(0, len(rows), size):
        some = slice(first, min(first + size, len(rows)))
        leaf = theta.repeat(some.stop - first, 1).requires_grad_()
        asked = torch.full((len(leaf), 1), prompt, device=leaf.device)
        with torch.enable_grad():
            every = world.policy_class.token_log_probs(leaf, asked, world.responses[rows[some]][:, None, None])
            here = every[:, 0, 0].gather(1, places[some, None])[:, 0]
            (tokens[some],) = torch.autograd.grad(here.sum(), leaf)
        said[some] = here.detach()
    products = tokens.new_empty(len(path), length, length)
    for one in range(length):
        for other in range(one + 1):
            pairs, back = torch.unique(path[:, [one, other]], dim=0, return_inverse=True)
            product = torch.cat([(tokens[a] * tokens[b]).sum(dim=-1) for a, b in (x.T for x in pairs.split(ROWS))])
            products[:, one, other] = products[:, other, one] = product[back]
    return Scores(tokens=tokens, path=path, log_probs=said[path], gram=products)
