"""The command line: parse, call, exit; what is heavy is imported late, so that --help answers at once.

Exit codes: 0 done; 1 something failed, or some runs did; 2 the user's input is wrong, and one message says what; 130
interrupted; 141 the reader of what is printed is gone.
"""

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cyclopts import App


def hidden_package() -> str:
    """A sentence where one of our packages would be imported from elsewhere than from beside this file."""
    for name in ("simulator", "gold_rewards", "analysis"):
        spec = find_spec(name)
        where = Path(spec.origin).resolve() if spec and spec.origin else None
        if where is None or where.parent.parent != Path(__file__).resolve().parent:
            return (
                f"{ascii(str(where or name))[1:-1]}: has the name of our own package {name} and hides it; rename it, "
                "or run the command from another folder and without it in PYTHONPATH"
            )
    return ""


if hidden := hidden_package():
    if sys.stderr is not None:
        sys.stderr.write(f"error: {hidden}\n")
    raise SystemExit(2)

from analysis.generations.command import generations
from analysis.instruments.stopping.command import suggest
from analysis.report.paper import ForPaper
from simulator.audit.command import audit_with
from simulator.common.terminal import say as say  # docs/write.py prints by it
from simulator.execution.console import Running, Settings, SomeRuns, Switch, schema
from simulator.execution.entry import answer, end_with
from simulator.instruments.influence.command import influence_with
from simulator.instruments.regret.command import regret_with
from simulator.instruments.search.command import search_with
from simulator.instruments.stopping.command import rules_with
from simulator.interchange.command import export, score
from simulator.joining.command import join
from simulator.storage.version import installed_version as version

app = App(
    name="run.py",
    help="Offline alignment under full control: overoptimization sweeps, frontiers, figures.",
    help_format="plaintext",
    version=version,
)


@app.command
def sweep(
    config: Path = Path("quickstart"),
    /,
    *,
    out: Path | None = None,
    settings: Settings = (),
    some: SomeRuns = SomeRuns(),
    running: Running = Running(),
) -> None:
    """Run a sweep, or the runs that it has not finished, and draw its figures.

    Parameters
    ----------
    config
        The sweep: a TOML file, or the name of one that ships, such as gpo.
    out
        Where records and figures go; results/NAME for NAME.toml unless said.
    settings
        KEY=VALUE replaces one key of the sweep, such as world.prompts=4; several may follow.
    some
        Which runs.
    running
        How it is run.

    """
    from analysis.figures.side_by_side import helpers

    with running.tracking() as tracking, helpers(0 if running.dry_run else 1) as drawers:  # they import meanwhile
        from simulator.common.errors import SweepError
        from simulator.sweeps.grid import read_sweep

        asked, target = read_sweep(config, settings), out or some.folder(config)
        try:
            if running.start(asked, target, tracking, some):
                show(target, tracking, drawers)
        except SweepError:  # some of its runs failed
            if (target / "curves.parquet").exists():
                show(target, tracking, drawers)
            raise


def show(folder: Path, tracking: Any, drawers: Sequence[Any]) -> None:
    """Report on a sweep that just ended, unless its page is younger than its records, and tell a tracker of it."""
    from simulator.common.terminal import print_warning
    from simulator.storage.inventory import describe_finished
    from simulator.storage.layout import ResultFolder

    if all_there := describe_finished(ResultFolder(path=folder)):
        say(all_there, f"`python run.py report {folder}` tells again what they came to")
    else:
        from analysis.report.command import show_ended_sweep

        show_ended_sweep(folder, drawers, say=say, warn=print_warning)
    tracking.end(folder, say)


@app.command
def reproduce(name: str, /, *, out: Path | None = None, quick: Switch = False, running: Running = Running()) -> None:
    """Run a published experiment, or its unfinished runs, and judge its claims by rules written beforehand.

    With all, every one in turn, each into a folder of its own, and a page over all claims: claims.html.

    Parameters
    ----------
    name
        gpo, chi, coste, gao, kwa, neighbours, rafailov, razin, tang or wolf; or all.
    out
        Where records, figures and claims.json go; results/NAME unless said, results/NAME-quick for the quick version.
    quick
        A small version in less than two minutes, to see how it works; its verdicts mean little, and say so.
    running
        How its sweeps are run.

    """
    from analysis.published.papers import PAPERS
    from analysis.report.reproduction.papers import ALL, Lent, reproduce_all, reproduce_paper
    from simulator.common.errors import ConfigError, SweepError, nearest
    from simulator.common.terminal import exit_code, print_error
    from simulator.storage.provenance import verdicts_source
    from simulator.sweeps.grid import read_sweep

    if name not in (known := [*PAPERS, ALL]):
        raise ConfigError(f"reproduce {name}: must be one of {', '.join(known)}{nearest(name, known)}")
    target = out or Path("results") / (f"{name}-quick" if quick else name)
    with running.tracking() as tracking:
        lent = Lent(
            read=read_sweep,
            start=lambda sweep, folder: running.start(sweep, folder, tracking),
            show=lambda folder, drawers: show(folder, tracking, drawers),
            fail=lambda paper, error: print_error(RuntimeError(f"{paper}: {str(error) or type(error).__name__}")),
            say=say,
            how_made={"version": version(), "verdicts_source": verdicts_source()},
            draws=not running.dry_run,
        )
        if name != ALL:
            reproduce_paper(name, target, lent, quick=quick)
        elif failed := reproduce_all(target, lent, quick=quick):
            told = f"failed: {', '.join(failed)}; the same command runs what is missing"
            raise next((error for error in failed.values() if exit_code(error) is None), SweepError(told))


@app.command
def report(folder: Path, /, *others: Path, out: Path | None = None, paper: ForPaper = ForPaper()) -> None:
    """Draw the figures of a sweep, make its page, print what it came to; of several, make a page that compares them.

    Parameters
    ----------
    folder
        A result directory, of a sweep that ended or still runs.
    others
        Further ones, which are compared with the first.
    out
        The page of several sweeps; a file beside the first directory unless said.
    paper
        What is written for a paper.

    """
    from analysis.report.command import report_on
    from simulator.common.terminal import print_warning

    report_on(folder, others, out, paper, say=say, warn=print_warning)


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
        from analysis.figures.drawing import draw_losses

        draw_losses(sample_losses(functions(chosen(names or list(LOSSES)))), picture)
        say(f"picture in {picture}")


@app.command
def playground(
    config: Path = Path("playground"),
    /,
    *,
    out: Path = Path("results/playground.html"),
    settings: Settings = (),
    serve: Switch = False,
    port: int = 0,
) -> None:
    """Write a page in which policies train while you watch: one HTML file that opens anywhere, with six lessons.

    Parameters
    ----------
    config
        A sweep whose world it is, in which every response can be listed: a TOML file, or the name of one that ships.
    out
        The file.
    settings
        KEY=VALUE replaces one key of the sweep, such as world.prompts=4; several may follow.
    serve
        Open the page on this machine with Python behind it, until Ctrl-C: any loss, your own files, larger worlds.
    port
        Where it is served; a free one unless said.

    """
    from analysis.playground.lessons import SEEDS, questions
    from analysis.playground.page import about_page, page_data, playground_page, write_playground
    from simulator.playground.command import engine_and_tables, open_sweep, page_parts, serve_page

    sweep, world = open_sweep(config, settings, served=serve, out=out)
    told, made_with = page_parts(sweep, world, questions(), SEEDS, say, served=serve)
    data, about = page_data(*told, served=serve), about_page(version(), made_with)
    if serve:
        serve_page(sweep, world, lambda token: playground_page(data, about=about, token=token), port, say)
    else:
        engine, tables = engine_and_tables(world)
        page = playground_page(data, about=about, engine=engine, tables=tables)
        say(f"playground in {write_playground(page, out)}: {len(page.encode()) / 1000:,.0f} kB, opens in any browser")


def show_table(table: Path, figure: str) -> list[str]:
    """Draw a table that a command leaves in a folder; what to print of it."""
    from analysis.figures.commands import show_table

    return show_table(table, figure)


def judge_rules(folder: Path, made_by: dict[str, str]) -> list[str]:
    """Judge the rules that choose beta without gold on the records of a folder; what to print of it."""
    from analysis.instruments.stopping.study import TABLE, study

    return [*study(folder, made_by), *show_table(folder / TABLE, "rules")]


def show_influence(folder: Path) -> list[str]:
    """Draw what `influence` leaves in a folder; what to print of it."""
    from analysis.instruments.influence import summary

    return ["", *summary(folder), "", *show_table(folder / "judged.parquet", "influence")]


def search_findings(folder: Path) -> list[str]:
    """What the search in a folder came to, in sentences."""
    from analysis.instruments.search import findings

    return findings(folder)


instruments = (
    *(audit_with(show_table), regret_with(show_table), rules_with(judge_rules)),
    *(influence_with(show_influence), search_with(show_table, search_findings)),
)
for written_elsewhere in (*instruments, suggest, export, score, generations, join, schema):
    app.command(written_elsewhere)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name and return the exit code."""
    return answer(app, arguments)


def command() -> None:
    """The installed command `alignment-simulator`."""
    end_with(main)


if __name__ == "__main__":
    command()
