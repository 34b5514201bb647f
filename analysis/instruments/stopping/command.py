"""The command `suggest`. What is heavy is imported when it runs."""

from pathlib import Path


def suggest(folder: Path, /, *, record: Path | None = None) -> list[str]:
    """Say which beta and step a sweep's records speak for without gold, by the rule with the best record.

    Parameters
    ----------
    folder
        A result directory of a sweep that trained on pairs at several beta.
    record
        The record.json of a study of your own, as `rules` writes it; the one that ships unless said.

    """
    from analysis.instruments.stopping.record import SHIPPED, read_record
    from analysis.instruments.stopping.suggest import lines_of

    return list(lines_of(folder, read_record(record or SHIPPED)))
