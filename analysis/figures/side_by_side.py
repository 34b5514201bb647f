"""Figures drawn by several processes, for the command: matplotlib uses one core.

A helper is `python -m analysis.figures.side_by_side FOLDER CLAIMS`. Whoever makes the file of a figure's name in the
folder CLAIMS draws that figure; helpers begin with the last. Where one fails, this process draws what it did not draw
itself.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
MOST = 3  # helpers; a sweep has about ten figures


def claims(folder: Path, name: str) -> bool:
    """Whether nobody has claimed the figure of this name before."""
    try:
        (folder / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def start_helper(folder: Path, claimed: Path) -> "subprocess.Popen[bytes]":
    """A process that draws figures of a result directory. Raises OSError."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "analysis.figures.side_by_side", str(folder.resolve()), str(claimed)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class Helpers:
    """Processes that draw the figures of a result directory, and the folder of their claims."""

    running: Sequence["subprocess.Popen[bytes]"]
    claimed: Path


@contextmanager
def helpers(folder: Path) -> Iterator[Helpers]:
    """Helpers that draw the figures of a result directory while the block runs."""
    with tempfile.TemporaryDirectory() as place:
        running: list[subprocess.Popen[bytes]] = []
        try:
            with suppress(OSError):  # without them this process draws all
                running += [start_helper(folder, Path(place)) for _ in range(min(cores() - 1, MOST))]
            yield Helpers(running=running, claimed=Path(place))
        finally:
            for helper in running:
                helper.kill()
                helper.wait()


def draw_beside(folder: Path, others: Helpers) -> None:
    """Draw what no helper has claimed, and wait for the rest. Raises ResultsError."""
    from analysis.figures import draw_all

    drawn: set[str] = set()

    def mine(name: str) -> bool:
        if claims(others.claimed, name):
            drawn.add(name)
        return name in drawn

    draw_all(folder, mine)
    ends = [helper.wait() for helper in others.running]
    if any(ends):
        draw_all(folder, lambda name: name not in drawn)


def main(folder: str, claimed: str) -> None:
    """Draw what nobody has claimed, the last first."""
    from analysis.figures import draw_all

    draw_all(Path(folder), lambda name: claims(Path(claimed), name), backwards=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
