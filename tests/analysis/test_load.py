"""Result directories as analysis reads them: whole, from their parts, and those that cannot be read."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import ResultsError, frontier, load, load_losses
from analysis.records.about import DEFAULT, cards, methods_where, settings_of
from analysis.records.load import final_rows, further_axes, oracle_rows, trained_rows
from analysis.report.terminal_text import text
from tests.helpers.planted_curves import planted


def test_what_is_a_setting_and_what_varies() -> None:
    curves = pd.concat([planted(gold_seed=0), planted(gold_seed=1)])
    assert {"loss", "beta", "seed", "pairs", "gold_seed"} <= set(settings_of(curves))
    assert further_axes(curves) == ["gold_seed"]


def test_the_sweep_of_this_suite_is_read_as_it_is(results: Path, curves: pd.DataFrame) -> None:
    loaded = load(results)
    pd.testing.assert_frame_equal(loaded, curves)
    assert len(trained_rows(loaded)) + len(oracle_rows(loaded)) == len(loaded)
    assert len(final_rows(loaded)) == 54
    assert set(load_losses(results)["loss"]) == set(trained_rows(loaded)["loss"])
    said = text(results)
    assert "54 runs, none of them diverged" in said
    heading = "loss best β peak gold at KL falls by to KL"
    assert heading.split() in [line.split() for line in said.splitlines()]
    table = frontier(loaded)
    assert (
        table["gold"] <= np.interp(table["kl"], oracle_rows(loaded)["kl"], oracle_rows(loaded)["gold"]) + 0.02
    ).all()


def test_a_running_sweep_is_read_from_its_parts(tmp_path: Path, curves: pd.DataFrame) -> None:
    (tmp_path / "parts").mkdir()
    with pytest.raises(ResultsError, match="holds no finished run yet"):
        load(tmp_path)
    rows = curves[curves["method"] == "gpo"]
    rows.iloc[:60].to_parquet(tmp_path / "parts" / "a.curves.parquet")
    rows.iloc[60:120].to_parquet(tmp_path / "parts" / "b.curves.parquet")
    assert len(load(tmp_path)) == 120
    assert "so far" in text(tmp_path)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="is no result directory"):
        load(tmp_path)
    with pytest.raises(ResultsError, match="is missing"):
        load_losses(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="is a file; name the result directory"):
        load(tmp_path / "file")
    with pytest.raises(ResultsError, match="cannot be read"):
        load("x" * 5000)
    (tmp_path / "curves.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(ResultsError, match=r"curves.parquet: cannot be read as Parquet"):
        load(tmp_path)
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "curves.parquet")
    with pytest.raises(ResultsError, match="lacks the column run_id"):
        load(tmp_path)


def test_what_analysis_knows_of_the_tables_is_what_the_simulator_writes(results: Path, curves: pd.DataFrame) -> None:
    """Analysis imports nothing of the simulator: it reads what each sweep says of its tables, or a copy of it."""
    assert json.loads((results / "tables.json").read_text(encoding="utf-8")) == DEFAULT
    assert set(settings_of(curves)) == {"method", "loss", "beta", "kappa", "seed", "pairs", "label_noise"}


def test_a_measured_column_of_somebodys_own_is_no_axis(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(results, folder)
    told = json.loads((folder / "tables.json").read_text())
    told["columns"]["renyi"] = {"kind": "measured", "unit": "nats", "about": "a column of somebody's own"}
    told["methods"]["mine"] = {"label": "my method", "trajectory": True, "unheard_of": 1}
    (folder / "tables.json").write_text(json.dumps(told))
    table = pd.read_parquet(folder / "curves.parquet")
    table.assign(renyi=np.arange(float(len(table))), sort_of="a").to_parquet(folder / "curves.parquet", index=False)
    curves = load(folder)
    assert "renyi" not in settings_of(curves)
    assert further_axes(curves) == []
    assert "sort_of" in settings_of(trained_rows(curves))
    assert cards(curves)["mine"].label == "my method"
    assert methods_where(curves, "trajectory")[-1] == "mine"
    (folder / "tables.json").write_text("[")
    assert further_axes(load(folder)) == ["renyi"]
