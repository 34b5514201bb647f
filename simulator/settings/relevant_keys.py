"""Keys that nothing reads: those that say nothing beside the values of others, whatever the method.

What a method does not look at, it says itself (`Method.reads`, `Method.ignores`). A run's name does not depend on such
keys, an axis of one makes no further run, and whoever sets one is warned.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gold_rewards import KINDS
from simulator.common.identity import digest, leave_out
from simulator.divergences import DIVERGENCES
from simulator.own_rewards.source import FEATURES_KEY, is_own_reward
from simulator.settings.labels import unread_labels
from simulator.settings.tables import Settings
from simulator.settings.world_spec import WORLD_TABLES, Policy
from simulator.user_code.loading import is_own

NAMELESS = (  # left out of a run's name where they are at their default; records have them as axes
    "gold.length",
    *("data.length_bias", "data.disagreement", "data.flip_toward", "data.one_from_reference"),
    "online.replay",
)


REFERENCE = ("reference_sync", "reference_mixup")  # of [train]: of a reference that follows the policy


def unread_keys(settings: Settings) -> Mapping[str, Sequence[str]]:
    """The keys that nothing reads, by their table, whatever the method."""
    data, listed = settings.data, settings.spec.lists_responses
    labelled = bool(data.file) and data.labeller == "gold"
    behaves = {"tempered": "behaviour_temperature", "mixture": "uniform_share", "best_of_n": "behaviour_n"}
    return {
        "data": (
            *(key for kind, key in behaves.items() if kind != data.behaviour),
            *(("one_from_reference",) if data.behaviour == "reference" or not data.one_from_reference else ()),
            *unread_labels(settings),
            *(("distinct",) if labelled else ()),
            *(() if data.file else ("file",)),
            *(("pairs",) if data.population else ("population",)),
            *(("filter", "filter_share") if data.filter == "none" else ()),
        ),
        "world": ("language.kind",) if settings.world.language.kind == "auto" else (),
        "train": (
            *(() if settings.train.optimizer == "adamw" else ("weight_decay",)),
            *(("engine",) if settings.train.engine == "auto" else ()),
            *(("batch",) if data.population else ()),
            *(("precision", "compile") if settings.policy.kind != "transformer" else ()),
            *(("divergence",) if settings.train.divergence == "kl" else ()),
            *(() if DIVERGENCES[settings.train.divergence].at else ("alpha",)),
            *(() if settings.train.moves_reference else REFERENCE),
        ),
        "policy": policy_keys(settings.policy),
        "measure": (
            *(("prompts", "samples", "baseline") if listed else ()),
            *(("pairs",) if listed and not settings.measure.displacement else ()),
            *(() if settings.measure.displacement else ("displacement",)),
            *(() if settings.measure.held_out else ("held_out",)),
        ),
        "online": ("replay",) if settings.online.replay == "none" else (),
        "proxy": settings.proxy.unread,
        "gold": (
            *(() if is_drawn(settings.gold.reward) else ("seed",)),
            *(() if settings.gold.length else ("length",)),
        ),
    }


def policy_keys(policy: Policy) -> Sequence[str]:
    """The keys of [policy] that say nothing: that policies are transformers, and features where nothing is linear."""
    return {"transformer": ("kind", "features"), "tabular": ("features",)}.get(policy.kind, ())


def is_drawn(reward: str) -> bool:
    """Whether a gold reward is drawn, so that its seed matters."""
    return not is_own_reward(reward) and KINDS[reward].drawn


def read_tables(settings: Settings, tables: Sequence[str]) -> dict[str, Any]:
    """These tables of the settings, without the keys that nothing reads, and with the hashes of the user's own code.

    Raises ConfigError where a gold reward, or features, of the user's own are not there.
    """
    found = leave_out(settings.model_dump(include=set(tables)), unread_keys(settings))
    if "gold" in found and is_own_reward(settings.gold.reward):
        from simulator.own_rewards.load import code_hash

        found["gold"] |= {"code": code_hash(settings.gold.reward, settings.source)}
    if is_own(name := found.get("policy", {}).get("features", "")):
        from simulator.own_rewards.load import user_function

        found["policy"]["features"] = [name, user_function(name, settings.source, FEATURES_KEY).code_hash]
    return found


def world_name(settings: Settings) -> str:
    """A name that two settings share only if their worlds are the same."""
    return digest(read_tables(settings, WORLD_TABLES))
