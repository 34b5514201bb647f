"""One transformer written out: every sequence whole, one head at a time, nothing packed, stacked or cached.

Shapes: D parameters, N sequences, S tokens of each, L prompt length, T response length, d width, V vocabulary.
"""

import math

import torch
from torch import Tensor

from simulator.networks.architecture import Architecture


def plain_states(row: Tensor, architecture: Architecture, tokens: Tensor) -> Tensor:
    """What the network with the parameters [D] reads out at every token of sequences [N, S], times V or one."""
    sizes = [rows * columns for rows, columns in architecture.shapes.values()]
    parts = row[: architecture.parameters].split(sizes)
    weights = {name: part.view(shape) for part, (name, shape) in zip(parts, architecture.shapes.items(), strict=True)}

    def norm(x: Tensor) -> Tensor:
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()

    x = weights["token"][tokens] + weights["position"][: tokens.shape[1]]
    for layer in range(architecture.layers):
        query, key, value = (norm(x) @ weights[f"{layer}.attend"]).chunk(3, dim=-1)
        heads = []
        for part in torch.arange(architecture.width).chunk(architecture.heads):
            scores = query[..., part] @ key[..., part].transpose(1, 2) / math.sqrt(len(part))
            ahead = torch.ones(tokens.shape[1], tokens.shape[1]).triu(1) > 0
            heads.append(scores.masked_fill(ahead, -math.inf).softmax(-1) @ value[..., part])
        x = x + torch.cat(heads, dim=-1) @ weights[f"{layer}.merge"]
        x = x + (norm(x) @ weights[f"{layer}.up"]).relu() @ weights[f"{layer}.down"]
    return norm(x) @ weights["unembed"]


def plain_scores(row: Tensor, architecture: Architecture, tokens: Tensor) -> Tensor:
    """What a reward model says of whole sequences, at their last token, [N]."""
    return plain_states(row, architecture, tokens)[:, -1, 0]


def plain_log_probs(row: Tensor, architecture: Architecture, prompts: Tensor, responses: Tensor) -> Tensor:
    """log pi of responses [N, T] to prompts [N, L], in nats, [N]."""
    tokens = torch.cat([prompts, responses], dim=1)
    said = plain_states(row, architecture, tokens[:, :-1])[:, prompts.shape[1] - 1 :].log_softmax(-1)
    return said.gather(2, responses.unsqueeze(2)).sum(dim=(1, 2))
