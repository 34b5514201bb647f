"""The process that a tracker works in: `python -m simulator.tracking.helper NAME`.

It opens the tracker while the sweep runs, and says so with a line of JSON on what was standard output: {"ready": true},
or {"refused": why}. Then it takes lines from standard input: {"log": FOLDER}, of a sweep that has ended and whose
figures are being drawn, and {"end": FOLDER} when they are there. The latter it answers with {"ended": text}, what the
tracker has to say.

Whatever a tracker imports, sets, prints or breaks stays in this process. MLflow is imported and opened by a thread that
gives way to those who train, so that it takes what time they leave; what is written then is written at full speed.
"""

import gc
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TextIO

from simulator.common.errors import ConfigError
from simulator.common.terminal import print_warning
from simulator.tracking.choose import LATER, OPTION, Chosen, open_tracker
from simulator.tracking.mlflow_place import APART
from simulator.user_code.loading import is_own

GIVES_WAY = 10  # how nice: a tenth of what others get, and enough where the machine is never idle


def open_channel() -> tuple[TextIO, TextIO]:
    """What comes and what is answered; a tracker finds an empty input, and what it prints goes to standard error."""
    asked, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2 if sys.stderr is not None else null, 1)
    os.close(null)
    return asked, answers


def serve(chosen: Chosen, asked: TextIO, answers: TextIO) -> None:
    """Log one sweep after another."""
    from simulator.tracking.log_sweep import FAILURES, log_end, log_runs

    logged: dict[str, bool] = {}  # whether that went well, by the folder
    for line in asked:
        [(what, folder)] = json.loads(line).items()
        said = ""
        try:
            if folder not in logged:
                logged[folder] = False
                log_runs(chosen, Path(folder))
                logged[folder] = True
            if what == "end" and logged[folder]:
                said = log_end(chosen, Path(folder))
        except FAILURES as error:
            print_warning(f"{error}; {LATER}")
        if what == "end":
            logged.pop(folder)
            answer(answers, ended=said)


def answer(answers: TextIO, **content: object) -> None:
    """Send a line of JSON."""
    answers.write(f"{json.dumps(content)}\n")
    answers.flush()


def open_behind(name: str) -> Chosen:
    """A tracker of ours, opened by a thread that gives way. Raises ConfigError."""

    def give_way() -> None:
        if sys.platform == "linux":  # where threads have a niceness of their own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), GIVES_WAY)
        import_module("simulator.tracking.log_sweep")

    with ThreadPoolExecutor(1, initializer=give_way) as behind:
        return behind.submit(open_tracker, name).result()


def main(name: str) -> None:
    """Open the tracker of this name, and log to it what comes."""
    for key, value in APART.items():
        os.environ.setdefault(key, value)
    asked, answers = open_channel()
    gc.disable()  # nothing that is imported is garbage
    try:
        chosen = open_tracker(name) if is_own(name) else open_behind(name)
    except ConfigError as error:
        if not is_own(name):  # nobody waits for the answer
            print_warning(f"{error}; {LATER}")
        answer(answers, refused=str(error))
        return
    if is_own(name):
        sys.path.append(str(chosen.path.parent))  # for what its methods import late
    gc.freeze()
    gc.enable()
    answer(answers, ready=True)
    serve(chosen, asked, answers)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BrokenPipeError:
        pass  # the command has ended, and nobody waits
    except Exception as error:  # one that nobody foresaw
        print_warning(f"{OPTION}{sys.argv[1]}: {error!r}; {LATER}")
    os._exit(0)
