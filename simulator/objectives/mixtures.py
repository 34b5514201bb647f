"""Sums of objectives with weights, such as `sweep.loss = ["logistic + 0.5 sft"]`; each is made when it is named.

The loss of a pair is Σ w_i ℓ_i, as in TRL's `loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.5]`. A weight stands
before a loss, with or without *, and is 1 where none does. Parts read their own tables, such as [objective.kto], and
all see one beta. Where every part is a function of z, so is the sum. The canonical name has ours for each part, in the
order of the alphabet, and weights at 12 digits, so that two spellings are one run.

Parts are losses of ours whose loss is a function of the pairs of a batch: not those with a term beside it (vpo, ganpo),
that read rewards or rank several responses (rpo), or that are functions of the user's own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.common.errors import ConfigError, nearest, short
from simulator.common.identity import rounded
from simulator.objectives import KNOWN_AS, OBJECTIVES
from simulator.objectives.objective import (
    Diagnostic,
    Hyperparameters,
    Memory,
    Objective,
    Pairs,
    Parameter,
    RegularizerState,
    nothing,
)

if TYPE_CHECKING:
    from torch import Tensor

LEAST, MOST = 1e-6, 1e6  # a weight
LIKE = 'such as "logistic + 0.5 sft"'
NUMBER = r"[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?"


def is_mixture(name: str) -> bool:
    """Whether a name is a sum of losses, or seems meant as one: names of losses with + or * or spaces about them."""
    several = pieces(name)
    if ".py" in name:  # the name of a file may have any sign
        return len(several) > 1 and any(part in OBJECTIVES or part in KNOWN_AS for part in names_in(name))
    return bool(re.search(r"[\s+*]", name.strip()))


def canonical(name: str) -> str:
    """The name of a sum as it is recorded. Raises ValueError, which says what is wrong with it."""
    return mixture(name).name


def objective_called(name: str, beside: Path | None, key: str) -> Objective:
    """The objective of this name: ours, a sum of ours, or a function in a file of the user's. Raises ConfigError.

    beside: where a relative file is looked up first. key: before the name in messages.
    """
    if name in OBJECTIVES:
        return OBJECTIVES[name]
    if is_mixture(name):
        try:
            return mixture(name)
        except ValueError as error:
            raise ConfigError(f"{key}{short(name)}: {error}") from None
    from simulator.objectives.own_loss import own_loss

    return own_loss(name, beside, key).objective


def pieces(name: str) -> list[str]:
    """What stands between the + of a name; that of 1e+3 is none."""
    return [piece.strip() for piece in re.split(r"(?<![\d.][eE])\+", name)]


def words(piece: str) -> list[str]:
    """A weight and a name, or what else a piece has."""
    return re.split(r"\s*\*\s*|\s+", piece)


def names_in(name: str) -> list[str]:
    """The names of the parts of a sum, as they were written."""
    return [words(piece)[-1] for piece in pieces(name)]


def weighted(piece: str) -> tuple[float, str]:
    """The weight and the name in a piece, the name as ours. Raises ValueError."""
    found = words(piece)
    try:
        weight = 1.0 if len(found) == 1 else float(found[0])
    except ValueError:
        weight = None
    if weight is None or len(found) > 2 or not found[-1]:
        raise ValueError(f'must be a sum of losses, {LIKE}; "{short(piece)}" is no loss with a weight before it')
    if not (math.isfinite(weight) and LEAST <= weight <= MOST):
        raise ValueError(f'"{short(piece)}" has the weight {weight:g}; it must be from {LEAST:g} to {MOST:,.0f}')
    return float(str(rounded(weight))), KNOWN_AS.get(found[-1], found[-1])


def check_part(name: str) -> None:
    """Raises ValueError where something is no loss, or one that cannot stand in a sum."""
    if name in OBJECTIVES and can_be_part(OBJECTIVES[name]):
        return
    able, hint = [each for each, objective in OBJECTIVES.items() if can_be_part(objective)], ""
    if ".py" in name:
        why = "is a function of your own, which can add such a sum up itself"
    elif name in OBJECTIVES:
        why = "is not the loss of each pair alone: a term, rewards or ranks belong to it"
    else:
        why, hint = "is no loss of ours", nearest(name, [*able, *KNOWN_AS])
    raise ValueError(f'has the part "{short(name)}", which {why}; parts must be of {", ".join(able)}{hint}')


def can_be_named(name: str) -> bool:
    """Whether a name, ours or another one, is that of a loss that can stand in a sum."""
    return can_be_part(OBJECTIVES[KNOWN_AS.get(name, name)])


def can_be_part(objective: Objective) -> bool:
    """Whether its loss follows from the pairs of a batch, and is all there is of it."""
    return objective.term is nothing and not (objective.scored or objective.ranked or objective.reads_states)


PART = rf"({NUMBER}(\s*\*\s*|\s+))?({'|'.join(name for name in [*OBJECTIVES, *KNOWN_AS] if can_be_named(name))})"
SUM_PATTERN = rf"^\s*{PART}(\s*\+\s*{PART})+\s*$"  # of names of sums, but for what weights and equal names may be


@lru_cache(maxsize=1024)
def mixture(name: str) -> Objective:
    """The sum of losses that a name says. Raises ValueError."""
    found = [weighted(piece) for piece in pieces(name)]
    names = [each for _, each in found]
    for each in names:
        check_part(each)
    if len(found) < 2:
        raise ValueError(f'must be a sum of at least two losses, {LIKE}; alone it is "{names[0]}", without a weight')
    for each in names:
        if names.count(each) > 1:
            raise ValueError(f"has the loss {each} twice; the losses of a sum must differ")
    return summed([(weight, OBJECTIVES[each]) for weight, each in sorted(found, key=lambda part: part[1])])


def summed(parts: Sequence[tuple[float, Objective]]) -> Objective:
    """The objective Σ w_i ℓ_i."""
    each = [part for _, part in parts]
    mixed_f = f_of(parts) if all(part.f is not None for part in each) else None

    def loss(pairs: Pairs) -> Tensor:
        return total([weight * part.loss(pairs_of(part, pairs)) for weight, part in parts])

    return Objective(
        name=" + ".join(f"{weight_text(weight)}{part.name}" for weight, part in parts),
        loss=loss,
        formula=" + ".join(f"{weight_text(weight)}[{part.formula}]" for weight, part in parts),
        f=mixed_f,
        has_beta=any(part.has_beta for part in each),
        parameters=parameters_of(each),
        mismatched=any(part.mismatched for part in each),
        has_reference=any(part.has_reference for part in each),
        sorts_pairs=any(part.sorts_pairs for part in each),
        tokens=tuple(sorted({name for part in each for name in part.tokens})),
        remembers=lambda own: memory_of(each, own),
        cost=lambda own: 1.0 + sum(part.cost(own_of(part, own)) - 1.0 for part in each),
        length_normalized=any(part.length_normalized for part in each),
        weighable=all(part.weighable for part in each),
        diagnostics=tuple(seen_by(part, one) for part in each for one in part.diagnostics),
        parts=tuple(parts),
    )


def weight_text(weight: float) -> str:
    """A weight before a loss; 1 is not written."""
    return "" if weight == 1 else f"{rounded(weight)} "


def total(values: Sequence[Tensor]) -> Tensor:
    """The sum of values, in their order."""
    found = values[0]
    for value in values[1:]:
        found = found + value
    return found


def parameters_of(parts: Sequence[Objective]) -> dict[str, Parameter]:
    """The parameters of all parts, each by table and name."""
    return {f"{part.table}.{name}": one for part in parts for name, one in part.parameters.items()}


def f_of(parts: Sequence[tuple[float, Objective]]) -> Callable[..., Tensor]:
    """The sum as a function of z, and of the parameters of all parts."""

    def f(z: Tensor, **own: Any) -> Tensor:
        return total([weight * part.f(z, **own_of(part, own)) for weight, part in parts if part.f is not None])

    return f


def own_of(part: Objective, own: Hyperparameters) -> Hyperparameters:
    """The parameters of a part among those of the sum."""
    return {name: own[f"{part.table}.{name}"] for name in part.parameters}


def pairs_of(part: Objective, pairs: Pairs) -> Pairs:
    """The pairs as a part is given them."""
    return replace(pairs, hyperparameters=own_of(part, pairs.hyperparameters))


def seen_by(part: Objective, one: Diagnostic) -> Diagnostic:
    """What a part watches, in the sum."""
    return Diagnostic(column=one.column, value=lambda pairs: one.value(pairs_of(part, pairs)))


def memory_of(parts: Sequence[Objective], own: Hyperparameters) -> Memory | None:
    """What parts remember, together: the names of their tensors differ."""
    found = [(part, memory) for part in parts if (memory := part.remembers(own_of(part, own))) is not None]

    def start(beta: Tensor) -> RegularizerState:
        return {name: value for _, memory in found for name, value in memory.start(beta).items()}

    def update(pairs: Pairs) -> None:
        for part, memory in found:
            memory.update(pairs_of(part, pairs))

    return Memory(start=start, update=update) if found else None
