"""A sweep in MLflow: a run of its own, and below it a run for each run of the sweep.

The file `tracked.json` of the result folder has the names that MLflow gave to the sweep's run, one for each store that
has it, so that a sweep that goes on is the same run there, and its runs are there once. Runs that failed, or
that were being written when the process died, are replaced when they are logged again.
"""

import json
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from simulator.common.atomic_files import hash_of_file, write_atomically
from simulator.storage.layout import ResultFolder
from simulator.tracking.mlflow_entries import (
    LONGEST_NAME,
    LONGEST_PARAMETER,
    LONGEST_TAG,
    PARENT,
    RUN_ID,
    Entry,
    entries,
    name_of,
    text_of,
)
from simulator.tracking.mlflow_place import DEFAULT_EXPERIMENT, EXPERIMENT, EXPERIMENT_ID, without_secret
from simulator.tracking.mlflow_rows import Child, writer_of
from simulator.tracking.tracker import Ending

PARAMETERS, POINTS = 100, 900  # of a batch; MLflow takes 1,000 together
PAGE_SIZE = 1_000  # runs of an answer
STATUS: dict[Ending, str] = {"finished": "FINISHED", "failed": "FAILED"}
SHOWN = ("report.html", "summary.json", "config.toml")  # beside the figures
MLFLOW = "mlflow"  # the key in tracked.json
UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # what a store says of a run that it has not
PAGE = "page_sha256"  # a tag: which page and figures are there
MADE_BY = (
    "simulator_version",
    "simulator_source",
    "results_source",
    "python_version",
    "torch_version",
    "numpy_version",
)


class MlflowTracker:
    """Logs a sweep to MLflow, in the store that the user's own settings name, or in the working folder."""

    def __init__(self) -> None:
        self.client = MlflowClient()
        self.writer = writer_of(self.client)
        self.experiment = experiment_of(self.client)

    def begin(self, folder: Path, settings: Mapping[str, Any]) -> Collection[str]:
        """Find the sweep's run, or make it; the `run_id` of all below it that have finished."""
        file = ResultFolder(path=folder).tracked
        before = names_in(file)
        found = next(filter(None, map(self.run_named, reversed(before))), None)
        self.parent = found.info if found else self.new_parent(folder, settings)
        self.status = self.parent.status
        self.page = found.data.tags.get(PAGE, "") if found else ""
        if not found:
            write_atomically(file, (json.dumps({MLFLOW: [*before, self.parent.run_id]}) + "\n").encode())
        there = self.children() if found else []
        self.stale = {run_id: name for run_id, name, status in there if status != "FINISHED"}
        return {run_id for run_id, _, status in there if status == "FINISHED"}

    def finished(self, runs: pd.DataFrame, curves: pd.DataFrame) -> None:
        """Write some runs; where the store is a file of this machine, all of them or none."""
        if self.status != "RUNNING":
            self.client.update_run(self.parent.run_id, status="RUNNING")
            self.status = "RUNNING"
        some, now = list(entries(runs, curves)), time.time_ns() // 1_000_000
        for name in [self.stale.pop(entry.run_id) for entry in some if entry.run_id in self.stale]:
            self.client.delete_run(name)
        if self.writer:
            self.writer.write(self.parent, some, now)
        else:
            for entry in some:
                self.write(entry, now)
        made_by = [RunTag(name, some[-1].tags[name]) for name in MADE_BY if name in some[-1].tags]
        self.client.log_batch(self.parent.run_id, tags=made_by)

    def write(self, entry: Entry, now: int) -> None:
        """Write one run. now: milliseconds since 1970."""
        run = self.client.create_run(
            self.parent.experiment_id,
            start_time=now - round(1000 * entry.seconds),
            tags={**entry.tags, PARENT: self.parent.run_id},
            run_name=entry.name,
        )
        parameters = [Param(*each) for each in entry.parameters.items()]
        points = [
            Metric(key, value, now, step)
            for key, values, steps in entry.curves
            for value, step in zip(values, steps, strict=True)
        ]
        for some, others in zip_longest(batches(parameters, PARAMETERS), batches(points, POINTS), fillvalue=()):
            self.client.log_batch(run.info.run_id, metrics=list(others), params=list(some))
        self.client.set_terminated(run.info.run_id, entry.status, end_time=now)

    def end(self, folder: Path, ending: Ending) -> str:
        """Add the page and the figures, if they are new, and say where all of it is."""
        page = hash_of_file(ResultFolder(path=folder).report_checksums) or ""
        if page != self.page:
            for path in filter(Path.exists, (folder / name for name in SHOWN)):
                self.client.log_artifact(self.parent.run_id, str(path))
            if (folder / "figures").exists():
                self.client.log_artifacts(self.parent.run_id, str(folder / "figures"), "figures")
            self.client.set_tag(self.parent.run_id, PAGE, page)
            self.page = page
        if self.status != STATUS[ending]:
            self.client.set_terminated(self.parent.run_id, STATUS[ending])
            self.status = STATUS[ending]
        experiment = self.client.get_experiment(self.parent.experiment_id).name
        return f"tracked  {without_secret(self.client.tracking_uri)}, experiment {experiment}"

    def run_named(self, name: str) -> Any:
        """The run that MLflow gave this name, if this store has it and nobody deleted it."""
        try:
            run = self.client.get_run(name)
        except MlflowException as error:
            if error.error_code in UNKNOWN:
                return None
            raise
        return run if run.info.lifecycle_stage == "active" else None

    def new_parent(self, folder: Path, settings: Mapping[str, Any]) -> Any:
        """A run for the sweep in a folder, with its settings."""
        path = str(folder.resolve())
        tags = {"folder": text_of(path, LONGEST_TAG), "mlflow.source.name": DEFAULT_EXPERIMENT}
        run = self.client.create_run(self.experiment, run_name=folder.resolve().name[:LONGEST_NAME], tags=tags)
        parameters = [Param(name_of(key), text_of(value, LONGEST_PARAMETER)) for key, value in settings.items()]
        for some in batches(parameters, PARAMETERS):
            self.client.log_batch(run.info.run_id, params=list(some))
        return run.info

    def children(self) -> list[Child]:
        """The runs below the sweep's run that nobody deleted."""
        if self.writer:
            return self.writer.below(self.parent)
        found: list[Child] = []
        asked, token = f"tags.`{PARENT}` = '{self.parent.run_id}'", None
        while True:
            page = self.client.search_runs([self.parent.experiment_id], asked, max_results=PAGE_SIZE, page_token=token)
            found += [
                (run.data.tags[RUN_ID], run.info.run_id, run.info.status) for run in page if RUN_ID in run.data.tags
            ]
            token = page.token
            if not token:
                return found


def experiment_of(client: MlflowClient) -> str:
    """The experiment that the user's own settings name, or ours, made where it is not there."""
    if named := os.environ.get(EXPERIMENT_ID):
        return named
    name = os.environ.get(EXPERIMENT) or DEFAULT_EXPERIMENT
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException:
        found = client.get_experiment_by_name(name)  # another process was faster
        if found is None:
            raise
        return str(found.experiment_id)


def names_in(file: Path) -> list[str]:
    """The names of runs in `tracked.json`; none where there is no such file, or it is none of ours."""
    try:
        names = json.loads(file.read_text(encoding="utf-8"))[MLFLOW]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def batches(some: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """A list in pieces of at most so many."""
    return (some[start : start + most] for start in range(0, len(some), most))
