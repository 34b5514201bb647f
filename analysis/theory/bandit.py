"""Offline regularization is not KL: a bandit with a softmax policy, trained by gradient descent on the six losses.

After Tang et al. 2024 (arXiv:2402.05749, Sec. 4), who show with a bandit, too, that holding down the mu-weighted
squared loss does not hold down KL. That there is a bandit we know from a summary of the paper; its arms and numbers we
could not read, and those here are our own.

One prompt, ARMS responses, and gold that one of them has GAP more of than all others. Pairs are drawn from a fixed mu,
which is the reference, and labelled by Bradley-Terry: p(y, y') = sigma(gold(y) - gold(y')). The policy is a softmax
over logits, and descends on the loss of infinitely many pairs,

    E_(y, y' ~ mu) [ p(y, y') f(beta rho) + (1 - p(y, y')) f(-beta rho) ],    rho = s(y) - s(y'),  s = log pi / pi_ref

from the reference to its minimum. Watched are

    squared   1/2 E_mu rho^2 = Var_mu(s), nats^2
    kl        KL(pi || pi_ref), nats

of which KL is half of `squared` near the reference. Far from it the two part. Let mu draw the best response with
probability q. As the policy moves onto it, s of it goes to log 1/q and KL with it, but Var_mu(s) is q (1 - q) rho^2:
where the best response is rare, the squared loss hardly sees what the policy does, and KL grows beyond half of it.
Where it is common, the policy moves away from what is rare, log pi / pi_ref of which goes to minus infinity under the
eyes of mu, while KL is bounded by log 1/q. So the two differ in both directions, and mu says in which.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, log_softmax

from analysis.theory.six_losses import SIX, GpoLoss

ARMS = 20
GAP = 2.0  # of gold, in units of the temperature of labels
BETA = 0.2
RARE, COMMON = 0.01, 0.5  # how often mu draws the best response
STEP = 0.1  # nats, in logits
LEAST_STEP = 1e-6

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Bandit:
    """gold [K], and log mu = log pi_ref [K]."""

    gold: Array
    log_reference: Array


def bandit(best: float) -> Bandit:
    """The bandit in which mu draws the best response with probability `best`, and all others equally often."""
    mu = np.full(ARMS, (1 - best) / (ARMS - 1))
    mu[0] = best
    return Bandit(gold=np.where(np.arange(ARMS) == 0, GAP, 0.0), log_reference=np.log(mu))


def regularizers(log_ratio: Array, made: Bandit) -> tuple[float, float]:
    """squared and kl of the policy with s = log pi / pi_ref [K]."""
    mu, policy = np.exp(made.log_reference), np.exp(log_ratio + made.log_reference)
    return float(mu @ (log_ratio - mu @ log_ratio) ** 2), float(policy @ log_ratio)


def loss_and_slope(moved: Array, made: Bandit, f: GpoLoss, beta: float) -> tuple[float, Array]:
    """The loss of infinitely many pairs and its gradient in logits [K], which have moved so far from the reference."""
    mu = np.exp(made.log_reference)
    weights = mu[:, None] * mu * expit(made.gold[:, None] - made.gold)  # of y preferred to y'
    z = beta * (moved[:, None] - moved)
    pushed = 2 * beta * weights * f.slope(z)  # both orders of a pair give the same
    return float(2 * (weights * f.f(z)).sum()), pushed.sum(axis=1) - pushed.sum(axis=0)


def descend_on(loss: str, best: float, beta: float = BETA) -> pd.DataFrame:
    """The path of gradient descent on one of the six losses: step, squared and kl.

    best: how often mu draws the best response. Every step goes down the gradient by STEP, which is halved when it would
    lead upward.
    """
    made, f = bandit(best), SIX[loss]
    moved, distance, rows = np.zeros(ARMS), STEP, [(0.0, 0.0)]
    value, slope = loss_and_slope(moved, made, f, beta)
    while distance > LEAST_STEP:
        there = moved - distance * slope / max(float(np.linalg.norm(slope)), LEAST_STEP**2)
        value_there, slope_there = loss_and_slope(there, made, f, beta)
        if value_there < value:
            moved, value, slope = there, value_there, slope_there
            rows.append(regularizers(log_softmax(made.log_reference + moved) - made.log_reference, made))
        else:
            distance /= 2
    return pd.DataFrame(rows, columns=["squared", "kl"]).rename_axis("step").reset_index()


def descents() -> pd.DataFrame:
    """The paths of all six losses in both bandits: loss, best (how often mu draws it), step, squared, kl."""
    each = [descend_on(loss, best).assign(loss=loss, best=best) for best in (RARE, COMMON) for loss in SIX]
    return pd.concat(each, ignore_index=True)


def ends(paths: pd.DataFrame) -> pd.DataFrame:
    """The end of each path, with `ratio`: KL over half of the squared loss, which is 1 near the reference."""
    last = paths.groupby(["best", "loss"], sort=False).last().reset_index()
    return last.assign(ratio=2 * last["kl"] / last["squared"])
