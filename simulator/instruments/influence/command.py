"""The command `influence`. What is heavy is imported when it runs."""

from collections.abc import Callable
from pathlib import Path

from simulator.execution.console import Settings, Switch

Tell = Callable[[Path], list[str]]  # draws what is in a folder; lines that say what it comes to
FRESH, FRESH_QUICK = 8, 3


def influence_with(tell: Tell) -> Callable[..., None]:
    """The command."""

    def influence(
        config: Path = Path("influence"),
        /,
        *,
        out: Path | None = None,
        settings: Settings = (),
        quick: Switch = False,
    ) -> None:
        """Which labelled pairs cost gold: train without each of them, and judge scores that are to find them.

        Parameters
        ----------
        config
            A sweep of one loss and one beta, whose seeds are the data sets: a TOML file, or the name of one that ships.
        out
            Where the tables and figures/influence.png go; results/influence unless said, results/influence-quick for
            the quick version.
        settings
            KEY=VALUE replaces one key of the sweep, such as data.pairs=256; several may follow.
        quick
            A small version in less than two minutes: 96 pairs, 100 steps, 3 data sets; it shows how it works.

        """
        run(config, out or Path("results") / ("influence-quick" if quick else "influence"), settings, quick, tell)

    return influence


def run(config: Path, out: Path, settings: tuple[str, ...], quick: bool, tell: Tell) -> None:
    """Compute, write, print. Raises ConfigError, and StorageError where the disk does not take it."""
    from simulator.common.errors import ConfigError
    from simulator.common.terminal import say
    from simulator.instruments.influence.suited import check_run, check_sweep, quick_settings
    from simulator.sweeps.grid import expand
    from simulator.sweeps.sweep import Sweep

    sweep = Sweep.from_toml(config, quick_settings(settings) if quick else settings)
    check_sweep(sweep)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file; name a folder, such as results/influence")
    runs = expand(sweep)
    for each in runs:
        check_run(each)

    from simulator.common.atomic_files import make_folder
    from simulator.instruments.influence.table import influence_tables

    make_folder(out / "figures", parents=True)
    influence_tables(runs, FRESH_QUICK if quick else FRESH, out, say)
    say(*tell(out), f"a row for each pair is in {out / 'influence.parquet'}")
