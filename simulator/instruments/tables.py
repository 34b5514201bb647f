"""Tables as Parquet, with what they were made from in the metadata of the file."""

import hashlib
import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simulator.common.atomic_files import write_atomically

CURVES = "curves_sha256"


def write_table(table: pd.DataFrame, path: Path, **made_from: str) -> None:
    """Write it, whole or not at all. Raises StorageError."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    buffer = io.BytesIO()
    pq.write_table(arrow.replace_schema_metadata((arrow.schema.metadata or {}) | made_from), buffer)
    write_atomically(path, buffer.getvalue())


def made_from(path: Path, what: str) -> str | None:
    """What a table says that it was made from; None where there is no such table."""
    try:
        found = (pq.read_schema(path).metadata or {}).get(what.encode())
    except (OSError, ValueError):
        return None
    return found.decode() if found is not None else None


def curves_of(folder: Path) -> str:
    """The SHA-256 of the curves of a folder."""
    return hashlib.sha256((folder / "curves.parquet").read_bytes()).hexdigest()
