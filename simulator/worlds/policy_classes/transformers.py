"""Policies that are transformers of the reference's sizes, and begin as copies of it.

Shapes: R runs, B prompts of each, K responses to a prompt, T response length, L prompt length, P prompts of the world,
V vocabulary, D parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.engine.problem import TOKENS_OF_NETWORKS, TokenValues, Value
from simulator.networks.architecture import ALIGNMENT, Architecture
from simulator.networks.attention import REGISTER
from simulator.networks.listing.prefix_tree import node_log_probs
from simulator.networks.listing.response_list import ResponseList
from simulator.networks.packing import Packing, packing
from simulator.networks.sampling import LEAST, SampleBlocks, sample
from simulator.networks.transformer import sequence_log_probs, token_log_probs
from simulator.worlds.policy_classes.looked_up import looked_up


@dataclass(frozen=True, kw_only=True)
class Transformers:
    """A PolicyClass. end: the token that ends a response. listed: all responses, where they are listed."""

    architecture: Architecture
    prompts: Tensor  # token ids [P, L]
    start: Tensor  # the reference's parameters, [D]
    end: int | None
    listed: ResponseList | None = None
    value: Value = sequence_log_probs
    tokens: TokenValues = TOKENS_OF_NETWORKS
    dtype: torch.dtype = torch.float32
    is_network: bool = True

    def to(self, device: torch.device) -> "Transformers":
        """The same class with its tensors on `device`."""
        kinds = Tensor | ResponseList
        own: dict[str, Any] = {name: each.to(device) for name, each in vars(self).items() if isinstance(each, kinds)}
        return replace(self, **own)

    @property
    def listed_value(self) -> Value:
        """log pi of responses, float64 [R, N, K], of rows of prompts [R, N, 1], from the laws of all of them."""
        return self.read_listed

    def read_listed(
        self, parameters: Tensor, architecture: Architecture, packed: Packing, prompts: Tensor, responses: Tensor
    ) -> Tensor:
        """log pi [R, N, K] of responses [R, N, K, T] to the prompts of these rows [R, N, 1]."""
        assert self.listed is not None
        count, (all_of_them, length) = len(self.prompts), self.listed.responses.shape
        asked = self.prompts.repeat_interleave(all_of_them, dim=0).expand(len(parameters), -1, -1)
        said = self.listed.responses.repeat(count, 1).unsqueeze(1).expand(len(parameters), -1, -1, -1)
        single = packing(
            prompt_length=self.prompts.shape[1], response_length=length, responses=1, device=responses.device
        )
        log_probs = sequence_log_probs(parameters, architecture, single, asked, said)
        laws = log_probs.double().view(-1, count, all_of_them)
        return looked_up(laws, prompts[..., 0], self.listed.number(responses))

    @property
    def length(self) -> int:
        """T."""
        return self.architecture.context - self.prompts.shape[1] + 1

    def asked(self, prompt: Tensor) -> Tensor:
        """Token ids [R, N, L] of the prompts of these rows [R, N]."""
        return self.prompts[prompt]

    def laws(self, parameters: Tensor) -> Tensor:
        """log pi of every response, float64 [R, P, G]."""
        assert self.listed is not None
        return self.listed.log_probs(node_log_probs(parameters, self.architecture, self.prompts, self.length))

    def measured_laws(self, parameters: Tensor, *, alone: bool) -> Tensor:
        """log pi of every response, float64 [R, P, G], of the same bits in every stack.

        Unless all are taken alone, the last one is taken again where the policies before it would round otherwise: some
        sums over one do, and so does the end of what does not fill whole vector registers.
        """
        assert self.listed is not None
        prompts, vocabulary = len(self.prompts), self.architecture.vocabulary
        ends = -(-ALIGNMENT // (prompts * vocabulary)) if prompts % REGISTER else int(len(parameters) == 1)
        again = parameters[-1:].expand(0 if alone else ends, -1)
        rows = torch.cat([parameters, again])
        nodes = node_log_probs(rows, self.architecture, self.prompts, self.length)
        return self.listed.log_probs(nodes[: len(parameters)])

    def token_log_probs(self, parameters: Tensor, prompt: Tensor, responses: Tensor) -> Tensor:
        """log pi of every token, [R, B, K, T], of responses [R, B, K, T] to the prompts of these rows [R, B]."""
        count, length = responses.shape[2:]
        packed = packing(
            prompt_length=self.prompts.shape[1], response_length=length, responses=count, device=responses.device
        )
        return token_log_probs(parameters, self.architecture, packed, self.prompts[prompt], responses)

    def draw(
        self, parameters: Tensor, prompt: Tensor, *, seeds: Sequence[int], responses: int, purpose: Sequence[str | int]
    ) -> Tensor:
        """Responses [R, B, K, T] of the policies [R, D] to the prompts of these rows [R, B]."""
        lots = SampleBlocks(prompts=prompt.shape[1], responses=responses)
        rows = torch.arange(lots.count * lots.size, device=prompt.device).clamp(max=lots.prompts - 1)
        shape = (self.length, len(rows), lots.responses, self.architecture.vocabulary)
        waiting = {
            seed: random_stream(seed, *purpose).standard_exponential(shape, dtype=np.float32) for seed in set(seeds)
        }
        noise = torch.from_numpy(np.stack([waiting[seed] for seed in seeds], axis=1)).to(prompt.device)
        tokens = iter(noise.clamp_(min=LEAST).log_().neg_())
        drawn = sample(
            parameters,
            self.architecture,
            self.prompts[prompt[:, rows]],
            responses=lots.responses,
            length=self.length,
            noise=lambda: next(tokens),
            end=self.end,
        )
        return drawn[:, : lots.prompts]
