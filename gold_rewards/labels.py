"""How a pair is labelled: which of two responses is called the chosen one, or that they are tied.

Shapes: arrays of any shape that broadcast against each other, such as pairs [N], or [P, G, 1] against [P, 1, G]. With
the gap of two responses

    g = gold_1 - gold_2 + length_bias (tokens_1 - tokens_2)

the first is chosen with probability

    deterministic   1, ½ or 0, by the sign of g, as in Gao et al. 2023, arXiv:2210.10760, Sec. 2
    bradley_terry   σ(g / temperature), Bradley & Terry 1952
    ties            e^{g/2T} / (e^{g/2T} + e^{-g/2T} + ν), and tied with probability ν over the same sum, ν being
                    `tie_strength`: Davidson 1970, "On extending the Bradley-Terry model to accommodate ties"
    intransitive    σ((g + cycle c) / temperature), where c is 1 if the kind of the first response beats that of the
                    second, -1 if it is beaten, and 0 between responses of one kind. Of three kinds, each beats the next
                    one in a circle, so that no reward is behind the preferences (Munos et al. 2023, arXiv:2312.00886)

A label is then flipped with probability `noise` (the label noise of Coste et al. 2023, arXiv:2310.02743). With
`flip_toward` only labels are flipped whose rejected response is the likelier one under the reference, or the longer
one, and so on; a tie is never flipped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

Labels = Literal["deterministic", "bradley_terry", "ties", "intransitive"]
"""How labels follow from gold: always the better response, with Bradley-Terry probabilities, with ties, in a circle."""
FlipToward = Literal["any", "likelier", "less_likely", "longer", "shorter"]
"""Which response flipped labels choose."""

KINDS_OF_RESPONSES = 3

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class LabelRule:
    """How labels are drawn; see the module."""

    labels: Labels = "bradley_terry"
    temperature: float = 1.0
    noise: float = 0.0
    flip_toward: FlipToward = "any"
    tie_strength: float = 1.0
    cycle: float = 1.0
    length_bias: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What labels depend on of responses, arrays [...].

    gold: of who labels, in deviations under the reference. tokens: how many. log_reference: log pi_ref, nats. kind: 0,
    1 or 2, see `kinds_of`. What a rule does not read may be left out.
    """

    gold: Array
    tokens: Array | float = 0.0
    log_reference: Array | float = 0.0
    kind: Array | int = 0

    def at(self, index: Any) -> "Judged":
        """The responses at an index of numpy, such as `[..., 0]`."""
        arrays: Mapping[str, Any] = {name: value[index] for name, value in vars(self).items() if np.ndim(value)}
        return replace(self, **arrays)


def kinds_of(responses: Array) -> Array:
    """The kind [...] of responses [..., T] of token ids: the remainder of the first token by 3."""
    return responses[..., 0] % KINDS_OF_RESPONSES


def beats(first: Array | int, second: Array | int) -> Array:
    """1 where the first kind beats the second, -1 where it is beaten, 0 for equal ones: 1 beats 0, 2 beats 1, 0 beats
    2.
    """
    return (np.asarray(first) - second + 1) % KINDS_OF_RESPONSES - 1


def gap(first: Judged, second: Judged, rule: LabelRule) -> Array:
    """How far the first responses are ahead of the second for who labels, in deviations of gold."""
    found = first.gold - second.gold
    if rule.length_bias:
        found = found + rule.length_bias * (np.asarray(first.tokens) - second.tokens)
    if rule.labels == "intransitive":
        found = found + rule.cycle * beats(first.kind, second.kind)
    return found


def davidson(gaps: Array, strength: float) -> tuple[Array, Array, Array]:
    """Probabilities that the first of two is chosen, that they are tied, and that the second is; gaps over T."""
    from scipy.special import softmax

    logits = np.stack([gaps / 2, np.full(np.shape(gaps), np.log(strength)), -gaps / 2])
    first, tie, second = softmax(logits, axis=0)
    return first, tie, second


def outcome_probabilities(first: Judged, second: Judged, rule: LabelRule) -> tuple[Array, Array]:
    """Probability that the first response is labelled chosen, and that the pair is labelled a tie.

    The second is chosen with what is left. It says so of every pair that can be asked, and draws nothing.
    """
    from scipy.special import expit

    ahead = gap(first, second, rule)
    if rule.labels == "ties":
        wins, tied, loses = davidson(ahead / rule.temperature, rule.tie_strength)
    else:
        sure = rule.labels == "deterministic"
        wins = (np.sign(ahead) + 1) / 2 if sure else expit(ahead / rule.temperature)
        tied, loses = np.zeros_like(wins), 1 - wins
    if rule.flip_toward == "any":
        return (1 - rule.noise) * wins + rule.noise * loses, tied
    toward = toward_first(first, second, rule.flip_toward)
    return wins + rule.noise * (np.where(toward > 0, loses, 0.0) - np.where(toward < 0, wins, 0.0)), tied


def toward_first(first: Judged, second: Judged, direction: FlipToward) -> Array:
    """Above 0 where a flip may make the first response the chosen one, below 0 where it may make the second so."""
    if direction in ("longer", "shorter"):
        found = np.asarray(first.tokens) - second.tokens
    else:
        found = np.asarray(first.log_reference) - second.log_reference
    return found if direction in ("longer", "likelier") else -found


def preference_probability(
    first: Array, second: Array, *, labels: Labels, temperature: float, noise: float
) -> np.ndarray:
    """Probability [N] that the first response is labelled chosen, for gold scores `first`, `second` [N].

    `outcome_probabilities` knows of more than gold, and of ties.
    """
    rule = LabelRule(labels=labels, temperature=temperature, noise=noise)
    return outcome_probabilities(Judged(gold=first), Judged(gold=second), rule)[0]
