"""Keys that nothing reads: those that say nothing beside the values of others, whatever the method.

What a method does not look at, it says itself (`Method.reads`, `Method.ignores`). A run's name does not depend on such
keys, an axis of one makes no further run, and whoever sets one is warned.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.common.identity import digest, leave_out
from simulator.objectives import OBJECTIVES
from simulator.settings.tables import Settings
from simulator.settings.world_spec import WORLD_TABLES

NEEDS = {  # what reads a key, or a table
    "train.weight_decay": 'train.optimizer = "adamw"',
    "train": 'sweep.method "gpo" or "rl"',
    "train.batch": 'sweep.method "gpo"',
    "data.behaviour_temperature": 'data.behaviour = "tempered"',
    "data.uniform_share": 'data.behaviour = "mixture"',
    "data.temperature": 'data.labels = "bradley_terry"',
    "data.pool": 'sweep.method "gpo" with data.labeller = "proxy"',
    "data.labeller": 'sweep.method "gpo"',
    "measure": 'world.kind = "sampled"',
    "best_of_n": 'sweep.method "best_of_n"',
    "best_of_n.pool": 'sweep.method "best_of_n" and world.kind = "sampled"',
    "rl": 'sweep.method "rl"',
    "rl.clip": 'sweep.method "rl" and rl.algorithm = "ppo"',
    "rl.reuse": 'sweep.method "rl" and rl.algorithm = "ppo"',
    "rl.prompts": 'sweep.method "rl" and rl.algorithm "rloo" or "ppo"',
    "rl.responses": 'sweep.method "rl" and rl.algorithm "rloo" or "ppo"',
    "online": 'sweep.method "gpo" and online.refresh from 1 to below train.steps',
    "proxy": 'a method against proxies, such as "rl", or a proxy that labels',
    "proxy.combine": "a proxy, and proxy.members above 1",
    "proxy.uncertainty": 'a proxy, proxy.members above 1 and proxy.combine = "uncertainty_weighted"',
    "sweep.loss": 'sweep.method "gpo"',
    "sweep.beta": 'sweep.method "gpo", and a loss that has a beta',
    "sweep.penalty": 'sweep.method "rl"',
}


def unread_keys(settings: Settings) -> Mapping[str, Sequence[str]]:
    """The keys that nothing reads, by their table, whatever the method."""
    data, listed = settings.data, settings.spec.lists_responses
    of_behaviour = {"tempered": ("uniform_share",), "mixture": ("behaviour_temperature",)}
    return {
        "data": (
            *of_behaviour.get(data.behaviour, ("behaviour_temperature", "uniform_share")),
            *(("temperature",) if data.labels == "deterministic" else ()),
        ),
        "world": ("language.kind",) if settings.world.language.kind == "auto" else (),
        "train": () if settings.train.optimizer == "adamw" else ("weight_decay",),
        "measure": ("prompts", "samples", "baseline", "pairs") if listed else (),
    }


def read_tables(settings: Settings, tables: Sequence[str]) -> dict[str, Any]:
    """These tables of the settings, without the keys that nothing reads."""
    return leave_out(settings.model_dump(include=set(tables)), unread_keys(settings))


def needs(key: str) -> str:
    """A clause that says what would read the dotted key; nothing where that is not known."""
    table, _, rest = key.partition(".")
    if table == "objective":
        names = [name for name, objective in OBJECTIVES.items() if objective.table == rest.partition(".")[0]]
        return f"; only sweep.loss {' or '.join(names)} does"
    known = NEEDS.get(key) or NEEDS.get(table)
    return f"; only {known} does" if known else ""


def world_name(settings: Settings) -> str:
    """A name that two settings share only if their worlds are the same."""
    return digest(read_tables(settings, WORLD_TABLES))
