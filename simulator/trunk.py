"""The packed network from tokens to what its outputs are read from, forward and backward written out.

Shapes: R runs, N sequences, S packed places, Q of them read, F = S filled up, d width, H heads of e channels, V
vocabulary.

Training spends its time here. Written out, a pass keeps a third less than automatic differentiation would, adds into
what it has instead of making anew, and knows three things that are not to be seen in a graph of operations:

* A layer norm takes the mean from the stream, and all that is ever added to the stream is a product with weights. With
  the mean taken from the rows of those weights beforehand, the stream has none, and the norm is a division by the root
  mean square (Jiang et al. 2023, arXiv:2305.14858).
* In the last block, places that are not read are needed as keys and values only.
* A softmax over few numbers is slow unless they fill a vector register, so keys are filled up with some that nobody
  looks at.

Attention is written out as two products and a softmax, since at these sizes that is as fast as any fused kernel.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding

from simulator.network import Architecture, Blocks
from simulator.packing import Packing

EPSILON = 1e-5  # of a layer norm, as torch has it
FEW = 64  # tokens; up to here a product gathers the gradient of their embeddings faster than an addition one by one

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

    @property
    def filled(self) -> int:
        """F."""
        return self.packed.bias.shape[1]

    def of(self, x: Tensor) -> Tensor:
        """x [R, N places, width] as [R, N, places, width]."""
        return x.unflatten(1, (self.count, -1))

    def by_head(self, x: Tensor) -> Tensor:
        """x [R, N places, d] as [R N, H, places, e], the same memory."""
        return x.view(self.runs * self.count, -1, self.heads, self.channels).transpose(1, 2)

    def together(self, x: Tensor) -> Tensor:
        """x [R N H, places, e] as [R, N places, d]: what `by_head` takes apart."""
        split = x.view(self.runs * self.count, self.heads, -1, self.channels)
        return split.transpose(1, 2).reshape(self.runs, -1, self.heads * self.channels)


@dataclass(frozen=True, kw_only=True)
class Attention:
    """What a layer's attention keeps: query [R N H, Q, e], key and value [R N H, F, e], weights [R N H, Q, F]."""

    query: Tensor
    key: Tensor
    value: Tensor
    weights: Tensor


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a layer keeps for its gradient.

    before [R, N S, d] and after [R, N Q, d]: what goes into the attention and into the MLP, normed, with their scales.
    read [R, N Q, d]: what was attended to. hidden [R, N Q, 4 d]. merge, down: these weights, centred.
    """

    before: Tensor
    before_scale: Tensor
    attention: Attention
    read: Tensor
    after: Tensor
    after_scale: Tensor
    hidden: Tensor
    merge: Tensor
    down: Tensor


def attend(projected: Tensor, read: slice, shape: Shape) -> tuple[Tensor, Attention]:
    """What the places `read` attend to, [R, N Q, d], where `projected` [R, N S, 3 d] has queries, keys and values."""
    split = projected.view(shape.runs * shape.count, shape.places, 3, shape.heads, shape.channels)
    by_head = projected.new_empty(3, len(split), shape.heads, shape.filled, shape.channels)
    by_head[..., : shape.places, :] = split.permute(2, 0, 3, 1, 4)
    if shape.filled > shape.places:
        by_head[..., shape.places :, :] = 0
    query, key, value = by_head.flatten(1, 2)
    query = query[:, : shape.places][:, read]
    bias = shape.packed.bias[read].to(query.dtype).expand(len(query), -1, -1)
    weights = torch.baddbmm(bias, query, turned(key), alpha=shape.channels**-0.5)
    torch.softmax(weights, dim=-1, out=weights)
    found = shape.together(torch.bmm(weights, value))
    return found, Attention(query=query, key=key, value=value, weights=weights)


def through_attention(gradient: Tensor, kept: Attention, read: slice, shape: Shape) -> Tensor:
    """The gradient at `projected` [R, N S, 3 d] of `attend`, from that at what was found, [R, N Q, d]."""
    scale = shape.channels**-0.5
    found = shape.by_head(gradient).flatten(0, 1)
    scores = torch.bmm(found, turned(kept.value))
    aten._softmax_backward_data.out(scores, kept.weights, -1, scores.dtype, grad_input=scores)
    query = torch.empty_like(found).baddbmm_(scores, kept.key, beta=0, alpha=scale)
    pair = gradient.new_empty(2, len(found), shape.filled, shape.channels)
    pair[0].baddbmm_(turned(scores), kept.query, beta=0, alpha=scale)
    torch.bmm(turned(kept.weights), found, out=pair[1])
    split = gradient.new_empty(shape.runs * shape.count, shape.places, 3, shape.heads, shape.channels)
    split[:, : -query.shape[1] if read.step is None else None, 0] = 0
    split[:, read, 0] = query.view(len(split), shape.heads, -1, shape.channels).transpose(1, 2)
    pair = pair[:, :, : shape.places].unflatten(1, (len(split), shape.heads))
    split[:, :, 1:] = pair.permute(1, 3, 0, 2, 4)
    return split.view(shape.runs, -1, 3 * shape.heads * shape.channels)


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
        found, attention = attend(torch.bmm(before, weights[f"{layer}.attend"]), read, shape)
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
        found[f"{layer}.attend"] = torch.bmm(turned(at.before), projected)
        before = torch.bmm(projected, turned(weights[f"{layer}.attend"]))
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


class Trunk(torch.autograd.Function):
    """`forward` and `backward` as one operation of torch's; it can be differentiated once."""

    @staticmethod
    def forward(ctx: Any, architecture: Architecture, packed: Packing, tokens: Tensor, *weights: Tensor) -> Tensor:
        """The states [R, N Q, d] for packed tokens [R, N, S] and the weights in the order of their row."""
        keep = any(ctx.needs_input_grad)
        named = dict(zip(architecture.shapes, weights, strict=True))
        states, scale, kept = forward(named, architecture, packed, tokens, keep=keep)
        if keep:
            ctx.at, ctx.kept = (architecture, packed), kept
            ctx.save_for_backward(tokens, states, scale, *weights)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """The gradient of every weight."""
        architecture, packed = ctx.at
        tokens, states, scale, *weights = ctx.saved_tensors
        named = dict(zip(architecture.shapes, weights, strict=True))
        gradient = through_norm(gradients[0], states, scale).mul_(scale)
        found = backward(gradient, named, architecture, packed, tokens, ctx.kept)
        return None, None, None, *map(found.get, architecture.shapes)


def packed_states(blocks: Blocks, architecture: Architecture, packed: Packing, tokens: Tensor) -> Tensor:
    """What outputs are read from, normed, [R, N Q, d], for packed tokens [R, N, S]. It can be differentiated once."""
    states: Tensor = Trunk.apply(architecture, packed, tokens, *(blocks[name] for name in architecture.shapes))
    return states
