"""A laboratory for preference optimization: worlds, preference data, policies trained on them, and exact measurement.

    import simulator as sim

    world = sim.make_world("quickstart")
    policies = sim.train(world, world.preferences(1024, seed=0), loss="logistic", beta=[0.03, 0.1, 1.0], seed=0)
    world.measure(policies)

Whole sweeps: `run_sweep(Sweep.from_toml("quickstart"), out="results/quickstart")`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.api.make_world import make_world
    from simulator.api.pairs import Pairs, displacement
    from simulator.api.policies import Policies
    from simulator.api.proxy import Proxy
    from simulator.api.reading import load_policies
    from simulator.api.reward_models import best_of_n, planted_proxy, train_proxy
    from simulator.api.training import Training, train, training
    from simulator.api.world import World
    from simulator.audit.audit import audit_estimators
    from simulator.common.atomic_files import StorageError
    from simulator.common.errors import ConfigError, SweepError
    from simulator.execution.run_sweep import run_sweep
    from simulator.objectives import OBJECTIVES
    from simulator.objectives.losses.gpo import LOSSES
    from simulator.sweeps.sweep import Sweep
    from simulator.tracking.tracker import Tracker

    __version__: str

_HOME = {
    "ConfigError": "common.errors",
    "LOSSES": "objectives.losses.gpo",
    "OBJECTIVES": "objectives",
    "Pairs": "api.pairs",
    "Policies": "api.policies",
    "Proxy": "api.proxy",
    "StorageError": "common.atomic_files",
    "Sweep": "sweeps.sweep",
    "SweepError": "common.errors",
    "Tracker": "tracking.tracker",
    "Training": "api.training",
    "World": "api.world",
    "audit_estimators": "audit.audit",
    "best_of_n": "api.reward_models",
    "displacement": "api.pairs",
    "load_policies": "api.reading",
    "make_world": "api.make_world",
    "planted_proxy": "api.reward_models",
    "run_sweep": "execution.run_sweep",
    "train": "api.training",
    "train_proxy": "api.reward_models",
    "training": "api.training",
}

__all__ = [
    "LOSSES",
    "OBJECTIVES",
    "ConfigError",
    "Pairs",
    "Policies",
    "Proxy",
    "StorageError",
    "Sweep",
    "SweepError",
    "Tracker",
    "Training",
    "World",
    "__version__",
    "audit_estimators",
    "best_of_n",
    "displacement",
    "load_policies",
    "make_world",
    "planted_proxy",
    "run_sweep",
    "train",
    "train_proxy",
    "training",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: `import simulator` is fast, and losses need nothing but torch."""
    if name == "__version__":
        from simulator.storage.version import installed_version

        return installed_version()
    if name not in _HOME:
        raise AttributeError(f"module 'simulator' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"simulator.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
