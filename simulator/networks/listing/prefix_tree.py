"""Every response of a small world: the list, its numbering, and a policy's exact law over it.

Shapes: R runs, P prompts, L prompt length, T response length, V vocabulary, H heads of e channels, d width, M places
of the prefix tree with the prompt's, G responses, V^T where none ends early.

Leaves of the prefix tree are numbered as numbers in base V, first token most significant: at depth t of the tree, node
j ends in token j mod V and its parent is j div V. Where no token ends a response, leaves are responses. A policy is
needed at the inner nodes only (585 for 8^4, prefixes of 0 to T - 1 tokens), each computed once: all places of all
depths go through a layer together, and a node attends to the prompt and to its own ancestors.

What enters the first layer is even less: the prompts' tokens, and each token of the vocabulary at each depth, whatever
came before. Its queries, keys and values are those of V (T - 1) places and the prompts', and so are the products of
queries and keys. Features come first and places last, [R, d, P, M], so that every operation runs along memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from simulator.networks import fused
from simulator.networks.architecture import ALIGNMENT, Architecture
from simulator.networks.attention import REGISTER
from simulator.networks.backbone import EPSILON, centred
from simulator.networks.parameters import Blocks, unstack

CACHED = 2**18  # numbers that stay in a core's own cache


def all_responses(vocabulary: int, length: int) -> np.ndarray:
    """Every response in order of its number, [V^T, T]."""
    digits = np.indices((vocabulary,) * length, dtype=np.int64)
    return digits.reshape(length, -1).T.copy()


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Something at each place: of the prompts, [R, c, P, L], and at each depth t from 1, [R, c, P, V^(t-1), V].

    Where it is the same for all prompts, or whatever came before the last token, that axis of a depth has length 1.
    """

    prompts: Tensor
    depths: list[Tensor]

    def of(self, function: Callable[[Tensor], Tensor]) -> "Tree":
        """The tree with a function of what is at its places."""
        return Tree(prompts=function(self.prompts), depths=[function(depth) for depth in self.depths])

    def split(self, heads: int) -> "list[Tree]":
        """Query, key and value, [R, H, e, …] each, where c is 3 H e."""
        parts = [x.unflatten(1, (3, heads, -1)).unbind(dim=1) for x in (self.prompts, *self.depths)]
        return [Tree(prompts=prompts, depths=list(depths)) for prompts, *depths in zip(*parts, strict=True)]


def _listed(x: Tree, count: int, vocabulary: int) -> Tensor:
    """The tree of `count` prompts as [R, c, P, M]: the prompt's places, then depth 1, 2, …."""
    lists = [
        depth.expand(-1, -1, count, vocabulary**t, -1).reshape(*depth.shape[:2], count, -1)
        for t, depth in enumerate(x.depths)
    ]
    return torch.cat([x.prompts, *lists], dim=3)


def _as_tree(listed: Tensor, prompt_length: int, vocabulary: int, depths: int) -> Tree:
    """What `_listed` puts together."""
    prompts, *rest = listed.split([prompt_length, *(vocabulary**t for t in range(1, depths + 1))], dim=3)
    return Tree(prompts=prompts, depths=[depth.unflatten(3, (-1, vocabulary)) for depth in rest])


def _normed(x: Tensor) -> Tensor:
    """x [R, d, …] of mean zero over d, divided by its root mean square."""
    return x * (x.square().mean(dim=1, keepdim=True) + EPSILON).rsqrt()


def _product(weights: Tensor, x: Tensor) -> Tensor:
    """The product of weights [R, d, c] with x [R, d, …] over d, [R, c, …]."""
    return torch.bmm(weights.transpose(1, 2), x.flatten(2)).unflatten(2, x.shape[2:])


def _projected(weights: Tensor, x: Tensor) -> Tensor:
    """The product of weights [R, d, c] with x [R, d, …], normed, [R, c, …]."""
    return _product(weights, _normed(x))


def _prompt_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """What the prompt's places read, for query, key, value [R, H, e, P, L], each from itself and what came before."""
    length = query.shape[-1]
    causal = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()
    scores = torch.einsum("rhepq,rhepk->rhpqk", query, key).masked_fill(~causal, -torch.inf)
    return torch.einsum("rhpqk,rhepk->rhepq", scores.softmax(dim=-1), value)


def _scores(query: Tensor, keys: Tree, count: int) -> Tensor:
    """What the nodes of one depth t make of what they see, [L + t, R, H, P, V^t], for query [R, H, e, P, V^(t-1), V].

    It is the prompt's places, then their ancestors from the first on, and themselves. The descendants of one node are
    neighbours, so that what belongs to an ancestor meets them as a broadcast over a split axis.
    """
    vocabulary, depth = query.shape[-1], len(keys.depths)
    before = vocabulary ** (depth - 1)
    whole = (*query.shape[:2], count, before, vocabulary)
    found = [(query * key[..., None, None]).sum(dim=2).expand(whole) for key in keys.prompts.unbind(dim=-1)]
    for s, key in enumerate(keys.depths[:-1], start=1):
        axes = vocabulary ** (s - 1), vocabulary, vocabulary ** (depth - s - 1)
        split = query.unflatten(4, axes if query.shape[4] == before else (1, 1, 1))
        table = (split * key[..., None, None]).sum(dim=2)
        found.append(table.expand(*whole[:3], *axes, vocabulary).reshape(whole))
    found.append((query * keys.depths[-1]).sum(dim=2).expand(whole))
    return torch.stack(found).flatten(4)


def _depth_attention(query: Tensor, keys: Tree, values: Tree, count: int) -> Tensor:
    """What the nodes of one depth read, [R, H e, P, V^t], for query [R, H, e, P, V^(t-1), V], and what they see."""
    vocabulary = query.shape[-1]
    weights = _scores(query, keys, count).softmax(dim=0).unsqueeze(3)
    nodes = weights.shape[-1]
    seen = [(value[..., None, None, None], (1, 1, nodes)) for value in values.prompts.unbind(dim=-1)]
    for s, value in enumerate(values.depths, start=1):
        axes = vocabulary ** (s - 1), vocabulary, nodes // vocabulary**s
        value = value.unsqueeze(-1)
        if value.shape[4] < axes[0]:  # one for all that came before: short enough to be spelled out
            value, axes = value.expand(*value.shape[:4], *axes).flatten(4)[..., None, None, :], (1, 1, nodes)
        seen.append((value, axes))
    read = query.new_zeros(*query.shape[:3], count, nodes)
    for weight, (value, axes) in zip(weights, seen, strict=True):
        read = torch.addcmul(read.unflatten(4, axes), weight.unflatten(4, axes), value).flatten(4)
    return read.flatten(1, 2)


def _attention(query: Tree, key: Tree, value: Tree, wanted: slice) -> Tensor:
    """What the `wanted` places of the prompts and all others of the tree read, [R, d, P, M] at most."""
    count = query.prompts.shape[3]
    read = [_prompt_attention(query.prompts, key.prompts, value.prompts).flatten(1, 2)[..., wanted]]
    for depth, asked in enumerate(query.depths, start=1):
        keys, values = (Tree(prompts=tree.prompts, depths=tree.depths[:depth]) for tree in (key, value))
        read.append(_depth_attention(asked, keys, values, count))
    return torch.cat(read, dim=3)


def _entering(blocks: Blocks, prompts: Tensor, depths: int) -> Tree:
    """What enters the first layer, from prompts [P, L] on to `depths` tokens."""
    length = prompts.shape[1]
    centre = {name: centred(blocks[name]).transpose(1, 2) for name in ("token", "position")}
    asked = centre["token"][:, :, prompts] + centre["position"][:, :, None, :length]
    places = centre["position"][:, :, length : length + depths]
    said = [(centre["token"] + place.unsqueeze(-1))[:, :, None, None] for place in places.unbind(dim=2)]
    return Tree(prompts=asked, depths=said)


def _feed_forward(up: Tensor, down: Tensor, x: Tensor) -> Tensor:
    """The MLP half of a block, residual included, for x [R, d, places]."""
    return x + _product(down, _product(up, _normed(x)).relu_())


def _filled(x: Tensor) -> Tensor:
    """x [R, d, places] with places of zeros up to whole vector registers.

    How many places go together depends on how many runs there are, and the end of a row that does not fill a register
    rounds in another way.
    """
    return pad(x, (0, -x.shape[2] % REGISTER)) if x.shape[2] % REGISTER else x


def at_nodes(
    parameters: Tensor,
    architecture: Architecture,
    prompts: Tensor,
    depths: int,
    read: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """What `read` makes of the states at the nodes of depths 0 to `depths`, [R, c, P, 1 + V + … + V^depths].

    parameters [R, D] are the networks'. `read` is given states, normed, as [R, d, some places], and the weights of the
    read-out, and gives [R, c, as many].
    """
    blocks = unstack(parameters, architecture)
    vocabulary, (count, length) = architecture.vocabulary, prompts.shape
    tree = _entering(blocks, prompts, depths)
    x = _listed(tree, count, vocabulary)
    for layer in range(architecture.layers):
        if layer:
            tree = _as_tree(x, length, vocabulary, depths)
        project = partial(_projected, blocks[f"{layer}.attend"])
        query, key, value = tree.of(project).split(architecture.heads)
        query = query.of(lambda x: x * x.shape[2] ** -0.5)
        last = layer == architecture.layers - 1
        wanted = slice(length - 1 if last else 0, None)
        merged = _product(centred(blocks[f"{layer}.merge"]), _attention(query, key, value, wanted))
        x = merged.add_(x[..., wanted])
        up, down = blocks[f"{layer}.up"], centred(blocks[f"{layer}.down"])
        shape, size = x.shape[2:], max(1, CACHED // (ALIGNMENT * up.shape[0] * up.shape[2])) * ALIGNMENT
        parts = [_feed_forward(up, down, part) for part in _filled(x.flatten(2)).split(size, dim=2)]
        parts = [read(_normed(part), blocks["unembed"]) for part in parts] if last else parts
        x = torch.cat(parts, dim=2)[..., : shape.numel()].unflatten(2, shape)
    return x


def node_log_probs(parameters: Tensor, architecture: Architecture, prompts: Tensor, length: int) -> Tensor:
    """Next-token log-probabilities at the inner nodes, float64 [R, P, 1 + V + … + V^(T-1), V].

    parameters [R, D]; prompts [P, L] are token ids and `length` is T.
    """
    if fused.takes(parameters, architecture) and not fused.wants_gradient(parameters):
        return fused.node_log_probs(parameters, architecture, prompts, length)

    def read(states: Tensor, unembed: Tensor) -> Tensor:
        return _product(unembed, states).double().log_softmax(dim=1)

    return at_nodes(parameters, architecture, prompts, length - 1, read).permute(0, 2, 3, 1).contiguous()


def leaf_scores(parameters: Tensor, architecture: Architecture, prompts: Tensor, length: int) -> Tensor:
    """What networks of one output say of every response of `length` tokens, float64 [R, P, V^T]; parameters [R, D]."""
    if fused.takes(parameters, architecture) and not fused.wants_gradient(parameters):
        return fused.leaf_scores(parameters, architecture, prompts, length)

    def read(states: Tensor, unembed: Tensor) -> Tensor:
        return (states * unembed).sum(dim=1, keepdim=True).double()

    return at_nodes(parameters, architecture, prompts, length, read)[:, 0, :, -(architecture.vocabulary**length) :]


def leaf_log_probs(nodes: Tensor, vocabulary: int) -> Tensor:
    """log pi(response | prompt) of every response, [R, P, V^T], from the inner nodes' log-probabilities."""
    total, start, count = nodes.new_zeros((*nodes.shape[:2], 1)), 0, 1
    while start < nodes.shape[2]:
        total = (total.unsqueeze(-1) + nodes[:, :, start : start + count]).flatten(2)
        start, count = start + count, count * vocabulary
    return total


def numbers_of(responses: Tensor, vocabulary: int) -> Tensor:
    """The numbers of responses [..., T] in the list of all, [...], with no number that a GPU would have to be given."""
    number = responses[..., 0]
    for place in range(1, responses.shape[-1]):
        number = number * vocabulary + responses[..., place]
    return number
