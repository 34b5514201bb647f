"""Runs in a store of MLflow's that is an SQLite file: all of them at once, and not one call for each.

MLflow's `log_batch` takes 60 ms for a run of the quickstart, which trains in 130. Here the rows that it would write go
in directly, by the tables that MLflow itself declares, and a test holds them equal to those of `log_batch`. A store
that MLflow has opened has the tables that it declares: it refuses any other. Where it keeps runs in another way than is
known here, `writer_of` says so, and `log_batch` is used.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from inspect import signature
from itertools import repeat
from math import isfinite
from typing import Any
from uuid import uuid4

from simulator.tracking.mlflow_entries import NAME, PARENT, RUN_ID, Entry

FASTER = (  # of a connection, until MLflow opens its next session
    "PRAGMA cache_size = -65536",  # KiB; the tables have several indices of long names
    "PRAGMA foreign_keys = OFF",  # a run is written before the rows that name it
)
COLUMNS = {
    "SqlRun": (
        *("run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status", "start_time"),
        *("end_time", "deleted_time", "source_version", "lifecycle_stage", "artifact_uri", "experiment_id"),
    ),
    "SqlTag": ("key", "value", "run_uuid"),
    "SqlParam": ("key", "value", "run_uuid"),
    "SqlMetric": ("key", "value", "timestamp", "step", "is_nan", "run_uuid"),
    "SqlLatestMetric": ("key", "value", "timestamp", "step", "is_nan", "run_uuid"),
}
Row = tuple[Any, ...]
Child = tuple[str, str, str]  # the run_id of a run, what MLflow calls it, and its status there


@dataclass(frozen=True, kw_only=True)
class RowWriter:
    """Writes runs into an SQLite file that MLflow has opened."""

    session: Callable[..., AbstractContextManager[Any]]
    written: Callable[[float], tuple[bool, float]]  # for a number that is not finite: whether it is NaN, and a value
    tables: Mapping[str, str]  # the names of tables, by those of their classes

    def write(self, parent: Any, some: Sequence[Entry], now: int) -> None:
        """Write runs of a parent run, all or none. now: milliseconds since 1970."""
        rows: dict[str, list[Row]] = {name: [] for name in COLUMNS}
        names = sorted(uuid4().hex for _ in some)  # in this order the indices of the tables grow at their ends
        for name, entry in zip(names, some, strict=True):
            self.add(rows, name, parent, entry, now)
        with self.session(read_only=False) as session:
            connection = session.connection()
            for setting in FASTER:
                connection.exec_driver_sql(setting)
            for name, columns in COLUMNS.items():
                if rows[name]:
                    insert = f"INSERT INTO {self.tables[name]} ({', '.join(columns)}) VALUES "
                    connection.exec_driver_sql(insert + f"({', '.join('?' * len(columns))})", rows[name])

    def below(self, parent: Any) -> list[Child]:
        """The runs of a parent run that nobody deleted."""
        run, tag = self.tables["SqlRun"], self.tables["SqlTag"]
        asked = (
            f"SELECT named.value, run.run_uuid, run.status FROM {run} run "
            f"JOIN {tag} above ON above.run_uuid = run.run_uuid AND above.key = ? AND above.value = ? "
            f"JOIN {tag} named ON named.run_uuid = run.run_uuid AND named.key = ? "
            "WHERE run.lifecycle_stage = 'active'"
        )
        with self.session() as session:
            found = session.connection().exec_driver_sql(asked, (PARENT, parent.run_id, RUN_ID))
            return [(str(run_id), str(name), str(status)) for run_id, name, status in found]

    def add(self, rows: Mapping[str, list[Row]], name: str, parent: Any, entry: Entry, now: int) -> None:
        """Add the rows of one run, of this name."""
        place = parent.artifact_uri.replace(parent.run_id, name)
        begun = now - round(1000 * entry.seconds)
        rows["SqlRun"].append(
            (
                *(name, entry.name, "UNKNOWN", "", "", "unknown", entry.status, begun),
                *(now, None, "", "active", place, int(parent.experiment_id)),
            )
        )
        tags = {**entry.tags, PARENT: parent.run_id, NAME: entry.name}
        rows["SqlTag"] += [(key, value, name) for key, value in tags.items()]
        rows["SqlParam"] += [(key, value, name) for key, value in entry.parameters.items()]
        for key, values, steps in entry.curves:
            finite = all(map(isfinite, values))
            marked = zip(repeat(False), values) if finite else map(self.written, values)
            points = [(key, each, now, step, is_nan, name) for (is_nan, each), step in zip(marked, steps, strict=True)]
            rows["SqlMetric"] += points
            rows["SqlLatestMetric"].append(rows["SqlMetric"][-1])


def writer_of(client: Any) -> RowWriter | None:
    """What writes into the store of a client directly; None where it is no SQLite file, or not as it is known here."""
    try:
        from mlflow.store.tracking.dbmodels import models
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store = client._tracking_client.store
        if type(store) is not SqlAlchemyStore or store.engine.dialect.name != "sqlite":
            return None
        if "read_only" not in signature(store.ManagedSessionMaker).parameters:
            return None
        tables = {name: getattr(models, name).__table__ for name in COLUMNS}
        if any(unknown(tables[name], columns) for name, columns in COLUMNS.items()):
            return None
        names = {name: str(table.name) for name, table in tables.items()}
        return RowWriter(session=store.ManagedSessionMaker, written=store.sanitize_metric_value, tables=names)
    except (ImportError, AttributeError):
        return None


def unknown(table: Any, columns: Sequence[str]) -> bool:
    """Whether a table lacks one of these columns, or demands another."""
    demanded = [each.name for each in table.columns if not each.nullable and each.server_default is None]
    return not set(demanded) <= set(columns) <= set(table.columns.keys())
