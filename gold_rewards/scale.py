"""Gold on its own scale: standard deviations under the reference, where the reference has mean 0.

Gao et al. 2023 (arXiv:2210.10760, Sec. 2) recentre scores on the initial policy and scale gold to unit
variance. Here each prompt is recentred on its own, since no policy can change which prompt it gets.
Shapes: P prompts, G responses.
"""

from dataclasses import dataclass

import numpy as np

MASS = 1e-9  # how far from 1 the mass of a law may be


@dataclass(frozen=True, kw_only=True)
class Scale:
    """`mean` [P] and one `deviation`, in the units that the scores came in."""

    mean: np.ndarray
    deviation: float

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Scores [P, G] in standard deviations under the reference."""
        return (scores - self.mean[:, None]) / self.deviation


def scale_under(probabilities: np.ndarray, scores: np.ndarray) -> Scale:
    """The scale on which `scores` [P, G] have mean 0 at each prompt and variance 1 over all of them.

    Raises ValueError where the scores do not vary under `probabilities` [P, G], or are not finite, and ArithmeticError
    where these do not add up to 1 at each prompt.
    """
    if not (np.isfinite(scores).all() and np.isfinite(probabilities).all()):
        raise ValueError("the gold reward or the reference is not finite")
    if (off := np.abs(probabilities.sum(axis=1) - 1).max()) > MASS:
        raise ArithmeticError(f"probabilities have a mass that is off 1 by {off:.3g}, so gold has no exact scale")
    mean = (probabilities * scores).sum(axis=1)
    variance = (probabilities * (scores - mean[:, None]) ** 2).sum(axis=1).mean()
    if not variance > 1e-20:
        raise ValueError("the gold reward is the same for every response, so it has no scale")
    return Scale(mean=mean, deviation=float(np.sqrt(variance)))


def scale_of_samples(scores: np.ndarray) -> Scale:
    """The scale of `scores` [P, G] of G >= 2 samples from the reference at each prompt, without bias in the variance.

    Raises ValueError where they do not vary, or are not finite.
    """
    samples = scores.shape[1]
    scale = scale_under(np.full(scores.shape, 1 / samples), scores)
    return Scale(mean=scale.mean, deviation=scale.deviation * float(np.sqrt(samples / (samples - 1))))
