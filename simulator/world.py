"""An enumerable world: prompts, every response to them, the reference's law, and how good each response is.

Shapes: P prompts, L prompt length, G = V^T responses of T tokens, M inner nodes of the prefix tree, V vocabulary,
D parameters. Gold is content plus fluency, each in standard deviations under the reference, and their sum is
standardized once more. Fluency is the log-likelihood under the language itself: what a policy says
outside of it costs gold, and pairs drawn from the reference hardly show such responses. That, not the content,
is what lets gold fall when a policy is pushed too far.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gold_rewards import GOLD_REWARDS, scale_under
from simulator.complaints import ConfigError
from simulator.config import Settings
from simulator.enumeration import all_responses, leaf_log_probs, node_log_probs
from simulator.grid import digest
from simulator.language import draw_prompts, entropy, log_likelihood, make_language
from simulator.measurement import Yardstick, gold_rank
from simulator.reference import Recipe, cached_reference
from simulator.streams import stream
from simulator.transformer import Architecture, unstack

MADE_OF = ("world", "reference", "gold", "policy")  # the tables that a world follows from


@dataclass(frozen=True, kw_only=True)
class World:
    """What all runs in a world share.

    prompts [P, L] and responses [G, T] are token ids; reference [D] are the parameters of pi_ref, and
    reference_nodes [P, M, V] its next-token log-probabilities. facts: what `world.json` says of it.
    """

    architecture: Architecture
    prompts: Tensor
    responses: Tensor
    reference: Tensor
    reference_nodes: Tensor
    yardstick: Yardstick
    facts: dict[str, Any]

    def to(self, device: torch.device) -> "World":
        """The same world with its tensors on `device`."""
        tensors: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **tensors, yardstick=self.yardstick.to(device))


def world_name(settings: Settings) -> str:
    """A name that two settings share only if their worlds are the same."""
    return digest(settings.model_dump(include=set(MADE_OF)))


def architecture_of(settings: Settings) -> Architecture:
    """The network that the settings ask for."""
    world, policy = settings.world, settings.policy
    return Architecture(
        vocabulary=world.vocabulary,
        context=world.prompt_length + world.response_length - 1,
        layers=policy.layers,
        width=policy.width,
        heads=policy.heads,
    )


def build_world(settings: Settings) -> World:
    """Make the world of `settings`, on the CPU. Raises ConfigError where the settings allow none."""
    world = settings.world
    architecture = architecture_of(settings)
    language = make_language(
        vocabulary=world.vocabulary,
        topics=world.topics,
        branching=world.branching,
        slip=world.language.slip,
        rng=stream(world.seed, "language"),
    )
    try:
        prompts = draw_prompts(
            language, prompts=world.prompts, length=world.prompt_length, rng=stream(world.seed, "prompts")
        )
    except ValueError as error:
        raise ConfigError(f"world.prompts = {world.prompts}: {error}") from None
    reference = cached_reference(
        language,
        architecture,
        Recipe(prompt_length=world.prompt_length, seed=world.seed, **settings.reference.model_dump()),
    )
    if not reference.isfinite().all():
        rate = settings.reference.learning_rate
        raise ConfigError(f"reference.learning_rate = {rate:g}: the reference diverged in training; take a smaller one")
    blocks = unstack(reference.unsqueeze(0), architecture)
    nodes = node_log_probs(blocks, architecture, torch.from_numpy(prompts), world.response_length)
    log_probs = leaf_log_probs(nodes, world.vocabulary)[0]
    responses = all_responses(world.vocabulary, world.response_length)
    likelihood = score_all(partial(log_likelihood, language), prompts, responses)
    gold, scale = gold_scores(settings, prompts, responses, log_probs.exp().numpy(), likelihood)
    return World(
        architecture=architecture,
        prompts=torch.from_numpy(prompts),
        responses=torch.from_numpy(responses),
        reference=reference,
        reference_nodes=nodes[0],
        yardstick=Yardstick(reference=log_probs, gold=gold, gold_rank=gold_rank(log_probs, gold)),
        facts={
            **_sizes(settings, architecture),
            "language_entropy": float(entropy(language, prompts, world.response_length).mean()),
            "reference_cross_entropy": float(-(np.exp(likelihood) * log_probs.numpy()).sum(axis=1).mean()),
            "reference_entropy": float(-(log_probs.exp() * log_probs).sum(dim=1).mean()),
            "largest_entropy": float(world.response_length * np.log(world.vocabulary)),
            **scale,
        },
    )


def score_all(
    score: Callable[[np.ndarray, np.ndarray], np.ndarray], prompts: np.ndarray, responses: np.ndarray
) -> np.ndarray:
    """`score` of every response [G, T] to every prompt [P, L], as [P, G]."""
    return np.stack([score(np.repeat(row[None], len(responses), axis=0), responses) for row in prompts])


def gold_scores(
    settings: Settings, prompts: np.ndarray, responses: np.ndarray, law: np.ndarray, likelihood: np.ndarray
) -> tuple[Tensor, dict[str, Any]]:
    """Gold [P, G] in standard deviations under the reference, and the facts of its scale.

    law [P, G] is the reference's and likelihood [P, G] the language's log-likelihood, in nats.
    """
    world, gold = settings.world, settings.gold
    reward = GOLD_REWARDS[gold.reward](
        vocabulary=world.vocabulary,
        prompt_length=world.prompt_length,
        response_length=world.response_length,
        rng=stream(gold.seed, "gold", gold.reward),
    )
    content = score_all(reward, prompts, responses)
    try:
        content_scale, fluency_scale = scale_under(law, content), scale_under(law, likelihood)
        total = content_scale.apply(content) + gold.fluency * fluency_scale.apply(likelihood)
        total_scale = scale_under(law, total)
    except ValueError as error:
        raise ConfigError(f"gold.reward = {gold.reward}, gold.seed = {gold.seed}: {error}") from None
    facts: dict[str, Any] = {
        "gold_content_deviation": content_scale.deviation,
        "gold_fluency_deviation": fluency_scale.deviation,
        "gold_deviation": total_scale.deviation,
    }
    scores = total_scale.apply(total)
    facts["gold_best"] = float(scores.max(axis=1).mean())
    return torch.from_numpy(scores), facts | {"gold_rules": reward.rules()}


def _sizes(settings: Settings, architecture: Architecture) -> dict[str, Any]:
    world = settings.world
    return {
        "kind": world.kind,
        "vocabulary": world.vocabulary,
        "response_length": world.response_length,
        "responses": world.vocabulary**world.response_length,
        "prompts": world.prompts,
        "prompt_length": world.prompt_length,
        "topics": world.topics,
        "branching": world.branching,
        "slip": world.language.slip,
        "policy_parameters": architecture.parameters,
        "gold_reward": settings.gold.reward,
        "gold_fluency": settings.gold.fluency,
        "world_seed": world.seed,
        "gold_seed": settings.gold.seed,
    }
