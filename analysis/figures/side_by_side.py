"""Figures drawn by several processes, for the command: matplotlib uses one core.

A helper is `python -m analysis.figures.side_by_side`. It imports what drawing needs, and then draws the figures of one
result directory after another, each named by a line of JSON on its standard input: [FOLDER, CLAIMS]. It answers with a
line when it has drawn its share. Whoever makes the file of a figure's name in the folder CLAIMS draws that figure;
helpers begin with the last. Where one fails, this process draws what it did not draw itself.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

SOURCE = Path(__file__).resolve().parents[2]
MOST = 3  # helpers; a sweep has about ten figures


def claims(folder: Path, name: str) -> bool:
    """Whether nobody has claimed the figure of this name before."""
    try:
        (folder / name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def start_helper() -> "subprocess.Popen[str]":
    """A process that draws figures once it is given a result directory. Raises OSError."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "analysis.figures.side_by_side"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path},
    )


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


Helpers = Sequence["subprocess.Popen[str]"]


@contextmanager
def helpers(most: int = MOST) -> Iterator[Helpers]:
    """Processes that can draw while the block runs: at most so many, and one less than there are cores."""
    running: list[subprocess.Popen[str]] = []
    try:
        with suppress(OSError):  # without them this process draws all
            for _ in range(min(cores() - 1, most, MOST)):
                running.append(start_helper())
        yield running
    finally:
        for helper in running:
            helper.kill()
            helper.wait()
            for pipe in (helper.stdin, helper.stdout):
                assert pipe is not None
                with suppress(OSError):
                    pipe.close()


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """The figures of a result directory while helpers draw them, and the folder of claims."""

    folder: Path
    drawn_by: Helpers
    claimed: Path
    drawn: set[str] = field(default_factory=set)

    def draw(self, curves: "pd.DataFrame | None" = None) -> None:
        """Draw what no helper has claimed. curves: those of the folder, where they are loaded. Raises ResultsError."""
        from analysis.figures.drawing import draw_all

        def mine(name: str) -> bool:
            if claims(self.claimed, name):
                self.drawn.add(name)
            return name in self.drawn

        draw_all(self.folder, mine, curves=curves)

    def wait(self) -> None:
        """Wait for what helpers draw, and draw what one left behind. Raises ResultsError."""
        from analysis.figures.drawing import draw_all

        answers = [helper.stdout.readline() for helper in self.drawn_by if helper.stdout]
        if not all(answers):
            draw_all(self.folder, lambda name: name not in self.drawn)


@contextmanager
def drawing(folder: Path, some: Helpers) -> Iterator[Drawing]:
    """The helpers draw the figures of a result directory while the block runs, which ends with `draw` and `wait`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as claimed:  # a helper may still be at work
        begun = [helper for helper in some if ask(helper, [str(folder.resolve()), claimed])]
        yield Drawing(folder=folder, drawn_by=begun, claimed=Path(claimed))


def ask(helper: "subprocess.Popen[str]", what: list[str]) -> bool:
    """Give a helper its line; whether it is there to read it."""
    assert helper.stdin is not None
    try:
        helper.stdin.write(f"{json.dumps(what)}\n")
        helper.stdin.flush()
    except OSError:
        return False
    return True


def main() -> None:
    """Draw what nobody has claimed, the last first, for each line that comes."""
    gc.disable()  # nothing that is imported is garbage
    from analysis.figures.drawing import draw_all, warm_up

    warm_up()
    gc.freeze()
    gc.enable()
    for line in sys.stdin:
        folder, claimed = map(Path, json.loads(line))
        draw_all(folder, partial(claims, claimed), backwards=True)
        os.write(1, b"drawn\n")


if __name__ == "__main__":
    main()
