"""The experiment: world, policies, preference data, methods, training, measurement.

from simulator import Sweep, run_sweep
run_sweep(Sweep.from_toml("configs/quickstart.toml"), out="results/quickstart")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.complaints import ConfigError
    from simulator.config import Sweep
    from simulator.sweep import SweepError, run_sweep

__all__ = ["ConfigError", "Sweep", "SweepError", "run_sweep"]

_HOME = {"ConfigError": "complaints", "Sweep": "config", "SweepError": "sweep", "run_sweep": "sweep"}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then, so that `simulator.losses` needs nothing but torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'simulator' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"simulator.{_HOME[name]}"), name)
