"""CHES, the centered hidden embedding similarity of the two responses of a pair.

For the states h_t that the tokens of a response are read out from, which are those at the last token of the prompt and
at every token of the response but the last, and with w the chosen and l the rejected response,

    CHES = <sum_t h_w,t, sum_t h_l,t> - |sum_t h_w,t|^2.

The normalized one takes means over the tokens in place of the sums. The larger it is, the further log pi of the chosen
response is said to fall (Razin et al. 2024, "Unintentional Unalignment", arXiv:2410.08847, Definition 2; the normalized
one filters data in their Section 6). The states are normed, as the read-out sees them; ours have no gain, which is part
of the read-out.

Shapes: N pairs, L prompt length, T response length, d width, D parameters.
"""

import torch
from torch import Tensor

from simulator.networks.architecture import Architecture
from simulator.networks.packing import packing
from simulator.networks.transformer import response_states


def centred_similarity(chosen: Tensor, rejected: Tensor) -> Tensor:
    """<a, b> - |a|^2 [N] for what stands for the chosen and the rejected response, a and b [N, d].

    Sums of hidden states give CHES, means the normalized one. In a class of policies without hidden states, such as a
    log-linear one, the features of a response take their place.
    """
    return (chosen * (rejected - chosen)).sum(dim=-1)


def hidden_sums(parameters: Tensor, architecture: Architecture, prompts: Tensor, responses: Tensor) -> Tensor:
    """The sums over tokens of the states that responses [N, 2, T] to prompts [N, L] are predicted from, [N, 2, d].

    parameters [D]: of one policy. What lies behind the end of a response, -1, does not count.
    """
    packed = packing(
        prompt_length=prompts.shape[1], response_length=responses.shape[2], responses=2, device=prompts.device
    )
    states = response_states(parameters[None], architecture, packed, prompts[None], responses[None])[0]
    return states.masked_fill((responses < 0).unsqueeze(-1), 0.0).sum(dim=2)


def ches(
    parameters: Tensor, architecture: Architecture, prompts: Tensor, responses: Tensor, *, normalized: bool = False
) -> Tensor:
    """CHES [N] under the policy with `parameters` [D] of responses [N, 2, T], chosen first, to prompts [N, L].

    normalized: means over the tokens of a response in place of sums.
    """
    sums = hidden_sums(parameters, architecture, prompts, responses)
    if normalized:
        sums = sums / tokens_of(responses)
    return centred_similarity(sums[:, 0], sums[:, 1])


def tokens_of(responses: Tensor) -> Tensor:
    """How many tokens responses [N, 2, T] have, [N, 2, 1]."""
    return (responses >= 0).sum(dim=-1, keepdim=True).clamp(min=1).to(torch.float64)
