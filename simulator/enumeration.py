"""Every response of a small world: the list, its numbering, and a policy's exact law over it.

Shapes: R runs, P prompts, L prompt length, T response length, V vocabulary, d width, H heads, M places
of the prefix tree, G = V^T responses.

Responses are numbered as numbers in base V, first token most significant: at depth t of the prefix tree,
node j ends in token j mod V and its parent is j div V. A policy is needed at the inner nodes only (585 for
8^4, prefixes of 0 to T - 1 tokens), each computed once: all places of all depths go through a layer
together, and a node attends to the prompt and to its own ancestors.
"""

import numpy as np
import torch
from torch import Tensor

from simulator.transformer import Architecture, Blocks, embed, feed_forward, normed


def all_responses(vocabulary: int, length: int) -> np.ndarray:
    """Every response in order of its number, [V^T, T]."""
    digits = np.indices((vocabulary,) * length, dtype=np.int64)
    return digits.reshape(length, -1).T.copy()


def response_number(responses: np.ndarray, vocabulary: int) -> np.ndarray:
    """The number of each response [..., T] in the list of all, [...]."""
    powers = vocabulary ** np.arange(responses.shape[-1] - 1, -1, -1)
    return (responses * powers).sum(axis=-1)


def _tree_tokens(prompts: Tensor, vocabulary: int, depths: int) -> tuple[Tensor, Tensor]:
    """Tokens [P, M] and positions [M] of the tree's places: the prompt's, then depth 1, 2, …, `depths`."""
    count, length = prompts.shape
    alphabet = torch.arange(vocabulary, device=prompts.device)
    tokens = [prompts] + [alphabet.repeat(vocabulary ** (t - 1)).expand(count, -1) for t in range(1, depths + 1)]
    position = [torch.arange(length, device=prompts.device)]
    position += [torch.full((vocabulary**t,), length + t - 1, device=prompts.device) for t in range(1, depths + 1)]
    return torch.cat(tokens, dim=1), torch.cat(position)


def _depth_attention(query: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
    """What the nodes of one depth read, [R, P, H, V^t, e].

    query [R, P, H, V^t, e]; keys and values: the prompt's [R, P, H, L, e] first, then those of depths
    1 … t, [R, P, H, V^s, e]. The descendants of one node are neighbours, so an ancestor's key meets them
    as a broadcast over a split axis and nothing is copied.
    """
    nodes = query.shape[3]
    scores = [torch.matmul(query, keys[0].transpose(-1, -2))]
    for key in keys[1:]:
        below = query.unflatten(3, (key.shape[3], -1))
        scores.append((below * key.unsqueeze(4)).sum(-1).flatten(3).unsqueeze(-1))
    weight = torch.cat(scores, dim=-1).softmax(dim=-1)
    length = keys[0].shape[3]
    read = torch.matmul(weight[..., :length], values[0])
    for s, value in enumerate(values[1:]):
        share = weight[..., length + s].unflatten(3, (value.shape[3], -1))
        read = read + (share.unsqueeze(-1) * value.unsqueeze(4)).reshape(read.shape)
    assert read.shape[3] == nodes
    return read


def _tree_attention(query: Tensor, key: Tensor, value: Tensor, length: int, vocabulary: int) -> Tensor:
    """What every place of the tree reads, for query, key, value [R, P, H, M, e]."""
    places = query.shape[3]
    causal = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()
    scores = torch.matmul(query[:, :, :, :length], key[:, :, :, :length].transpose(-1, -2))
    weight = scores.masked_fill(~causal, -torch.inf).softmax(dim=-1)
    keys, values = [key[:, :, :, :length]], [value[:, :, :, :length]]
    read = [torch.matmul(weight, values[0])]
    start, nodes = length, vocabulary
    while start < places:
        keys.append(key[:, :, :, start : start + nodes])
        values.append(value[:, :, :, start : start + nodes])
        read.append(_depth_attention(query[:, :, :, start : start + nodes], keys, values))
        start, nodes = start + nodes, nodes * vocabulary
    return torch.cat(read, dim=3)


def node_log_probs(blocks: Blocks, architecture: Architecture, prompts: Tensor, length: int) -> Tensor:
    """Next-token log-probabilities at the inner nodes, float64 [R, P, 1 + V + … + V^(T-1), V].

    prompts [P, L] are token ids and `length` is T.
    """
    vocabulary, heads = architecture.vocabulary, architecture.heads
    tokens, position = _tree_tokens(prompts, vocabulary, length - 1)
    runs = blocks["token"].shape[0]
    count, prompt_length = prompts.shape
    x = embed(blocks, tokens.expand(runs, -1, -1), position).flatten(1, 2)
    for layer in range(architecture.layers):
        projected = torch.bmm(normed(x), blocks[f"{layer}.attend"])
        split = projected.view(runs, count, tokens.shape[1], 3, heads, -1).permute(3, 0, 1, 4, 2, 5)
        query, key, value = split
        read = _tree_attention(query * query.shape[-1] ** -0.5, key, value, prompt_length, vocabulary)
        x = x + torch.bmm(read.transpose(2, 3).reshape(x.shape), blocks[f"{layer}.merge"])
        x = feed_forward(blocks, layer, x)
    nodes = x.unflatten(1, (count, -1))[:, :, prompt_length - 1 :].flatten(1, 2)
    logits = torch.bmm(normed(nodes), blocks["unembed"]).unflatten(1, (count, -1))
    return logits.double().log_softmax(dim=-1)


def leaf_log_probs(nodes: Tensor, vocabulary: int) -> Tensor:
    """log pi(response | prompt) of every response, [R, P, V^T], from the inner nodes' log-probabilities."""
    total, start, count = nodes.new_zeros((*nodes.shape[:2], 1)), 0, 1
    while start < nodes.shape[2]:
        total = (total.unsqueeze(-1) + nodes[:, :, start : start + count]).flatten(2)
        start, count = start + count, count * vocabulary
    return total
