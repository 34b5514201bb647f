"""What travels to the nodes of a cluster before any stack does: our code, and the user's own files.

Ray packs a folder and unpacks it on every node. The user's files lie there below `files/`, each at its whole path, so
that a sweep names them there as here (`simulator/common/user_files.py`).
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simulator.common.identity import digest
from simulator.execution.cluster.node import FILES
from simulator.execution.devices import ONE_THREAD
from simulator.languages.reviews import NAME as REVIEWS
from simulator.own_rewards.source import CLASSIFIER
from simulator.sweeps.hashes import pair_files
from simulator.sweeps.own_code import OwnCode, function_of, own_code
from simulator.sweeps.sweep import Sweep

PACKAGES = ("simulator", "gold_rewards")
COPIES = "Copies of files that a sweep names, each at its whole path.\n"  # an empty folder would not travel
ROOT = Path(__file__).resolve().parents[3]


def runtime_env(sweep: Sweep, folder: Path, staged: Path) -> dict[str, Any]:
    """What Ray brings to every node: the folder `staged`, into which our packages and the user's files are put.

    folder: the result directory, after which the copy is named.
    """
    for source, place in user_files(sweep):
        target = staged / FILES / place.relative_to(place.anchor)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, staged / name, ignore=shutil.ignore_patterns("__pycache__"))
    (staged / FILES).mkdir(exist_ok=True)
    (staged / FILES / "README").write_text(COPIES, encoding="utf-8")
    (staged / "sweep").write_text(digest([str(folder.resolve()), sweep.to_toml()]), encoding="utf-8")
    return {"working_dir": str(staged), "env_vars": dict(ONE_THREAD)}


def user_files(sweep: Sweep) -> Iterator[tuple[Path, Path]]:
    """Each file of the user's own that a sweep reads, and the whole path by which it is named. Raises ConfigError."""
    texts = sweep.sweep.axes.get("world.language.text", (sweep.world.language.text,))
    for name in sorted({*map(str, texts), *pair_files(sweep)} - {"", REVIEWS}):
        yield Path(name), Path(os.path.abspath(name))
    for code in own_code(sweep):
        yield from code_files(code, sweep)


def code_files(code: OwnCode, sweep: Sweep) -> Iterator[tuple[Path, Path]]:
    """The files of a loss, a gold reward or features of the user's own, as in `user_files`."""
    if code.name.startswith(CLASSIFIER):
        from simulator.own_rewards.classifier import find_classifier

        folder = find_classifier(code.name, sweep.base_folder).folder
        yield from ((file, Path(os.path.abspath(file))) for file in sorted(folder.iterdir()) if file.is_file())
        return
    function = function_of(code, sweep)
    if function is None:
        return
    file = Path(code.name.rpartition(":")[0])
    bases = [base for base in (sweep.base_folder, Path()) if base is not None]
    named = next(base / file for base in bases if (base / file).resolve() == function.path)
    for path in function.files:
        yield path, Path(os.path.abspath(named.parent / path.relative_to(function.path.parent)))
