"""A sweep in MLflow, read back by MLflow's own client, and by SQL."""

import math
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from simulator.settings.tables import flat_settings
from simulator.storage.compatibility import remove_records
from simulator.storage.layout import ResultFolder
from simulator.storage.tables import COLUMNS
from simulator.sweeps.sweep import Sweep
from simulator.tracking import mlflow_rows
from simulator.tracking.choose import open_tracker
from simulator.tracking.log_sweep import log_end, log_runs, settings_in

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of SQLAlchemy, which MLflow meets

MEASURED = {name for name, column in COLUMNS.items() if column.kind == "measured"}
STRANGE = "gpo-<b>\x1b[31m\n" + 300 * "x"
FACTS = ("wall_seconds", "device", "engine", "simulator_version", "results_source", "reference_sha256", "status")


def logged(folder: Path) -> None:
    """Tell MLflow of a folder, as a new process would."""
    chosen = open_tracker("mlflow")
    log_runs(chosen, folder)
    assert "mlflow.db, experiment" in log_end(chosen, folder)


def runs_there(experiment: str = "alignment-simulator") -> tuple[Run, dict[str, Run]]:
    """The run of the one sweep that is there, and those below it, by their run_id."""
    client = MlflowClient()
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    below = [run for run in found if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(below) == len(found) - 1 == len({run.data.tags["run_id"] for run in below})
    return parent, {run.data.tags["run_id"]: run for run in below}


def history(run: Run) -> dict[str, list[tuple[int, float]]]:
    """Every metric of a run with its steps, by MLflow's client."""
    client = MlflowClient()
    return {
        key: sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, key))
        for key in run.data.metrics
    }


def curve(rows: pd.DataFrame) -> dict[str, list[tuple[int, float]]]:
    """What a table says was measured of a run, with its steps."""
    points = {
        name: [(step, value) for step, value in zip(rows["step"], rows[name], strict=True) if not math.isnan(value)]
        for name in rows
        if name.removesuffix("_se") in MEASURED
    }
    return {name: values for name, values in points.items() if values}


@pytest.mark.slow
@pytest.mark.usefixtures("store")
def test_everything_that_the_tables_say_of_a_run_is_there(folder: Path) -> None:
    logged(folder)
    runs, curves = (pd.read_parquet(folder / f"{name}.parquet") for name in ("runs", "curves"))
    parent, below = runs_there()
    assert len(below) == len(runs) > 10
    assert set(below) == set(runs["run_id"])
    for _, row in runs.iterrows():
        run, row = below[row["run_id"]], row.dropna()
        settings = {name: str(row[name]) for name in row.index if "." in name or name in ("loss", "beta", "seed")}
        assert settings.items() <= run.data.params.items()
        assert set(run.data.params) - set(settings) == {"method", "kappa", "pairs", "label_noise"}
        assert {name: run.data.tags[name] for name in FACTS} == {name: str(row[name]) for name in FACTS}
        assert history(run) == curve(curves[curves["run_id"] == row["run_id"]])
        assert (run.info.run_name, run.info.status) == (row["run_id"], "FINISHED")
        assert run.info.end_time - run.info.start_time == round(1000 * row["wall_seconds"])
    assert {"kl", "kl_se", "gold", "train_loss", "entropy"} <= set(run.data.metrics)
    sweep = flat_settings(Sweep.from_toml(folder / "config.toml"))
    assert {name: parent.data.params[name] for name in ("world.kind", "train.steps", "gold.fluency")} == {
        name: str(sweep[name]) for name in ("world.kind", "train.steps", "gold.fluency")
    }
    assert parent.data.params["sweep.beta"] == "[0.05, 0.5, 5.0]"
    assert len(parent.data.params) == len(settings_in(ResultFolder(path=folder))) > 90
    assert (parent.info.run_name, parent.info.status) == ("small", "FINISHED")
    assert parent.data.tags["results_source"] == runs["results_source"].iloc[0]


def planted(folder: Path) -> None:
    """Make a run of the folder diverge, one fail, and one have what no finite number is; one has strange names."""
    runs, curves = (pd.read_parquet(folder / f"{name}.parquet") for name in ("runs", "curves"))
    diverged, failed, endless = runs["run_id"][:3]
    runs.loc[0, ["status", "diverged_at", "reason"]] = ["diverged", 9, "its loss was not finite"]
    runs.loc[1, ["status", "reason"]] = ["failed", "a loss raised\nan error"]
    runs.loc[1, ["wall_seconds", "device", "engine"]] = None
    last = curves.groupby("run_id")["step"].transform("max") == curves["step"]
    curves.loc[(curves["run_id"] == diverged) & last, ["kl", "gold"]] = math.nan
    curves.loc[(curves["run_id"] == endless) & last, ["kl", "gold"]] = [math.inf, -math.inf]
    for table in (runs, curves):
        table["run_id"] = table["run_id"].replace({runs["run_id"][3]: STRANGE})
    runs.loc[3, ["world.language.text", "loss"]] = ["é" * 7_000, "</script>\x00.py:f"]
    runs["policy.a=b\n[c]"] = "\u202e"
    curves["d/e[f]"] = 1.5
    runs.to_parquet(folder / "runs.parquet")
    curves[curves["run_id"] != failed].to_parquet(folder / "curves.parquet")


def contents(store: Path, experiment: str) -> dict[str, list[tuple[Any, ...]]]:
    """What an experiment holds, table by table, without what differs between any two runs: names and times."""
    asked = {
        "runs": "name, source_type, source_name, entry_point_name, user_id, status, deleted_time, source_version, "
        "lifecycle_stage, end_time - start_time, "
        "replace(replace(artifact_uri, run_uuid, ''), '/' || experiment_id || '/', '')",
        **dict.fromkeys(("tags", "params"), "name, key, value"),
        **dict.fromkeys(("metrics", "latest_metrics"), "name, key, value, step, is_nan, timestamp = end_time"),
    }
    rows = {}
    with sqlite3.connect(store) as base:
        for table, columns in asked.items():
            join = "" if table == "runs" else f"join {table} using (run_uuid)"
            place = f"where experiment_id = (select experiment_id from experiments where name = '{experiment}')"
            below = "and run_uuid in (select run_uuid from tags where key = 'mlflow.parentRunId')"
            rows[table] = sorted(base.execute(f"select {columns} from runs {join} {place} {below}"), key=repr)
    rows["tags"] = [row for row in rows["tags"] if row[1] != "mlflow.parentRunId"]
    return rows


@pytest.mark.long_only
@pytest.mark.slow("all runs")
@pytest.mark.parametrize("count", [4, 99], ids=["four runs", "all runs"])
def test_the_rows_are_those_of_log_batch(
    folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """One sweep written both ways: row by row the same in every table, whatever the numbers are."""
    planted(folder)
    keep_runs(folder, range(count))
    monkeypatch.setattr("simulator.tracking.mlflow_tracker.PAGE_SIZE", 3)
    below: list[set[tuple[str, str]]] = []
    for experiment, direct in (("direct", True), ("calls", False)):
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", experiment)
        chosen = open_tracker("mlflow")
        assert chosen.tracker.writer is not None
        chosen.tracker.writer = chosen.tracker.writer if direct else None
        log_runs(chosen, folder)
        below.append({(run_id, status) for run_id, _, status in chosen.tracker.children()})
        (folder / "tracked.json").unlink()  # another experiment gets it for the first time
    assert below[0] == below[1] >= {(STRANGE, "FINISHED")}
    direct, calls = (contents(store, experiment) for experiment in ("direct", "calls"))
    assert len(direct["runs"]) == min(count, len(pd.read_parquet(folder / "runs.parquet")))
    assert {key for _, key, value, *_ in direct["metrics"] if abs(value) > 1e300} == {"kl", "gold"}
    for table, rows in direct.items():
        assert rows == calls[table], table
    tags = {(name, key): value for name, key, value in direct["tags"]}
    runs = pd.read_parquet(folder / "runs.parquet")
    assert tags[runs["run_id"][0], "diverged_at"] == "9"
    assert tags[runs["run_id"][1], "reason"] == "a loss raised\nan error"
    assert {row[0]: row[5] for row in direct["runs"]}[runs["run_id"][1]] == "FAILED"
    assert tags[STRANGE[:250], "run_id"] == STRANGE
    strange = {key: value for name, key, value in direct["params"] if name == STRANGE[:250]}
    assert strange["loss"] == "</script>\x00.py:f"
    assert strange["world.language.text"].startswith("é" * 5_900)
    assert (STRANGE[:250], "policy.a-u3d-b-ua--u5b-c-u5d-", "\u202e") in direct["params"]
    assert {value for _, key, value, *_ in direct["metrics"] if key == "d-u2f-e-u5b-f-u5d-"} == {1.5}


@pytest.mark.usefixtures("store")
def test_a_store_that_keeps_runs_otherwise_is_told_by_calls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_runs(folder, range(1))
    for columns in (("key", "value", "run_uuid", "of_tomorrow"), ("key", "run_uuid")):
        monkeypatch.setitem(mlflow_rows.COLUMNS, "SqlParam", columns)
        assert open_tracker("mlflow").tracker.writer is None
    assert mlflow_rows.writer_of(object()) is None
    logged(folder)
    _, below = runs_there()
    assert len(next(iter(below.values())).data.params) > 90


def keep_runs(folder: Path, which: range) -> None:
    """Leave only some runs in the tables of a folder, by their places."""
    runs, curves = (pd.read_parquet(folder / f"{name}.parquet") for name in ("runs", "curves"))
    runs = runs[[place in which for place in range(len(runs))]]
    runs.to_parquet(folder / "runs.parquet")
    curves[curves["run_id"].isin(runs["run_id"])].to_parquet(folder / "curves.parquet")


def test_a_sweep_that_goes_on_is_there_once(folder: Path, results: Path, store: Path) -> None:
    planted(folder)
    keep_runs(folder, range(3))
    logged(folder)
    parent, before = runs_there()
    assert (len(before), parent.info.status) == (3, "FAILED")
    for name in ("runs", "curves"):  # the same command again: all runs, and none failed this time
        (folder / f"{name}.parquet").write_bytes((results / f"{name}.parquet").read_bytes())
    for _ in range(2):
        logged(folder)
        again, after = runs_there()
        assert (again.info.run_id, again.info.status) == (parent.info.run_id, "FINISHED")
        assert set(after) == set(pd.read_parquet(folder / "runs.parquet")["run_id"])
    assert {name for name, run in before.items() if run.info.run_id != after[name].info.run_id} == {
        name for name, run in before.items() if run.info.status == "FAILED"
    }
    assert {run.info.status for run in after.values()} == {"FINISHED"}
    store.unlink()  # a store that never had it
    logged(folder)
    assert set(runs_there()[1]) == set(after)


@pytest.mark.usefixtures("store")
def test_a_run_of_which_writing_was_interrupted_is_replaced(folder: Path) -> None:
    keep_runs(folder, range(2))
    logged(folder)
    _, below = runs_there()
    half = next(iter(below.values()))
    MlflowClient().update_run(half.info.run_id, status="RUNNING")
    logged(folder)
    _, again = runs_there()
    assert [name for name in below if below[name].info.run_id != again[name].info.run_id] == [half.data.tags["run_id"]]


@pytest.mark.usefixtures("store")
def test_page_and_figures_are_artefacts_of_the_sweep(folder: Path) -> None:
    keep_runs(folder, range(1))
    (folder / "figures").mkdir()
    files = ["config.toml", "figures/tradeoff.png", "report.html"]
    for name in files[1:]:
        (folder / name).write_text(name)
    for page in ("one", "two"):
        (folder / "report.sha256").write_text(page)
        (folder / "report.html").write_text(page)
        logged(folder)
        parent, _ = runs_there()
        place = Path(parent.info.artifact_uri)
        assert sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()) == files
        assert (place / "report.html").read_text() == page
    (place / "report.html").unlink()
    logged(folder)
    assert not (place / "report.html").exists()  # what has not changed is not written again


def test_the_users_own_settings_say_where(folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_runs(folder, range(1))
    place = store.rename(folder / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    logged(folder)
    assert len(runs_there("mine")[1]) == 1
    assert not store.exists()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    (folder / "tracked.json").write_text("no JSON")
    logged(folder)
    assert len(runs_there("Default")[1]) == 1


def test_with_fresh_a_sweep_begins_anew_there_too(folder: Path) -> None:
    (folder / "tracked.json").write_text("{}")
    remove_records(ResultFolder(path=folder))
    assert not (folder / "tracked.json").exists()
