"""How far a proxy agrees with gold. Shapes: P prompts, G responses of the world's listing to each, N pairs."""

import numpy as np
import torch

from simulator.measurement.best_of_n import log_best_of_n
from simulator.measurement.ensemble import deviation_of, gold_unit
from simulator.worlds.listing import Listing

Array = np.ndarray

SHIFTED_BY = 16  # n of the best-of-n policy under which a proxy is compared with gold once more


def correlation(law: Array, first: Array, second: Array) -> float:
    """The correlation of two scores [P, G] within prompts under `law` [P, G]; NaN where one does not vary."""
    spread = deviation_of(law, first) * deviation_of(law, second)
    centred = (score - (law * score).sum(axis=1, keepdims=True) for score in (first, second))
    together = float((law * np.prod(list(centred), axis=0)).sum(axis=1).mean())
    return together / spread if spread > 0 else float("nan")


def against_gold(listing: Listing, scores: Array) -> dict[str, float]:
    """What scores [P, G] have to do with gold.

    gold_accuracy: share of fresh pairs of the reference that they order as gold does, ties half. gold_loss:
    cross-entropy against gold's soft labels there, recalibrated. correlation: with gold under the reference;
    shifted_correlation: under the best of SHIFTED_BY by these scores. scale: deviations of gold to a unit of theirs.
    """
    row, first, second = listing.pairs.T
    gaps, gold_gaps = scores[row, first] - scores[row, second], listing.gold[row, first] - listing.gold[row, second]
    unit = gold_unit(listing.reference_probs, scores, gaps, gold_gaps)
    z, soft = unit.factor * gaps, 1 / (1 + np.exp(-gold_gaps))
    log_law = torch.from_numpy(listing.reference_probs).clamp(min=1e-300).log()
    shifted = log_best_of_n(log_law, torch.from_numpy(scores), torch.tensor([SHIFTED_BY]))[0].exp().numpy()
    agree = np.sign(gaps) * np.sign(gold_gaps)
    return {
        "gold_accuracy": float(((agree + 1) / 2).mean()),
        "gold_loss": float((soft * np.logaddexp(0, -z) + (1 - soft) * np.logaddexp(0, z)).mean()),
        "correlation": correlation(listing.reference_probs, scores, listing.gold),
        "shifted_correlation": correlation(shifted, scores, listing.gold),
        "scale": unit.factor,
    }
