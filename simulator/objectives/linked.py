"""Other divergences than KL in losses of a margin: z = β (φ(u_w) - φ(u_l)), u = π/π_ref, in place of βρ.

Where a policy is the optimum of E_π r - τ D(π ‖ π_ref), φ(u) = f'(u) is (r - λ)/τ with a λ of the prompt, as the
logarithm of the partition function is for KL; a difference of two links is free of it (f-DPO, Wang et al. 2023,
arXiv:2309.16240, Eq. 8; χPO, Huang et al. 2024, arXiv:2407.13399, is one with a clip). A loss that looks at one
response, at lengths, or at no reference has no such form, and takes KL's log-ratios alone.

Links have the slope f''(1) at u = 1, where training starts: 2 for chi2_kl, ½ for jensen_shannon, 1 for the others. So
losses match there at equal β f''(1) κ, and κ is that of f(z), whatever the divergence. What is recorded as a margin
stays ρ, and accuracy does not change, since links rise.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.divergences import Divergence
from simulator.objectives import OBJECTIVES
from simulator.objectives.objective import Objective


def linked(objective: Objective, divergence: Divergence) -> Objective:
    """The objective with the link of a divergence; that of KL is the objective itself."""
    if divergence.name == "kl":
        return objective
    return replace(objective, loss=lambda pairs: objective.loss(replace(pairs, link=divergence.link)))


def check_link(objective: Objective, divergence: str) -> None:
    """Raises ValueError where another divergence than KL cannot stand in an objective."""
    if divergence == "kl" or objective.takes_links:
        return
    asked = f'loss "{objective.name}" cannot have train.divergence = "{divergence}"'
    if objective.name == "chi_po":
        raise ValueError(f'{asked}: it has a link of its own, that of "chi2_kl", which loss "logistic" takes unclipped')
    able = ", ".join(name for name, other in OBJECTIVES.items() if other.takes_links)
    raise ValueError(
        f"{asked}: it is no function of a difference of two links alone, and only there what normalizes the best "
        f'policy cancels; take one of {able}, f(z) of your own, or train.divergence = "kl"'
    )
