"""The command `rules`. What is heavy is imported when it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.execution.console import Running, Settings, Switch

if TYPE_CHECKING:
    from simulator.sweeps.sweep import Sweep

Judge = Callable[[Path, dict[str, str]], list[str]]  # of a folder's records, given what made them; lines to print


def rules_with(judge: Judge) -> Callable[..., None]:
    """The command."""

    def rules(
        config: Path = Path("stopping"),
        /,
        *,
        out: Path | None = None,
        settings: Settings = (),
        worlds: int | None = None,
        quick: Switch = False,
        running: Running = Running(),
    ) -> None:
        """Judge rules that choose beta, and when to stop, without gold, in worlds that they were not tuned on.

        Parameters
        ----------
        config
            A sweep, a TOML file or the name of one that ships; or a folder of records of several worlds or seeds.
        out
            Where records, record.json and the figure go; results/NAME unless said, or results/NAME-quick.
        settings
            KEY=VALUE replaces one key of the sweep, such as train.steps=300; several may follow.
        worlds
            How many languages, each with a gold of its own: world.seed = gold.seed = 101, 102, …; 8 unless said.
        quick
            A small version in less than two minutes, to see how it works; what it finds means little.
        running
            How its sweeps are run.

        """
        if config.is_dir():
            check_alone(config, out=out, settings=settings, worlds=worlds, quick=quick)
            folders, target = [config], config
        else:
            target = out or Path("results") / f"{config.stem}{'-quick' if quick else ''}"
            folders = run(config, target, settings, worlds, running, quick=quick)
        if folders:
            conclude(folders, target, judge, running)

    return rules


def check_alone(folder: Path, **asked: object) -> None:
    """Raises ConfigError where something is asked of a sweep that has run."""
    from simulator.common.errors import ConfigError

    given = [f"--{name}" for name, value in asked.items() if value]
    if given:
        raise ConfigError(f"{', '.join(given)}: {folder} is a folder of records, which are judged as they are")


def run(
    config: Path, target: Path, settings: tuple[str, ...], worlds: int | None, running: Running, *, quick: bool
) -> list[Path]:
    """Run the sweep in each world; the folders, none for a dry run. Raises ConfigError, SweepError and StorageError."""
    from simulator.common.errors import ConfigError
    from simulator.common.terminal import say
    from simulator.instruments.stopping.ensembles import FEW, FIRST, QUICK, WORLDS
    from simulator.sweeps.grid import read_sweep

    count = (FEW if quick else WORLDS) if worlds is None else worlds
    if not 2 <= count <= 1000:
        raise ConfigError(f"--worlds {count}: must be from 2 to 1,000; rules are tuned in some and judged in others")
    folders = []
    with running.tracking() as tracking:
        for number in range(FIRST, FIRST + count):
            seeds = (f"world.seed={number}", f"gold.seed={number}")
            asked, folder = (
                read_sweep(config, (*(QUICK if quick else ()), *settings, *seeds)),
                target / f"world-{number}",
            )
            check_study(asked)
            say(f"world {number - FIRST + 1} of {count}")
            if running.start(asked, folder, tracking):
                tracking.end(folder, say)
                folders.append(folder)
    return folders


def check_study(sweep: Sweep) -> None:
    """Raises ConfigError where rules would have nothing to choose from, or reward models no policy to read."""
    from simulator.common.errors import ConfigError, shown

    if len(sweep.sweep.beta) < 2:
        raise ConfigError(f"sweep.beta = {shown(list(sweep.sweep.beta))}: rules choose among two values or more")
    if sweep.keep.policies == "none":
        raise ConfigError('keep.policies = "none": reward models read policies; take "checkpoints" or "end"')


def conclude(folders: list[Path], target: Path, judge: Judge, running: Running) -> None:
    """Ask reward models, and judge. Raises ConfigError and StorageError."""
    from simulator.common.terminal import say
    from simulator.execution.devices import processes_on
    from simulator.instruments.stopping.ensembles import write_ensembles
    from simulator.storage.provenance import instruments_source, results_source

    for folder in folders:
        write_ensembles(folder, say, processes_on("cpu", running.workers))
    say(*judge(target, {"results_source": results_source(), "instruments_source": instruments_source()}))
