"""Which program made a record: versions, a hash of our whole source, and one of the code that determines numbers.

Two programs with the same `results_source` give a run the same numbers on one machine. It is a hash of the modules of
the experiment (world, gold, preferences, training, measurement) as `plain_source` has them, so that comments and
docstrings do not count. What starts processes, writes files or talks to people is named in OUTSIDE and does not count;
a module that is not named there does.
"""

import hashlib
import inspect
import json
import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import torch

from simulator.common.atomic_files import StorageError, write_atomically
from simulator.storage.version import installed_version
from simulator.user_code.plain_source import __file__ as plain_source_module
from simulator.user_code.plain_source import plain_source
from simulator.worlds.reference import cache_folder

PACKAGES = ("simulator", "gold_rewards")
SUFFIXES = (".py", ".cpp", ".hpp", ".h")
INSIDE = ("storage/tables", "execution/run_stack")  # that do, in folders that otherwise do not
OUTSIDE = frozenset(  # modules and folders of simulator/ that determine no number of a run whose settings are given
    (
        *("__init__", "common/__init__", "common/atomic_files", "common/errors", "user_code/plain_source"),
        *(
            "common/result_files",
            "common/user_files",
            "common/signals",
            "common/terminal",
            "user_code/__init__",
            "user_code/used_code",
            "objectives/loss_table",
        ),
        *(
            "user_code/loading",
            "user_code/source_imports",
            "settings/config_errors",
            "storage/",
            "sweeps/",
            "execution/",
            "api/",
            "audit/",
            "instruments/",
        ),
        *("interchange/", "joining/", "playground/", "tracking/"),
    )
)

SHOWING = frozenset(  # modules and folders of analysis/ that only show, read or write, or judge no records of sweeps
    (
        *("__init__", "figures/", "report/", "records/__init__", "records/atomic_files", "records/checksums"),
        *(
            "generations/",
            "headline/",
            "instruments/",
            "playground/",
            "records/number_format",
            "records/names",
            "records/safe_names",
        ),
    )
)


def sources() -> dict[str, str]:
    """The text of every module that makes records, by its path below the root of the source."""
    root = Path(__file__).resolve().parents[2]
    paths = sorted(path for package in PACKAGES for path in (root / package).rglob("*") if path.suffix in SUFFIXES)
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@cache
def source_hash() -> str:
    """Ten hexadecimal digits of the SHA-256 of the code that makes records."""
    return _hash(sources())


@cache
def results_modules() -> Mapping[str, str]:
    """The hash of each module that determines numbers, by its path."""
    return plain_hashes({path: text for path, text in sources().items() if determines_numbers(path)})


def plain_hashes(texts: Mapping[str, str]) -> dict[str, str]:
    """The hash of each text's plain source, by its path.

    Those found before are kept beside the references, by the hash of the text as it stands and of how it is made plain:
    parsing all modules takes half a second, in every process of a sweep.
    """
    how = _hash({"": Path(plain_source_module).read_text(encoding="utf-8"), " ": inspect.getsource(_plain)})
    place = cache_folder() / f"plain-sources-{how}.json"
    known = _read_known(place)
    found = {path: known.get(_hash({path: text})) or _hash({path: _plain(path, text)}) for path, text in texts.items()}
    now = {_hash({path: text}): found[path] for path, text in texts.items()}
    if not now.keys() <= known.keys():
        with suppress(OSError, StorageError):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, json.dumps(now).encode())
    return found


def _read_known(place: Path) -> dict[str, str]:
    """What was kept; nothing where that cannot be read."""
    try:
        known = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    digits = re.compile(r"[0-9a-f]{10}")
    whole = isinstance(known, dict) and all(
        isinstance(value, str) and digits.fullmatch(key) and digits.fullmatch(value) for key, value in known.items()
    )
    return known if whole else {}


def _plain(path: str, text: str) -> str:
    """What of a module determines numbers: its code without comments."""
    if path.endswith(".py"):
        return plain_source(text)
    lines = (line.partition("//")[0].strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def determines_numbers(path: str) -> bool:
    """Whether a module, by its path such as `simulator/engine/loop.py`, has part in the numbers of records."""
    name = path.removeprefix("simulator/").removesuffix(".py")
    return name in INSIDE or not (name in OUTSIDE or f"{name.partition('/')[0]}/" in OUTSIDE)


@cache
def results_source() -> str:
    """Ten hexadecimal digits of the SHA-256 of the code that determines numbers."""
    return _hash(results_modules())


@cache
def verdicts_source() -> str:
    """Ten hexadecimal digits of the SHA-256 of the code of analysis/ that determines verdicts and intervals.

    What draws, writes pages or talks to people is named in SHOWING and does not count.
    """
    root = Path(__file__).resolve().parents[2]
    paths = sorted((root / "analysis").rglob("*.py"))
    names = {path: path.relative_to(root / "analysis").with_suffix("").as_posix() for path in paths}
    judging = [path for path, name in names.items() if not {name, f"{name.partition('/')[0]}/"} & SHOWING]
    return _hash(
        {path.relative_to(root).as_posix(): plain_source(path.read_text(encoding="utf-8")) for path in judging}
    )


@cache
def instruments_source() -> str:
    """Ten hexadecimal digits of the SHA-256 of the code of the instruments, with which their findings are written."""
    root = Path(__file__).resolve().parents[2]
    paths = [path for package in ("simulator", "analysis") for path in (root / package / "instruments").rglob("*.py")]
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}
    return _hash({name: plain_source(text) for name, text in texts.items()})


def _hash(texts: Mapping[str, str]) -> str:
    together = hashlib.sha256()
    for name, text in texts.items():
        together.update(name.encode() + b"\0" + text.encode() + b"\0")
    return together.hexdigest()[:10]


def changed_modules(before: Mapping[str, str]) -> list[str]:
    """The modules that determine numbers and are not as in `before`, which is an earlier `results_modules`."""
    now = results_modules()
    return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def provenance_columns() -> dict[str, str]:
    """Columns of `runs.parquet`."""
    return {
        "simulator_version": installed_version(),
        "simulator_source": source_hash(),
        "results_source": results_source(),
        "python_version": platform.python_version(),
        "torch_version": torch.__version__,
        "numpy_version": np.__version__,
    }
