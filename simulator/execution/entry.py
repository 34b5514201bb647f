"""A command line as a process: its errors as one message each, its exit code, its end."""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress

from cyclopts import App, CycloptsError, UnusedCliTokensError

from simulator.common.terminal import say
from simulator.execution.console import left_over


def answer(app: App, arguments: Sequence[str] | None) -> int:
    """Run the command that `arguments`, or else those of the process, name; the exit code."""
    from simulator.common.signals import interrupt_when_terminated
    from simulator.common.terminal import exit_code, print_error, repair_streams

    interrupt_when_terminated()
    repair_streams()
    try:
        say(*(app(arguments, exit_on_error=False, print_error=False, result_action="return_value") or ()))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
    except UnusedCliTokensError as error:
        print_error(ValueError(left_over(error.unused_tokens or [])))
        return 2
    except Exception as error:
        code = 2 if isinstance(error, CycloptsError) else exit_code(error)
        if code is None:
            raise
        print_error(error)
        return code
    return 0


def end_with(main: Callable[[], int]) -> None:
    """Run `main`, with warnings as lines, and end the process with its exit code."""
    from simulator.common.terminal import print_warning
    from simulator.execution.devices import begin_importing

    warnings.showwarning = print_warning
    begin_importing()
    code = main()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError, ValueError):  # nobody reads it
            stream.flush()
    os._exit(code)  # to take a million objects apart would need a second
