"""Ctrl-C, SIGTERM and SIGHUP: the first waits until it does no harm, the second ends the process at once.

Within `handling_signals`, the first raises KeyboardInterrupt in the main thread, but not within `interrupts_delayed`:
there it waits until the block ends, so that a file is written to its end. A stack in training delays it, too, and stops
at the next place where its state can be saved; see `simulator/engine/snapshots.py`. What the second leaves behind is
what any other sudden death would: files that are whole.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

INTERRUPTED = 130
exit_now = os._exit  # which code of the user's own may find replaced
# A lost terminal is heard where there is such a signal, and all but those that a caller such as nohup has shut off.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
SHOW_CURSOR = b"\x1b[?25h"  # a progress bar hides it


@dataclass
class SignalState:
    """Whether this process was asked to stop, and what delays that."""

    requested: bool = False  # whether a signal has asked to stop
    delays: int = 0  # blocks, one within the other, that an interrupt waits for
    handling: bool = False  # whether signals are handled here


STATE = SignalState()


def stop_requested() -> bool:
    """Whether the process was asked to stop."""
    return STATE.requested


def is_false_alarm() -> bool:
    """Whether a KeyboardInterrupt is none: this process listens to signals, and has heard none."""
    return STATE.handling and not STATE.requested


def forget_requests() -> None:
    """Nobody has asked this process to stop, and nothing delays that: it is a copy that has just begun."""
    STATE.requested, STATE.delays = False, 0


def stop_if_requested() -> None:
    """Raises KeyboardInterrupt where the process was asked to stop, whatever holds it off."""
    if STATE.requested:
        raise KeyboardInterrupt


@contextmanager
def interrupts_delayed() -> Iterator[None]:
    """An interrupt waits until the block ends."""
    STATE.delays += 1
    try:
        yield
    finally:
        STATE.delays -= 1
    if not STATE.delays:
        stop_if_requested()


def in_main_thread() -> bool:
    """Whether this is the thread that signals reach; a notebook may call us from another."""
    return threading.current_thread() is threading.main_thread()


def interrupt_when_terminated() -> None:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP, too, but where the caller, such as nohup, has shut one off.

    Elsewhere than in the main thread nothing changes.
    """
    if not in_main_thread():
        return
    for number in ("SIGTERM", "SIGHUP"):
        if (which := getattr(signal, number, None)) and signal.getsignal(which) != signal.SIG_IGN:
            signal.signal(which, signal.default_int_handler)


@contextmanager
def handling_signals(answer: bytes = b"", *, once: bool = False) -> Iterator[None]:
    """Hear Ctrl-C, SIGTERM and SIGHUP while the block runs; the first is answered on standard error.

    once: hear no second.

    Elsewhere than in the main thread, where Python hears no signals, nothing changes.
    """
    if not in_main_thread():
        yield
        return

    def hear(number: int, frame: FrameType | None) -> None:
        if STATE.requested and once:
            return
        if STATE.requested:
            if sys.__stdout__ is not None and sys.__stdout__.isatty():
                os.write(sys.__stdout__.fileno(), SHOW_CURSOR)
            exit_now(INTERRUPTED)
        STATE.requested = True
        with suppress(OSError):  # nobody listens
            os.write(2, answer)
        if not STATE.delays:
            raise KeyboardInterrupt

    before = {which: signal.signal(which, hear) for which in SIGNALS if signal.getsignal(which) != signal.SIG_IGN}
    STATE.handling = True
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, signal.SIG_DFL if handler is None else handler)  # None: it was not set from Python
        STATE.requested = STATE.handling = False
