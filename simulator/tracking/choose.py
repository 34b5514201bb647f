"""Which tracker a name stands for: MLflow's, or one of the user's own from a Python file, as `mine.py:function`.

`check` answers wrong names before any work and without importing anything heavy; `open_tracker` makes the tracker.
"""

import inspect
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from simulator.common.errors import ConfigError, nearest
from simulator.tracking.mlflow_place import be_silent, check_place
from simulator.tracking.tracker import METHODS, Tracker
from simulator.user_code.loading import errors_named, find, is_own, load_function

MLFLOW = "mlflow"
NEEDED = ("mlflow", "sqlalchemy", "alembic")  # of MLflow and a store on this machine
INSTALL = "pip install 'alignment-simulator[track]'"
OPTION = "--track "  # what stands before a name in messages
ARGUMENT = "tracker = "
LATER = "nothing else depends on it, and the same command logs what is missing"  # after what failed


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A tracker, and how messages name it."""

    tracker: Tracker
    name: str
    key: str
    path: Path  # of its code, whose lines messages name

    def errors_named(self, what: str) -> AbstractContextManager[None]:
        """Whatever the block raises becomes an error of this tracker, a ConfigError."""
        return errors_named(self.name, self.path, what, self.key)


def check(name: str, key: str = OPTION) -> None:
    """Raises ConfigError where no tracker has this name, or where it cannot be used; nothing of it is run."""
    if is_own(name):
        find(name, None, key)
    elif name != MLFLOW:
        raise ConfigError(
            f"{key}{name}: must be {MLFLOW}, or a file and a function in it, such as mine.py:tracker"
            f"{nearest(name.lower(), [MLFLOW])}"
        )
    elif missing := [package for package in NEEDED if find_spec(package) is None]:
        raise ConfigError(f"{key}{name}: needs {' and '.join(missing)}, not installed here; {INSTALL}")
    else:
        check_place(key + name)


def open_tracker(name: str, key: str = OPTION) -> Chosen:
    """The tracker of this name. Raises ConfigError."""
    check(name, key)
    if is_own(name):
        return open_own(name, key)
    nowhere = Path(os.devnull)  # lines of our code would not help a user
    with errors_named(name, nowhere, "its store cannot be opened", key):
        be_silent()
        from simulator.tracking import mlflow_tracker

        return Chosen(tracker=mlflow_tracker.MlflowTracker(), name=name, key=key, path=nowhere)


def open_own(name: str, key: str) -> Chosen:
    """What a function of the user's own returns, if it is a tracker. Raises ConfigError."""
    try:
        function = load_function(name, find(name, None, key), key)
    except OSError as error:
        raise ConfigError(f"{key}{name}: {error.filename} cannot be read ({error.strerror})") from None
    with function.errors_named("must return a tracker, but raises"):
        tracker = function.function()
    return Chosen(tracker=with_methods(tracker, f"{key}{name}: must return"), name=name, key=key, path=function.path)


def choose(tracker: Tracker | str) -> Chosen:
    """The tracker that a name stands for, or one that was given. Raises ConfigError."""
    if isinstance(tracker, str):
        return open_tracker(tracker, ARGUMENT)
    kind = type(tracker)
    with_methods(tracker, f"{ARGUMENT.rstrip(' =')} must be")
    try:
        path = Path(inspect.getfile(kind))
    except (OSError, TypeError):  # typed at a prompt
        path = Path(os.devnull)
    return Chosen(tracker=tracker, name=kind.__name__, key=ARGUMENT, path=path)


def with_methods(tracker: Tracker, begins: str) -> Tracker:
    """What was given, if it has the methods of a tracker. Raises ConfigError whose text begins so."""
    lacking = [name for name in METHODS if not callable(getattr(tracker, name, None))]
    if lacking or isinstance(tracker, type):
        what = f"the class {tracker.__name__}" if isinstance(tracker, type) else type(tracker).__name__
        why = "make one of it" if isinstance(tracker, type) else f"which has no {' nor '.join(lacking)}"
        raise ConfigError(f"{begins} an object with the methods begin, finished and end, not {what}; {why}")
    return tracker
