"""The command `join`. What is heavy is imported when it runs."""

from pathlib import Path


def join(folder: Path, /, *others: Path, out: Path) -> None:
    """Join the records of one sweep that were made in several places, as one sweep.

    The folders have the same settings but for the lists of [sweep], such as seeds, and the same worlds and code; what
    is in several of them must be equal to the byte. They stay as they are.

    Parameters
    ----------
    folder
        A result directory, of a sweep that has ended or was stopped.
    others
        Further ones.
    out
        The new folder.

    """
    from simulator.common.terminal import say
    from simulator.joining.join import join_folders

    joined = join_folders([folder, *others], out, say)
    again = f", {joined.again:,} of them in several folders and equal" if joined.again else ""
    say(f"{joined.runs:,} runs of {joined.folders} folders are in {out}{again}")
    if left := joined.missing + joined.failed:
        say(f"{left:,} runs of the sweep are not there; `python run.py sweep {out}/config.toml --out {out}` runs them")
    say(f"`python run.py report {out}` draws their figures")
