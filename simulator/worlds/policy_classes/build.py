"""The class of policies that settings name.

Shapes: P prompts, G responses, M inner nodes of the prefix tree, V vocabulary.
"""

import torch
from torch import Tensor

from simulator.engine.forward_kl import exact_under_reference
from simulator.networks.listing.response_list import ResponseList
from simulator.objectives.objective import UnderReference
from simulator.settings.world_spec import WorldSpec
from simulator.worlds.components import Components
from simulator.worlds.policy_classes.features import FEATURES
from simulator.worlds.policy_classes.policy_class import PolicyClass
from simulator.worlds.policy_classes.tilted import Tilted, TiltedUnderReference
from simulator.worlds.policy_classes.transformers import Transformers


def listed_class(spec: WorldSpec, ground: Components, listed: ResponseList, log_reference: Tensor) -> PolicyClass:
    """The class of a world that lists its responses, with log pi_ref [P, G] of each."""
    prompts, vocabulary = torch.from_numpy(ground.prompts), spec.world.vocabulary
    if spec.policy.kind == "transformer":
        return Transformers(
            architecture=ground.architecture, prompts=prompts, start=ground.reference, end=listed.end, listed=listed
        )
    features = None
    if spec.policy.kind == "linear":
        features = FEATURES[spec.policy.features](prompts, listed.responses, vocabulary).contiguous()
    return Tilted(kind=spec.policy.kind, prompts=prompts, listed=listed, log_reference=log_reference, features=features)


def listed_under_reference(policies: PolicyClass, nodes: Tensor) -> UnderReference:
    """The exact expectation under the reference; nodes: its next-token log-probabilities, [P, M, V]."""
    if isinstance(policies, Transformers):
        assert policies.listed is not None
        return exact_under_reference(policies.architecture, policies.prompts, nodes, policies.listed)
    assert isinstance(policies, Tilted)
    return TiltedUnderReference(policies=policies)
