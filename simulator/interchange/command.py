"""The command `export`. What is heavy is imported when it runs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Names = Annotated[tuple[str, ...], Parameter(consume_multiple=(1, 50_000), negative=(), show_default=False)]


def export(folder: Path, /, *, to: Path, policies: Names = ()) -> None:
    """Write models, tokenizer and preference data for transformers, datasets and TRL, with a page that says how.

    Parameters
    ----------
    folder
        A result directory.
    to
        The folder to write; it is new, or an earlier export, which is replaced.
    policies
        Names of runs, all or none; all whose training ended, unless said or more than 256 MiB.

    """
    from simulator.common.terminal import say
    from simulator.interchange.target import check_folder, check_target

    check_folder(folder)
    check_target(to, folder)
    from simulator.interchange.exporting import export_sweep

    export_sweep(folder, to, policies, say)
