"""What policies of a class take: numbers of a row, memory of a step, time.

Shapes: P prompts, G responses, F features, D numbers of one run's row.
"""

from typing import Any

from simulator.engine.footprint import FLOAT, WIDE
from simulator.own_rewards.features import own_features
from simulator.settings.world_spec import WorldSpec
from simulator.user_code.loading import is_own
from simulator.worlds.components import architecture_of, sizes_for_own
from simulator.worlds.policy_classes.features import features_count
from simulator.worlds.policy_classes.tilted import row_length

LAWS = 6  # that a step of a tilted policy holds at once: scores, log pi, their gradients
LAW_SECONDS = 2.5e-8  # for each response, of a forward and a backward pass
PRODUCT_SECONDS = 1e-9  # for each response and feature


def is_tilted(spec: WorldSpec) -> bool:
    """Whether policies tilt the reference's law."""
    return spec.policy.kind != "transformer"


def listed(spec: WorldSpec) -> int:
    """P G."""
    return spec.world.prompts * spec.world.responses


def features_of(spec: WorldSpec) -> int:
    """F of "linear", and 0 else. Raises ConfigError where features are the user's own and will not do."""
    world = spec.world
    if spec.policy.kind != "linear":
        return 0
    if is_own(spec.policy.features):
        return own_features(spec.policy.features, spec.source, sizes_for_own(spec)).count
    return features_count(spec.policy.features, vocabulary=world.vocabulary, length=world.response_length)


def policy_parameters(spec: WorldSpec) -> int:
    """How many parameters a policy has."""
    if spec.policy.kind == "transformer":
        return architecture_of(spec).parameters
    return features_of(spec) or listed(spec)


def policy_row(spec: WorldSpec) -> int:
    """D."""
    return architecture_of(spec).row if spec.policy.kind == "transformer" else row_length(policy_parameters(spec))


def class_facts(spec: WorldSpec) -> dict[str, Any]:
    """What `world.json` says of the class, where policies are no transformers."""
    return {"policy_kind": spec.policy.kind, "policy_parameters": policy_parameters(spec)} if is_tilted(spec) else {}


def tilted_step_bytes(spec: WorldSpec) -> int:
    """What a training step of one tilted policy holds."""
    return LAWS * WIDE * listed(spec)


def class_bytes(spec: WorldSpec) -> int:
    """What a world holds for the class: its features."""
    return WIDE * listed(spec) * features_of(spec)


def tilted_step_floats(spec: WorldSpec) -> int:
    """Numbers that a training step of one tilted policy keeps."""
    return tilted_step_bytes(spec) // FLOAT


def tilted_step_seconds(spec: WorldSpec) -> float:
    """How long a training step of one tilted policy takes, about; a measurement takes a third."""
    return listed(spec) * (LAW_SECONDS + PRODUCT_SECONDS * features_of(spec))
