"""The packed network from tokens to what its outputs are read from, forward and backward written out.

Shapes: R runs, N sequences, S packed places, Q of them read, d width, H heads of e channels, V
vocabulary.

Training spends its time here. Written out, a pass keeps a third less than automatic differentiation would, adds into
what it has instead of making anew, and knows three things that are not to be seen in a graph of operations:

* A layer norm takes the mean from the stream, and all that is ever added to the stream is a product with weights. With
  the mean taken from the rows of those weights beforehand, the stream has none, and the norm is a division by the root
  mean square (Jiang et al. 2023, arXiv:2305.14858).
* In the last block, places that are not read are needed as keys and values only.
* Heads are read where they lie, and a softmax over less than a vector register is written out, too.

Attention is written out as two products and a softmax, since at these sizes that is as fast as any fused kernel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding, pad

from simulator.computing import is_compiled
from simulator.network import Architecture, Blocks
from simulator.packing import Packing

EPSILON = 1e-5  # of a layer norm, as torch has it
FEW = 64  # tokens; up to here a product gathers the gradient of their embeddings faster than an addition one by one

REGISTER = 16  # numbers; torch's own softmax is slow where there are less

aten = torch.ops.aten


def centred(weights: Tensor) -> Tensor:
    """Weights, or their gradient, less the mean of each row."""
    return weights - weights.mean(dim=-1, keepdim=True)


def normed(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [..., d] of mean zero divided by its root mean square; and the inverse of that, [..., 1]."""
    scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    scale.square_().div_(x.shape[-1]).add_(EPSILON).rsqrt_()
    scale.masked_fill_(scale == 0, torch.nan)  # squares beyond all numbers
    return x * scale, scale


def through_norm(gradient: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """The gradient at x divided by `scale`, from that at y, where y and scale are `normed(x)`."""
    along = (gradient * y).sum(dim=-1, keepdim=True).div_(-y.shape[-1])
    return torch.addcmul(gradient, y, along)


def turned(x: Tensor) -> Tensor:
    """The matrices of a stack, transposed."""
    return x.transpose(1, 2)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Of one pass: runs R, count N, places S, heads H, channels e, and the packing."""

    runs: int
    count: int
    places: int
    heads: int
    channels: int
    packed: Packing

    def of(self, x: Tensor) -> Tensor:
        """x [R, N places, width] as [R, N, places, width]."""
        return x.view(self.runs, self.count, -1, x.shape[2])

    def by_head(self, x: Tensor) -> tuple[Tensor, ...]:
        """x [R, N places, d] as H times [R N, places, e], the same memory."""
        return x.view(self.runs * self.count, -1, self.heads, self.channels).unbind(dim=2)

    def taken_apart(self, projected: Tensor) -> list[tuple[Tensor, ...]]:
        """Query, key and value [R N, S, e] of each head, of all together [R, N S, 3 d]; the same memory."""
        return list(zip(*(self.by_head(part) for part in projected.chunk(3, dim=2)), strict=True))

    def together(self, parts: list[Tensor]) -> Tensor:
        """Parts [R N, places, e], side by side: [R, N places, e times their number]."""
        return torch.cat(parts, dim=2).view(self.runs, -1, self.channels * len(parts))

    def spread(self, part: Tensor, read: slice) -> Tensor:
        """What belongs to the places `read`, [R N, Q, e], among zeros at the others, [R N, S, e]."""
        if part.shape[1] == self.places:
            return part
        whole = part.new_zeros(len(part), self.places, self.channels)
        whole[:, read] = part
        return whole


@dataclass(frozen=True, kw_only=True)
class Attention:
    """What a layer's attention keeps: queries, keys and values [R, N S, 3 d], and weights [H, R N, Q, S]."""

    projected: Tensor
    weights: Tensor


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a layer keeps for its gradient.

    before [R, N S, d] and after [R, N Q, d]: what goes into the attention and into the MLP, normed, with their scales.
    read [R, N Q, d]: what was attended to. hidden [R, N Q, 4 d]. attend: these weights, scaled; merge, down: centred.
    """

    before: Tensor
    before_scale: Tensor
    attention: Attention
    read: Tensor
    after: Tensor
    after_scale: Tensor
    hidden: Tensor
    attend: Tensor
    merge: Tensor
    down: Tensor


def for_queries(attend: Tensor, shape: Shape) -> Tensor:
    """Weights [R, d, 3 d], or their gradient, whose queries are scaled as attention wants it, 1 / sqrt(e)."""
    scaled = attend.clone()
    scaled[..., : attend.shape[1]] *= shape.channels**-0.5
    return scaled


def masked_softmax(scores: Tensor, bias: Tensor) -> Tensor:
    """The softmax of scores [..., Q, S] plus bias [Q, S], in the place of the scores or new."""
    places = scores.shape[-1]
    if places >= REGISTER:
        return torch.softmax(scores.add_(bias), dim=-1, out=scores)
    filled = pad(bias, (0, REGISTER - places), value=-torch.inf).expand(*scores.shape[:-1], -1).clone()
    filled[..., :places] += scores
    return torch.softmax(filled, dim=-1, out=filled)[..., :places]


def through_softmax(gradient: Tensor, weights: Tensor) -> Tensor:
    """The gradient at scores whose softmax is `weights`, in the place of that at the weights."""
    if weights.shape[-1] >= REGISTER:
        aten._softmax_backward_data.out(gradient, weights, -1, weights.dtype, grad_input=gradient)
        return gradient
    along = gradient.mul_(weights).sum(dim=-1, keepdim=True)
    return gradient.addcmul_(weights, along, value=-1)


def attend(projected: Tensor, read: slice, shape: Shape) -> tuple[Tensor, Attention]:
    """What the places `read` attend to, [R, N Q, d], where `projected` [R, N S, 3 d] has queries, keys and values."""
    bias = shape.packed.bias[read].to(projected.dtype)
    heads = shape.taken_apart(projected)
    scores = projected.new_empty(shape.heads, shape.runs * shape.count, *bias.shape)
    for (query, key, _), some in zip(heads, scores, strict=True):
        torch.bmm(query[:, read], turned(key), out=some)
    weights = masked_softmax(scores, bias)
    found = [torch.bmm(some, value) for (_, _, value), some in zip(heads, weights, strict=True)]
    return shape.together(found), Attention(projected=projected, weights=weights)


def through_attention(gradient: Tensor, kept: Attention, read: slice, shape: Shape) -> Tensor:
    """The gradient at `projected` [R, N S, 3 d] of `attend`, from that at what was found, [R, N Q, d]."""
    heads, found = shape.taken_apart(kept.projected), shape.by_head(gradient)
    scores = gradient.new_empty(kept.weights.shape)
    for (_, _, value), back, some in zip(heads, found, scores, strict=True):
        torch.bmm(back, turned(value), out=some)
    scores = through_softmax(scores, kept.weights)
    queries = [torch.bmm(some, key) for some, (_, key, _) in zip(scores, heads, strict=True)]
    keys = [torch.bmm(turned(some), query[:, read]) for some, (query, _, _) in zip(scores, heads, strict=True)]
    values = [torch.bmm(turned(some), back) for some, back in zip(kept.weights, found, strict=True)]
    return shape.together([*(shape.spread(query, read) for query in queries), *keys, *values])


def rows_of(tokens: Tensor, vocabulary: int) -> Tensor:
    """For tokens [R, N, S], where each run's embedding is in all runs' together."""
    return tokens + torch.arange(0, len(tokens) * vocabulary, vocabulary, device=tokens.device)[:, None, None]


def forward(
    weights: Blocks, architecture: Architecture, packed: Packing, tokens: Tensor, *, keep: bool
) -> tuple[Tensor, Tensor, list[Kept]]:
    """The states [R, N Q, d] with their scales, and what is kept of each layer, if so asked, for packed tokens."""
    runs, count, places = tokens.shape
    heads = architecture.heads
    shape = Shape(
        runs=runs, count=count, places=places, heads=heads, channels=architecture.width // heads, packed=packed
    )
    x = embedding(rows_of(tokens, architecture.vocabulary), centred(weights["token"]).flatten(0, 1))
    x = x.add_(centred(weights["position"])[:, packed.position].unsqueeze(1)).flatten(1, 2)
    kept = []
    for layer in range(architecture.layers):
        before, before_scale = normed(x)
        read = packed.read if layer == architecture.layers - 1 else slice(None)
        scaled = for_queries(weights[f"{layer}.attend"], shape)
        found, attention = attend(torch.bmm(before, scaled), read, shape)
        merge, down = centred(weights[f"{layer}.merge"]), centred(weights[f"{layer}.down"])
        x = shape.of(x)[:, :, read].flatten(1, 2).baddbmm_(found, merge)
        after, after_scale = normed(x)
        hidden = torch.bmm(after, weights[f"{layer}.up"]).relu_()
        x.baddbmm_(hidden, down)
        if keep:
            kept.append(
                Kept(
                    before=before,
                    before_scale=before_scale,
                    attention=attention,
                    read=found,
                    after=after,
                    after_scale=after_scale,
                    hidden=hidden,
                    attend=scaled,
                    merge=merge,
                    down=down,
                )
            )
    return *normed(x), kept


def backward(
    gradient: Tensor, weights: Blocks, architecture: Architecture, packed: Packing, tokens: Tensor, kept: list[Kept]
) -> Blocks:
    """The gradient of every weight but the read-out's, from that at the stream [R, N Q, d] behind the last layer.

    What was kept is let go, layer by layer.
    """
    runs, count, places = tokens.shape
    heads = architecture.heads
    shape = Shape(
        runs=runs, count=count, places=places, heads=heads, channels=architecture.width // heads, packed=packed
    )
    found: Blocks = {}
    for layer in reversed(range(architecture.layers)):
        at = kept.pop()
        read = packed.read if layer == architecture.layers - 1 else slice(None)
        hidden = torch.bmm(gradient, turned(at.down))
        aten.threshold_backward.grad_input(hidden, at.hidden, 0, grad_input=hidden)
        found[f"{layer}.down"] = centred(torch.bmm(turned(at.hidden), gradient))
        found[f"{layer}.up"] = torch.bmm(turned(at.after), hidden)
        after = torch.bmm(hidden, turned(weights[f"{layer}.up"]))
        gradient.addcmul_(through_norm(after, at.after, at.after_scale), at.after_scale)
        found[f"{layer}.merge"] = centred(torch.bmm(turned(at.read), gradient))
        projected = through_attention(torch.bmm(gradient, turned(at.merge)), at.attention, read, shape)
        found[f"{layer}.attend"] = for_queries(torch.bmm(turned(at.before), projected), shape)
        before = torch.bmm(projected, turned(at.attend))
        before = through_norm(before, at.before, at.before_scale).mul_(at.before_scale)
        shape.of(before)[:, :, read] += shape.of(gradient)
        gradient = before
    found["token"] = centred(token_gradient(gradient, tokens, architecture.vocabulary))
    position = torch.zeros_like(weights["position"])
    position.index_add_(1, packed.position, shape.of(gradient).sum(dim=1))
    return found | {"position": centred(position)}


def token_gradient(gradient: Tensor, tokens: Tensor, vocabulary: int) -> Tensor:
    """The gradient of the embeddings [R, V, d] from that at each place [R, N S, d] of tokens [R, N, S]."""
    runs, places, width = gradient.shape
    if vocabulary > FEW:
        rows = rows_of(tokens, vocabulary).view(runs, places)
        whole = aten.embedding_dense_backward(gradient, rows, runs * vocabulary, -1, False)
        return whole.view(runs, vocabulary, width)
    hot = gradient.new_zeros(runs, places, vocabulary)
    hot.scatter_(2, tokens.view(runs, places, 1), 1.0)
    return torch.bmm(turned(hot), gradient)


@cache
def compiled() -> tuple[Callable[..., Any], Callable[..., Blocks]]:
    """`forward` and `backward`, compiled anew for every shape that they meet."""
    return torch.compile(forward, dynamic=False, fullgraph=True), torch.compile(backward, dynamic=False, fullgraph=True)


class Trunk(torch.autograd.Function):
    """`forward` and `backward` as one operation of torch's; it can be differentiated once."""

    @staticmethod
    def forward(ctx: Any, architecture: Architecture, packed: Packing, tokens: Tensor, *weights: Tensor) -> Tensor:
        """The states [R, N Q, d] for packed tokens [R, N, S] and the weights in the order of their row."""
        keep = any(ctx.needs_input_grad)
        named = dict(zip(architecture.shapes, weights, strict=True))
        there, back = compiled() if keep and is_compiled() else (forward, backward)
        states, scale, kept = there(named, architecture, packed, tokens, keep=keep)
        if keep:
            ctx.at, ctx.kept, ctx.back = (architecture, packed), kept, back
            ctx.save_for_backward(tokens, states, scale, *weights)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """The gradient of every weight."""
        architecture, packed = ctx.at
        tokens, states, scale, *weights = ctx.saved_tensors
        named = dict(zip(architecture.shapes, weights, strict=True))
        gradient = through_norm(gradients[0], states, scale).mul_(scale)
        found = ctx.back(gradient, named, architecture, packed, tokens, ctx.kept)
        return None, None, None, *map(found.get, architecture.shapes)


def packed_states(blocks: Blocks, architecture: Architecture, packed: Packing, tokens: Tensor) -> Tensor:
    """What outputs are read from, normed, [R, N Q, d], for packed tokens [R, N, S]. It can be differentiated once."""
    states: Tensor = Trunk.apply(architecture, packed, tokens, *(blocks[name] for name in architecture.shapes))
    return states
