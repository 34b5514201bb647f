"""Evaluation as it is written first: sampling without a cache, and every response read as a sequence of its own.

Shapes: P prompts, L prompt length, m responses to each, T response length, G = V^T responses, V vocabulary.
"""

import torch
from torch import Tensor

from benchmarks.contenders.by_hand import Transformer, log_probs
from simulator.networks.sampling import Noise
from simulator.networks.token_log_probs import accumulate_token_stats


def draw(network: Transformer, prompts: Tensor, responses: int, length: int, noise: Noise) -> tuple[Tensor, Tensor]:
    """Responses [P, m, T] to prompts [P, L], and the logits [P, m, T, V] of their tokens.

    For each token the network reads all that was said before once more. noise: at least [P, m, V] at each call.
    """
    count = len(prompts)
    said, logits = prompts.repeat_interleave(responses, dim=0), []
    for _ in range(length):
        here = network.unembed(network(said)[:, -1]).view(count, responses, -1)
        token = (here + noise()[:count]).argmax(dim=-1)
        said = torch.cat([said, token.view(-1, 1)], dim=1)
        logits.append(here)
    return said[:, prompts.shape[1] :].view(count, responses, length), torch.stack(logits, dim=2)


def logits_of(network: Transformer, prompts: Tensor, responses: Tensor) -> Tensor:
    """Logits [P, m, T, V] of the tokens of responses [P, m, T] to prompts [P, L]."""
    asked = prompts.unsqueeze(1).expand(*responses.shape[:2], -1)
    said = torch.cat([asked, responses[..., :-1]], dim=2).flatten(0, 1)
    return network.unembed(network(said)[:, prompts.shape[1] - 1 :]).unflatten(0, responses.shape[:2])


def sampled(
    network: Transformer, reference: Transformer, prompts: Tensor, responses: int, length: int, noise: Noise
) -> dict[str, Tensor]:
    """What `simulator.networks.token_log_probs.follow` finds of one policy, [1, P, m] each."""
    drawn, logits = draw(network, prompts, responses, length, noise)
    along = accumulate_token_stats(logits[None].unbind(dim=3), logits_of(reference, prompts, drawn)[None], drawn[None])
    return along | {"responses": drawn[None]}


def listed(network: Transformer, prompts: Tensor, responses: Tensor) -> Tensor:
    """log pi of all responses [G, T] to prompts [P, L], float64 [1, P, G], of which each law is made to add up to 1."""
    laws = []
    for prompt in prompts:
        sequences = torch.cat([prompt.expand(len(responses), -1), responses], dim=1)
        laws.append(log_probs(network, sequences, len(prompt)).double())
    return torch.stack(laws)[None].log_softmax(dim=-1)  # sums of float32 are off by their rounding
