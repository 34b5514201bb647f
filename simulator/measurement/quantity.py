"""A measured column that is a mean over the responses of a policy.

Shapes: R runs, P prompts, G responses to each, n measured prompts, m drawn responses to each.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from simulator.common.column import Column
from simulator.measurement.listed_sums import Sums


@dataclass(frozen=True, kw_only=True)
class PolicyDistribution:
    """The law of R policies over every response, and that of the reference; float64."""

    log_probs: Tensor  # log pi, [R, P, G]
    log_reference: Tensor  # log pi_ref, [P, G]
    gold: Tensor  # standardized, [P, G]
    length: int  # tokens of a response, at most
    lengths: Tensor | None = None  # tokens of each, [G], where they are not all of `length`

    @cached_property
    def probability(self) -> Tensor:
        """pi, [R, P, G]."""
        return self.log_probs.exp()

    @cached_property
    def ratio(self) -> Tensor:
        """log pi - log pi_ref, [R, P, G]."""
        return self.log_probs - self.log_reference

    def mean(self, value: Tensor) -> Tensor:
        """E_pi of a value [R, P, G] or [P, G] at each prompt, [R, P]."""
        return (self.probability * value).sum(dim=-1)


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A measured column.

    of_sums(sums): its value [R] from sums over responses, in listed worlds. exact(law): the same where the law itself
    is read; None, and no column, in a world that has no such thing. drawn(draws): its value [R, n, m] for each drawn
    response, whose mean has a standard error; draws: sums along the response, of kl, entropy, ratio (log pi - log
    pi_ref of what was said) and length. None where it cannot be estimated so; the column is then empty in sampled
    worlds.
    """

    column: Column
    of_sums: Callable[[Sums], Tensor] | None = None
    exact: Callable[[PolicyDistribution], Tensor | None] | None = None
    drawn: Callable[[Mapping[str, Tensor]], Tensor] | None = None
