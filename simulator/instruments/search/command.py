"""The command `search`. What is heavy is imported when it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from simulator.execution.console import Running, Settings, Show, Switch

if TYPE_CHECKING:
    from simulator.instruments.search.protocol import Protocol

Findings = Callable[[Path], list[str]]  # sentences on the folder of a search that was judged


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Extent:
    """How large a search is.

    Parameters
    ----------
    generations
        Of the evolution; 60 unless said. A search that is there goes on to so many.
    population
        Losses in each of them; 16 unless said.
    worlds
        Worlds of the search, 8 unless said.
    held_out
        Worlds of the judging, 20 unless said.
    draws
        Of pairs, in each world of the judging; 4 unless said.
    seed
        Of the evolution.
    quick
        A small search in less than two minutes, to see how it works; what it finds means little.
    nonconvex
        Search among losses that need not be convex, too.

    """

    generations: int | None = None
    population: int | None = None
    worlds: int | None = None
    held_out: int | None = None
    draws: int | None = None
    seed: int = 0
    quick: Switch = False
    nonconvex: Switch = False

    @property
    def suffix(self) -> str:
        """What tells the folders of searches of one sweep apart."""
        return "-nonconvex" * self.nonconvex + "-quick" * self.quick


def search_with(show: Show, findings: Findings) -> Callable[..., None]:
    """The command."""

    def search(
        config: Path = Path("search"),
        /,
        *,
        out: Path | None = None,
        settings: Settings = (),
        extent: Extent = Extent(),
        workers: int | None = None,
        dry_run: Switch = False,
    ) -> None:
        """Search for a convex loss f(beta rho) that is better than others at equal KL, and judge it in other worlds.

        Parameters
        ----------
        config
            A sweep: its losses are there to be beaten, its beta are the ladder of all; a TOML file, or the name of one
            that ships. Every response of its world can be listed.
        out
            Where history, loss, sweep of the judging, its records and the figure go; results/NAME for NAME.toml unless
            said, with -nonconvex and -quick behind it where these are asked for. A search that was stopped goes on.
        settings
            KEY=VALUE replaces one key of the sweep, such as train.steps=100; several may follow.
        extent
            How large it is.
        workers
            Processes that share the work; one for each core unless said.
        dry_run
            Print what it would take, and do nothing.

        """
        target = out or Path("results") / f"{config.stem}{extent.suffix}"
        run(config, target, settings, extent, show, findings, workers=workers, dry_run=dry_run)

    return search


def protocol_of(config: Path, settings: tuple[str, ...], extent: Extent) -> Protocol:
    """What is asked for. Raises ConfigError."""
    from dataclasses import replace

    from simulator.instruments.search.protocol import FULL, QUICK, SMALL, Protocol, check
    from simulator.sweeps.grid import read_sweep

    quick = [f"{key}={value}" for key, value in QUICK.items()] if extent.quick else []
    sizes = SMALL if extent.quick else FULL
    given = {name: getattr(extent, name) for name in ("generations", "population", "worlds", "held_out", "draws")}
    sizes = replace(sizes, **{name: value for name, value in given.items() if value is not None})
    sweep = read_sweep(config, [*quick, *settings])
    protocol = Protocol(sweep=sweep, sizes=sizes, convex=not extent.nonconvex, seed=extent.seed)
    check(protocol)
    return protocol


def run(
    config: Path,
    out: Path,
    settings: tuple[str, ...],
    extent: Extent,
    show: Show,
    findings: Findings,
    *,
    workers: int | None,
    dry_run: bool,
) -> None:
    """Search, write, judge, print. Raises ConfigError, and StorageError where the disk does not take it."""
    from simulator.common.errors import ConfigError
    from simulator.common.terminal import say
    from simulator.instruments.search.evolution import check_library

    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file; name a folder, such as results/search")
    check_library()
    protocol = protocol_of(config, settings, extent)
    say(*protocol.lines())
    if dry_run:
        return

    from simulator.common.atomic_files import make_folder, write_atomically
    from simulator.execution.devices import processes_on
    from simulator.instruments.search.family import Family
    from simulator.instruments.search.search import search
    from simulator.instruments.search.written import formula, rounded, write_found, write_judged, write_shapes
    from simulator.storage.provenance import results_source

    processes = processes_on("cpu", workers)
    make_folder(out, parents=True)
    _, found = search(protocol, out, results_source(), say, processes)
    masses = Family(convex=protocol.convex).masses(found.parameters)[0]
    write_found(out, masses, convex=protocol.convex)
    write_shapes(out, masses, protocol.rivals, convex=protocol.convex)
    write_judged(out, protocol)
    text = f"f(z) = {formula(rounded(masses), convex=protocol.convex)}"
    say(text, f"regret {found.regret.mean():.4f} in the worlds of the search; the loss is in {out / 'found.py'}")
    judge(protocol, out, processes)
    sentences = findings(out)
    write_atomically(out / "summary.md", "\n".join([text, "", *sentences, ""]).encode())
    say("", *sentences, "", *show(out / "history.parquet", "search"))


def judge(protocol: Protocol, out: Path, workers: int) -> None:
    """Run the sweep of the judging in each of its worlds, or what is missing of it. Raises ConfigError."""
    from simulator.common.terminal import say
    from simulator.sweeps.grid import read_sweep

    running = Running(workers=workers)
    with running.tracking() as tracking:
        for number, world in enumerate(protocol.held_out, start=1):
            say(f"judging: world {number} of {len(protocol.held_out)}")
            sweep = read_sweep(out / "judged.toml", [f"world.seed={world}", f"gold.seed={world}"])
            running.start(sweep, out / "judged" / f"world-{world}", tracking)
