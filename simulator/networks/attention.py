"""Attention of packed sequences, forward and backward written out.

Shapes: R runs, N sequences, S packed places, Q of them read, d width, H heads of e channels.

It is two products and a softmax, since at these sizes that is as fast as any fused kernel. Heads are read where they
lie, and a softmax over less than a vector register is filled up, since torch's own is slow there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from simulator.networks.packing import Packing

REGISTER = 16  # numbers

aten = torch.ops.aten


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
