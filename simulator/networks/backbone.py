"""The packed network from tokens to what its outputs are read from, forward and backward written out.

Shapes: R runs, N sequences, S packed places, Q of them read, d width, H heads of e channels, V
vocabulary.

Training spends its time here. Written out, a pass keeps a third less than automatic differentiation would, adds into
what it has instead of making anew, and knows two things that are not to be seen in a graph of operations:

* A layer norm takes the mean from the stream, and all that is ever added to the stream is a product with weights. With
  the mean taken from the rows of those weights beforehand, the stream has none, and the norm is a division by the root
  mean square (Jiang et al. 2023, arXiv:2305.14858).
* In the last block, places that are not read are needed as keys and values only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding

from simulator.networks.architecture import Architecture
from simulator.networks.attention import Attention, Shape, attend, for_queries, through_attention, turned
from simulator.networks.compute_mode import is_compiled
from simulator.networks.packing import Packing
from simulator.networks.parameters import Blocks, unstack

EPSILON = 1e-5  # of a layer norm, as torch has it
FEW = 64  # tokens; up to here a product gathers the gradient of their embeddings faster than an addition one by one

aten = torch.ops.aten


def centred(weights: Tensor) -> Tensor:
    """Weights, or their gradient, less the mean of each row."""
    return weights - weights.mean(dim=-1, keepdim=True)


def rms_normed(x: Tensor) -> tuple[Tensor, Tensor]:
    """x [..., d] of mean zero divided by its root mean square; and the inverse of that, [..., 1]."""
    scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    scale.square_().div_(x.shape[-1]).add_(EPSILON).rsqrt_()
    scale.masked_fill_(scale == 0, torch.nan)  # squares beyond all numbers
    return x * scale, scale


def through_norm(gradient: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """The gradient at x divided by `scale`, from that at y, where y and scale are `rms_normed(x)`."""
    along = (gradient * y).sum(dim=-1, keepdim=True).div_(-y.shape[-1])
    return torch.addcmul(gradient, y, along)


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


def shape_of(architecture: Architecture, packed: Packing, tokens: Tensor) -> Shape:
    """Of a pass for tokens [R, N, S]."""
    runs, count, places = tokens.shape
    return Shape(
        runs=runs,
        count=count,
        places=places,
        heads=architecture.heads,
        channels=architecture.width // architecture.heads,
        packed=packed,
    )


def rows_of(tokens: Tensor, vocabulary: int) -> Tensor:
    """For tokens [R, N, S], where each run's embedding is in all runs' together."""
    return tokens + torch.arange(0, len(tokens) * vocabulary, vocabulary, device=tokens.device)[:, None, None]


def forward(
    weights: Blocks, architecture: Architecture, packed: Packing, tokens: Tensor, *, keep: bool
) -> tuple[Tensor, Tensor, list[Kept]]:
    """The states [R, N Q, d] with their scales, and what is kept of each layer, if so asked, for packed tokens."""
    shape = shape_of(architecture, packed, tokens)
    x = embedding(rows_of(tokens, architecture.vocabulary), centred(weights["token"]).flatten(0, 1))
    x = x.add_(centred(weights["position"])[:, packed.position].unsqueeze(1)).flatten(1, 2)
    kept = []
    for layer in range(architecture.layers):
        before, before_scale = rms_normed(x)
        read = packed.read if layer == architecture.layers - 1 else slice(None)
        scaled = for_queries(weights[f"{layer}.attend"], shape)
        found, attention = attend(torch.bmm(before, scaled), read, shape)
        merge, down = centred(weights[f"{layer}.merge"]), centred(weights[f"{layer}.down"])
        x = shape.of(x)[:, :, read].flatten(1, 2).baddbmm_(found, merge)
        after, after_scale = rms_normed(x)
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
    return *rms_normed(x), kept


def backward(
    gradient: Tensor, weights: Blocks, architecture: Architecture, packed: Packing, tokens: Tensor, kept: list[Kept]
) -> Blocks:
    """The gradient of every weight but the read-out's, from that at the stream [R, N Q, d] behind the last layer.

    What was kept is let go, layer by layer.
    """
    shape = shape_of(architecture, packed, tokens)
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
    """`forward` and `backward`, compiled anew for every shape that they meet, however many there are."""
    torch._dynamo.config.recompile_limit = torch._dynamo.config.accumulated_recompile_limit = 2**16
    return torch.compile(forward, dynamic=False, fullgraph=True), torch.compile(backward, dynamic=False, fullgraph=True)


class Trunk(torch.autograd.Function):
    """`forward` and `backward` as one operation of torch's; it can be differentiated once."""

    @staticmethod
    def forward(
        ctx: Any, architecture: Architecture, packed: Packing, tokens: Tensor, keep: bool, *weights: Tensor
    ) -> Tensor:
        """The states [R, N Q, d] for packed tokens [R, N, S] and the weights of `read_by`, in their order."""
        named = dict(zip(read_by(architecture), weights, strict=True))
        there, back = compiled() if keep and is_compiled() else (forward, backward)
        states, scale, kept = there(named, architecture, packed, tokens, keep=keep)
        if keep:
            ctx.at, ctx.kept, ctx.back = (architecture, packed), kept, back
            ctx.save_for_backward(tokens, states, scale, *weights)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """The gradient of every weight."""
        if not ctx.kept:
            raise RuntimeError("a pass keeps what it needs for one gradient, and that one has been taken")
        architecture, packed = ctx.at
        tokens, states, scale, *weights = ctx.saved_tensors
        named = dict(zip(read_by(architecture), weights, strict=True))
        gradient = through_norm(gradients[0], states, scale).mul_(scale)
        found = ctx.back(gradient, named, architecture, packed, tokens, ctx.kept)
        return None, None, None, None, *(found[name] for name in read_by(architecture))


def read_by(architecture: Architecture) -> list[str]:
    """The names of the weights that a pass reads: all but the read-out's."""
    return [name for name in architecture.shapes if name != "unembed"]


def packed_states(parameters: Tensor, architecture: Architecture, packed: Packing, tokens: Tensor) -> Tensor:
    """What outputs are read from, normed, [R, N Q, d], for parameters [R, D] and packed tokens [R, N, S].

    It can be differentiated once.
    """
    return states_by(unstack(parameters, architecture), architecture, packed, tokens)


def states_by(blocks: Blocks, architecture: Architecture, packed: Packing, tokens: Tensor) -> Tensor:
    """`packed_states` from weights, for who reads the read-out's too: rows unstacked once have one gradient, no sum."""
    weights = [blocks[name] for name in read_by(architecture)]
    keep = torch.is_grad_enabled() and any(weight.requires_grad for weight in weights)
    states: Tensor = Trunk.apply(architecture, packed, tokens, keep, *weights)
    return states
