"""The class of policies that settings name.

Shapes: P prompts, L prompt length, G responses, T response length, F features, M inner nodes of the prefix tree, V
vocabulary.
"""

import torch
from torch import Tensor

from simulator.engine.forward_kl import exact_under_reference
from simulator.networks.listing.response_list import ResponseList
from simulator.objectives.objective import UnderReference
from simulator.own_rewards.features import own_features
from simulator.settings.world_spec import WorldSpec
from simulator.user_code.loading import is_own
from simulator.worlds.components import Components, sizes_for_own
from simulator.worlds.policy_classes.features import FEATURES
from simulator.worlds.policy_classes.policy_class import PolicyClass
from simulator.worlds.policy_classes.tilted import Tilted, TiltedUnderReference
from simulator.worlds.policy_classes.transformers import Transformers


def listed_class(spec: WorldSpec, ground: Components, listed: ResponseList, log_reference: Tensor) -> PolicyClass:
    """The class of a world that lists its responses, with log pi_ref [P, G] of each.

    Raises ConfigError where features are the user's own and will not do.
    """
    prompts = torch.from_numpy(ground.prompts)
    if spec.policy.kind == "transformer":
        return Transformers(
            architecture=ground.architecture, prompts=prompts, start=ground.reference, end=listed.end, listed=listed
        )
    features = listed_features(spec, prompts, listed.responses) if spec.policy.kind == "linear" else None
    return Tilted(kind=spec.policy.kind, prompts=prompts, listed=listed, log_reference=log_reference, features=features)


def listed_features(spec: WorldSpec, prompts: Tensor, responses: Tensor) -> Tensor:
    """Features of every response [G, T] to every prompt [P, L], float64 [P, G, F]. Raises ConfigError."""
    name = spec.policy.features
    if is_own(name):
        found = own_features(name, spec.source, sizes_for_own(spec))
        return torch.from_numpy(found.of_all(prompts.numpy(), responses.numpy()))
    return FEATURES[name](prompts, responses, spec.world.vocabulary).contiguous()


def listed_under_reference(policies: PolicyClass, nodes: Tensor) -> UnderReference:
    """The exact expectation under the reference; nodes: its next-token log-probabilities, [P, M, V]."""
    if isinstance(policies, Transformers):
        assert policies.listed is not None
        return exact_under_reference(policies.architecture, policies.prompts, nodes, policies.listed)
    assert isinstance(policies, Tilted)
    return TiltedUnderReference(policies=policies)
