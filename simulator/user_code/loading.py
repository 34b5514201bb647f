"""Functions of the user's own, from Python files that a sweep names, such as `sweep.loss = ["my_file.py:function"]`.

Code is loaded from a file that the user names, looked up beside the sweep file and then in the working folder, and
never from a results directory, whoever's records lie there. Records are of the code that the function uses
(`simulator/user_code/used_code.py`): other parts of its file may change. `key` stands before the name in messages.
"""

import hashlib
import inspect
import json
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from simulator.common.errors import ConfigError, nearest
from simulator.common.result_files import RECORDS
from simulator.common.signals import is_false_alarm
from simulator.common.text_encoding import without_mark
from simulator.common.user_files import user_path
from simulator.user_code.source_imports import importing_beside
from simulator.user_code.time_limit import TooLongError
from simulator.user_code.used_code import used_code

PLAIN = (bool, int, float, str, tuple)  # values that functions hold, and that say which they are
PATIENCE = 5.0  # seconds of a trial before something is said


@dataclass(frozen=True, kw_only=True)
class UserFunction:
    """A function of the user's own, with the SHA-256 of the code that it uses."""

    name: str  # file and function, as the user wrote it
    key: str  # what stands before the name in messages
    function: Callable[..., Any]
    path: Path
    files: tuple[Path, ...]  # its own and those that were imported from beside it
    files_hash: str  # the SHA-256 of these
    code_hash: str  # the SHA-256 of what it uses of them
    copies: Mapping[str, bytes]  # the content of those that it uses, by their path from the folder of its own

    def errors_named(self, what: str) -> AbstractContextManager[None]:
        """Whatever the block raises becomes an error of this function."""
        return errors_named(self.name, self.path, what, self.key)

    def error(self, rule: str) -> ConfigError:
        """The error of a function that breaks a rule."""
        return ConfigError(f"{self.key}{self.name}: {rule}")

    @property
    def unchanged(self) -> bool:
        """Whether its files are as they were when it was loaded."""
        return all(file.exists() for file in self.files) and hash_of(self.files) == self.files_hash


def is_own(name: str) -> bool:
    """Whether something is named by a file and a function in it."""
    file, _, function = name.rpartition(":")
    return file.endswith(".py") and function.isidentifier()


def result_folder_of(path: Path) -> Path | None:
    """The results directory that a file lies in, if it does."""
    left = [pattern for pattern in RECORDS if not pattern.startswith("code/")]
    for folder in path.parents:
        if (folder / "config.toml").exists() and any(any(folder.glob(pattern)) for pattern in left):
            return folder
    return None


def find(name: str, beside: Path | None, key: str) -> Path:
    """The file of a function that a user names; key: in messages, such as `sweep.loss = `.

    Raises ConfigError where there is none, or where it lies in a results directory.
    """
    file = name.rpartition(":")[0]
    looked = dict.fromkeys((folder / user_path(file)).resolve() for folder in (beside, Path()) if folder is not None)
    refused = ""
    for path in looked:
        folder = result_folder_of(path)
        if path.is_file() and folder is None:
            return path
        if folder is not None:
            refused = f"; code is never loaded from a results directory such as {folder}"
    places = " nor ".join(str(path) for path in looked)
    there = [other.name for path in looked if path.parent.is_dir() for other in path.parent.glob("*.py")]
    hint = refused or nearest(Path(file).name, there)
    raise ConfigError(f"{key}{name}: there is no file {places}{hint}")


def hash_of(files: tuple[Path, ...]) -> str:
    """The SHA-256 of some files, one after the other."""
    together = hashlib.sha256()
    for path in files:
        together.update(path.read_bytes())
    return together.hexdigest()


def warn_if_slow(name: str, key: str) -> AbstractContextManager[None]:
    """Say that a function is still being tried where the block takes long."""
    return said_if_slow(f"{key}{name}: is still being tried after {PATIENCE:g} s; Ctrl-C stops", PATIENCE)


@contextmanager
def said_if_slow(text: str, seconds: float) -> Iterator[None]:
    """Warn once so many seconds have passed while the block runs."""
    timer = threading.Timer(seconds, lambda: warnings.warn(text, UserWarning, stacklevel=2))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # a sweep that follows may copy this process, which must have one thread then


@contextmanager
def errors_named(name: str, path: Path, what: str, key: str) -> Iterator[None]:
    """Whatever the user's code raises becomes a ConfigError, but a request to stop and the end of a time limit."""
    try:
        yield
    except (ConfigError, TooLongError):
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not is_false_alarm():
            raise
        line, trace = "", error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == str(path):
                line = f", line {trace.tb_lineno}"
            trace = trace.tb_next
        text = " ".join(str(error).split())[:300]
        raise ConfigError(f"{key}{name}: {what} ({type(error).__name__}{line}: {text})") from None


def load_function(name: str, path: Path, key: str) -> UserFunction:
    """Load a file, and take the function from it. Raises ConfigError."""
    from simulator.user_code.isolation import isolated

    module = ModuleType(f"user_code_{hashlib.sha256(os.fsencode(path)).hexdigest()[:10]}")
    module.__file__ = str(path)
    try:
        source = without_mark(path.read_bytes())
    except ValueError as error:
        raise ConfigError(f"{key}{name}: {path}: {error}") from None
    with errors_named(name, path, f"{path.name} cannot be loaded", key), importing_beside(path) as imported, isolated():
        sys.modules[module.__name__] = module
        exec(compile(source, str(path), "exec"), vars(module))
    wanted = name.rpartition(":")[2]
    function = getattr(module, wanted, None)
    if not callable(function) or inspect.isclass(function):
        functions = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        what = "is no function" if hasattr(module, wanted) else "is not there"
        raise ConfigError(
            f"{key}{name}: {wanted} {what}; {path.name} has {', '.join(functions) or 'no function'}"
            f"{nearest(wanted, functions)}"
        )
    used = used_code(path, wanted)
    files = (path, *sorted(imported))
    return UserFunction(
        name=name,
        key=key,
        function=function,
        path=path,
        files=files,
        files_hash=hash_of(files),
        code_hash=code_hash(wanted, used, path.parent),
        copies={relative_name(file, path.parent): file.read_bytes() for file in used},
    )


def given_function(function: Callable[..., Any], name: str, key: str) -> UserFunction:
    """A function that was given and not named by its file; its hash is that of its own text alone."""
    code = getattr(function, "__code__", None)
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):  # typed at a prompt, or no function of Python's
        text = repr(code.co_code) + repr(code.co_consts) if code else repr(type(function))
    held = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    text += repr([each for each in (*held, getattr(function, "__defaults__", None)) if isinstance(each, PLAIN)])
    path = Path(code.co_filename) if code else Path(type(function).__module__)
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return UserFunction(
        name=name, key=key, function=function, path=path, files=(), files_hash="", code_hash=digest, copies={}
    )


def code_hash(function: str, used: Mapping[Path, str], folder: Path) -> str:
    """The SHA-256 of what a function uses, wherever the folder of its file lies."""
    texts = sorted((relative_name(file, folder), text) for file, text in used.items())
    return hashlib.sha256(json.dumps([function, texts]).encode()).hexdigest()


def relative_name(file: Path, folder: Path) -> str:
    """The path of a file from a folder that it lies in."""
    return file.resolve().relative_to(folder.resolve()).as_posix()
