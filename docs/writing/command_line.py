"""The command line, from its own help: commands, what they take, and exit codes."""

import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import run
from docs.writing.markdown import code, fenced, page, table

EXAMPLES = """
python run.py sweep --dry-run                                    # what it would take: runs, memory, time
python run.py sweep label_noise                                  # one of ours, by name; or mine.toml, of your own
python run.py sweep --out results/few --set data.pairs=256       # any key can be set, several after one --set
python run.py sweep --out results/axis --set 'sweep.data.pairs=[256,1024]' sweep.seeds=2   # or become an axis
python run.py report results/quickstart                          # figures and page from the records, without training
python run.py export results/quickstart --to exported            # models, tokenizer and pairs for transformers and TRL
python run.py score results/quickstart ../trained/dpo --label DPO   # a model trained elsewhere, measured and added
python run.py generations scored.jsonl --gold gold_scores        # best-of-n on real models' responses, without training
python run.py report results/quickstart --formats pdf --table latex   # figures of one column and tables for a paper
python run.py reproduce gpo --quick --out results/claims         # a published experiment and its claims
python run.py reproduce all --quick                              # every one in turn, and a page over all claims
python run.py sweep --out results/few --grow --set data.pairs=256 sweep.seeds=20   # more seeds of a sweep that is there
python run.py sweep gpo --part 3/8                               # a part of the runs, for array jobs
python run.py join results/gpo-part-* --out results/joined       # parts, or seeds of several machines, as one sweep
python run.py sweep --cluster local --out results/on_ray         # stacks as tasks of a Ray cluster
python run.py sweep --memory 2GiB --workers 1                    # all processes together keep under 2 GiB
python run.py audit --set world.language.stop=0.3                # bias and variance of estimators of policy gradients
python run.py regret results/quickstart                          # what took the gold that policies fall short by
python run.py rules --quick                                      # ways to choose beta without gold, judged
python run.py suggest results/quickstart                         # which beta and step the best of them chooses
python run.py influence --quick                                  # which labels cost gold, and what finds them
python run.py search --quick                                     # is there a better loss? judged in other worlds
python run.py losses --picture losses.png                        # all objectives, with f(0), f'(0), f''(0) and kappa
"""
WORDS = {Path: "a path", str: "text", int: "a whole number", float: "a number", bool: "a switch"}
NOTES = """
Values of `--set` are TOML, so lists of names need quotes: `--set 'sweep.loss=["hinge","squared"]'`. A sweep that was
stopped goes on with the same command. A folder that holds another sweep's records is refused. A key that was set and
that no run reads is reported, and an axis of one is dropped. Trained references are cached in the user's cache folder,
or in the one that the environment variable `SIMULATOR_CACHE` names.
"""


def command_line_page() -> str:
    """docs/reference/command_line.md."""
    return page(
        "# The command line",
        "Written by `python docs/reference.py` from the help of the commands. In a clone they are `python run.py "
        "COMMAND`; installed, `alignment-simulator COMMAND` in any folder. `--help` after any of them tells what "
        "stands here, and `--version` the version.",
        fenced("bash", EXAMPLES.strip()),
        *(part for name in commands() for part in command(name)),
        "## What holds for all of them",
        NOTES,
        "## Exit codes",
        table(("code", "meaning"), exit_codes().items()),
    )


def commands() -> list[str]:
    """The names of the commands, in the order of the help."""
    return [name for name in run.app if not name.startswith("-")]


def command(name: str) -> Iterator[str]:
    """What is said of a command."""
    taken = [argument for argument in run.app[name].assemble_argument_collection(parse_docstring=True) if argument.show]
    yield f"## `{name}`"
    yield fenced("text", " ".join(["alignment-simulator", name, *map(usage, taken)]))
    yield inspect.cleandoc(run.app[name].help).partition("\nParameters\n")[0].strip()
    if taken:
        yield table(("what it takes", "values", "default", "meaning"), map(row, taken))


def is_placed(argument: Any) -> bool:
    """Whether it is taken by its place, and not by a name."""
    return not argument.names[0].startswith("-")


def usage(argument: Any) -> str:
    """How it stands in the usage line."""
    name = argument.names[0]
    told = name if is_placed(argument) or argument.hint is bool else f"{name} {placeholder(argument)}"
    return told if argument.required else f"[{told}{'…' if several(argument) else ''}]"


def several(argument: Any) -> bool:
    """Whether it takes more than one value."""
    return get_origin(argument.hint) is tuple or argument.field_info.kind is inspect.Parameter.VAR_POSITIONAL


def placeholder(argument: Any) -> str:
    """What stands for its value."""
    return "KEY=VALUE" if argument.names[0] == "--set" else argument.names[0].lstrip("-").upper()


def row(argument: Any) -> tuple[str, str, str, str]:
    """What is said of it: name, values, default, meaning."""
    default = argument.field_info.default
    told = "required" if argument.required else "" if default in (None, (), False, inspect.Parameter.empty) else default
    return (
        code(argument.names[0]),
        values(argument.hint) + (", or several" if several(argument) else ""),
        code(told) if told and told != "required" else str(told),
        argument.parameter.help or "",
    )


def values(hint: Any) -> str:
    """The values that a type has."""
    if get_origin(hint) is Literal:
        return ", ".join(map(code, get_args(hint)))
    if get_origin(hint) in (Union, types.UnionType, tuple):
        return values(get_args(hint)[0])
    return WORDS[hint]


def exit_codes() -> dict[str, str]:
    """The meaning of each exit code, as the docstring of the command line has it."""
    told = " ".join((run.__doc__ or "").split()).partition("Exit codes: ")[2].partition(". ")[0]
    return dict(re.findall(r"(\d+) ([^;]+)", told))
