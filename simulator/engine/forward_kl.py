"""The expectation of log pi - log pi_ref under the reference, which is -KL(pi_ref ‖ pi), and its gradient.

Where responses are listed it is exact, a sum over the inner nodes of the prefix tree of the reference's probability of
being there times the reference's law of the next token. Elsewhere it is a mean over responses of the reference that
each run has drawn beforehand.

Shapes: R runs, r of them at once, P prompts, M inner nodes, V vocabulary, N pairs of drawn responses, T response
length, D parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from simulator.engine.batches import batch_order
from simulator.engine.gradient_steps import PAIRS_READ
from simulator.measurement.probability_mass import checked_mass
from simulator.networks.architecture import Architecture
from simulator.networks.listing.prefix_tree import node_log_probs
from simulator.networks.listing.response_list import ResponseList
from simulator.networks.packing import packing
from simulator.networks.transformer import sequence_log_probs

ORDER = -1  # the round whose batches are prompts; those of pairs count from 0
POOL = 1024  # pairs of responses that are drawn where they cannot be listed


def node_weights(nodes: Tensor) -> Tensor:
    """pi_ref(node) pi_ref(token | node), [P, M, V], for log pi_ref at the inner nodes [P, M, V] by depth."""
    vocabulary = nodes.shape[2]
    reached, start, count = nodes.new_zeros((1, len(nodes), 1)), 0, 1
    found = []
    while start < nodes.shape[1]:
        here = nodes[None, :, start : start + count]
        found.append((reached.unsqueeze(-1) + here)[0])
        reached = (reached.unsqueeze(-1) + here).flatten(2)
        start, count = start + count, count * vocabulary
    return torch.cat(found, dim=1).exp()


@dataclass(frozen=True, kw_only=True)
class ExactUnderReference:
    """prompts [P, L]; weights [P, M, V] as `node_weights` has them; log_reference [P]: E_ref log pi_ref."""

    architecture: Architecture
    prompts: Tensor
    length: int
    weights: Tensor
    log_reference: Tensor

    def _of(self, parameters: Tensor, chosen: Tensor) -> Tensor:
        nodes = node_log_probs(parameters, self.architecture, self.prompts[chosen], self.length)[0]
        return ((self.weights[chosen] * nodes).sum(dim=(1, 2)) - self.log_reference[chosen]).mean()

    def gradient(
        self, parameters: Tensor, seeds: Sequence[int], rows: slice, *, step: int, prompts: int
    ) -> tuple[Tensor, Tensor]:
        """Value [r] and gradient [r, D] at `prompts` prompts of each run; a tree is large enough alone."""
        count = min(prompts, len(self.prompts))
        values, gradients = [], []
        for row, seed in enumerate(seeds):
            order = batch_order(seed, len(self.prompts), count, step - 1, 1, turn=ORDER)[0]
            leaf = parameters[row : row + 1].detach().requires_grad_()
            with torch.enable_grad():
                value = self._of(leaf, torch.from_numpy(order).to(parameters.device))
                (found,) = torch.autograd.grad(value, leaf)
            values.append(value.detach().float())
            gradients.append(found)
        return torch.stack(values), torch.cat(gradients)

    def value(self, parameters: Tensor, rows: slice) -> Tensor:
        """Value [r] over all prompts."""
        everywhere = torch.arange(len(self.prompts), device=parameters.device)
        with torch.no_grad():
            return torch.stack([self._of(row[None], everywhere) for row in parameters])

    def select_runs(self, rows: slice) -> "ExactUnderReference":
        """The same: it is that of every run."""
        return self


def exact_under_reference(
    architecture: Architecture, prompts: Tensor, nodes: Tensor, listed: ResponseList
) -> ExactUnderReference:
    """The exact expectation, for log pi_ref at the inner nodes, float64 [P, M, V]."""
    log_law, weights = listed.log_probs(nodes.unsqueeze(0))[0], node_weights(nodes)
    return ExactUnderReference(
        architecture=architecture,
        prompts=prompts,
        length=architecture.context - prompts.shape[1] + 1,
        weights=weights if listed.open is None else weights * listed.open.unsqueeze(-1),
        log_reference=(checked_mass(log_law.exp(), "the reference") * log_law).sum(dim=1),
    )


@dataclass(frozen=True, kw_only=True)
class DrawnUnderReference:
    """Responses of the reference for each run: prompts [R, N, L], responses [R, N, 2, T], log pi_ref [R, N, 2]."""

    architecture: Architecture
    prompts: Tensor
    responses: Tensor
    reference: Tensor

    def _of(self, parameters: Tensor, prompts: Tensor, responses: Tensor, reference: Tensor) -> Tensor:
        packed = packing(
            prompt_length=prompts.shape[2], response_length=responses.shape[3], responses=2, device=prompts.device
        )
        said = sequence_log_probs(parameters, self.architecture, packed, prompts, responses)
        return (said - reference.float()).mean(dim=(1, 2))

    def gradient(
        self, parameters: Tensor, seeds: Sequence[int], rows: slice, *, step: int, prompts: int
    ) -> tuple[Tensor, Tensor]:
        """Value [r] and gradient [r, D] on two responses to each of `prompts` prompts of each run."""
        count = min(prompts, self.prompts.shape[1])
        order = [batch_order(seed, self.prompts.shape[1], count, step - 1, 1, turn=ORDER)[0] for seed in seeds]
        chosen = torch.stack([torch.from_numpy(places) for places in order]).to(parameters.device)
        row = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
        leaf = parameters.detach().requires_grad_()
        with torch.enable_grad():
            value = self._of(leaf, *(held[rows][row, chosen] for held in self._held))
            (found,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach(), found

    @property
    def _held(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.prompts, self.responses, self.reference

    def value(self, parameters: Tensor, rows: slice) -> Tensor:
        """Value [r] over all responses that were drawn."""
        count = self.prompts.shape[1]
        total = parameters.new_zeros(len(parameters), dtype=torch.float64)
        with torch.no_grad():
            for first in range(0, count, PAIRS_READ):
                some = slice(first, min(first + PAIRS_READ, count))
                mean = self._of(parameters, *(held[rows, some] for held in self._held)).double()
                total += mean * ((some.stop - some.start) / count)
        return total

    def select_runs(self, rows: slice) -> "DrawnUnderReference":
        """That of some of the runs."""
        return replace(self, prompts=self.prompts[rows], responses=self.responses[rows], reference=self.reference[rows])
