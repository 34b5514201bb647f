"""A tracker in a process of its own, for the command: opened while the sweep runs, at work while figures are drawn."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from simulator.common.errors import ConfigError
from simulator.tracking.choose import LATER, OPTION, check
from simulator.user_code.loading import is_own, said_if_slow

SOURCE = Path(__file__).resolve().parents[2]
PATIENCE = 5.0  # seconds before it is said that somebody waits
GRACE = 0.5  # seconds that the process has to end by itself


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """A tracker at work, or none at all."""

    name: str = ""
    process: "subprocess.Popen[str] | None" = None

    def await_own(self) -> None:
        """Wait until it has opened a tracker of the user's own. Raises ConfigError where that is none."""
        if self.process and is_own(self.name) and not self.answer():
            raise ConfigError(f"{OPTION}{self.name}: must return a tracker, but ends the process")

    def log(self, folder: Path) -> None:
        """Log the sweep in a folder, which has ended; does not wait."""
        self.ask(log=str(folder.resolve()))

    def end(self, folder: Path, say: Callable[[str], None]) -> None:
        """The figures of the sweep in a folder are drawn; wait until all is logged, and say what the tracker says."""
        if self.process is None:
            return
        self.ask(end=str(folder.resolve()))
        slow = f"{OPTION}{self.name}: is still logging; Ctrl-C leaves the rest to the same command"
        with (
            said_if_slow(slow, PATIENCE),
            suppress(ConfigError),  # its process has said so
        ):
            while answer := self.answer():
                if "ended" in answer:
                    if answer["ended"]:
                        say(answer["ended"])
                    return
            warnings.warn(f"{OPTION}{self.name}: its process died; {LATER}", UserWarning, stacklevel=2)

    def ask(self, **what: str) -> None:
        """Give the process a line, if it is there to read it."""
        if self.process and self.process.stdin:
            with suppress(OSError):
                self.process.stdin.write(f"{json.dumps(what)}\n")
                self.process.stdin.flush()

    def answer(self) -> dict[str, str]:
        """Its next answer; nothing where it has died. Raises ConfigError where it refused the tracker."""
        line = self.process.stdout.readline() if self.process and self.process.stdout else ""
        answer: dict[str, str] = json.loads(line) if line else {}
        if "refused" in answer:
            raise ConfigError(answer["refused"])
        return answer

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self.process is None:
            return
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        self.process.kill()
        self.process.wait()


@contextmanager
def tracking(name: str | None, *, work: bool = True) -> Iterator[Tracking]:
    """A tracker of this name at work while the block runs, if there is a name. Raises ConfigError where that is wrong.

    work: whether there will be anything to log.
    """
    if name is not None:
        check(name)
    if name is None or not work:
        yield Tracking()
        return
    found = Tracking(name=name, process=start(name))
    try:
        yield found
    finally:
        found.close()


def start(name: str) -> "subprocess.Popen[str]":
    """A process that opens a tracker, and that an interrupt reaches only through us."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "simulator.tracking.helper", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # where there are no sessions
    )
