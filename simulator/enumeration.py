"""Every response of a small world: the list, its numbering, and a policy's exact law over it.

Shapes: R runs, P prompts, L prompt length, T response length, V vocabulary, H heads of e channels, M places
of the prefix tree with the prompt's, G = V^T responses.

Responses are numbered as numbers in base V, first token most significant: at depth t of the prefix tree,
node j ends in token j mod V and its parent is j div V. A policy is needed at the inner nodes only (585 for
8^4, prefixes of 0 to T - 1 tokens), each computed once: all places of all depths go through a layer
together, and a node attends to the prompt and to its own ancestors.
"""

import numpy as np
import torch
from torch import Tensor

from simulator.network import Architecture, Blocks
from simulator.transformer import embed, feed_forward, normed, read_out


def all_responses(vocabulary: int, length: int) -> np.ndarray:
    """Every response in order of its number, [V^T, T]."""
    digits = np.indices((vocabulary,) * length, dtype=np.int64)
    return digits.reshape(length, -1).T.copy()


def _tree_tokens(prompts: Tensor, vocabulary: int, depths: int) -> tuple[Tensor, Tensor]:
    """Tokens [P, M] and positions [M] of the tree's places: the prompt's, then depth 1, 2, …, `depths`."""
    count, length = prompts.shape
    alphabet = torch.arange(vocabulary, device=prompts.device)
    tokens = [prompts] + [alphabet.repeat(vocabulary ** (t - 1)).expand(count, -1) for t in range(1, depths + 1)]
    position = [torch.arange(length, device=prompts.device)]
    position += [torch.full((vocabulary**t,), length + t - 1, device=prompts.device) for t in range(1, depths + 1)]
    return torch.cat(tokens, dim=1), torch.cat(position)


def _prompt_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """What the prompt's places read, for query, key, value [R, H, e, P, L], each from itself and what came before."""
    length = query.shape[-1]
    causal = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()
    scores = torch.einsum("rhepq,rhepk->rhpqk", query, key).masked_fill(~causal, -torch.inf)
    return torch.einsum("rhpqk,rhepk->rhepq", scores.softmax(dim=-1), value)


def _depth_attention(query: Tensor, keys: list[Tensor], values: list[Tensor]) -> Tensor:
    """What the nodes of one depth read, for query [R, H, e, P, V^t].

    keys and values [R, H, e, P, m]: of each place of the prompt (m = 1), then of the depths 1 to t (m = V^s).
    The descendants of one node are neighbours, so an ancestor's key meets them as a broadcast over a split axis
    and nothing is copied; with the nodes innermost, every operation runs along memory.
    """
    scores = [
        (query.unflatten(4, (key.shape[4], -1)) * key.unsqueeze(5)).sum(dim=2).flatten(3)  # over e
        for key in keys
    ]
    weights = torch.stack(scores).softmax(dim=0)
    read = torch.zeros_like(query)
    for weight, value in zip(weights, values, strict=True):
        share = weight.unflatten(3, (value.shape[4], -1)).unsqueeze(2)
        read += (share * value.unsqueeze(5)).flatten(4)
    return read


def _tree_attention(query: Tensor, key: Tensor, value: Tensor, length: int, vocabulary: int) -> Tensor:
    """What every place of the tree reads, for query, key, value [R, H, e, P, M]."""
    read = [_prompt_attention(query[..., :length], key[..., :length], value[..., :length])]
    keys, values = list(key[..., :length].split(1, dim=4)), list(value[..., :length].split(1, dim=4))
    start, nodes = length, vocabulary
    while start < query.shape[4]:
        here = slice(start, start + nodes)
        keys.append(key[..., here])
        values.append(value[..., here])
        read.append(_depth_attention(query[..., here], keys, values))
        start, nodes = start + nodes, nodes * vocabulary
    return torch.cat(read, dim=4)


def node_states(blocks: Blocks, architecture: Architecture, prompts: Tensor, depths: int) -> Tensor:
    """What the network reads from at the nodes of depths 0 to `depths`, normed, [R, P, 1 + V + … + V^depths, d]."""
    vocabulary, heads = architecture.vocabulary, architecture.heads
    tokens, position = _tree_tokens(prompts, vocabulary, depths)
    runs = blocks["token"].shape[0]
    count, prompt_length = prompts.shape
    x = embed(blocks, tokens.expand(runs, -1, -1), position).flatten(1, 2)
    for layer in range(architecture.layers):
        projected = torch.bmm(blocks[f"{layer}.attend"].transpose(1, 2), normed(x).transpose(1, 2))
        split = projected.view(runs, 3, heads, architecture.width // heads, count, -1)
        query, key, value = split.unbind(dim=1)
        read = _tree_attention(query * query.shape[2] ** -0.5, key, value, prompt_length, vocabulary)
        x = x + torch.bmm(read.view(runs, architecture.width, -1).transpose(1, 2), blocks[f"{layer}.merge"])
        x = feed_forward(blocks, layer, x)
    return normed(x.unflatten(1, (count, -1))[:, :, prompt_length - 1 :])


def node_log_probs(blocks: Blocks, architecture: Architecture, prompts: Tensor, length: int) -> Tensor:
    """Next-token log-probabilities at the inner nodes, float64 [R, P, 1 + V + … + V^(T-1), V].

    prompts [P, L] are token ids and `length` is T.
    """
    nodes = node_states(blocks, architecture, prompts, length - 1).flatten(1, 2)
    logits = torch.bmm(blocks["unembed"].transpose(1, 2), nodes.transpose(1, 2))  # V before the nodes: faster
    return logits.double().log_softmax(dim=1).transpose(1, 2).unflatten(1, (len(prompts), -1))


def leaf_scores(blocks: Blocks, architecture: Architecture, prompts: Tensor, length: int) -> Tensor:
    """What networks of one output say of every response of `length` tokens, float64 [R, P, V^T]."""
    leaves = node_states(blocks, architecture, prompts, length)[:, :, -(architecture.vocabulary**length) :]
    return read_out(leaves.flatten(1, 2), blocks["unembed"]).double().view(leaves.shape[:3])


def leaf_log_probs(nodes: Tensor, vocabulary: int) -> Tensor:
    """log pi(response | prompt) of every response, [R, P, V^T], from the inner nodes' log-probabilities."""
    total, start, count = nodes.new_zeros((*nodes.shape[:2], 1)), 0, 1
    while start < nodes.shape[2]:
        total = (total.unsqueeze(-1) + nodes[:, :, start : start + count]).flatten(2)
        start, count = start + count, count * vocabulary
    return total
