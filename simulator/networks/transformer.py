"""A stack of small causal transformers, evaluated as one program.

Shapes: R runs, N sequences, K responses packed behind one prompt, L prompt length, T response length,
S = L + K (T - 1) packed positions, d width, V vocabulary.

The block is the pre-norm one (Xiong et al. 2020, arXiv:2002.04745), without biases and with the layer
norm's gain absorbed by the weight that follows it; the MLP is four times as wide, with ReLU. What a gradient is taken
of goes through `simulator/networks/backbone.py`, which has all of it up to the read-out.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding, layer_norm, pad

from simulator.networks import fused
from simulator.networks.architecture import ALIGNMENT, Architecture
from simulator.networks.attention import REGISTER
from simulator.networks.backbone import packed_states, rows_of, states_by
from simulator.networks.packing import Packing, pack
from simulator.networks.parameters import Blocks, unstack


def embed(blocks: Blocks, tokens: Tensor, position: Tensor) -> Tensor:
    """Token plus position embeddings [R, N, S, d] for tokens [R, N, S] at places of `position` [S]."""
    table = blocks["token"]
    rows = rows_of(tokens, table.shape[1])
    return embedding(rows, table.flatten(0, 1)) + blocks["position"][:, None, position]


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


def packed_logits(parameters: Tensor, architecture: Architecture, packed: Packing, tokens: Tensor) -> Tensor:
    """The outputs [R, N, places read, V], next-token logits of a policy, at the places that are read.

    parameters [R, D]; tokens [R, N, S] are packed as `packed` says.
    """
    blocks, (runs, count, _) = unstack(parameters, architecture), tokens.shape
    return read_out(states_by(blocks, architecture, packed, tokens), blocks["unembed"]).view(
        runs, count, -1, blocks["unembed"].shape[2]
    )


class TokenLogProb(torch.autograd.Function):
    """Log-probabilities of tokens from the states that predict them; it can be differentiated once.

    A vocabulary of less than a vector register is filled up with tokens that are never said, since a softmax over few
    numbers is slow.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, unembed: Tensor, source: Tensor, tokens: Tensor) -> Tensor:
        """For states [R, N Q, d], unembed [R, d, V], source [K T] (which of Q states) and tokens [R, N, K T]."""
        vocabulary = unembed.shape[2]
        width = max(vocabulary, REGISTER)
        weights = pad(unembed, (0, width - vocabulary))
        logits = torch.bmm(states, weights)
        logits[..., vocabulary:] = -torch.inf
        torch.log_softmax(logits, dim=-1, out=logits)
        column = source * width + tokens
        if any(ctx.needs_input_grad):
            ctx.vocabulary = vocabulary
            ctx.save_for_backward(states, weights, logits, column)
        return logits.view(*tokens.shape[:2], -1).gather(2, column)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """The gradient of states and unembed."""
        states, weights, logits, column = ctx.saved_tensors
        slope = logits.new_zeros(*column.shape[:2], logits[0].numel() // column.shape[1])
        slope = slope.scatter_add_(2, column, gradients[0]).view(logits.shape)
        slope = torch.ops.aten._log_softmax_backward_data(slope, logits, -1, logits.dtype)
        unembed = torch.bmm(states.transpose(1, 2), slope)[..., : ctx.vocabulary]
        return torch.bmm(slope, weights.transpose(1, 2)), unembed, None, None


def response_states(
    parameters: Tensor, architecture: Architecture, packed: Packing, prompts: Tensor, responses: Tensor
) -> Tensor:
    """What each token of responses [R, N, K, T] to prompts [R, N, L] is predicted from, [R, N, K, T, d].

    It is that of the networks with `parameters` [R, D].
    """
    if fused.takes(parameters, architecture):
        return fused.response_states(parameters, architecture, prompts, responses)
    runs, count = responses.shape[:2]
    states = packed_states(parameters, architecture, packed, pack(prompts, responses)).view(
        runs, count, -1, architecture.width
    )
    return states[:, :, packed.source].unflatten(2, responses.shape[2:])


def token_log_probs(
    parameters: Tensor, architecture: Architecture, packed: Packing, prompts: Tensor, responses: Tensor
) -> Tensor:
    """log pi(token | prompt, earlier tokens) of each response's tokens, in nats, [R, N, K, T].

    parameters [R, D]; prompts [R, N, L] and responses [R, N, K, T] are token ids; where a response is over it has
    negative ones, whose log-probability is 0.
    """
    if fused.takes(parameters, architecture):
        return fused.token_log_probs(parameters, architecture, prompts, responses)
    blocks = unstack(parameters, architecture)
    states = states_by(blocks, architecture, packed, pack(prompts, responses))
    said: Tensor = TokenLogProb.apply(states, blocks["unembed"], packed.source, responses.clamp(min=0).flatten(2))
    return said.view(responses.shape).masked_fill(responses < 0, 0.0)


def token_alignment(
    parameters: Tensor, architecture: Architecture, packed: Packing, prompts: Tensor, responses: Tensor
) -> Tensor:
    """log pi(y_t) - log Σ_v pi(v)² of each response's tokens, in nats, [R, N, K, T], without gradient.

    pi is the law that token t is drawn from; parameters, prompts and responses as in `token_log_probs`. It is 0 where a
    response is over. Places and the vocabulary are filled up, so that a run's numbers are the same in every stack.
    """
    with torch.no_grad():
        unembed, vocabulary = unstack(parameters, architecture)["unembed"], architecture.vocabulary
        states = response_states(parameters, architecture, packed, prompts, responses).flatten(1, 3)
        places = states.shape[1]
        logits = torch.bmm(
            pad(states, (0, 0, 0, -places % ALIGNMENT)), pad(unembed, (0, -vocabulary % REGISTER))
        )  # [R, places, width]
        logits[..., vocabulary:] = -torch.inf
        log_probs = logits.log_softmax(dim=-1)
        said = pad(responses.clamp(min=0).flatten(1), (0, -places % ALIGNMENT)).unsqueeze(2)
        found = log_probs.gather(2, said).squeeze(2) - (2 * log_probs).logsumexp(dim=-1)
        return found[:, :places].view(responses.shape).masked_fill(responses < 0, 0.0)


def sequence_log_probs(
    parameters: Tensor, architecture: Architecture, packed: Packing, prompts: Tensor, responses: Tensor
) -> Tensor:
    """log pi(response | prompt) in nats, [R, N, K], for prompts [R, N, L] and responses [R, N, K, T].

    parameters [R, D] are the policies'.
    """
    return token_log_probs(parameters, architecture, packed, prompts, responses).sum(dim=-1)


def sequence_scores(
    parameters: Tensor, architecture: Architecture, packed: Packing, prompts: Tensor, responses: Tensor
) -> Tensor:
    """What a network of one output says of responses [R, N, K, T] to prompts [R, N, L], as `whole_packing` packs them.

    parameters [R, D] are the networks'. Where a response is over it has -1, which counts as the last token of the
    network's vocabulary. [R, N, K].
    """
    if fused.takes(parameters, architecture):
        return fused.sequence_scores(parameters, architecture, prompts, responses)
    said = responses.remainder(architecture.vocabulary)
    return packed_logits(parameters, architecture, packed, torch.cat([prompts, said.flatten(2)], dim=2))[..., 0]
