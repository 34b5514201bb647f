"""The references of a sweep's worlds, which are trained once, by the process that hands out stacks, and sent to nodes.

A file of the cache is named after the build of torch, too, such as 2.9.0+cpu. Nodes may have another build of the same
version, so a node puts what it was sent where it looks for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from simulator.common.atomic_files import StorageError, make_folder, write_atomically
from simulator.engine.snapshots import read_state, state_bytes
from simulator.settings.run import Run
from simulator.settings.world_spec import WorldSpec
from simulator.sweeps.stacking import world_names
from simulator.worlds.components import reference_file

Sent = tuple[str, bytes]  # the key of a reference, and its file


def specs_of(runs: Iterable[Run]) -> dict[str, WorldSpec]:
    """What makes each world of some runs, by its name."""
    return {name: settings.spec for settings, name in world_names(runs)}


def key_of(path: Path) -> str:
    """The key of a reference, after which its file is named."""
    return path.stem.removeprefix("reference-")


def read_references(runs: Sequence[Run], trained: Iterable[str]) -> dict[str, Sent]:
    """The references of those worlds of some runs that were `trained`, by the names of worlds. Raises StorageError."""
    wanted, found = set(trained), {}
    for name, spec in specs_of(runs).items():
        path = reference_file(spec)
        if name not in wanted:
            continue
        if not path.exists():
            raise StorageError(
                f"{path}: is not there, so no reference can be sent to nodes; let SIMULATOR_CACHE name a folder "
                "that can be written"
            )
        found[name] = (key_of(path), path.read_bytes())
    return found


def place_references(runs: Sequence[Run], sent: Mapping[str, Sent]) -> None:
    """Put references where the worlds of some runs look for them on this node. Raises StorageError."""
    for name, spec in specs_of(runs).items():
        path = reference_file(spec)
        if name not in sent or path.exists():
            continue
        key, content = sent[name]
        tensors = read_state(content, {"reference": key})
        if tensors is None:
            raise StorageError(f"{path}: the reference of world {name} did not arrive whole")
        make_folder(path.parent, parents=True)
        write_atomically(path, state_bytes(tensors, {"reference": key_of(path)}))
