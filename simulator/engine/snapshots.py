"""The state of a stack in training, saved now and then, so that a sudden death costs a minute and not a stack.

A state is a set of named tensors in the format of safetensors, which holds numbers and no code, with a SHA-256 of them.
Random numbers need none: every stream follows from a seed, a purpose and a step. A state is taken up again only by the
stack that it is of, on the same kind of device and by the same program: everything that its `of` says must be equal.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from simulator.common.atomic_files import StorageError, remedy, write_atomically
from simulator.common.signals import stop_if_requested, stop_requested

EVERY = 30.0  # seconds between two states; with the stretch of steps or the measurement under way, below a minute
STRETCH_SECONDS = 1.0  # of training between two looks at the clock
FIRST_STRETCH = 1  # steps before the first look
Tensors = Mapping[str, Tensor]


@dataclass
class Saver:
    """Where a stack saves its state, and finds it. path: None for nowhere. every: seconds."""

    path: Path | None = None
    of: Mapping[str, str] = field(default_factory=dict)
    every: float = EVERY
    last: float = field(default_factory=time.monotonic)
    stretch: int = FIRST_STRETCH

    def load(self) -> dict[str, Tensor] | None:
        """The state that was saved last, on the CPU; None where there is none, or one that is not ours or not whole."""
        if self.path is None or not self.path.exists():
            return None
        return read_state(self.path.read_bytes(), self.of)

    def save_if_due(self, state: Callable[[], Tensors]) -> None:
        """Save the state if it is time, or if the process was asked to stop; in the latter case, do stop.

        A disk that does not take it is told of, and training goes on. Raises KeyboardInterrupt.
        """
        if self.path is not None and (stop_requested() or time.monotonic() - self.last >= self.every):
            try:
                write_atomically(self.path, state_bytes(state(), self.of))
            except StorageError as error:
                warnings.warn(f"{error}; training goes on, and would lose more if it were killed", stacklevel=2)
            self.last = time.monotonic()
        stop_if_requested()

    def delete(self) -> None:
        """Remove the state of a stack that has finished; one that stays does no harm, since it is not gone on from."""
        if self.path is not None:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                text = (
                    f"{self.path}: cannot be removed ({error.strerror or error}); {remedy(error)}, or remove it later"
                )
                warnings.warn(text, UserWarning, stacklevel=2)


def fingerprint(tensors: Tensors) -> str:
    """The SHA-256 of named tensors on the CPU."""
    together = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        together.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        together.update(tensor.contiguous().numpy().tobytes())
    return together.hexdigest()


def state_bytes(tensors: Tensors, of: Mapping[str, str]) -> bytes:
    """A state as the content of a file."""
    here = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(here, metadata={"of": json.dumps(dict(of), sort_keys=True), "sha256": fingerprint(here)})


def read_state(content: bytes, of: Mapping[str, str]) -> dict[str, Tensor] | None:
    """The state in the content of a file, if it is whole and of what `of` says."""
    try:
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")
        about = json.loads(content[8 : 8 + length])["__metadata__"]
        ours = json.loads(about["of"]) == dict(of) and about["sha256"] == fingerprint(tensors)
    except (SafetensorError, ValueError, KeyError, TypeError):
        return None
    return tensors if ours else None


def stretches(left: int, saver: Saver) -> Iterator[int]:
    """So many steps, some at a time: about as many as whoever takes them manages between two looks at the clock."""
    while left > 0:
        count, began = min(left, saver.stretch), time.perf_counter()
        yield count
        seconds = time.perf_counter() - began
        if seconds > 2 * STRETCH_SECONDS:
            saver.stretch = max(1, count // 2)
        elif count == saver.stretch and seconds < STRETCH_SECONDS / 2:
            saver.stretch *= 2
        left -= count


def part_of(state: Tensors, name: str) -> dict[str, Tensor]:
    """The tensors of a state whose names begin with `name` and a dot, without these."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}


def named(name: str, tensors: Tensors) -> dict[str, Tensor]:
    """The other way round."""
    return {f"{name}.{key}": value for key, value in tensors.items()}


def scalar(value: int) -> Tensor:
    """A number in a state."""
    return torch.tensor(value, dtype=torch.int64)
