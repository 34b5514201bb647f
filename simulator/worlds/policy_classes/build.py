"""The class of policies that settings name.

Shapes: P prompts, G responses, T response length, M inner nodes of the prefix tree, V vocabulary.
"""

import torch
from torch import Tensor

from simulator.engine.forward_kl import exact_under_reference
from simulator.objectives.objective import UnderReference
from simulator.settings.world_spec import WorldSpec
from simulator.worlds.components import Components
from simulator.worlds.policy_classes.features import FEATURES
from simulator.worlds.policy_classes.policy_class import PolicyClass
from simulator.worlds.policy_classes.tilted import Tilted, TiltedUnderReference
from simulator.worlds.policy_classes.transformers import Transformers


def listed_class(spec: WorldSpec, ground: Components, responses: Tensor, log_reference: Tensor) -> PolicyClass:
    """The class of a world that lists its responses [G, T], with log pi_ref [P, G] of each."""
    prompts, vocabulary = torch.from_numpy(ground.prompts), spec.world.vocabulary
    if spec.policy.kind == "transformer":
        return Transformers(
            architecture=ground.architecture, prompts=prompts, start=ground.reference, end=None, responses=responses
        )
    return Tilted(
        kind=spec.policy.kind,
        prompts=prompts,
        responses=responses,
        vocabulary=vocabulary,
        log_reference=log_reference,
        features=FEATURES[spec.policy.features](prompts, responses, vocabulary).contiguous()
        if spec.policy.kind == "linear"
        else None,
    )


def listed_under_reference(policies: PolicyClass, nodes: Tensor) -> UnderReference:
    """The exact expectation under the reference; nodes: its next-token log-probabilities, [P, M, V]."""
    if isinstance(policies, Transformers):
        return exact_under_reference(policies.architecture, policies.prompts, nodes)
    assert isinstance(policies, Tilted)
    return TiltedUnderReference(policies=policies)
