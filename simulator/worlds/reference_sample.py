"""The baseline of a sampled world: responses of the reference, and the scale that they give to gold.

Shapes: R runs, n measured prompts, L prompt length, m responses of a policy to each and b of the reference, T response
length, N texts, K parts of gold: content, fluency, and length where it has a weight.

Gold is made as in an enumerable world, but with means and deviations of the baseline. It is, for content c and fluency
f with deviations d_c and d_f, correlation r and weight w,

    gold = (c / d_c + w f / d_f) / S - its mean at the prompt,    S^2 = 1 + w^2 + 2 w r,

and d_c, d_f, r and the means are estimates whose chance all runs share. Estimates of gold and of win rates hold it by
the influence functions of these statistics. A baseline response with standardized content x and fluency y moves log
d_c by (x^2 - 1) / 2, log d_f by (y^2 - 1) / 2, and r by x y - r (x^2 + y^2) / 2. Length is a third part of the same
kind, with a correlation with each of the two.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gold_rewards import Gold, gold_from_sample
from simulator.languages.language import lengths
from simulator.measurement.estimators import Estimate, reweighted, sum_of_means, win_probability
from simulator.networks.sampling import sample_blocks
from simulator.networks.token_log_probs import MAX_FLOATS, floats_per_prompt, response_log_probs
from simulator.settings.world_spec import WorldSpec
from simulator.worlds.components import Components, content_of, fluency_under, refuse_gold
from simulator.worlds.listing import Listing

GOLD_DIGITS = 5  # scores closer than that are a tie; networks round differently in different company
TILT = 0.05  # change of content's weight, in logarithms, over which the slope of a win rate is taken

Array = np.ndarray


def gold_score(parts: Tensor) -> Tensor:
    """The scores of `parts` [K, …], rounded so that equal responses have equal scores."""
    return parts.sum(dim=0).round(decimals=GOLD_DIGITS)


@dataclass(frozen=True, kw_only=True)
class ReferenceSample:
    """Responses of the reference [n, b, T], log pi_ref of each [n, b], and what the judge makes of them, [K, n, b]."""

    responses: Tensor
    reference: Tensor
    parts: Tensor

    @property
    def centred_parts(self) -> Tensor:
        """The parts without their means at each prompt."""
        return self.parts - self.parts.mean(dim=-1, keepdim=True)

    @property
    def deviations(self) -> Tensor:
        """The deviation of each part, [K]; 0 for fluency without weight."""
        count = self.parts.shape[-1]
        return (self.centred_parts.square().mean(dim=(1, 2)) * count / (count - 1)).sqrt()

    @property
    def log_scale_influence(self) -> Tensor:
        """Influences of each response on the log of each deviation, and on the correlation of each two parts, with mean
        0: log d_c, log d_f and r, [3, n, b], or [6, n, b] with length.
        """
        unit = self.deviations[:, None, None]
        standard = self.centred_parts / torch.where(unit > 0, unit, 1.0)
        drifts = [x.square() / 2 for x in standard]
        for x, y in itertools.combinations(standard, 2):
            drifts.append(x * y - (x * y).mean() * (x.square() + y.square()) / 2)
        found = torch.stack(drifts)
        return found - found.mean(dim=(1, 2), keepdim=True)

    def unit_influence(self, means: Sequence[Tensor | float]) -> Tensor:
        """What each response of the baseline does to gold's unit, for policies of these mean parts [K], [.., n, b]."""
        drifts, total = self.log_scale_influence, sum(means)
        moved = means[0] * drifts[0]
        for mean, drift in zip(means[1:], drifts[1:], strict=False):
            moved = moved + mean * drift
        for (d, e), drift in zip(itertools.combinations(self.deviations, 2), drifts[len(means) :], strict=True):
            moved = moved + total * (d * e) * drift
        return moved

    def gold(self, parts: Tensor, *, share: float, weights: Tensor | None = None) -> Estimate:
        """Gold of policies whose responses have `parts` [K, R, n, m], and weights [R, n, m] where not all are alike."""
        scores, own = gold_score(parts), gold_score(self.parts)
        gold = scores - own.mean(dim=-1, keepdim=True)
        parts = reweighted(parts, weights)
        means = (parts - self.parts.mean(dim=-1)[:, None, :, None]).mean(dim=(2, 3))[..., None, None]
        centred = own - own.mean(dim=-1, keepdim=True)
        return sum_of_means([reweighted(gold, weights), -centred - self.unit_influence(list(means))], share=share)

    def fluency(self, parts: Tensor, *, share: float, weights: Tensor | None = None) -> Estimate:
        """What fluency gives of the gold of policies whose responses have `parts` [K, R, n, m]; see `gold`."""
        own = self.parts[1]
        found = reweighted(parts[1] - own.mean(dim=-1, keepdim=True), weights)
        centred = own - own.mean(dim=-1, keepdim=True)
        moved = self.unit_influence(self.fluency_alone(found.mean(dim=(1, 2))[..., None, None]))
        return sum_of_means([found, -centred - moved], share=share)

    def fluency_alone(self, mean: Tensor | float) -> list[Tensor | float]:
        """Means of all parts [K] where only fluency has one."""
        return [mean if number == 1 else 0.0 for number in range(len(self.parts))]

    def win_rate(self, parts: Tensor, *, share: float, weights: Tensor | None = None) -> Estimate:
        """The probability that policies' responses, with `parts` [K, R, n, m], have more gold than the reference's.

        weights [R, n, m]: of the responses, where not all are alike.
        """
        drifts = self.log_scale_influence
        others = [number for number in range(len(parts)) if number != 1]  # that fluency's weight stands beside
        moved = [self.win_rate_slope(parts, number, share, weights) * (drifts[1] - drifts[number]) for number in others]
        return win_probability(
            gold_score(parts),
            gold_score(self.parts)[None],
            share=share,
            influence=moved[0] if len(moved) == 1 else torch.stack(moved).sum(dim=0),
            weights=weights,
        )

    def win_rate_slope(self, parts: Tensor, number: int, share: float, weights: Tensor | None) -> Tensor:
        """The slope of the win rate along the logarithm of the weight of one part, [R, 1, 1]."""
        tilted = []
        for tilt in (TILT, -TILT):
            weight = torch.ones(len(parts), dtype=parts.dtype)
            weight[number] = torch.tensor(tilt, dtype=parts.dtype).exp()
            weight = weight.to(parts.device)
            scores, others = (part * weight.view(-1, *[1] * (part.dim() - 1)) for part in (parts, self.parts))
            others = gold_score(others)[None]
            tilted.append(win_probability(gold_score(scores), others, share=share, weights=weights).mean)
        return ((tilted[0] - tilted[1]) / (2 * TILT))[:, None, None]


def share_of_identical(responses: Array) -> float:
    """The share of pairs of two of the responses [n, b, T] to one prompt that are the same."""
    count = responses.shape[1]
    twice = sum(
        int((times * (times - 1)).sum())
        for some in responses
        for times in [np.unique(some, axis=0, return_counts=True)[1]]
    )
    return twice / (len(responses) * count * (count - 1))


def draw_reference_sample(
    spec: WorldSpec, ground: Components, prompts: Tensor, reference: Tensor, end: int | None
) -> tuple[Gold, ReferenceSample, dict[str, Any]]:
    """The baseline of the measured prompts [n, L], the judge that it gives a scale, and the facts of both."""
    rows = reference.unsqueeze(0)
    length, count = spec.world.response_length, spec.measure.baseline
    responses = sample_blocks(
        rows,
        ground.architecture,
        prompts,
        temperature=torch.ones(len(prompts), count, device=prompts.device),
        length=length,
        end=end,
        seed=spec.world.seed,
        purpose="baseline",
        at_once=MAX_FLOATS // floats_per_prompt(ground.architecture, prompts.shape[1]),
    )
    asked = prompts.repeat_interleave(count, dim=0)
    texts = asked.cpu().numpy(), responses.flatten(0, 1).cpu().numpy()
    content, fluency = content_of(spec), fluency_under(ground.language)
    shape = (len(prompts), count)
    try:
        weights = {"weight": spec.gold.fluency, "length_weight": spec.gold.length}
        judge = gold_from_sample(content, fluency, texts, shape, **weights)
    except ValueError as error:
        raise refuse_gold(spec, error) from None
    baseline = ReferenceSample(
        responses=responses,
        reference=response_log_probs(rows, ground.architecture, prompts[None], responses[None])[0],
        parts=torch.from_numpy(judge.score_parts(*texts)).view(-1, *shape).to(prompts.device),
    )
    facts = {
        **judge.facts(),
        "gold_rules": content.rules(),
        "reference_entropy": float(-baseline.reference.mean()),
        "identical_pairs": share_of_identical(responses.cpu().numpy()),
        "reference_length": float(lengths(texts[1]).mean()),
    }
    return judge, baseline, facts


def list_baseline(baseline: ReferenceSample, prompts: Tensor) -> Listing:
    """The baseline at the prompts of these rows [n] as a listing: each response is as likely as others."""
    scores = gold_score(baseline.parts).cpu().numpy()
    count = scores.shape[1]
    row = np.arange(len(scores)).repeat(count // 2)
    first = np.tile(np.arange(count // 2), len(scores))
    return Listing(
        rows=prompts.cpu().numpy(),
        reference_probs=np.full(scores.shape, 1 / count),
        gold=scores - scores.mean(axis=1, keepdims=True),
        pairs=np.column_stack([row, first, first + count // 2]),
    )
