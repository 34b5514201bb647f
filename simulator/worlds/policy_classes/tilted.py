"""Policies that tilt the reference's law by a score, where every response is listed:

    π(y|x) = π_ref(y|x) exp h(x, y) / Z(x)

tabular   h(x, y) = θ[x, y]: every law that has the reference's support, so that what a loss wants is never out of reach
linear    h(x, y) = θ · φ(x, y): log-linear in given features, a class that may not hold what a loss wants (Gopalan et
          al. 2025, arXiv:2510.20413)

θ = 0 is the reference. Parameters are float32; scores and laws are computed in float64. Every law is normalized over
the listing itself, so that the shape of a network has no part in what a loss leads to.

Shapes: R runs, P prompts, L prompt length, G responses of T tokens, V vocabulary, F features, D numbers of one
run's row (P G or F, filled up), B prompts of a batch, N pairs, K responses to each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.engine.batches import batch_order
from simulator.engine.forward_kl import ORDER
from simulator.engine.problem import TokenValues, Value
from simulator.networks.architecture import ALIGNMENT, Architecture
from simulator.networks.listing.prefix_tree import numbers_of
from simulator.networks.listing.response_list import ResponseList
from simulator.networks.packing import Packing
from simulator.worlds.policy_classes.looked_up import looked_up
from simulator.worlds.policy_classes.policy_class import PolicyClass


@dataclass(frozen=True, kw_only=True)
class Tilted:
    """A PolicyClass."""

    kind: str  # "tabular" or "linear"
    prompts: Tensor  # token ids [P, L]
    listed: ResponseList  # all responses, [G, T]
    log_reference: Tensor  # log pi_ref, float64 [P, G]
    features: Tensor | None = None  # of "linear", float64 [P, G, F]
    dtype: torch.dtype = torch.float64
    is_network: bool = False

    def to(self, device: torch.device) -> "Tilted":
        """The same class with its tensors on `device`."""
        kinds = Tensor | ResponseList
        own: dict[str, Any] = {name: each.to(device) for name, each in vars(self).items() if isinstance(each, kinds)}
        return replace(self, **own)

    def tensors(self) -> dict[str, Tensor]:
        """What it holds, on the CPU, by its names here."""
        held = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return {name: value.cpu().contiguous() for name, value in (held | {"responses": self.listed.responses}).items()}

    @property
    def parameters(self) -> int:
        """How many parameters a policy has: P G, or F."""
        return self.log_reference.numel() if self.features is None else self.features.shape[2]

    @property
    def start(self) -> Tensor:
        """Zeros, float32 [D]; D is `parameters` filled up to a multiple of ALIGNMENT."""
        return torch.zeros(row_length(self.parameters), device=self.log_reference.device)

    @property
    def value(self) -> Value:
        """log pi of responses, float64 [R, N, K], of rows of prompts [R, N, 1]."""
        return self.read

    @property
    def listed_value(self) -> Value:
        """The same."""
        return self.read

    @property
    def tokens(self) -> TokenValues:
        """What policies say of single tokens, float64 [R, N, K, T], of rows of prompts [R, N, 1]."""
        return TokenValues(
            log_probs=lambda theta, _, __, prompts, said: self.token_log_probs(theta, prompts[..., 0], said),
            alignment=lambda theta, _, __, prompts, said: self.token_alignment(theta, prompts[..., 0], said),
        )

    def asked(self, prompt: Tensor) -> Tensor:
        """Rows of prompts [R, N] as [R, N, 1]."""
        return prompt.unsqueeze(-1)

    def scores(self, parameters: Tensor) -> Tensor:
        """h, float64 [R, P, G], of policies [R, D].

        The scores of a run are one product with its own row, so that they do not depend on its neighbours.
        """
        theta = parameters[:, : self.parameters].double()
        if self.features is None:
            return theta.unflatten(1, self.log_reference.shape)
        table = self.features.flatten(0, 1)
        return torch.stack([table.mv(row) for row in theta]).unflatten(1, self.log_reference.shape)

    def laws(self, parameters: Tensor) -> Tensor:
        """log pi of every response, float64 [R, P, G]."""
        return (self.log_reference + self.scores(parameters)).log_softmax(dim=-1)

    def measured_laws(self, parameters: Tensor, *, alone: bool) -> Tensor:
        """The same."""
        return self.laws(parameters)

    def read(
        self, parameters: Tensor, architecture: Architecture, packed: Packing, prompts: Tensor, responses: Tensor
    ) -> Tensor:
        """log pi [R, N, K] of responses [R, N, K, T] to the prompts of these rows [R, N, 1]; networks have no part."""
        return self.log_probs(parameters, prompts[..., 0], responses)

    def log_probs(self, parameters: Tensor, prompt: Tensor, responses: Tensor) -> Tensor:
        """log pi, float64 [R, N, K], of responses [R, N, K, T] to the prompts of these rows [R, N]."""
        return looked_up(self.laws(parameters), prompt, self.listed.number(responses))

    def token_log_probs(self, parameters: Tensor, prompt: Tensor, responses: Tensor) -> Tensor:
        """log pi of every token, [R, B, K, T], of responses [R, B, K, T] to the prompts of these rows [R, B].

        The law of a token follows from that of whole responses: of what is left of their mass at each place. Behind an
        end nothing is left to be said, and the logarithm is 0.
        """
        laws, length = self.listed.at_leaves(self.laws(parameters)), responses.shape[-1]
        whole, vocabulary = self.listed.whole(responses), self.listed.vocabulary
        row, run = prompt.unsqueeze(-1), torch.arange(len(laws), device=laws.device)[:, None, None]
        before, found = torch.zeros((), dtype=laws.dtype, device=laws.device), []
        for place in range(1, length + 1):
            masses = laws.unflatten(2, (vocabulary**place, -1)).logsumexp(dim=-1)
            here = masses[run, row, numbers_of(whole[..., :place], vocabulary)]
            found.append(here - before)
            before = here
        return torch.stack(found, dim=-1)

    def token_alignment(self, parameters: Tensor, prompt: Tensor, responses: Tensor) -> Tensor:
        """log pi(y_t) - log Σ_v pi(v)², float64 [R, B, K, T], of responses [R, B, K, T] to the prompts of these rows
        [R, B], without gradient; pi is the law of token t, and behind an end it is 0.
        """
        with torch.no_grad():
            laws = self.listed.at_leaves(self.laws(parameters))
            whole, vocabulary = self.listed.whole(responses), self.listed.vocabulary
            row, run = prompt.unsqueeze(-1), torch.arange(len(laws), device=laws.device)[:, None, None]
            found, before = [], torch.zeros_like(whole[..., 0])  # the number of the prefix
            for place in range(responses.shape[-1]):
                masses = laws.unflatten(2, (vocabulary**place, vocabulary, -1)).logsumexp(dim=-1)
                token_laws = masses.log_softmax(dim=-1)[run, row, before]
                said = token_laws.gather(-1, whole[..., place : place + 1]).squeeze(-1)
                found.append(said - (2 * token_laws).logsumexp(dim=-1))
                before = before * vocabulary + whole[..., place]
            return torch.stack(found, dim=-1).masked_fill(responses < 0, 0.0)

    def draw(
        self, parameters: Tensor, prompt: Tensor, *, seeds: Sequence[int], responses: int, purpose: Sequence[str | int]
    ) -> Tensor:
        """Responses [R, B, K, T] of the policies [R, D] to the prompts of these rows [R, B], by inverse transforms."""
        shape = prompt.shape[1], responses
        draws = {seed: random_stream(seed, *purpose).random(shape) for seed in set(seeds)}
        uniform = torch.from_numpy(np.stack([draws[seed] for seed in seeds])).to(prompt.device)
        number = [self._inverse(parameters[run : run + 1], prompt[run], uniform[run]) for run in range(len(prompt))]
        return self.listed.responses[torch.stack(number)]

    def _inverse(self, parameters: Tensor, prompt: Tensor, uniform: Tensor) -> Tensor:
        """Numbers of responses [B, K] of one policy [1, D], for uniform draws [B, K]."""
        below = self.laws(parameters)[0].exp().cumsum(dim=-1)[prompt]
        found = torch.searchsorted(below, uniform * below[:, -1:], right=True)
        return found.clamp(max=below.shape[1] - 1)


def as_tilted(policies: PolicyClass) -> Tilted | None:
    """A class of policies that tilt the reference's law; None for transformers."""
    return policies if isinstance(policies, Tilted) else None


def are_one_class(first: Tilted | None, second: Tilted | None) -> bool:
    """Whether a row of parameters is the same policy in both classes, None being that of transformers."""
    if first is second:
        return True
    if first is None or second is None or first.kind != second.kind:
        return False
    ours, theirs = first.tensors(), second.tensors()
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def row_length(parameters: int) -> int:
    """D: so many parameters filled up to a multiple of ALIGNMENT."""
    return -(-parameters // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, kw_only=True)
class TiltedUnderReference:
    """An UnderReference: the expectation of log pi - log pi_ref under the reference, a sum over all responses."""

    policies: Tilted

    def _at(self, parameters: Tensor, chosen: Tensor) -> Tensor:
        """Its value [r] at the prompts of these rows [r, B]."""
        reference = self.policies.log_reference
        gain = (reference.exp() * (self.policies.laws(parameters) - reference)).sum(dim=-1)
        return gain.gather(1, chosen).mean(dim=1)

    def gradient(
        self, parameters: Tensor, seeds: Sequence[int], rows: slice, *, step: int, prompts: int
    ) -> tuple[Tensor, Tensor]:
        """Value [r] and gradient [r, D] at `prompts` prompts of each run."""
        every = len(self.policies.prompts)
        order = [batch_order(seed, every, min(prompts, every), step - 1, 1, turn=ORDER)[0] for seed in seeds]
        leaf = parameters.detach().requires_grad_()
        with torch.enable_grad():
            value = self._at(leaf, torch.from_numpy(np.stack(order)).to(parameters.device))
            (found,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach(), found

    def value(self, parameters: Tensor, rows: slice) -> Tensor:
        """Value [r] over all prompts."""
        every = torch.arange(len(self.policies.prompts), device=parameters.device)
        with torch.no_grad():
            return self._at(parameters, every.expand(len(parameters), -1))

    def select_runs(self, rows: slice) -> "TiltedUnderReference":
        """The same: it is that of every run."""
        return self
