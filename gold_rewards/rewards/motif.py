"""Content as readable patterns, so that a teacher can say why a response is good.

A motif is two tokens in order, either side by side (`a b`) or anywhere (`a … b`); every response that has
it gains its weight once. One more rule ties the response to its prompt: repeating the prompt's last token
costs. Shapes: N pairs of prompt and response, L prompt length, T response length, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np

from gold_rewards.reward import Kind

ECHO_WEIGHT = -1.0


@dataclass(frozen=True, kw_only=True)
class Motif:
    """`first` then `second`, adjacent or anywhere later, worth `weight`."""

    first: int
    second: int
    adjacent: bool
    weight: float

    def __str__(self) -> str:
        gap = " " if self.adjacent else " … "
        return f"{self.first}{gap}{self.second}: {self.weight:+.2f}"

    def found(self, responses: np.ndarray) -> np.ndarray:
        """Whether each response [N, T] has the motif, [N]."""
        if self.adjacent:
            hit = (responses[:, :-1] == self.first) & (responses[:, 1:] == self.second)
            return hit.any(axis=1)
        begun = (responses[:, :-1] == self.first).cumsum(axis=1) > 0
        return (begun & (responses[:, 1:] == self.second)).any(axis=1)


@dataclass(frozen=True, kw_only=True)
class MotifReward:
    """The sum of the weights of the motifs that a response has, and the cost of an echo."""

    motifs: tuple[Motif, ...]

    def __call__(self, prompts: np.ndarray, responses: np.ndarray) -> np.ndarray:
        """Content score [N] of responses [N, T] to prompts [N, L]."""
        score = ECHO_WEIGHT * (responses == prompts[:, -1:]).any(axis=1)
        return sum((motif.weight * motif.found(responses) for motif in self.motifs), start=score)

    def rules(self) -> list[str]:
        """What the score is made of, as readable lines."""
        return [*map(str, self.motifs), f"repeating the prompt's last token: {ECHO_WEIGHT:+.2f}"]

    def explain(self, prompt: np.ndarray, response: np.ndarray) -> list[str]:
        """The rules that hold for one response [T] to one prompt [L], as readable lines."""
        lines = [str(motif) for motif in self.motifs if motif.found(response[None])[0]]
        if (response == prompt[-1]).any():
            lines.append(f"repeats the prompt's last token {prompt[-1]}: {ECHO_WEIGHT:+.2f}")
        return lines


def make_motif(*, vocabulary: int, prompt_length: int, response_length: int, rng: np.random.Generator) -> MotifReward:
    """Draw 2 V different motifs (or all there are), half of them adjacent, with standard normal weights."""
    pairs = vocabulary**2
    chosen = rng.choice(2 * pairs, size=min(2 * vocabulary, 2 * pairs), replace=False)
    weights = rng.normal(size=len(chosen))
    return MotifReward(
        motifs=tuple(
            Motif(
                first=int(code % pairs // vocabulary),
                second=int(code % vocabulary),
                adjacent=bool(code < pairs),
                weight=float(weight),
            )
            for code, weight in zip(chosen, weights, strict=True)
        )
    )


GOLD_REWARD = Kind(name="motif", make=make_motif)
