"""What is summed along responses: log-probabilities, and the laws of a policy and its reference token by token.

Shapes: R runs, P prompts, L prompt length, m or K responses to each, N sequences, T response length, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from simulator.networks import fused
from simulator.networks.architecture import Architecture
from simulator.networks.packing import packing, whole_packing
from simulator.networks.sampling import Noise, SampleBlocks, gumbel_noise, sample
from simulator.networks.transformer import packed_logits, sequence_scores, token_log_probs

LARGEST_LOG_RATIO = 30.0
PACKED = 4  # responses that torch reads behind one prompt; more are read one by one
MAX_FLOATS = 2**25  # numbers held at once, so that memory does not grow with the samples

# Results are written into tensors made beforehand: small ones that outlive a round would lie between the large ones of
# the next, and memory would grow.


def floats_per_prompt(architecture: Architecture, prompt_length: int, responses: int = 1) -> int:
    """How many numbers are held to draw `responses` responses to one prompt, and to read them behind it."""
    width, heads, length = architecture.width, architecture.heads, architecture.context - prompt_length + 1
    places = prompt_length + responses * (length - 1)
    cache = 2 * (architecture.layers + 1) * length * width
    return cache * responses + places * (12 * width + 3 * heads * places + 3 * architecture.vocabulary)


def runs_per_block(architecture: Architecture, prompt_length: int, lots: SampleBlocks) -> int:
    """How many runs are measured together: all prompts of one come first."""
    fitting = MAX_FLOATS // floats_per_prompt(architecture, prompt_length)
    return max(1, fitting // (lots.blocks_within(fitting) * lots.responses_per_block))


def response_log_probs(parameters: Tensor, architecture: Architecture, prompts: Tensor, responses: Tensor) -> Tensor:
    """log pi of whole responses [R, N, K, T] to prompts [R, N, L], in nats, float64 [R, N, K]; parameters [R, D]."""
    if fused.takes(parameters, architecture):
        return fused.token_log_probs(parameters, architecture, prompts, responses).double().sum(dim=-1)
    if responses.shape[2] > PACKED:
        asked = prompts.repeat_interleave(responses.shape[2], dim=1)
        single = responses.flatten(1, 2).unsqueeze(2)
        return response_log_probs(parameters, architecture, asked, single).view(responses.shape[:3])
    runs, _, prompt_length = prompts.shape
    count, length = responses.shape[2:]
    packed = packing(prompt_length=prompt_length, response_length=length, responses=count, device=responses.device)
    size = max(1, MAX_FLOATS // (floats_per_prompt(architecture, prompt_length, count) * runs))
    found = parameters.new_empty(responses.shape[:3], dtype=torch.float64)
    for first in range(0, prompts.shape[1], size):
        some = slice(first, first + size)
        log_probs = token_log_probs(parameters, architecture, packed, prompts[:, some], responses[:, some])
        found[:, some] = log_probs.double().sum(dim=-1)
    return found


def whole_scores(parameters: Tensor, architecture: Architecture, prompts: Tensor, responses: Tensor) -> Tensor:
    """What networks of one output with `parameters` [M, D] say of responses [n, b, T] to prompts [n, L], float64
    [M, n, b]; one network after another, whatever others there are.
    """
    count, length = responses.shape[1:]
    packed = whole_packing(prompt_length=prompts.shape[1], response_length=length, responses=1, device=prompts.device)
    asked, texts = prompts.repeat_interleave(count, dim=0), responses.flatten(0, 1).unsqueeze(1)
    found = torch.empty((len(parameters), len(asked)), dtype=torch.float64, device=prompts.device)
    size = max(1, MAX_FLOATS // floats_per_prompt(architecture, prompts.shape[1]))
    for number in range(len(parameters)):
        network = parameters[number : number + 1]
        for first in range(0, len(asked), size):
            some = slice(first, first + size)
            scores = sequence_scores(network, architecture, packed, asked[None, some], texts[None, some])
            found[number, some] = scores[0, :, 0].double()
    return found.view(len(parameters), len(prompts), count)


def response_logits(parameters: Tensor, architecture: Architecture, prompts: Tensor, responses: Tensor) -> Tensor:
    """One policy's logits [R, P, m, T, V] at every token of responses [R, P, m, T] to prompts [P, L].

    parameters [1, D] are that policy's.
    """
    asked = prompts[:, None].expand(*responses.shape[:3], -1)
    tokens = torch.cat([asked, responses[..., :-1].clamp(min=0)], dim=-1).flatten(0, 2)
    packed = packing(
        prompt_length=prompts.shape[1], response_length=responses.shape[3], responses=1, device=prompts.device
    )
    return packed_logits(parameters, architecture, packed, tokens[None])[0].view(*responses.shape, -1)


def next_token_kl(log_pi: Tensor, log_u: Tensor) -> Tensor:
    """KL(pi || pi_ref) of next-token laws, [...], from log pi and log u = log pi_ref - log pi [..., V].

    It is summed as pi (u - 1 - log u): the same, and no term is negative. Where u is huge and pi next to nothing,
    pi u is taken as pi_ref.
    """
    pi, far = log_pi.exp(), log_u > LARGEST_LOG_RATIO
    near = pi * (torch.expm1(log_u.clamp(max=LARGEST_LOG_RATIO)) - log_u)
    return torch.where(far, (log_pi + log_u).exp() - pi * (1 + log_u), near).sum(dim=-1)


def accumulate_token_stats(logits: Sequence[Tensor], reference: Tensor, responses: Tensor) -> dict[str, Tensor]:
    """Sums along responses [R, P, m, T], float64 [R, P, m], of policies against their reference.

    logits: the policies', [R, P, m, V] at each place; reference: logits [R, P, m, T, V]. kl and entropy: of the law of
    each token. ratio: log pi - log pi_ref of the tokens that were said. length: how many they are.
    """
    names = ("kl", "entropy", "ratio", "length")
    total = {name: responses.new_zeros(responses.shape[:3], dtype=torch.float64) for name in names}
    for t, own in enumerate(logits):
        log_pi = own.double().log_softmax(dim=-1)
        log_u = reference[..., t, :].double().log_softmax(dim=-1) - log_pi
        token = responses[..., t]
        here = {
            "kl": next_token_kl(log_pi, log_u),
            "entropy": -(log_pi.exp() * log_pi).sum(dim=-1),
            "ratio": -log_u.gather(-1, token.clamp(min=0).unsqueeze(-1)).squeeze(-1),
            "length": torch.ones_like(total["length"]),
        }
        for name, value in here.items():
            total[name] += value.masked_fill(token < 0, 0.0)
    return total


def draw_and_follow(
    parameters: Tensor,
    reference: Tensor,
    architecture: Architecture,
    prompts: Tensor,
    *,
    responses: int,
    noise: Noise,
    end: int | None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Responses [R, P, m, T] of each policy to prompts [P, L], and what `accumulate_token_stats` sums along them."""
    length = architecture.context - prompts.shape[1] + 1
    if fused.takes(parameters, architecture):
        numbers = torch.stack([noise() for _ in range(length)])
        found = fused.sample(
            parameters, architecture, prompts, numbers, temperature=None, end=end, reference=reference[0]
        )
        return found.responses, {**found.along, "length": (found.responses >= 0).sum(dim=-1).double()}
    logits = list[Tensor]()
    drawn = sample(
        parameters,
        architecture,
        prompts,
        responses=responses,
        length=length,
        noise=noise,
        end=end,
        keep=logits.append,
    )
    return drawn, accumulate_token_stats(logits, response_logits(reference, architecture, prompts, drawn), drawn)


def sample_and_measure(
    parameters: Tensor,
    reference: Tensor,
    architecture: Architecture,
    prompts: Tensor,
    *,
    responses: int,
    end: int | None,
    seed: int,
    purpose: str,
) -> dict[str, Tensor]:
    """Draw `responses` responses of each policy to prompts [P, L], and `compare` along them, [R, P, m] each.

    The responses are there too, [R, P, m, T]. parameters [R, D]; reference [1, D]: one policy. The noise is that of
    (seed, purpose).
    """
    lots = SampleBlocks(prompts=len(prompts), responses=responses)
    prompt_length = prompts.shape[1]
    fitting = lots.blocks_within(MAX_FLOATS // floats_per_prompt(architecture, prompt_length))
    found: dict[str, Tensor] = {}
    for numbers, rows in lots.batches(fitting):
        noise = gumbel_noise(
            lots, numbers, vocabulary=architecture.vocabulary, seed=seed, purpose=purpose, device=prompts.device
        )
        asked = prompts[rows.to(prompts.device)]
        drawn, along = draw_and_follow(
            parameters, reference, architecture, asked, responses=responses, noise=noise, end=end
        )
        here = slice(numbers.start * lots.size, numbers.stop * lots.size)
        for name, value in (along | {"responses": drawn}).items():
            whole = (len(value), lots.count * lots.size, *value.shape[2:])
            found.setdefault(name, value.new_empty(whole))[:, here] = value
    return {name: value[:, : lots.prompts] for name, value in found.items()}
