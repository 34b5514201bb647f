"""A stack of small causal transformers, evaluated as one program.

Shapes: R runs, N sequences, K responses packed behind one prompt, L prompt length, T response length,
S = L + K (T - 1) packed positions, d width, H heads, V vocabulary, D numbers of one run's row.

The parameters of R networks of one architecture are the rows of one matrix [R, D]; each weight is a view
of it with a leading run axis, so that every layer is one batched product over all runs, and no number of
one run ever meets another's. Rows are filled up with zeros to whole vector registers: elementwise operations then
treat a run's numbers alike wherever it lies in the stack, and its results are the same to the last bit.

The block is the pre-norm one (Xiong et al. 2020, arXiv:2002.04745), without biases and with the layer
norm's gain absorbed by the weight that follows it; the MLP is four times as wide, with ReLU. Attention is
written out as two products and a softmax, since at these sizes that is as fast as any fused kernel.

K responses to one prompt are packed into one sequence: the prompt, then each response less its last
token, which predicts nothing. A mask hides the responses from each other and positions restart at each,
so the prompt is computed once and the result is what K separate sequences would give. For a network that judges whole
responses they are packed with their last token, and it alone is read.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding, layer_norm

Blocks = dict[str, Tensor]

ALIGNMENT = 64  # numbers; a whole step of any vectorized loop on today's machines


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Sizes of one network. `context` is the number of input positions: L + T - 1 for a policy, L + T for a judge.

    outputs: numbers that are read at a place; 0 for one for each token of the vocabulary.
    """

    vocabulary: int
    context: int
    layers: int
    width: int
    heads: int
    outputs: int = 0

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Name and shape of every weight, in the order in which they lie in a row."""
        d = self.width
        shapes = {"token": (self.vocabulary, d), "position": (self.context, d)}
        for layer in range(self.layers):
            shapes |= {
                f"{layer}.attend": (d, 3 * d),
                f"{layer}.merge": (d, d),
                f"{layer}.up": (d, 4 * d),
                f"{layer}.down": (4 * d, d),
            }
        return shapes | {"unembed": (d, self.outputs or self.vocabulary)}

    @property
    def parameters(self) -> int:
        """How many parameters the network has."""
        return sum(rows * columns for rows, columns in self.shapes.values())

    @property
    def row(self) -> int:
        """D: `parameters` filled up to a multiple of ALIGNMENT."""
        return -(-self.parameters // ALIGNMENT) * ALIGNMENT


def initial_parameters(architecture: Architecture, rng: np.random.Generator) -> Tensor:
    """One row of random parameters, float32 [D]: variance 1/fan-in, residual writes scaled by depth."""
    rows = []
    for name, shape in architecture.shapes.items():
        scale = 0.1 if name in ("token", "position") else shape[0] ** -0.5
        if name.endswith(("merge", "down")):
            scale /= math.sqrt(2 * architecture.layers)
        rows.append(rng.normal(scale=scale, size=math.prod(shape)))
    rows.append(np.zeros(architecture.row - architecture.parameters))
    return torch.from_numpy(np.concatenate(rows)).float()


def unstack(parameters: Tensor, architecture: Architecture) -> Blocks:
    """Views of the rows [R, D] as named weights [R, rows, columns]; they share the matrix's memory."""
    sizes = [rows * columns for rows, columns in architecture.shapes.values()]
    parts = parameters[:, : architecture.parameters].split(sizes, dim=1)
    return {
        name: part.unflatten(1, shape) for part, (name, shape) in zip(parts, architecture.shapes.items(), strict=True)
    }


def restack(blocks: Blocks, architecture: Architecture) -> Tensor:
    """Named weights, or their gradients, as rows [R, D]: what `unstack` takes apart."""
    flat = [blocks[name].flatten(1) for name in architecture.shapes]
    filling = flat[0].new_zeros(len(flat[0]), architecture.row - architecture.parameters)
    return torch.cat([*flat, filling], dim=1)


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How K responses lie behind a prompt of L tokens, i tokens of each: S = L + K i positions.

    position [S]: the position that each place has in its own sequence.
    bias [S, S]: 0 where a place (row) may look at another (column), -inf elsewhere.
    read: the places whose output is read.
    source [K T]: for each token of the responses, the place among those read whose output predicts it.
    """

    position: Tensor
    bias: Tensor
    read: slice
    source: Tensor


def _packed(
    prompt_length: int, inner: int, responses: int, read: slice, source: np.ndarray, to: torch.device
) -> Packing:
    """`inner` tokens of each of `responses` responses behind one prompt."""
    owner = np.repeat(np.arange(responses + 1), [prompt_length] + [inner] * responses)
    position = np.concatenate(
        [np.arange(prompt_length)] + [np.arange(prompt_length, prompt_length + inner)] * responses
    )
    visible = ((owner[None] == 0) | (owner[:, None] == owner[None])) & (position[:, None] >= position[None])
    return Packing(
        position=torch.as_tensor(position, device=to),
        bias=torch.as_tensor(np.where(visible, 0.0, -np.inf), dtype=torch.float32, device=to),
        read=read,
        source=torch.as_tensor(source, dtype=torch.int64, device=to),
    )


@cache
def packing(*, prompt_length: int, response_length: int, responses: int, device: torch.device) -> Packing:
    """The packing of `responses` responses behind one prompt, each less its last token: what predicts all tokens."""
    inner = response_length - 1
    source = [[0, *range(1 + k * inner, 1 + (k + 1) * inner)] for k in range(responses)]
    read = slice(prompt_length - 1, None)
    return _packed(prompt_length, inner, responses, read, np.concatenate(source), device)


@cache
def whole_packing(*, prompt_length: int, response_length: int, responses: int, device: torch.device) -> Packing:
    """The packing of `responses` whole responses behind one prompt, of which the last places are read."""
    read = slice(prompt_length + response_length - 1, None, response_length)
    return _packed(prompt_length, response_length, responses, read, np.arange(responses), device)


def embed(blocks: Blocks, tokens: Tensor, position: Tensor) -> Tensor:
    """Token plus position embeddings [R, N, S, d] for tokens [R, N, S] at places of `position` [S]."""
    table = blocks["token"]
    runs, vocabulary, _ = table.shape
    offset = torch.arange(0, runs * vocabulary, vocabulary, device=tokens.device)[:, None, None]
    return embedding(tokens + offset, table.flatten(0, 1)) + blocks["position"][:, None, position]


def normed(x: Tensor) -> Tensor:
    """Layer normalization of the last axis, without gain or bias."""
    return layer_norm(x, x.shape[-1:])


def feed_forward(blocks: Blocks, layer: int, x: Tensor) -> Tensor:
    """The MLP half of a block, residual included, for x [R, places, d]."""
    hidden = torch.bmm(normed(x), blocks[f"{layer}.up"]).relu_()
    return x + torch.bmm(hidden, blocks[f"{layer}.down"])


def read_out(x: Tensor, weights: Tensor) -> Tensor:
    """The product of x [R, places, d] and weights [R, d, outputs].

    A product with one column is a sum, since batched products with one round differently alone and in a stack.
    """
    if weights.shape[2] > 1:
        return torch.bmm(x, weights)
    return (x * weights.transpose(1, 2)).sum(dim=2, keepdim=True)


def packed_states(blocks: Blocks, architecture: Architecture, packed: Packing, tokens: Tensor) -> Tensor:
    """What outputs are read from, normed, [R, N places read, d], for packed tokens [R, N, S].

    In the last block, other places are needed as keys and values only, so nothing else is computed for them.
    """
    runs, count, places = tokens.shape
    heads, head_width = architecture.heads, architecture.width // architecture.heads
    x = embed(blocks, tokens, packed.position).flatten(1, 2)
    bias = packed.bias
    for layer in range(architecture.layers):
        projected = torch.bmm(normed(x), blocks[f"{layer}.attend"])
        shape = (runs * count, places, 3, heads, head_width)
        query, key, value = projected.view(shape).permute(2, 0, 3, 1, 4)
        if layer == architecture.layers - 1:
            query, bias = query[:, :, packed.read], bias[packed.read]
            x = x.unflatten(1, (count, places))[:, :, packed.read].flatten(1, 2)
        scores = torch.matmul(query * head_width**-0.5, key.transpose(-1, -2)) + bias
        read = torch.matmul(scores.softmax(dim=-1), value).transpose(1, 2)
        x = x + torch.bmm(read.reshape(x.shape), blocks[f"{layer}.merge"])
        x = feed_forward(blocks, layer, x)
    return normed(x)


def packed_logits(blocks: Blocks, architecture: Architecture, packed: Packing, tokens: Tensor) -> Tensor:
    """The outputs [R, N, places read, V], next-token logits of a policy, at the places that are read.

    tokens [R, N, S] are packed as `packed` says.
    """
    runs, count, _ = tokens.shape
    return read_out(packed_states(blocks, architecture, packed, tokens), blocks["unembed"]).view(
        runs, count, -1, blocks["unembed"].shape[2]
    )


def pack(prompts: Tensor, responses: Tensor) -> Tensor:
    """Packed tokens [R, N, S] of responses [R, N, K, T] less their last tokens, behind prompts [R, N, L]."""
    return torch.cat([prompts, responses.clamp(min=0)[..., :-1].flatten(2)], dim=2)


def response_states(
    blocks: Blocks, architecture: Architecture, packed: Packing, prompts: Tensor, responses: Tensor
) -> Tensor:
    """What each token of responses [R, N, K, T] to prompts [R, N, L] is predicted from, [R, N, K, T, d]."""
    runs, count = responses.shape[:2]
    states = packed_states(blocks, architecture, packed, pack(prompts, responses)).view(
        runs, count, -1, architecture.width
    )
    return states[:, :, packed.source].unflatten(2, responses.shape[2:])


def response_log_probs(
    blocks: Blocks, architecture: Architecture, packed: Packing, prompts: Tensor, responses: Tensor
) -> Tensor:
    """log pi(token | prompt, earlier tokens) of each response's tokens, in nats, [R, N, K, T].

    prompts [R, N, L] and responses [R, N, K, T] are token ids; where a response is over it has negative ones, whose
    log-probability is 0.
    """
    logits = packed_logits(blocks, architecture, packed, pack(prompts, responses))
    column = packed.source * architecture.vocabulary + responses.clamp(min=0).flatten(2)
    chosen = logits.log_softmax(dim=-1).flatten(2).gather(2, column)
    return chosen.view(responses.shape).masked_fill(responses < 0, 0.0)


def sequence_log_probs(
    blocks: Blocks, architecture: Architecture, packed: Packing, prompts: Tensor, responses: Tensor
) -> Tensor:
    """log pi(response | prompt) in nats, [R, N, K], for prompts [R, N, L] and responses [R, N, K, T]."""
    return response_log_probs(blocks, architecture, packed, prompts, responses).sum(dim=-1)


def sequence_scores(
    blocks: Blocks, architecture: Architecture, packed: Packing, prompts: Tensor, responses: Tensor
) -> Tensor:
    """What a network of one output says of responses [R, N, K, T] to prompts [R, N, L], as `whole_packing` packs them.

    Where a response is over it has -1, which counts as the last token of the network's vocabulary. [R, N, K].
    """
    said = responses.remainder(architecture.vocabulary)
    return packed_logits(blocks, architecture, packed, torch.cat([prompts, said.flatten(2)], dim=2))[..., 0]
