"""A study: rules judged on the records of a folder, kept there, and shown."""

from pathlib import Path

from analysis.instruments.stopping.candidates import choices
from analysis.instruments.stopping.judging import judge
from analysis.instruments.stopping.record import NAME, lines_of, record_of, text_of
from analysis.instruments.stopping.rule import rules
from analysis.records.atomic_files import write_atomically

TABLE = "rules.parquet"


def study(folder: Path, made_by: dict[str, str]) -> list[str]:
    """Judge all rules, and write `rules.parquet` and `record.json`; lines for a terminal. Raises ResultsError."""
    offered = choices(folder)
    judged = judge(rules(), offered)
    record = record_of(judged, offered, made_by)
    write_atomically(folder / TABLE, judged.to_parquet(index=False))
    write_atomically(folder / NAME, text_of(record).encode())
    return lines_of(record)
