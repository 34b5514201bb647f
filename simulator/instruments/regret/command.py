"""The command `regret`. What is heavy is imported when it runs."""

from collections.abc import Callable
from pathlib import Path

from simulator.execution.console import Show


def regret_with(show: Show) -> Callable[..., None]:
    """The command."""

    def regret(folder: Path, /, *, workers: int | None = None) -> None:
        """Split what each policy of a sweep falls short of the best by: labels, loss, class of policies, optimizer.

        Parameters
        ----------
        folder
            A result directory of a sweep that has ended, in a world that lists its responses.
        workers
            Processes that share the work; one for each core unless said.

        """
        run(folder, show, workers)

    return regret


def run(folder: Path, show: Show, workers: int | None) -> None:
    """Compute, write, print. Raises ConfigError, and StorageError where the disk does not take it."""
    from simulator.common.terminal import say
    from simulator.execution.devices import processes_on
    from simulator.instruments.regret.table import FILE, regret_table
    from simulator.instruments.tables import CURVES, curves_of, write_table

    table = regret_table(folder, say, processes_on("cpu", workers))
    write_table(table, folder / FILE, **{CURVES: curves_of(folder)})
    say(*show(folder / "regret.parquet", "regret"), f"a row for each run is in {folder / 'regret.parquet'}")
