"""What every world stands on: a language, prompts in it, a reference that learned it, and a gold reward.

Shapes: P prompts, L prompt length, N texts, T response length, D parameters. Gold is content plus fluency. Fluency is
the log-likelihood under the language itself, in nats per token: what a policy says outside of the language costs
gold, and pairs drawn from the reference hardly show such responses. That, not the content, is what lets gold fall
when a policy is pushed too far.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gold_rewards import GOLD_REWARDS, GoldReward
from gold_rewards.encoder import AT_ONCE, HEADS, LAYERS, WIDTH, TransformerReward
from simulator.common.errors import ConfigError
from simulator.common.random_streams import random_stream
from simulator.languages import LANGUAGES
from simulator.languages.language import Language, lengths
from simulator.languages.markov import DRAWS, make_language
from simulator.languages.text import open_text, text_bytes
from simulator.native.calls import judge
from simulator.native.library import Sizes, in_use
from simulator.networks.architecture import Architecture
from simulator.own_rewards.load import own_reward
from simulator.own_rewards.source import is_own_reward
from simulator.own_rewards.trial import Sizes as RewardSizes
from simulator.settings.relevant_keys import is_drawn
from simulator.settings.world_spec import WorldSpec
from simulator.worlds.reference import Recipe, cached_reference, reference_hash, reference_key, reference_path

Array = np.ndarray
EXAMINED = 3 * 10**8  # comparisons of numbers in a second or so


@dataclass(frozen=True, kw_only=True)
class Components:
    """language; architecture of policy and reference; prompts [P, L]; reference [D], the parameters of pi_ref."""

    language: Language
    architecture: Architecture
    prompts: Array
    reference: Tensor


def architecture_of(spec: WorldSpec) -> Architecture:
    """The network that the spec ask for."""
    world, policy = spec.world, spec.policy
    return Architecture(
        vocabulary=world.vocabulary,
        context=world.prompt_length + world.response_length - 1,
        layers=policy.layers,
        width=policy.width,
        heads=policy.heads,
    )


def language_of(spec: WorldSpec) -> Language:
    """The language that the spec names. Raises ConfigError where it is a text that will not do."""
    world = spec.world
    if world.language.kind != "auto":
        return LANGUAGES[world.language.kind].make(
            vocabulary=world.vocabulary,
            prompt_length=world.prompt_length,
            response_length=world.response_length,
            rng=random_stream(world.seed, "language"),
        )
    if world.language.text:
        return open_text(
            world.language.text,
            held_out=world.language.held_out,
            end=world.language.end,
            prompt_length=world.prompt_length,
            response_length=world.response_length,
        )
    return make_language(
        vocabulary=world.vocabulary,
        length=world.response_length,
        topics=world.topics,
        branching=world.branching,
        slip=world.language.slip,
        stop=world.language.stop,
        rng=random_stream(world.seed, "language"),
    )


def language_and_prompts(spec: WorldSpec) -> tuple[Language, Array]:
    """The language of `spec`, and the prompts in it [P, L]. Raises ConfigError where there are none such."""
    world = spec.world
    language = language_of(spec)
    try:
        prompts = language.draw_prompts(
            prompts=world.prompts, length=world.prompt_length, rng=random_stream(world.seed, "prompts")
        )
    except ValueError as error:
        raise ConfigError(f"world.prompts = {world.prompts}: {error}") from None
    return language, prompts


def examine_languages(worlds: Iterable[WorldSpec]) -> None:
    """Raises ConfigError where a language has no prompts as they are asked for, as far as that is soon found out.

    What takes long is left to the making of the world, which says the same.
    """
    left = EXAMINED
    for spec in {spec.world: spec for spec in worlds}.values():
        left -= examination_cost(spec)
        if left < 0:
            return
        language_and_prompts(spec)


def examination_cost(spec: WorldSpec) -> int:
    """What it takes to draw prompts, at most, in comparisons of numbers."""
    world = spec.world
    if world.language.text:
        return 100 * text_bytes(world.language.text)
    drawn = 2 * world.prompts * DRAWS
    return 20 * world.topics * world.chain_vocabulary**2 + drawn * (world.prompt_length * world.chain_vocabulary + 20)


def recipe_of(spec: WorldSpec) -> Recipe:
    """How the reference of the spec is trained."""
    return Recipe(prompt_length=spec.world.prompt_length, seed=spec.world.seed, **spec.reference.model_dump())


def reference_file(spec: WorldSpec) -> Path:
    """Where the cache keeps the reference of the spec, once it is trained. Raises ConfigError."""
    return reference_path(reference_key(language_of(spec), architecture_of(spec), recipe_of(spec)))


def make_components(spec: WorldSpec, device: torch.device) -> Components:
    """Make what the world of `spec` stands on; the reference is trained on `device`. Raises ConfigError."""
    architecture = architecture_of(spec)
    language, prompts = language_and_prompts(spec)
    reference = cached_reference(language, architecture, recipe_of(spec), device)
    if not reference.isfinite().all():
        rate = spec.reference.learning_rate
        raise ConfigError(f"reference.learning_rate = {rate:g}: the reference diverged in training; take a smaller one")
    return Components(language=language, architecture=architecture, prompts=prompts, reference=reference)


@dataclass(frozen=True, kw_only=True)
class EncoderByEngine:
    """The gold reward "transformer", read by the compiled engine where that computes: the same up to rounding."""

    reward: TransformerReward

    def __call__(self, prompts: Array, responses: Array) -> Array:
        """Content score [N] of responses [N, T] to prompts [N, L], in arbitrary units."""
        if not in_use():
            return self.reward(prompts, responses)
        texts = torch.from_numpy(np.concatenate([prompts, responses], axis=1, dtype=np.int64))
        sizes = Sizes(
            vocabulary=len(self.reward.token),
            context=texts.shape[1],
            layers=LAYERS,
            width=WIDTH,
            heads=HEADS,
            outputs=len(self.reward.token),
            prompt=prompts.shape[1],
            responses=1,
            length=responses.shape[1],
        )
        weights = self.reward.row()
        return torch.cat([judge(sizes, weights, some) for some in texts.split(AT_ONCE)]).double().numpy()

    def rules(self) -> list[str]:
        """What the score is made of."""
        return self.reward.rules()


def content_of(spec: WorldSpec, annotator: int | None = None) -> GoldReward:
    """The gold reward for content that the spec names, or another of its kind, drawn for an annotator.

    Raises ConfigError where it is the user's own and wrong.
    """
    world, gold = spec.world, spec.gold
    purpose: tuple[str | int, ...] = ("gold",) if annotator is None else ("annotator", annotator)
    if is_own_reward(gold.reward):
        return own_reward(gold.reward, spec.source, sizes_for_own(spec))
    try:
        reward = GOLD_REWARDS[gold.reward](
            vocabulary=world.vocabulary,
            prompt_length=world.prompt_length,
            response_length=world.response_length,
            rng=random_stream(gold.seed, *purpose, gold.reward),
        )
    except ValueError as error:
        raise refuse_gold(spec, error) from None
    return EncoderByEngine(reward=reward) if isinstance(reward, TransformerReward) else reward


def sizes_for_own(spec: WorldSpec) -> RewardSizes:
    """What functions of the user's own are tried with."""
    world = spec.world
    return RewardSizes(
        vocabulary=world.vocabulary,
        prompt_length=world.prompt_length,
        response_length=world.response_length,
        ends=world.language.ends,
        is_text=bool(world.language.text),
    )


def fluency_under(language: Language) -> Callable[[Array, Array], Array]:
    """Fluency [N] of responses [N, T] to prompts [N, L]: log-likelihood under the language, in nats per token."""
    return lambda prompts, responses: language.log_likelihood(prompts, responses) / lengths(responses)


def sizes(spec: WorldSpec, ground: Components) -> dict[str, Any]:
    """The facts of a world that its settings and its language give."""
    world = spec.world
    return {
        "kind": world.kind,
        "vocabulary": world.vocabulary,
        "response_length": world.response_length,
        "prompts": world.prompts,
        "prompt_length": world.prompt_length,
        "policy_parameters": ground.architecture.parameters,
        "gold_reward": spec.gold.reward,
        "gold_fluency": spec.gold.fluency,
        **({"gold_length": spec.gold.length} if spec.gold.length else {}),
        "reference_sha256": reference_hash(ground.reference),
        "world_seed": world.seed,
        "gold_seed": spec.gold.seed,
        "largest_entropy": float(world.response_length * np.log(world.vocabulary)),
        **ground.language.facts(ground.prompts),
    }


def refuse_gold(spec: WorldSpec, error: ValueError) -> ConfigError:
    """What is said where gold has no scale, or a reward says itself what is wrong."""
    if isinstance(error, ConfigError):
        return error
    seed = f", gold.seed = {spec.gold.seed}" if is_drawn(spec.gold.reward) else ""
    return ConfigError(f"gold.reward = {spec.gold.reward}{seed}: {error}")
