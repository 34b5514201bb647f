"""What holds a policy near the reference: KL, or another f-divergence. Every module here with a DIVERGENCE in it."""

from simulator.common.discovery import modules_in
from simulator.divergences.divergence import Divergence

DIVERGENCES: dict[str, Divergence] = {
    module.DIVERGENCE.name: module.DIVERGENCE
    for module in modules_in("simulator.divergences", first="kl")
    if hasattr(module, "DIVERGENCE")
}
"""Every divergence, by the name that `gibbs.divergence` and `train.divergence` take."""


def divergence_of(name: str, alpha: float) -> Divergence:
    """The divergence of a name, and of this α where it is a family."""
    found = DIVERGENCES[name]
    return found.at(alpha) if found.at else found


__all__ = ["DIVERGENCES", "Divergence", "divergence_of"]
