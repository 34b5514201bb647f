"""The baseline of a sampled world: responses of the reference, and the scale that they give to gold.

Shapes: n measured prompts, L prompt length, b responses to each, T response length, N texts.

Gold is recentred and rescaled as in an enumerable world, but by sample means and deviations, which carry errors.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gold_rewards import GoldReward, scale_of_samples
from simulator.along import AT_ONCE, numbers_for_one, said
from simulator.estimates import clustered
from simulator.ground import Ground, content_of, fluency_under, refuse_gold
from simulator.language import lengths
from simulator.sampling import sample_lots
from simulator.settings import Settings
from simulator.transformer import unstack

GOLD_DIGITS = 5  # scores closer than that are a tie; networks round differently in different company

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Gold of any response but for the mean of its prompt: content plus weighted fluency, over `deviation`."""

    content: GoldReward
    fluency: Callable[[Array, Array], Array]
    content_deviation: float
    fluency_deviation: float
    fluency_weight: float
    deviation: float

    def __call__(self, prompts: Array, responses: Array) -> Array:
        """Scores [N] of responses [N, T] to prompts [N, L]."""
        content = self.content(prompts, responses) / self.content_deviation
        fluency = self.fluency(prompts, responses) / self.fluency_deviation
        return np.round((content + self.fluency_weight * fluency) / self.deviation, GOLD_DIGITS)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Responses of the reference [n, b, T], and how good they are.

    reference [n, b]: their log pi_ref. mean [n]: of the judge's scores at each prompt; variance [n]: of that mean.
    gold [n, b]: the scores without their mean, sorted at each prompt. scale_error: relative standard error of the
    judge's deviation.
    """

    responses: Tensor
    reference: Tensor
    mean: Tensor
    variance: Tensor
    gold: Tensor
    scale_error: float


def draw_baseline(
    settings: Settings, ground: Ground, prompts: Tensor, reference: Tensor, end: int | None
) -> tuple[Judge, Baseline, dict[str, Any]]:
    """The baseline of the measured prompts [n, L], the judge that it gives a scale, and the facts of both."""
    blocks = unstack(reference.unsqueeze(0), ground.architecture)
    length, count = settings.world.response_length, settings.measure.baseline
    responses = sample_lots(
        blocks,
        ground.architecture,
        prompts,
        temperature=torch.ones(len(prompts), count, device=prompts.device),
        length=length,
        end=end,
        seed=settings.world.seed,
        purpose="baseline",
        at_once=AT_ONCE // numbers_for_one(ground.architecture, prompts.shape[1]),
    )
    asked = prompts.repeat_interleave(count, dim=0)
    texts = asked.cpu().numpy(), responses.flatten(0, 1).cpu().numpy()
    content, fluency = content_of(settings), fluency_under(ground.language)
    shape = (len(prompts), count)
    try:
        parts = [scale_of_samples(score(*texts).reshape(shape)).deviation for score in (content, fluency)]
        judge = Judge(
            content=content,
            fluency=fluency,
            content_deviation=parts[0],
            fluency_deviation=parts[1],
            fluency_weight=settings.gold.fluency,
            deviation=1.0,
        )
        judge = replace(judge, deviation=scale_of_samples(judge(*texts).reshape(shape)).deviation)
    except ValueError as error:
        raise refuse_gold(settings, error) from None
    scores = torch.from_numpy(judge(*texts)).view(shape).to(prompts.device)
    mean = scores.mean(dim=1)
    gold = scores - mean.unsqueeze(1)
    share = len(prompts) / settings.world.prompts
    unit = clustered(gold.square() * (count / (count - 1)), share=share)
    single = responses.flatten(0, 1).unsqueeze(1)
    log_probs = said(blocks, ground.architecture, asked[None], single[None]).view(len(prompts), count)
    facts = {
        "gold_content_deviation": judge.content_deviation,
        "gold_fluency_deviation": judge.fluency_deviation,
        "gold_deviation": judge.deviation,
        "gold_deviation_error": judge.deviation * float(unit.error) / 2,
        "gold_rules": content.rules(),
        "reference_entropy": float(-log_probs.mean()),
        "reference_length": float(lengths(texts[1]).mean()),
    }
    return (
        judge,
        Baseline(
            responses=responses,
            reference=log_probs,
            mean=mean,
            variance=gold.var(dim=-1) / count,
            gold=gold.sort(dim=-1).values,
            scale_error=float(unit.error) / 2,
        ),
        facts,
    )
