"""The experiment: world, policies, preference data, methods, training, measurement.

from simulator import Sweep, run_sweep
run_sweep(Sweep.from_toml("configs/quickstart.toml"), out="results/quickstart")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.common.errors import ConfigError, SweepError
    from simulator.execution.run_sweep import run_sweep
    from simulator.sweeps.sweep import Sweep

    __version__: str

__all__ = ["ConfigError", "Sweep", "SweepError", "__version__", "run_sweep"]

_HOME = {
    "ConfigError": "common.errors",
    "Sweep": "sweeps.sweep",
    "SweepError": "common.errors",
    "run_sweep": "execution.run_sweep",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then, so that `simulator.objectives.losses.gpo` needs nothing but torch."""
    if name == "__version__":
        from simulator.storage.version import installed_version

        return installed_version()
    if name not in _HOME:
        raise AttributeError(f"module 'simulator' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"simulator.{_HOME[name]}"), name)
