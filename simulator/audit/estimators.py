"""What kinds of estimators there are, and how each weighs the tokens of a batch.

Shapes: G responses of up to T tokens, P prompts, N batches, K responses to each prompt.

An estimate is the sum over the tokens of a batch of weights [N, P, K, T] times the scores of these tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from simulator.audit.moments import Moments, of_pairs, of_singles, over_prompts, scaled
from simulator.audit.place import Drawn, Place
from simulator.methods.algorithms.surrogates import leave_one_out

Table = Callable[[Place], Tensor]


@dataclass(frozen=True, kw_only=True)
class Singles:
    """The mean over responses of a weight for each token, [G, T], that asks for nothing but the response."""

    table: Table

    def moments(self, places: Sequence[Place], group: int) -> Moments:
        """Its expectation and variance."""
        return over_prompts([of_singles(one.scores, one.law, self.table(one), group) for one in places])

    def weights(self, drawn: Drawn) -> Tensor:
        """Those of drawn batches."""
        return drawn.of(self.table) / drawn.each


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The mean over responses of (R - mean of the other R of the group) times a weight for each token, [G, T].

    own: whether the mean is that of the whole group, which makes it (K - 1) / K times as large.
    """

    returns: Table
    table: Table
    own: bool = False

    def factor(self, group: int) -> float:
        """By which it is shorter."""
        return (group - 1) / group if self.own else 1.0

    def moments(self, places: Sequence[Place], group: int) -> Moments:
        """Its expectation and variance."""
        each = [of_pairs(one.scores, one.law, self.returns(one), self.table(one), group) for one in places]
        return scaled(over_prompts(each), self.factor(group))

    def weights(self, drawn: Drawn) -> Tensor:
        """Those of drawn batches."""
        advantage = leave_one_out(drawn.of(self.returns)) * self.factor(drawn.numbers.shape[2])
        return advantage.unsqueeze(-1) * drawn.of(self.table) / drawn.each


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Any weights of a batch, [N, P, K, T]. control: one of exact expectation, which goes up and down with it."""

    batch: Callable[[Drawn], Tensor]
    control: Singles | Pairs

    def weights(self, drawn: Drawn) -> Tensor:
        """Those of drawn batches."""
        return self.batch(drawn)


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """A row of the audit.

    part: "kl", "objective" or "reuse". target: the gradient that it is compared with. about: what it is, in a sentence.
    reuse: steps of the optimizer since the responses were drawn.
    """

    part: str
    name: str
    target: str
    about: str
    kind: Singles | Pairs | Simulated
    reuse: int = 0


def said(place: Place) -> Tensor:
    """1 at each token, [G, T]."""
    return place.said.double()


def along(value: Table) -> Table:
    """The table that has a response's value [G] at each of its tokens."""
    return lambda place: place.along(value(place))


def by_length(place: Place) -> Tensor:
    """One over the length of the response, at each of its tokens, [G, T]."""
    return place.along(1 / place.lengths)


def best_constant(place: Place) -> float:
    """The baseline b for which the mean of (R - b) s has least variance: E R |s|^2 / E |s|^2."""
    squares = place.scores.squares(said(place)) * place.law
    return float(place.returns @ squares / squares.sum())
