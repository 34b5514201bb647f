"""What a pairwise objective is: a function of what policy and reference say of labelled pairs; see objectives/.

Shapes: r runs of one objective, N pairs of one run, K responses to one prompt (2 but for objectives of more), T
response length, D numbers of one run's row of parameters. Behind the pairs may come others that fill them up to whole
vector registers, so that sums and elementwise functions treat a run alike wherever it lies in a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from simulator.common.column import Column
from simulator.common.lazy import torch
from simulator.networks.architecture import Architecture
from simulator.objectives.local_shape import LocalShape, local_shape

if TYPE_CHECKING:
    from torch import Tensor

    from simulator.networks.packing import Packing

Hyperparameters = Mapping[str, Any]
RegularizerState = dict[str, "Tensor"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """What an objective has beside beta: a number with its bounds, or one of some words.

    about: for whoever sets it.
    """

    default: float | str
    about: str
    least: float = 0.0
    most: float = 1e6
    whole: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """What an objective is given of its pairs. Only those who read scores, or mismatched pairs, are given them."""

    policy: Tensor  # log pi of the responses in nats, [r, K, N]: chosen first, and K > 2 by falling reward
    reference: Tensor  # log pi_ref, [r, K, N]
    lengths: Tensor  # tokens, [r, K, N]
    beta: Tensor  # [r, 1]
    hyperparameters: Hyperparameters  # numbers [r, 1] each, words, and whole numbers
    count: int  # how many of the N are pairs and no filling
    scores: Tensor | None = None  # rewards, [r, K, N]
    mismatched: Tensor | None = None  # log-ratios of responses to another pair's prompt, no gradient, [r, K, N]
    online: bool = False  # whether pairs are drawn from the policy as it trains
    weights: Tensor | None = None  # of each pair in a mean over them, [r, count]; all alike where there are none
    link: Callable[[Tensor], Tensor] | None = None  # φ of log-ratios, where it is not that of KL; see linked.py
    remembered: RegularizerState = field(default_factory=dict)  # see Memory; nothing where no training went before
    token_log_probs: Tensor | None = None  # log pi of each token, nats, 0 behind an end, [r, K, N, T]
    token_reference: Tensor | None = None  # log pi_ref of each token, no gradient, [r, K, N, T]
    token_alignment: Tensor | None = None  # log pi(token) - log Σ_v pi(v)², no gradient, [r, K, N, T]

    def mean(self, values: Tensor) -> Tensor:
        """The mean over pairs, [r], of values [r, N], with their weights."""
        some = values[:, : self.count]
        if self.weights is None:
            return some.mean(dim=1)
        return (some * self.weights).sum(dim=1) / self.weights.sum(dim=1)

    def select_runs(self, rows: slice) -> Pairs:
        """The pairs of some of the runs."""
        tensors: dict[str, Any] = {
            name: value[rows] for name, value in vars(self).items() if isinstance(value, torch.Tensor)
        }
        own = {
            name: value[rows] if isinstance(value, torch.Tensor) else value
            for name, value in self.hyperparameters.items()
        }
        remembered = {name: value[rows] for name, value in self.remembered.items()}
        return replace(self, hyperparameters=own, remembered=remembered, **tensors)

    @property
    def ratios(self) -> Tensor:
        """s = log pi - log pi_ref, [r, K, N]."""
        return self.policy - self.reference

    @property
    def chosen(self) -> Tensor:
        """s of the chosen responses, [r, N]."""
        return self.ratios[:, 0]

    @property
    def rejected(self) -> Tensor:
        """s of the rejected responses, [r, N]."""
        return self.ratios[:, -1]

    @property
    def linked(self) -> Tensor:
        """The link of the divergence: s, or φ as a function of s, [r, K, N]."""
        return self.ratios if self.link is None else self.link(self.ratios)

    @property
    def z(self) -> Tensor:
        """beta times the margin, [r, N]: rho, or the difference of two links."""
        linked = self.linked
        return self.beta * (linked[:, 0] - linked[:, -1])

    @property
    def per_token(self) -> Tensor:
        """log pi over the number of tokens, [r, K, N]."""
        return self.policy / self.lengths

    @property
    def rewards(self) -> Tensor:
        """The scores, [r, K, N]."""
        assert self.scores is not None
        return self.scores


@dataclass(frozen=True, kw_only=True)
class BatchContext:
    """What a term of a loss sees of its rows at one step, or of all pairs when it is measured."""

    architecture: Architecture
    packing: Packing
    parameters: Tensor  # [r, D]
    reference: Tensor  # parameters of pi_ref, [D]
    prompts: Tensor  # of the batch, [r, B, L]
    responses: Tensor  # [r, B, K, T]
    hyperparameters: Hyperparameters  # as in Pairs
    beta: Tensor  # [r, 1]
    rate: Tensor  # the learning rate, [r, 1]
    seeds: Sequence[int]  # of the runs
    rows: slice  # where they are in their stack
    step: int
    online: bool  # whether pairs are drawn from the policy as it trains
    under_reference: UnderReference | None


class UnderReference(Protocol):
    """The expectation of log pi - log pi_ref under the reference, exact where responses are listed."""

    def gradient(
        self, parameters: Tensor, seeds: Sequence[int], rows: slice, *, step: int, prompts: int
    ) -> tuple[Tensor, Tensor]:
        """Its value [r] and gradient [r, D], for parameters [r, D] at some prompts of a step."""
        ...

    def value(self, parameters: Tensor, rows: slice) -> Tensor:
        """Its value [r] over all prompts."""
        ...

    def select_runs(self, rows: slice) -> UnderReference:
        """That of some of the runs."""
        ...


@dataclass(frozen=True, kw_only=True)
class Regularizer:
    """A part of a loss that is not a mean over functions of one pair.

    start(context): what it remembers, tensors with r rows. step(context, memory): its value [r] and gradient [r, D];
    what it remembers is updated in place. value(context, memory): the value alone, for a measurement that changes
    nothing. of_pairs: whether it looks at the context's pairs.
    """

    start: Callable[[BatchContext], RegularizerState]
    step: Callable[[BatchContext, RegularizerState], tuple[Tensor, Tensor]]
    value: Callable[[BatchContext, RegularizerState], Tensor]
    of_pairs: bool = True


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What an objective keeps of the batches that it was trained on; it is saved with the policy.

    start(beta): tensors with r rows before the first batch, of runs with these beta [r, 1]; no other objective has
    their names. update(pairs): takes a batch into `pairs.remembered`, in place, before the loss of that batch. A
    measurement reads what is there, and changes nothing.
    """

    start: Callable[[Tensor], RegularizerState]
    update: Callable[[Pairs], None]


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """A quantity inside a loss that is recorded beside it: its column, and its value [r] on pairs."""

    column: Column
    value: Callable[[Pairs], Tensor]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """Other names that people have for an objective, in small letters, and what is to be said when one comes."""

    names: tuple[str, ...] = ()
    relation: str = ""


def nothing(own: Hyperparameters) -> None:
    """What an objective has that adds no term and remembers nothing, whatever its parameters."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A row of OBJECTIVES, a sum of several (mixtures.py), or a function of the user's own (own_loss.py)."""

    name: str
    loss: Callable[[Pairs], Tensor]  # of each pair, [r, N], unreduced
    formula: str  # one line for people
    f: Callable[..., Tensor] | None = None  # the loss as a function of z and its parameters, where it is one
    has_beta: bool = True  # whether beta means anything to it
    of_differences: bool = False  # whether it sees policies by differences of `linked` alone, without being such an f
    table: str = ""  # which of [objective.…] has its parameters
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    scored: bool = False  # whether it reads `scores` of Pairs
    mismatched: bool = False  # whether it reads `mismatched` of Pairs
    tokens: tuple[str, ...] = ()  # what it reads of single tokens: names in Pairs that begin with `token_`
    reads_states: bool = False  # whether it reads hidden states of the policy's network
    ranked: str = ""  # the parameter that says how many responses it compares by their scores, where it takes no labels
    sorts_pairs: bool = False  # whether it sorts the pairs of a batch, so that one alone says nothing
    term: Callable[[Hyperparameters], Regularizer | None] = nothing  # what else is in the loss
    remembers: Callable[[Hyperparameters], Memory | None] = nothing  # what of earlier batches is in the loss
    ignores: Callable[[Hyperparameters], Sequence[str]] = lambda own: ()  # parameters that say nothing
    cost: Callable[[Hyperparameters], float] = lambda own: 1.0  # gradients of a step; a plain pairwise loss has 1
    calibrates: Callable[[Hyperparameters], int] = lambda own: (
        0
    )  # prompts a step at which the expectation under pi_ref is taken
    has_reference: bool = True  # whether log pi_ref means anything to it
    length_normalized: bool = False  # whether it divides log pi by the number of tokens
    weighable: bool = True  # whether pairs may have weights: all that it reads of them is in its loss of each pair
    diagnostics: tuple[Diagnostic, ...] = ()  # what is recorded beside the loss
    convention: Convention = Convention()  # other names
    code: str = ""  # the SHA-256 of the user's code that it is
    parts: tuple[tuple[float, Objective], ...] = ()  # what it is the sum of, each with its weight; see mixtures.py

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of [objective] that have its parameters, or those of its parts."""
        each = [part for _, part in self.parts] or [self]
        return tuple(dict.fromkeys(one.table for one in each if one.table))

    def shape(self, own: Hyperparameters) -> LocalShape | None:
        """What f does around z = 0 at these parameters, None where there is no f."""
        f = self.f
        return None if f is None else local_shape(lambda z: f(z, **own))

    @property
    def takes_links(self) -> bool:
        """Whether another divergence than KL can stand in it; see linked.py."""
        return self.f is not None or self.of_differences

    def kappa(self, own: Hyperparameters) -> float | None:
        """kappa at these parameters, None where there is no f, or f starts by pushing margins down."""
        shape = self.shape(own)
        return shape.kappa if shape and shape.slope < 0 else None


def of_z(f: Callable[..., Tensor], **more: Any) -> Objective:
    """The objective that is the mean of f(beta rho); f is given its parameters by name."""
    return Objective(
        name=f.__name__, loss=lambda pairs: f(pairs.z, **pairs.hyperparameters), f=f, formula=first_sentence(f), **more
    )


def of_pairs(loss: Callable[[Pairs], Tensor], **more: Any) -> Objective:
    """The objective whose loss is a function of pairs."""
    return Objective(name=loss.__name__, loss=loss, formula=first_sentence(loss), **more)


def first_sentence(function: Callable[..., Any]) -> str:
    """The formula in a docstring: all before its first full stop."""
    return " ".join((function.__doc__ or "").split()).split(". ")[0].removesuffix(".")


def named(*objectives: Objective) -> dict[str, Objective]:
    """Objectives by their names."""
    return {objective.name: objective for objective in objectives}
