"""A loss of the user's own, from a Python file that the sweep names: `sweep.loss = ["my_file.py:my_function"]`.

A function of one argument is f(z), elementwise, at z = beta rho:

    def half_squared(z):
        return (z - 0.5).square()

A function of several, or of one that has a name of GIVEN, is given what it names of each pair, tensors [runs, pairs]
but for beta, [runs, 1], and returns a value for each pair:

    def bounded(chosen, rejected, beta):
        return torch.sigmoid(-beta * chosen) + torch.sigmoid(beta * rejected)

Before a sweep starts the function is tried: it must return one finite number for each pair, the same each time, through
which a gradient flows, and keep runs apart. Code is loaded from a file that the user names, looked up beside the sweep
file and then in the working folder, and never from a results directory, whoever's records lie there. Records are of the
code that the function uses (`simulator/user_code/used_code.py`): other parts of its file may change.
"""

import hashlib
import inspect
import json
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from simulator.common.errors import ConfigError, nearest, short
from simulator.common.text_encoding import without_mark
from simulator.objectives.custom import blamed, examine, objective_of
from simulator.objectives.objective import Objective
from simulator.user_code.isolation import isolated
from simulator.user_code.used_code import used_code

RECORDS = (  # what a results directory has beside its config.toml
    *("curves.parquet", "runs.parquet", "losses.parquet", "proxies.parquet", "world.json"),
    *("report.html", "claims.json", "parts/*.parquet", "proxies/*.npz", "figures/*.svg"),
)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """An objective of the user's own, which has the SHA-256 of the code that it uses.

    files: its own and those that were imported from beside it, of which `whole` is the SHA-256. copies: the content of
    those that it uses, by their path from the folder of its own.
    """

    objective: Objective
    files: tuple[Path, ...]
    whole: str
    copies: Mapping[str, bytes]

    @property
    def code(self) -> str:
        """The SHA-256 of the code that the function uses."""
        return self.objective.code


OURS = ("simulator", "gold_rewards", "analysis")
PATIENCE = 5.0  # seconds of a trial before something is said
LOADED: dict[tuple[str, Path], Loaded] = {}  # by name and file, as long as no file changes


def is_own(name: str) -> bool:
    """Whether a loss is named by a file and a function in it."""
    file, _, function = name.rpartition(":")
    return file.endswith(".py") and function.isidentifier()


def in_results(path: Path) -> Path | None:
    """The results directory that a file lies in, if it does."""
    for folder in path.parents:
        if (folder / "config.toml").exists() and any(any(folder.glob(pattern)) for pattern in RECORDS):
            return folder
    return None


def find(name: str, beside: Path | None) -> Path:
    """The file of a loss. Raises ConfigError where there is none, or where it lies in a results directory."""
    file = name.rpartition(":")[0]
    looked = dict.fromkeys((folder / file).resolve() for folder in (beside, Path()) if folder is not None)
    refused = ""
    for path in looked:
        folder = in_results(path)
        if path.is_file() and folder is None:
            return path
        if folder is not None:
            refused = f"; code is never loaded from a results directory such as {folder}"
    places = " nor ".join(str(path) for path in looked)
    there = [other.name for path in looked if path.parent.is_dir() for other in path.parent.glob("*.py")]
    hint = refused or nearest(Path(file).name, there)
    raise ConfigError(f"sweep.loss = {name}: there is no file {places}{hint}")


def hash_of(files: tuple[Path, ...]) -> str:
    """The SHA-256 of some files, one after the other."""
    together = hashlib.sha256()
    for path in files:
        together.update(path.read_bytes())
    return together.hexdigest()


def own_loss(name: str, beside: Path | None) -> Loaded:
    """The objective that a file and a function in it name, tried. Raises ConfigError.

    beside: the folder of the sweep file, where a relative name is looked up first.
    """
    try:
        path = find(name, beside)
        known = LOADED.get((name, path))
        if known is None or any(not file.exists() for file in known.files) or hash_of(known.files) != known.whole:
            with awaited(name):
                LOADED[name, path] = load(name, path)
    except OSError as error:
        raise ConfigError(
            f"sweep.loss = {name}: {short(str(error.filename))} cannot be read ({error.strerror})"
        ) from None
    return LOADED[name, path]


@contextmanager
def awaited(name: str) -> Iterator[None]:
    """Say that a loss is still being tried where the block takes long."""
    slow = f"sweep.loss = {name}: is still being tried after {PATIENCE:g} s; Ctrl-C stops"
    timer = threading.Timer(PATIENCE, lambda: warnings.warn(slow, UserWarning, stacklevel=2))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def load(name: str, path: Path) -> Loaded:
    """Load a file, take the function from it, and try it. Raises ConfigError."""
    module = ModuleType(f"own_loss_{hashlib.sha256(os.fsencode(path)).hexdigest()[:10]}")
    module.__file__ = str(path)
    try:
        source = without_mark(path.read_bytes())
    except ValueError as error:
        raise ConfigError(f"sweep.loss = {name}: {path}: {error}") from None
    with blamed(name, path, f"{path.name} cannot be loaded"), importing_beside(path) as imported, isolated():
        sys.modules[module.__name__] = module
        exec(compile(source, str(path), "exec"), vars(module))
    wanted = name.rpartition(":")[2]
    function = getattr(module, wanted, None)
    if not callable(function) or inspect.isclass(function):
        functions = [key for key, value in vars(module).items() if inspect.isfunction(value)]
        what = "is no function" if hasattr(module, wanted) else "is not there"
        raise ConfigError(
            f"sweep.loss = {name}: {wanted} {what}; {path.name} has {', '.join(functions) or 'no function'}"
            f"{nearest(wanted, functions)}"
        )
    used = used_code(path, wanted)
    objective = replace(objective_of(name, path, function), code=code_hash(wanted, used, path.parent))
    examine(objective)
    files = (path, *sorted(imported))
    copies = {place_of(file, path.parent): file.read_bytes() for file in used}
    return Loaded(objective=objective, files=files, whole=hash_of(files), copies=copies)


def code_hash(function: str, used: Mapping[Path, str], folder: Path) -> str:
    """The SHA-256 of what a function uses, wherever the folder of its file lies."""
    texts = sorted((place_of(file, folder), text) for file, text in used.items())
    return hashlib.sha256(json.dumps([function, texts]).encode()).hexdigest()


def place_of(file: Path, folder: Path) -> str:
    """The path of a file from a folder that it lies in."""
    return file.resolve().relative_to(folder.resolve()).as_posix()


@contextmanager
def importing_beside(path: Path) -> Iterator[list[Path]]:
    """Modules beside a file can be imported by it, and are forgotten afterwards; what was imported is listed."""
    before: set[str] = set(sys.modules)
    found: list[Path] = []
    sys.path.insert(0, str(path.parent))
    try:
        yield found
    finally:
        if str(path.parent) in sys.path:
            sys.path.remove(str(path.parent))
        for name in set(sys.modules) - before:
            file = Path(getattr(sys.modules[name], "__file__", None) or sys.prefix).resolve()
            if is_users(file, path):
                found.append(file)
                del sys.modules[name]
    for file in found:
        if (first := file.relative_to(path.parent).parts[0].removesuffix(".py")) in OURS:
            raise ConfigError(f"{file}: has the name of our own package {first}, which it would hide; rename it")


def is_users(file: Path, path: Path) -> bool:
    """Whether a module's file lies beside `path`, and is not what an environment there has installed."""
    installed = Path(sys.prefix).resolve() in file.parents or "site-packages" in file.parts
    return path.parent in file.parents and file != path and not installed
