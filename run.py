"""The command line: parse, call, exit.

Exit codes: 0 done; 2 the user's input is wrong; 1 something failed; 130 interrupted; 141 the reader of what is
printed is gone. What is heavy is imported by the command that needs it, so that --help answers at once.
"""

import io
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

from cyclopts import App, CycloptsError, Parameter

STOPPING = b"\nstopping when what is being written is on disk; once more stops at once\n"

if TYPE_CHECKING:
    from simulator.sweeps.sweep import Sweep

Switch = Annotated[bool, Parameter(negative=())]
Settings = Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=(1, 10_000), negative=())]


def version() -> str:
    """The version of the installed package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("alignment-simulator")
    except PackageNotFoundError:
        return "not installed, run from its source"


app = App(
    name="run.py",
    help="Offline alignment under full control: overoptimization sweeps, frontiers, figures.",
    help_format="plaintext",
    version=version,
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Running:
    """How a sweep is run."""

    device: Annotated[Literal["auto", "cpu", "cuda"], Parameter(help="Where policies are trained.")] = "auto"
    workers: Annotated[int | None, Parameter(help="Processes to train in on a CPU; one for each core unless said.")] = (
        None
    )
    memory: Annotated[
        str | None,
        Parameter(
            help="What they may take together, such as 2GiB (on a GPU, its memory); half of what is free unless said."
        ),
    ] = None
    fresh: Annotated[bool, Parameter(negative=(), help="Start over: remove the records that the folder holds.")] = False
    accept_source: Annotated[
        bool,
        Parameter(
            negative=(),
            help="Go on with records that other code made, which may give other numbers; records and the page say so.",
        ),
    ] = False
    dry_run: Annotated[
        bool, Parameter(negative=(), help="Print what it, or what is missing of it, would take, and do nothing.")
    ] = False


@app.command
def sweep(
    config: Path = Path("quickstart"),
    /,
    *,
    out: Path | None = None,
    settings: Settings = (),
    running: Running = Running(),
) -> None:
    """Run a sweep, or what is missing of it, and draw its figures.

    Parameters
    ----------
    config
        The sweep: a TOML file, or the name of one that ships, such as gpo.
    out
        Where records and figures go; results/NAME for NAME.toml unless said.
    settings
        KEY=VALUE replaces one key of the sweep, such as world.prompts=4; several may follow.
    running
        How it is run.

    """
    asked = found_right(config, settings)
    target = out or Path("results") / config.stem
    if running.dry_run:
        tell_plan(asked, target, running)
        return
    with shown_at_the_end(target):
        run_watched(asked, target, running)


def found_right(config: str | Path, settings: Sequence[str]) -> "Sweep":
    """The sweep of a file, all of whose grid is right; nothing heavy is imported before. Raises ConfigError."""
    from simulator.sweeps.grid import expand
    from simulator.sweeps.sweep import Sweep

    asked = Sweep.from_toml(config, settings)
    expand(asked)
    return asked


@contextmanager
def shown_at_the_end(target: Path) -> Iterator[None]:
    """Report on a sweep when the block ends, also where some of its runs failed."""
    from simulator.common.errors import SweepError

    try:
        yield
    except SweepError:
        if (target / "curves.parquet").exists():
            show(target)
        raise
    show(target)


def tell_plan(sweep: "Sweep", target: Path, running: Running) -> None:
    """Print what a sweep would take."""
    from simulator.execution.devices import choose_device, processes_on
    from simulator.execution.estimate import make_plan

    plan = make_plan(
        sweep,
        processes_on(running.device, running.workers),
        memory=running.memory,
        device=choose_device(running.device),
        out=target,
        fresh=running.fresh,
        accept_source=running.accept_source,
    )
    say(*plan.lines(target))


def show(folder: Path) -> None:
    """Report on a sweep that just ended; that all of its runs diverged is what it came to, and no error.

    One whose page is younger than its records is left as it is.
    """
    from simulator.storage.inventory import reported
    from simulator.storage.layout import ResultFolder

    if all_there := reported(ResultFolder(path=folder)):
        say(all_there, f"`python run.py report {folder}` tells again what they came to")
        return
    from analysis.figures import drawable
    from analysis.report.terminal_text import text

    if drawable(folder):
        report(folder)
    else:
        say(*text(folder).split("\n"))


def run_watched(sweep: "Sweep", target: Path, running: Running) -> None:
    """Run a sweep with its progress on standard output."""
    from simulator.common.signals import handling_signals
    from simulator.execution.progress import progress_on
    from simulator.execution.run_sweep import run_sweep
    from simulator.storage.inventory import kept_in
    from simulator.storage.layout import ResultFolder

    how = {field.name: getattr(running, field.name) for field in fields(running) if field.name != "dry_run"}
    try:
        with handling_signals(STOPPING), progress_on(sys.stdout, sweep) as watch:
            run_sweep(sweep, target, **how, watch=watch)
    except KeyboardInterrupt:
        say(f"interrupted: {kept_in(ResultFolder(path=target))}; the same command goes on from there")
        raise


@app.command
def reproduce(
    name: str,
    /,
    *,
    out: Path | None = None,
    quick: Switch = False,
    running: Running = Running(),
) -> None:
    """Run a published experiment, or what is missing of it, and judge its claims by rules written beforehand.

    Parameters
    ----------
    name
        gpo, gao, rafailov, coste or neighbours.
    out
        Where records, figures and claims.json go; results/NAME unless said, results/NAME-quick for the quick version.
    quick
        A small version in less than two minutes, to see how it works; its verdicts mean little, and say so.
    running
        How its sweeps are run.

    """
    from analysis.figures import draw_worked
    from analysis.published.papers import PAPERS
    from analysis.published.verdicts import corrected, judge_part, text, write_claims
    from simulator.common.errors import ConfigError, nearest
    from simulator.storage.provenance import verdicts_source

    if name not in PAPERS:
        raise ConfigError(f"reproduce {name}: must be one of {', '.join(PAPERS)}{nearest(name, PAPERS)}")
    paper, target = PAPERS[name], out or Path("results") / (f"{name}-quick" if quick else name)
    judged = []
    for part, asked in paper.parts.items():
        changed, folder = asked.quick if quick else (), target / part
        sweep = found_right(asked.config, changed)
        say(f"{' '.join(filter(None, [name, part]))}: {' '.join([f'{asked.config}.toml', *changed])}")
        if running.dry_run:
            tell_plan(sweep, folder, running)
            continue
        run_watched(sweep, folder, running)
        how_made = {"version": version(), "verdicts_source": verdicts_source()}
        judged += judge_part(name, part, folder, quick=quick, how_made=how_made)
        draw_worked(folder, paper.worked)
        show(folder)
    if judged:
        judged = corrected(judged)
        write_claims(judged, target)
        say(*text(judged).split("\n"), f"claims in {target / 'claims.json'}")


@app.command
def report(folder: Path, /) -> None:
    """Draw the figures of a result directory from its records, make its page, and print what they came to.

    Parameters
    ----------
    folder
        A result directory, of a sweep that ended or still runs.

    """
    from analysis.figures import draw_all
    from analysis.records.checksums import blamed_on, damages, seal_report
    from analysis.report import write_report
    from analysis.report.terminal_text import text

    damaged = damages(folder)
    for sentence in damaged:
        tell(sentence)
    with blamed_on(damaged):
        say(*text(folder).split("\n"))
        draw_all(folder)
        say(f"figures in {folder / 'figures'}")
        say(f"page in {write_report(folder)}")
        seal_report(folder)


@app.command
def losses(*names: str, picture: Path | None = None) -> None:
    """The losses f(z) at z = beta rho and what they do around z = 0, and the other objectives.

    Parameters
    ----------
    names
        Some of them, or losses of your own as my_file.py:function; all of ours unless said.
    picture
        Draw those that are functions of z into this file, a PNG, SVG or PDF; GPO's six unless some are named.

    """
    from simulator.objectives.local_shape import sample_losses
    from simulator.objectives.loss_table import chosen, describe, functions
    from simulator.objectives.losses.gpo import LOSSES

    say(*describe(chosen(names)).split("\n"))
    if picture:
        import pandas as pd

        from analysis.figures import picture_losses

        shown = functions(chosen(names or list(LOSSES)))
        picture_losses(pd.DataFrame(sample_losses(shown)), picture)
        say(f"picture in {picture}")


@app.command
def schema() -> None:
    """Print the JSON Schema of sweep files, for editors that complete keys and mark mistakes.

    Save it beside your sweeps, as with `python run.py schema > sweep.schema.json`; with `#:schema sweep.schema.json` on
    the first line of a sweep, editors that use Taplo, such as VS Code with Even Better TOML, find it.
    """
    import json

    from simulator.sweeps.json_schema import schema

    say(*json.dumps(schema(), indent=2).split("\n"))


def say(*lines: object, stream: TextIO | None = None) -> None:
    """Print lines, with nothing in them that acts on a terminal."""
    from simulator.common.terminal import say

    say(*lines, stream=stream)


def hidden_package() -> str:
    """A sentence where one of our packages would be imported from elsewhere than from beside this file."""
    for name in ("simulator", "gold_rewards", "analysis"):
        spec = find_spec(name)
        where = Path(spec.origin).resolve() if spec and spec.origin else None
        if where is None or where.parent.parent != Path(__file__).resolve().parent:
            return (
                f"{repr(str(where or name))[1:-1]}: has the name of our own package {name} and hides it; rename it, "
                "or run the command from another folder and without it in PYTHONPATH"
            )
    return ""


def blame(error: Exception) -> int | None:
    """The exit code of an error that has a message for the user; None for one that nobody foresaw."""
    if isinstance(error, CycloptsError):
        return 2
    from simulator.common.errors import ConfigError, SweepError

    if isinstance(error, ConfigError):
        return 2
    if analysis := sys.modules.get("analysis.records.load"):  # who raises one of its errors has imported it
        if isinstance(error, analysis.UnwritableError):
            return 1
        if isinstance(error, analysis.ResultsError):
            return 2
    return 1 if isinstance(error, SweepError | OSError) else None


def tell(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as a line for the user."""
    with suppress(OSError):
        say(f"warning: {message}", stream=sys.stderr)


def fail(error: object) -> None:
    """An error as lines for the user, those of our own errors."""
    lines = str(error).split("\n") if isinstance(error, ValueError | RuntimeError) else [str(error)]
    with suppress(OSError):
        say(f"error: {lines[0]}", *lines[1:], stream=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name and return the exit code."""
    for number in ("SIGTERM", "SIGHUP"):  # a caller such as nohup may have shut off the second
        if (which := getattr(signal, number, None)) and signal.getsignal(which) != signal.SIG_IGN:
            signal.signal(which, signal.default_int_handler)
    if sys.stdout is None or sys.stderr is None:  # closed by the caller
        sys.stdout = sys.stderr = io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may have signs that the user's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    if hidden := hidden_package():
        sys.stderr.write(f"error: {hidden}\n")
        return 2
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141
    except Exception as error:
        code = blame(error)
        if code is None:
            raise
        fail(error)
        return code
    return 0


def command() -> None:
    """The installed command `alignment-simulator`: `main`, with warnings as lines, and its exit code."""
    warnings.showwarning = tell
    sys.exit(main())


if __name__ == "__main__":
    command()
