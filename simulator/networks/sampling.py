"""Responses drawn from a stack of policies, one token after another, with a key/value cache.

Shapes: R runs, P prompts, L prompt length, m responses to each prompt, T response length, V vocabulary, H heads of e
channels, d width.

A token is drawn as the largest of logit / temperature + g over the vocabulary, with g standard Gumbel noise. The noise
is given from outside and is the same for all runs, so that policies that agree say the same: two of them part with a
probability of at most 2 D / (1 + D) a token, D the total variation between their next-token laws, which is close to
the least possible (Daliri, Musco & Suresh 2024, arXiv:2408.07978). Differences between runs are then much
sharper than the runs' own values.

A prompt goes through the network once, and its keys and values serve all m responses to it. In the cache, places
come first, so that adding one is a copy of neighbours, and reading all of them runs along memory.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.networks import fused
from simulator.networks.architecture import ALIGNMENT, FILL, Architecture
from simulator.networks.parameters import Blocks, unstack
from simulator.networks.transformer import embed, feed_forward, normed

LEAST = 2.0**-24  # of a waiting time; float32 gives 0 about as often as a time below that should come

Noise = Callable[[], Tensor]
Keep = Callable[[Tensor], None]


@dataclass(frozen=True, kw_only=True)
class SampleBlocks:
    """`responses` to each of `prompts`, drawn lot by lot.

    A lot is the least number of prompts whose responses fill ALIGNMENT places; the last one is filled up. Each has a
    random stream of its own, so that memory need not hold them all, the responses to the first prompts are the same
    however many there are, and rows are computed alike alone and in a stack.
    """

    prompts: int
    responses: int

    @property
    def size(self) -> int:
        """Prompts of one lot."""
        return ALIGNMENT // math.gcd(self.responses, ALIGNMENT)

    @property
    def responses_per_block(self) -> int:
        """Responses of one lot."""
        return self.size * self.responses

    @property
    def count(self) -> int:
        """How many lots there are."""
        return -(-self.prompts // self.size)

    def blocks_within(self, responses: int) -> int:
        """How many lots are at most `responses` responses, or one."""
        return min(self.count, max(1, responses // self.responses_per_block))

    def batches(self, at_once: int) -> Iterator[tuple[range, Tensor]]:
        """`at_once` lots after another: their numbers, and the rows of their prompts."""
        for first in range(0, self.count, at_once):
            lots = range(first, min(first + at_once, self.count))
            rows = torch.arange(lots.start * self.size, lots.stop * self.size)
            yield lots, rows.clamp(max=self.prompts - 1)


def gumbel_noise(
    lots: SampleBlocks, numbers: range, *, vocabulary: int, seed: int, purpose: str, device: torch.device
) -> Noise:
    """Standard Gumbel noise for the lots of these numbers, float32 [prompts, responses, V] at each call."""
    streams = [random_stream(seed, purpose, number) for number in numbers]
    shape = (lots.size, lots.responses, vocabulary)

    def draw() -> Tensor:
        waiting = np.concatenate([rng.standard_exponential(shape, dtype=np.float32) for rng in streams])
        return torch.from_numpy(waiting).to(device).clamp_(min=LEAST).log_().neg_()

    return draw


@dataclass(frozen=True, kw_only=True)
class Cache:
    """Keys and values of every layer: of the prompts [L, R, P, 1, H, e], and of tokens [T - 1, R, P, m, H, e]."""

    prompt_keys: list[Tensor]
    prompt_values: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]


def _read(query: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
    """What one new place of each sequence reads, [R, P, m, H, e], from keys and values [places, R, P, m or 1, H, e]."""
    scores = torch.cat([(query * key).sum(dim=-1) for key in keys])
    weights = scores.softmax(dim=0).unsqueeze(-1).split([len(key) for key in keys])
    read = torch.zeros_like(query)
    for weight, value in zip(weights, values, strict=True):
        read += (weight * value).sum(dim=0)
    return read


def _through_prompts(
    blocks: Blocks, architecture: Architecture, prompts: Tensor
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The last place's output [R, P, d] for prompts [R, P, L], and each layer's keys and values [L, R, P, 1, H, e]."""
    runs, count, length = prompts.shape
    causal = torch.ones(length, length, dtype=torch.bool, device=prompts.device).tril()
    x = embed(blocks, prompts, torch.arange(length, device=prompts.device)).flatten(1, 2)
    keys, values = [], []
    for layer in range(architecture.layers):
        projected = torch.bmm(normed(x), blocks[f"{layer}.attend"])
        query, key, value = projected.view(runs, count, length, 3, architecture.heads, -1).permute(3, 2, 0, 1, 4, 5)
        keys.append(key.unsqueeze(3).contiguous())
        values.append(value.unsqueeze(3).contiguous())
        scores = torch.einsum("qrphe,krphe->rphqk", query * query.shape[-1] ** -0.5, key)
        weights = scores.masked_fill(~causal, -torch.inf).softmax(dim=-1)
        read = torch.einsum("rphqk,krphe->rpqhe", weights, value)
        x = x + torch.bmm(read.reshape(x.shape), blocks[f"{layer}.merge"])
        x = feed_forward(blocks, layer, x)
    return x.unflatten(1, (count, length))[:, :, -1], keys, values


def _through_token(blocks: Blocks, architecture: Architecture, cache: Cache, token: Tensor, t: int) -> Tensor:
    """The output [R, P m, d] at token t - 1 of each response, the ids `token` [R, P, m]; the cache takes it in."""
    runs, count, responses = token.shape
    place = torch.full((1,), len(cache.prompt_keys[0]) + t - 1, device=token.device)
    x = embed(blocks, token.flatten(1).unsqueeze(-1), place).flatten(1, 2)
    for layer in range(architecture.layers):
        projected = torch.bmm(normed(x), blocks[f"{layer}.attend"])
        query, key, value = projected.view(runs, count, responses, 3, architecture.heads, -1).unbind(dim=3)
        cache.keys[layer][t - 1], cache.values[layer][t - 1] = key, value
        read = _read(
            query * query.shape[-1] ** -0.5,
            (cache.prompt_keys[layer], cache.keys[layer][:t]),
            (cache.prompt_values[layer], cache.values[layer][:t]),
        )
        x = x + torch.bmm(read.view(x.shape), blocks[f"{layer}.merge"])
        x = feed_forward(blocks, layer, x)
    return x


def sample(
    parameters: Tensor,
    architecture: Architecture,
    prompts: Tensor,
    *,
    responses: int,
    length: int,
    noise: Noise,
    end: int | None,
    temperature: Tensor | None = None,
    keep: Keep | None = None,
) -> Tensor:
    """`responses` responses of `length` tokens to each of the prompts, [P, L] or [R, P, L]; int64 [R, P, m, T].

    parameters [R, D] are the policies'. noise: called once for each token, gives [P, m, V] or [R, P, m, V]. end: the
    token after which a response is over and filled with -1. temperature [P, m]: 1 unless given; at infinity all tokens
    are alike. `keep(logits)` is shown the policies' logits [R, P, m, V] of each token before it is drawn; behind the
    end of a response they mean nothing.
    """
    if keep is None and fused.takes(parameters, architecture):
        numbers = torch.stack([noise() for _ in range(length)])
        return fused.sample(parameters, architecture, prompts, numbers, temperature=temperature, end=end).responses
    blocks = unstack(parameters, architecture)
    runs, count = len(parameters), prompts.shape[-2]
    x, prompt_keys, prompt_values = _through_prompts(blocks, architecture, prompts.expand(runs, -1, -1))
    inner = (length - 1, runs, count, responses, architecture.heads, architecture.width // architecture.heads)
    cache = Cache(
        prompt_keys=prompt_keys,
        prompt_values=prompt_values,
        keys=[x.new_empty(inner) for _ in prompt_keys],
        values=[x.new_empty(inner) for _ in prompt_values],
    )
    x = x.repeat_interleave(responses, dim=1)
    drawn = prompts.new_full((runs, count, responses, length), FILL)
    over = torch.zeros_like(drawn[..., 0], dtype=torch.bool)
    for t in range(length):
        if t:
            x = _through_token(blocks, architecture, cache, drawn[..., t - 1].clamp(min=0), t)
        logits = torch.bmm(normed(x), blocks["unembed"]).view(runs, count, responses, -1)
        if keep is not None:
            keep(logits)
        warm = logits if temperature is None else logits / temperature.unsqueeze(-1)
        token = (warm + noise()).argmax(dim=-1)
        drawn[..., t] = token.masked_fill(over, FILL)
        if end is not None:
            over |= token == end
            if over.all():
                break
    return drawn


def sample_blocks(
    parameters: Tensor,
    architecture: Architecture,
    prompts: Tensor,
    *,
    temperature: Tensor,
    length: int,
    end: int | None,
    seed: int,
    purpose: str,
    at_once: int,
) -> Tensor:
    """Responses of one policy to prompts [P, L], int64 [P, m, T], each sampled at its `temperature` [P, m].

    parameters [1, D] are the policy's. The noise is that of the streams (seed, purpose, lot). at_once: how many
    responses are drawn together, about.
    """
    lots = SampleBlocks(prompts=len(prompts), responses=temperature.shape[1])
    found = prompts.new_empty(lots.count * lots.size, lots.responses, length)
    for numbers, rows in lots.batches(lots.blocks_within(at_once)):
        here = slice(numbers.start * lots.size, numbers.stop * lots.size)
        rows = rows.to(prompts.device)
        noise = gumbel_noise(
            lots, numbers, vocabulary=architecture.vocabulary, seed=seed, purpose=purpose, device=prompts.device
        )
        drawn = sample(
            parameters,
            architecture,
            prompts[rows],
            responses=lots.responses,
            length=length,
            noise=noise,
            end=end,
            temperature=temperature[rows],
        )
        found[here] = drawn[0]
    return found[: lots.prompts]
