"""Which golds there may be: the family that `gold.seed` draws from, as sums of features with random weights.

Whoever chooses a policy from pairs is taken to know everything about gold but its seed: its kind, the weight of
fluency, the language. With features φ(x, y) and weights w,

    content = φ w + c₀,    gold = (content / d_c(w) + h) / d(w) - its mean at the prompt,

where h is what fluency and length give, and the deviations d_c and d are those under the reference, as in
gold_rewards/gold.py. Shapes: P prompts, G responses, F features.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import numpy as np

from gold_rewards import GOLD_REWARDS
from gold_rewards.encoder import TransformerReward
from gold_rewards.gold import lengths_of
from gold_rewards.rewards.additive import AdditiveReward
from gold_rewards.rewards.motif import ECHO_WEIGHT, Motif, MotifReward
from gold_rewards.scale import scale_under
from simulator.common.random_streams import random_stream
from simulator.execution.devices import processes_on
from simulator.worlds.components import EncoderByEngine, content_of, fluency_under, language_of
from simulator.worlds.listing import scores_of_all
from simulator.worlds.protocol import ListedWorld

Array = np.ndarray

DRAWN = 256  # networks whose sums stand for golds that are no sum of features


@dataclass(frozen=True, kw_only=True)
class GoldFamily:
    """Golds as sums of weighted features, with weights that are standard normal beforehand.

    features: φ, [1, G, F] where prompts do not matter, else [P, G, F]. fixed: c₀, [P, G]. law: pi_ref, [P, G]. side:
    h, [P, G], with mean 0 at each prompt. active: how many weights are not 0, a set drawn beforehand with all sets
    alike; None where all may be. truth: the weights of the world's own gold, [F]; None where it is not among them. how:
    for people.
    """

    features: Array
    fixed: Array
    law: Array
    side: Array
    active: int | None
    truth: Array | None
    how: str


def family_of(world: ListedWorld) -> GoldFamily:
    """The golds that differ from the world's in their seed alone, as far as they are sums of features."""
    spec, law = world.spec, world.reference_log_probs.exp().cpu().numpy()
    reward, about = content_of(spec), {"law": law, "side": side_of(world, law)}
    if isinstance(reward, AdditiveReward):
        return additive(world, reward, about)
    if isinstance(reward, MotifReward):
        return motifs(world, reward, about)
    return drawn(world, about)


def additive(world: ListedWorld, reward: AdditiveReward, about: Mapping[str, Array]) -> GoldFamily:
    """How often each token comes."""
    tokens = np.arange(world.spec.world.vocabulary)
    counts = (world.responses.cpu().numpy()[..., None] == tokens).sum(axis=1, dtype=float)
    return GoldFamily(
        features=counts[None],
        fixed=np.zeros(about["law"].shape),
        active=None,
        truth=reward.weights,
        how="all golds of this kind",
        **about,
    )


def motifs(world: ListedWorld, reward: MotifReward, about: Mapping[str, Array]) -> GoldFamily:
    """Whether each motif that there may be is found; so many of them count."""
    every, responses = every_motif(world.spec.world.vocabulary), world.responses.cpu().numpy()
    found = np.stack([motif.found(responses) for motif in every], axis=1).astype(float)
    weights = {(one.first, one.second, one.adjacent): one.weight for one in reward.motifs}
    last = world.prompts.cpu().numpy()[:, -1]
    return GoldFamily(
        features=found[None],
        fixed=ECHO_WEIGHT * (responses[None] == last[:, None, None]).any(axis=2),
        active=len(reward.motifs),
        truth=np.array([weights.get((one.first, one.second, one.adjacent), 0.0) for one in every]),
        how="all golds of this kind",
        **about,
    )


def drawn(world: ListedWorld, about: Mapping[str, Array]) -> GoldFamily:
    """Sums of `DRAWN` golds of the kind "transformer" with normal weights: of the same covariance, as their number
    grows, as the golds of that kind; for other golds, of no kind of ours, a stand-in.
    """
    spec = world.spec
    prompts, responses = world.prompts.cpu().numpy(), world.responses.cpu().numpy()

    def one(number: int) -> Array:
        reward = GOLD_REWARDS["transformer"](
            vocabulary=spec.world.vocabulary,
            prompt_length=spec.world.prompt_length,
            response_length=spec.world.response_length,
            rng=random_stream(spec.gold.seed, "regret", number),
        )
        content = scores_of_all(EncoderByEngine(reward=cast(TransformerReward, reward)), prompts, responses)
        return scale_under(about["law"], content).apply(content).astype(np.float32)

    with ThreadPoolExecutor(processes_on("cpu", None)) as threads:
        tables = list(threads.map(one, range(DRAWN)))
    return GoldFamily(
        features=np.moveaxis(np.array(tables), 0, -1) / np.float32(np.sqrt(DRAWN)),
        fixed=np.zeros(about["law"].shape),
        active=None,
        truth=None,
        how=f"sums of {DRAWN} random networks",
        **about,
    )


def every_motif(vocabulary: int) -> list[Motif]:
    """All motifs of two tokens, side by side and anywhere, each of weight 1."""
    tokens = range(vocabulary)
    return [
        Motif(first=first, second=second, adjacent=adjacent, weight=1.0)
        for adjacent in (True, False)
        for first in tokens
        for second in tokens
    ]


def side_of(world: ListedWorld, law: Array) -> Array:
    """What fluency and length give to gold before the sum is scaled, [P, G], with mean 0 at each prompt."""
    gold, responses = world.spec.gold, world.responses.cpu().numpy()
    fluency = scores_of_all(fluency_under(language_of(world.spec)), world.prompts.cpu().numpy(), responses)
    side = gold.fluency * scale_under(law, fluency).apply(fluency)
    if gold.length:
        lengths = np.broadcast_to(lengths_of(responses), law.shape).astype(float)
        side = side + gold.length * scale_under(law, lengths).apply(lengths)
    return side
