"""How fast gradient flow on a pair moves the log-probability of its own chosen response.

With g = grad log pi at parameters theta, gradient flow on a loss f(beta rho) of one pair, rho = log pi(w) - log pi(l) +
const, moves theta by -beta f'(beta rho) (g_w - g_l), and so

    d log pi(w) / dt = -beta f'(beta rho) <g_w, g_w - g_l>.

The rate here is <g_w, g_w - g_l> = |g_w|^2 - <g_w, g_l>, in squared nats for a unit of the parameters: the factor is
positive, the same for all pairs at the reference, and beta / 2 there for the logistic loss. Where the rate is negative,
a small step on the pair alone makes its chosen response less likely: likelihood displacement, exact to first order
(Razin et al. 2024, arXiv:2410.08847, whose CHES comes from taking this derivative apart). Adam, and the other pairs of
a batch, move it in other ways, too.

Shapes: N pairs, L prompt length, T response length, D parameters.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from simulator.networks.architecture import Architecture
from simulator.networks.packing import packing
from simulator.networks.transformer import sequence_log_probs

# log pi [N, 1, 1] of responses [N, 1, 1, T] to prompts [N, 1, L] under policies [N, D], one of each
LogProbs = Callable[[Tensor, Tensor, Tensor], Tensor]


def transformer_log_probs(architecture: Architecture) -> LogProbs:
    """log pi of responses under transformers of this architecture."""

    def log_probs(parameters: Tensor, prompts: Tensor, responses: Tensor) -> Tensor:
        packed = packing(
            prompt_length=prompts.shape[2], response_length=responses.shape[3], responses=1, device=prompts.device
        )
        return sequence_log_probs(parameters, architecture, packed, prompts, responses)

    return log_probs


def score_gradients(log_probs: LogProbs, parameters: Tensor, prompts: Tensor, responses: Tensor) -> Tensor:
    """grad log pi [N, D] at `parameters` [D] of each response [N, T] to its prompt [N, L].

    Each is a run of its own in a stack of N, all with the same parameters, so that one backward pass gives all.
    """
    rows = parameters.detach().repeat(len(prompts), 1).requires_grad_()
    with torch.enable_grad():
        total = log_probs(rows, prompts[:, None], responses[:, None, None]).sum()
        (gradient,) = torch.autograd.grad(total, rows)
    return gradient


def displacement_rates(log_probs: LogProbs, parameters: Tensor, prompts: Tensor, responses: Tensor) -> Tensor:
    """<g_w, g_w - g_l> [N] at `parameters` [D] for responses [N, 2, T], chosen first, to prompts [N, L].

    It holds 2 N rows of gradients at once; see `score_pairs` for many pairs.
    """
    chosen, rejected = (
        score_gradients(log_probs, parameters, prompts, responses[:, side]) for side in range(responses.shape[1])
    )
    return (chosen * (chosen - rejected)).sum(dim=1)
