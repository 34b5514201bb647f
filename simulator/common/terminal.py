"""What is printed for people: a line at a time, with nothing in it that acts on a terminal.

A terminal that is gone is no error. Where the reader of a pipe is gone, the first line raises BrokenPipeError, and what
follows goes nowhere.
"""

import errno
import io
import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

from simulator.common.errors import printable


def say(*lines: object, stream: TextIO | None = None) -> None:
    """Print lines, each printable, on standard output unless a stream is given. Raises OSError where that fails."""
    stream = stream or sys.stdout
    try:
        stream.write("".join(f"{printable(str(line))}\n" for line in lines))
        stream.flush()
    except OSError as error:
        gone, unread = error.errno == errno.EIO and is_terminal(stream), is_broken_pipe(error)
        if gone or unread:
            discard_output(stream)
        if unread and not isinstance(error, BrokenPipeError):
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
        if not gone:
            raise


def is_broken_pipe(error: OSError) -> bool:
    """Whether an error says that nobody reads a pipe any more; on Windows such a write is an invalid argument."""
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal, or was one before that was closed."""
    with suppress(OSError, ValueError):
        return stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    return False


def discard_output(stream: TextIO) -> None:
    """Let whatever is still written to a stream go nowhere."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def print_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning on standard error; takes the place of `warnings.showwarning`."""
    with suppress(OSError):
        say(f"warning: {message}", stream=sys.stderr)


def print_error(error: Exception) -> None:
    """Print an error on standard error; the lines of our own errors stay lines."""
    lines = str(error).split("\n") if isinstance(error, ValueError | RuntimeError) else [str(error)]
    with suppress(OSError):
        say(f"error: {lines[0]}", *lines[1:], stream=sys.stderr)


def exit_code(error: Exception) -> int | None:
    """The exit code of an error that has a message for the user; None for one that nobody foresaw."""
    return getattr(error, "exit_code", 1 if isinstance(error, OSError) else None)


def repair_streams() -> None:
    """Let standard output and error take every sign, and take the place of those that the caller closed.

    Their descriptors lead nowhere then, so that no other file has one of them.
    """
    for standard in range(3):
        try:
            os.fstat(standard)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it is the lowest that is free
    if sys.stdout is None or sys.stderr is None:
        sys.stdout = sys.stderr = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may have signs that the user's encoding lacks
            stream.reconfigure(errors="backslashreplace")


@dataclass(frozen=True, kw_only=True)
class BestEffortStream:
    """A stream for what may be lost: a write that fails is none. What else a stream has is that of `stream`."""

    stream: TextIO

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError):
            self.stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)
