"""What policy gradients climb on responses that were drawn: how good each of them was, and the surrogate.

Shapes: R runs, B prompts, K responses to each, T response length. A response that ends early has -1 behind its end:
those places are no tokens. They have no part in sums, means, or lengths |y|; the token that ends it has.

An algorithm is an advantage, a surrogate and a mean over tokens. u_t = pi(y_t) / pi_old(y_t) is the ratio of a token, G
the return of a response, and

    gain_t = min(u_t A_t, clip(u_t, 1 - c, 1 + c) A_t)                (Schulman et al. 2017, arXiv:1707.06347, Eq. 7)

    rloo          A = G - mean of the other G                                   minus the mean of A log pi(y)
    ppo           the same                                                      minus the mean of sum_t gain_t
    grpo          A = (G - mean of the group's G) / (their deviation + 1e-4)    minus the mean of sum_t gain_t / |y|
    dr_grpo       A = G - mean of the group's G                                 minus the mean of sum_t gain_t
    reinforce_pp  A_t = (G_t - m) / s, with the return to go G_t of each token  minus the mean of gain_t over tokens
                  and the mean m and deviation s of all tokens of the batch

What was checked, and where conventions differ:

grpo          Shao et al. 2024, arXiv:2402.03300 (DeepSeekMath), outcome supervision, and TRL 1.16 (GRPOTrainer,
              loss_type "grpo", scale_rewards "group"): as in TRL, the deviation divides by K - 1, and 1e-4 is added to
              it. The code of Dr. GRPO adds 1e-8. The paper's text was read in summaries.
dr_grpo       Liu et al. 2025, arXiv:2503.20783, and its code (train_zero_math.py), which divides the sum over tokens by
              a constant, the longest length that may be generated; so does TRL's "dr_grpo". Here nothing is divided: it
              is that constant times theirs, and a mean over responses as in rloo.
reinforce_pp  Hu et al. 2025, arXiv:2501.03262, the variant without a baseline, and OpenRLHF, its authors' code: returns
              to go without discount, the deviation divides by the number of tokens and its square is at least 1e-8, and
              the loss is a mean over all tokens (PolicyLoss). The paper was read in parts, not as a whole.

A penalty on KL is either in the reward, where it is part of G and no gradient is taken of it, or in the loss, where its
gradient is taken: tau times the same mean over tokens as that of the gains, of an estimate at each token, without a
weight for the policy that drew it. With rho_t = log pi(y_t) / pi_ref(y_t) it is (Schulman 2020, "Approximating KL
divergence")

    k1 = rho_t        k2 = rho_t^2 / 2        k3 = exp(-rho_t) - 1 + rho_t

What these have for a gradient in the mean is in docs/explanation/estimators.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from simulator.measurement.estimators import variance_of

GROUP_EPSILON = 1e-4  # added to a group's deviation by grpo
LEAST_VARIANCE = 1e-8  # of a batch's tokens in reinforce_pp


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """How a stack climbs; see simulator/methods/rl.py."""

    name: str  # "exact", or one of SURROGATES
    prompts: int  # B, or all where there are fewer
    responses: int  # K
    ratio_clip: float  # c
    reuse: int  # steps of the optimizer on the same responses, where ratios are clipped
    kl: str  # where the penalty is: in the "reward" or in the "loss"
    kl_estimator: str  # one of ESTIMATES

    @property
    def times(self) -> int:
        """Steps of the optimizer on the same responses."""
        return self.reuse if self.name in SURROGATES and SURROGATES[self.name].clips else 1

    @property
    def reads_reference(self) -> bool:
        """Whether it needs pi_ref of each token, and not of whole responses alone."""
        if self.name == "exact":
            return False
        return self.kl == "loss" or self.kl_estimator != "k1" or SURROGATES[self.name].of_tokens


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Responses of the policies: rows of the prompts [R, B], responses [R, B, K, T], and of each token log pi.

    old_log_probs [R, B, K, T] is what the policy that drew them says, reference_log_probs [R, B, K, T] what pi_ref
    does, where that is needed. advantage: [R, B, K], or [R, B, K, T] where tokens have their own.
    """

    prompt: Tensor
    responses: Tensor
    old_log_probs: Tensor
    advantage: Tensor
    reference_log_probs: Tensor | None = None

    @property
    def said(self) -> Tensor:
        """Which places have tokens, bool [R, B, K, T]."""
        return self.responses >= 0


def k1(log_ratio: Tensor) -> Tensor:
    """rho."""
    return log_ratio


def k2(log_ratio: Tensor) -> Tensor:
    """rho^2 / 2."""
    return 0.5 * log_ratio.square()


def k3(log_ratio: Tensor) -> Tensor:
    """exp(-rho) - 1 + rho."""
    return torch.expm1(-log_ratio) + log_ratio


ESTIMATES: dict[str, Callable[[Tensor], Tensor]] = {"k1": k1, "k2": k2, "k3": k3}


def leave_one_out(returns: Tensor) -> Tensor:
    """Each return less the mean of the others to the same prompt, for returns [..., K]."""
    count = returns.shape[-1]
    return (returns - returns.mean(dim=-1, keepdim=True)) * (count / (count - 1))


def less_group_mean(returns: Tensor) -> Tensor:
    """Each return less the mean of all to the same prompt, for returns [..., K]."""
    return returns - returns.mean(dim=-1, keepdim=True)


def group_standardized(returns: Tensor) -> Tensor:
    """`less_group_mean` over the deviation of the group, by K - 1, plus 1e-4, for returns [..., K]."""
    return less_group_mean(returns) / (variance_of(returns).sqrt().unsqueeze(-1) + GROUP_EPSILON)


def returns_to_go(scores: Tensor, costs: Tensor) -> Tensor:
    """What each token still earns, [..., T]: scores [...], which come at the end, less costs [..., T] from there."""
    return scores.unsqueeze(-1) - costs.flip(-1).cumsum(dim=-1).flip(-1)


def batch_standardized(returns: Tensor, said: Tensor) -> Tensor:
    """Returns of tokens [R, B, K, T] in deviations from the mean over all tokens that were said of a run, 0 elsewhere.

    Runs are taken one by one, so that sums round alike in any stack.
    """
    found = torch.zeros_like(returns)
    for row, (values, there) in enumerate(zip(returns, said, strict=True)):
        every = values[there]
        variance = every.var(correction=0).clamp(min=LEAST_VARIANCE)
        found[row] = torch.where(there, (values - every.mean()) * variance.rsqrt(), 0.0)
    return found


def summed(values: Tensor, said: Tensor) -> Tensor:
    """The mean over responses of the sum over their tokens, [R], of values [R, B, K, T]."""
    return (values * said).sum(dim=-1).mean(dim=(1, 2))


def averaged(values: Tensor, said: Tensor) -> Tensor:
    """The mean over responses of the mean over their tokens, [R], of values [R, B, K, T]."""
    return ((values * said).sum(dim=-1) / said.sum(dim=-1)).mean(dim=(1, 2))


def over_tokens(values: Tensor, said: Tensor) -> Tensor:
    """The mean over all tokens of a run's responses, [R], of values [R, B, K, T]."""
    return (values * said).sum(dim=(1, 2, 3)) / said.sum(dim=(1, 2, 3))


def reinforce(log_probs: Tensor, rollout: Rollout) -> Tensor:
    """The surrogate of rloo, [R], for log pi of every token [R, B, K, T]."""
    return -(rollout.advantage * log_probs.sum(dim=-1)).mean(dim=(1, 2))


def gains(log_probs: Tensor, rollout: Rollout, clip: float) -> Tensor:
    """min(u A, clip(u) A) at every token, [R, B, K, T], for log pi of every token [R, B, K, T]."""
    ratio = (log_probs - rollout.old_log_probs).exp()
    advantage = rollout.advantage if rollout.advantage.dim() == ratio.dim() else rollout.advantage.unsqueeze(-1)
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


@dataclass(frozen=True, kw_only=True)
class Surrogate:
    """An algorithm.

    advantage: of returns [R, B, K], or with `of_tokens` of returns to go [R, B, K, T] and which places have tokens.
    mean: of values at tokens [R, B, K, T], [R]. clips: whether ratios are clipped, so that responses can be used again.
    """

    advantage: Callable[..., Tensor]
    mean: Callable[[Tensor, Tensor], Tensor]
    clips: bool = True
    of_tokens: bool = False


SURROGATES = {
    "rloo": Surrogate(advantage=leave_one_out, mean=summed, clips=False),
    "ppo": Surrogate(advantage=leave_one_out, mean=summed),
    "grpo": Surrogate(advantage=group_standardized, mean=averaged),
    "dr_grpo": Surrogate(advantage=less_group_mean, mean=summed),
    "reinforce_pp": Surrogate(advantage=batch_standardized, mean=over_tokens, of_tokens=True),
}


def token_costs(rollout_log_probs: Tensor, reference_log_probs: Tensor, said: Tensor, estimator: str) -> Tensor:
    """The estimate of KL at every token, [R, B, K, T], 0 where nothing was said, from log pi and log pi_ref there."""
    ratio = rollout_log_probs - reference_log_probs
    return torch.where(said, ESTIMATES[estimator](torch.where(said, ratio, 0.0)), 0.0)


def surrogate_loss(log_probs: Tensor, rollout: Rollout, algorithm: Algorithm, penalty: Tensor) -> Tensor:
    """What is made small on a rollout, [R], for log pi of every token [R, B, K, T] and tau [R, 1]."""
    kind = SURROGATES[algorithm.name]
    if kind.clips:
        loss = -kind.mean(gains(log_probs, rollout, algorithm.ratio_clip), rollout.said)
    else:
        loss = reinforce(log_probs, rollout)
    if algorithm.kl == "reward":
        return loss
    assert rollout.reference_log_probs is not None
    costs = token_costs(log_probs, rollout.reference_log_probs, rollout.said, algorithm.kl_estimator)
    return loss + penalty[:, 0] * kind.mean(costs, rollout.said)
