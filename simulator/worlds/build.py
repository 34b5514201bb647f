"""Worlds of every kind, made from what they follow from.

Shapes: P prompts, G responses of up to T tokens.
"""

from collections.abc import Callable

import numpy as np
import torch

from gold_rewards import gold_over_all
from simulator.common.random_streams import random_stream
from simulator.measurement.exact import ReferenceLaw, gold_rank
from simulator.measurement.policy_summary import PROMPTS
from simulator.measurement.probability_mass import checked_mass
from simulator.networks.listing.prefix_tree import node_log_probs
from simulator.networks.listing.response_list import list_responses
from simulator.settings.tables import Settings
from simulator.settings.world_spec import WorldSpec
from simulator.worlds.behaviour import (
    draw_pairs,
)
from simulator.worlds.components import Components, content_of, fluency_under, make_components, refuse_gold, sizes
from simulator.worlds.enumerable import EnumerableWorld
from simulator.worlds.listing import (
    Listing,
    breaks_of_all,
    scores_of_all,
    ungrammatical_of_all,
)
from simulator.worlds.policy_classes.build import listed_class
from simulator.worlds.policy_classes.sizes import class_facts
from simulator.worlds.protocol import World
from simulator.worlds.sampled import sample_world

FRESH_PAIRS = 8192  # that proxies are compared with gold on

Array = np.ndarray


def listing_of(law: Array, gold: Array, seed: int) -> Listing:
    """Every response with pi_ref = `law` and gold [P, G], and pairs of a seed that no proxy learns from."""
    row, pair, _ = draw_pairs((law, law), pairs=FRESH_PAIRS, rng=random_stream(seed, "fresh pairs"))
    return Listing(
        rows=np.arange(len(law)),
        reference_probs=law / law.sum(axis=1, keepdims=True),
        gold=gold,
        pairs=np.column_stack([row, pair]),
    )


def list_world(spec: WorldSpec, ground: Components, device: torch.device) -> EnumerableWorld:
    """The world of `spec` on `ground`, made on the CPU and then moved. Raises ConfigError if gold has no scale."""
    end = ground.language.end if spec.world.language.ends else None
    listed = list_responses(spec.world.vocabulary, spec.world.response_length, end)
    rows, prompts = ground.reference.unsqueeze(0), torch.from_numpy(ground.prompts)
    nodes = node_log_probs(rows, ground.architecture, prompts, spec.world.response_length)
    log_probs, responses, lengths = listed.log_probs(nodes)[0], listed.responses.numpy(), listed.lengths.numpy()
    fluency = scores_of_all(fluency_under(ground.language), ground.prompts, responses)
    reward, law = content_of(spec), log_probs.exp().numpy()
    try:
        content = scores_of_all(reward, ground.prompts, responses)
        weights = {"weight": spec.gold.fluency, "length_weight": spec.gold.length}
        gold, of_fluency, scale = gold_over_all(content, fluency, law, lengths=lengths, **weights)
    except ValueError as error:
        raise refuse_gold(spec, error) from None
    said, law = checked_mass(np.exp(fluency * lengths), "the language"), checked_mass(law, "the reference")
    return EnumerableWorld(
        spec=spec,
        architecture=ground.architecture,
        prompts=torch.from_numpy(ground.prompts),
        response_list=listed,
        reference=ground.reference,
        reference_nodes=nodes[0],
        reference_law=ReferenceLaw(
            reference=log_probs,
            gold=torch.from_numpy(gold),
            fluency=torch.from_numpy(of_fluency),
            gold_rank=gold_rank(log_probs, torch.from_numpy(gold)),
            length=spec.world.response_length,
            lengths=None if end is None else listed.lengths,
        ),
        kl_estimators=spec.measure.kl_estimators,
        policy_class=listed_class(spec, ground, listed, log_probs),
        listing=listing_of(law, gold, spec.world.seed),
        breaks=torch.from_numpy(breaks_of_all(ground.language, ground.prompts[:PROMPTS], responses)),
        ungrammatical=torch.from_numpy(ungrammatical_of_all(ground.language, ground.prompts, responses)),
        facts={
            **sizes(spec, ground),
            "responses": len(responses),
            "identical_pairs": float((law**2).sum(axis=1).mean()),
            "reference_cross_entropy": float(-(said * log_probs.numpy()).sum(axis=1).mean()),
            "reference_entropy": float(-(log_probs.exp() * log_probs).sum(dim=1).mean()),
            **(scale | class_facts(spec)),
            "gold_rules": reward.rules(),
            **({} if end is None else {"reference_length": float((law * lengths).sum(axis=1).mean())}),
        },
    ).to(device)


KINDS: dict[str, Callable[[WorldSpec, Components, torch.device], World]] = {
    "enumerable": list_world,
    "sampled": sample_world,
}


def build_world(made_of: WorldSpec | Settings, device: torch.device | None = None) -> World:
    """Make a world on `device`, the CPU unless said. Raises ConfigError where what it is made of allows none."""
    spec = made_of if isinstance(made_of, WorldSpec) else made_of.spec
    device = device or torch.device("cpu")
    return KINDS[spec.world.kind](spec, make_components(spec, device), device)
