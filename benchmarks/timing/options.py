"""The options that the commands have in common."""

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence

import torch

from benchmarks.contenders.cases import Case
from benchmarks.timing.machine import one_thread
from benchmarks.timing.results import RESULTS, Section, tell

MOST = 1_000_000  # of any number that these commands are given


def parser(
    module: str, about: str | None, *, rounds: int, cases: Mapping[str, Case] | None = None, seconds: float = 0.0
) -> argparse.ArgumentParser:
    """The options that commands have in common. about: the module's docstring.

    cases: which sizes it may be asked for, where it has some. seconds: what a contender works for in a round, where it
    is this process that works, which may do so on a GPU.
    """
    found = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    found.add_argument("--rounds", type=at_least_one, default=rounds, help=f"how often each is measured ({rounds})")
    found.add_argument("--record", action="store_true", help=f"write this command's section of {RESULTS.name}")
    if cases is not None:
        found.add_argument("--case", choices=cases, action="append", help="measure this size only; may be repeated")
    if seconds:
        found.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (cpu)")
        found.add_argument(
            "--seconds", type=above_zero, default=seconds, help=f"that each works for in a round, about ({seconds:g})"
        )
    return found


def command_of(options: argparse.ArgumentParser, arguments: Sequence[str] | None) -> str:
    """What finds the same again: the command with its arguments, those of this process unless some are given."""
    given = sys.argv[1:] if arguments is None else arguments
    return shlex.join([*options.prog.split(), *(word for word in given if word != "--record")])


def asked_cases(options: argparse.Namespace, cases: Mapping[str, Case]) -> list[Case]:
    """The sizes that were asked for, or all."""
    return [cases[name] for name in options.case or cases]


def asked_device(options: argparse.ArgumentParser, asked: argparse.Namespace) -> torch.device:
    """Where to compute. Ends the command where that is not there."""
    if asked.device == "cuda" and not torch.cuda.is_available():
        options.error("--device cuda: torch finds no GPU here")
    return torch.device(asked.device)


def timed_here(
    module: str,
    about: str | None,
    section: Callable[[torch.device, int, float, Sequence[Case]], Section],
    *,
    rounds: int,
    cases: Mapping[str, Case],
    seconds: float,
    arguments: Sequence[str] | None,
) -> None:
    """A command that measures in this process, one thread on a CPU: what `section` finds at the sizes asked for."""
    options = parser(module, about, rounds=rounds, cases=cases, seconds=seconds)
    asked = options.parse_args(arguments)
    device, some = asked_device(options, asked), asked_cases(asked, cases)
    one_thread()
    tell(section(device, asked.rounds, asked.seconds, some), command_of(options, arguments), record=asked.record)


def at_least_one(text: str) -> int:
    """A whole number of at least 1 and at most MOST. Raises ArgumentTypeError."""
    if not text.isdecimal() or len(text) > len(str(MOST)) or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST:,}, not {text[:40]}")
    return int(text)


def above_zero(text: str) -> float:
    """A number above 0 and at most MOST. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= MOST:
        raise argparse.ArgumentTypeError(f"must be a number above 0 and at most {MOST:,}, not {text[:40]}")
    return value
