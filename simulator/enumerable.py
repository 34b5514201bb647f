"""A world whose every response is listed, so that policies are measured exactly.

Shapes: R runs, P prompts, L prompt length, G = V^T responses of T tokens, M inner nodes of the prefix tree,
V vocabulary, D parameters, N pairs. Gold is in standard deviations under the reference: content and fluency
each, and once more their sum.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gold_rewards import scale_under
from simulator.enumeration import all_responses, leaf_log_probs, node_log_probs
from simulator.ground import Ground, content_of, fluency_under, refuse_gold, sizes
from simulator.measurement import Columns, Yardstick, gold_rank, measure_law
from simulator.oracle import oracle_rows
from simulator.preferences import Preferences, behaviour_law, chosen_first, draw_pairs
from simulator.settings import Data, Settings
from simulator.streams import stream
from simulator.transformer import Architecture, unstack

MEASURE_FLOATS = 2**18  # P * G * runs measured at once, so that memory does not grow with the stack

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class EnumerableWorld:
    """What all runs in a world share.

    prompts [P, L] and responses [G, T] are token ids; reference [D] are the parameters of pi_ref, and
    reference_nodes [P, M, V] its next-token log-probabilities. kl_estimators: those recorded beside the KL.
    facts: what `world.json` says of the world.
    """

    architecture: Architecture
    prompts: Tensor
    responses: Tensor
    reference: Tensor
    reference_nodes: Tensor
    yardstick: Yardstick
    kl_estimators: tuple[str, ...]
    facts: dict[str, Any]

    def to(self, device: torch.device) -> "EnumerableWorld":
        """The same world with its tensors on `device`."""
        tensors: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **tensors, yardstick=self.yardstick.to(device))

    def behaviour(self, data: Data) -> Array:
        """mu over all responses, [P, G]."""
        return behaviour_law(
            data.behaviour,
            self.reference_nodes.cpu(),
            temperature=data.behaviour_temperature,
            uniform_share=data.uniform_share,
        )

    def draw(self, data: Data, seed: int) -> Preferences:
        """The labelled pairs of a seed."""
        prompt, response, draws = draw_pairs(self.behaviour(data), pairs=data.pairs, rng=stream(seed, "pairs"))
        gold = self.yardstick.gold.cpu().numpy()[prompt[:, None], response]
        order = chosen_first(gold, draws, labels=data.labels, temperature=data.temperature, noise=data.label_noise)
        number = torch.from_numpy(np.take_along_axis(response, order, axis=1)).to(self.prompts.device)
        row = torch.from_numpy(prompt).to(self.prompts.device)
        return Preferences(
            prompt=row, responses=self.responses[number], reference=self.yardstick.reference[row.unsqueeze(1), number]
        )

    def number(self, responses: Tensor) -> Tensor:
        """The numbers of responses [..., T] in the list, [...]."""
        vocabulary, length = self.architecture.vocabulary, responses.shape[-1]
        place = torch.tensor([vocabulary ** (length - 1 - t) for t in range(length)], device=responses.device)
        return (responses * place).sum(dim=-1)

    def measure(self, parameters: Tensor, pairs: Preferences, data: Data) -> tuple[Columns, Tensor]:
        """Every column that needs no loss, [R] each, for parameters [R, D]; and the log-ratios of pairs, [R, N, 2]."""
        prompts, responses = self.yardstick.reference.shape
        size = max(1, MEASURE_FLOATS // (prompts * responses))
        behaviour = torch.from_numpy(self.behaviour(data)).to(self.prompts.device)
        columns: Columns = {}
        ratios = torch.empty_like(pairs.reference)
        for first in range(0, len(parameters), size):
            rows = slice(first, first + size)
            blocks = unstack(parameters[rows], self.architecture)
            nodes = node_log_probs(blocks, self.architecture, self.prompts, self.responses.shape[1])
            log_probs = leaf_log_probs(nodes, self.architecture.vocabulary)
            for name, value in measure_law(log_probs, self.yardstick, behaviour, self.kl_estimators).items():
                columns.setdefault(name, value.new_empty(len(parameters)))[rows] = value
            here = pairs.rows(rows)
            run = torch.arange(len(log_probs), device=log_probs.device)[:, None, None]
            ratios[rows] = log_probs[run, here.prompt.unsqueeze(2), self.number(here.responses)] - here.reference
        return columns, ratios

    def oracle(self, name: str) -> pd.DataFrame:
        """Records of the oracle frontier of this world, whose name is `name`."""
        return oracle_rows(self.yardstick, name)


def score_all(score: Callable[[Array, Array], Array], prompts: Array, responses: Array) -> Array:
    """`score` of every response [G, T] to every prompt [P, L], as [P, G]."""
    return np.stack([score(np.repeat(row[None], len(responses), axis=0), responses) for row in prompts])


def gold_scores(
    settings: Settings, prompts: Array, responses: Array, law: Array, fluency: Array
) -> tuple[Tensor, dict[str, Any]]:
    """Gold [P, G] in standard deviations under the reference, and the facts of its scale.

    law [P, G] is the reference's, and fluency [P, G] in nats per token.
    """
    reward = content_of(settings)
    content = score_all(reward, prompts, responses)
    try:
        content_scale, fluency_scale = scale_under(law, content), scale_under(law, fluency)
        total = content_scale.apply(content) + settings.gold.fluency * fluency_scale.apply(fluency)
        total_scale = scale_under(law, total)
    except ValueError as error:
        raise refuse_gold(settings, error) from None
    scores = total_scale.apply(total)
    return torch.from_numpy(scores), {
        "gold_content_deviation": content_scale.deviation,
        "gold_fluency_deviation": fluency_scale.deviation,
        "gold_deviation": total_scale.deviation,
        "gold_best": float(scores.max(axis=1).mean()),
        "gold_rules": reward.rules(),
    }


def list_world(settings: Settings, ground: Ground, device: torch.device) -> EnumerableWorld:
    """The world of `settings` on `ground`, made on the CPU and then moved. Raises ConfigError if gold has no scale."""
    vocabulary, length = settings.world.vocabulary, settings.world.response_length
    blocks = unstack(ground.reference.unsqueeze(0), ground.architecture)
    nodes = node_log_probs(blocks, ground.architecture, torch.from_numpy(ground.prompts), length)
    log_probs = leaf_log_probs(nodes, vocabulary)[0]
    responses = all_responses(vocabulary, length)
    fluency = score_all(fluency_under(ground.language), ground.prompts, responses)
    gold, scale = gold_scores(settings, ground.prompts, responses, log_probs.exp().numpy(), fluency)
    said = np.exp(fluency * length)
    world = EnumerableWorld(
        architecture=ground.architecture,
        prompts=torch.from_numpy(ground.prompts),
        responses=torch.from_numpy(responses),
        reference=ground.reference,
        reference_nodes=nodes[0],
        yardstick=Yardstick(reference=log_probs, gold=gold, gold_rank=gold_rank(log_probs, gold), length=length),
        kl_estimators=settings.measure.kl_estimators,
        facts={
            **sizes(settings, ground),
            "responses": len(responses),
            "reference_cross_entropy": float(-(said * log_probs.numpy()).sum(axis=1).mean()),
            "reference_entropy": float(-(log_probs.exp() * log_probs).sum(dim=1).mean()),
            **scale,
        },
    )
    return world.to(device)
