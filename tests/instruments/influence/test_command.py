"""The command `influence`, end to end and where it refuses."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis.instruments.influence import additivity, findings, label_values, read
from run import main
from simulator.instruments.influence.suited import QUICK, quick_settings
from simulator.instruments.tables import write_table
from simulator.storage.provenance import results_source

TINY = (
    *("world.vocabulary=3", "world.response_length=2", "world.prompts=2", "reference.steps=20", "policy.width=8"),
    *("data.pairs=24", "train.steps=12", "train.batch=8", "sweep.seeds=2"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("influence") / "out"
    assert main(["influence", "--quick", "--out", str(out), "--set", *TINY]) == 0
    return out


def test_there_is_a_row_for_each_pair_data_set_and_class(folder: Path) -> None:
    pairs = label_values(folder)
    assert len(pairs) == 24 * 2 * 2
    assert not pairs.isna().any().any()
    np.testing.assert_allclose(pairs["value"], (pairs["value_0"] + pairs["value_1"]) / 2)
    assert (pairs["against_gold"] == (pairs["gold_margin"] < 0)).all()
    both = [pairs[pairs["policy"] == policy].reset_index() for policy in ("linear", "transformer")]
    for column in ("data_set", "prompt", "chosen", "rejected", "gold_margin", "random"):
        assert both[0][column].equals(both[1][column]), column  # one data set for both classes


def test_the_other_tables_follow(folder: Path) -> None:
    drops, judged, groups = (read(folder, name) for name in ("dropped", "judged", "groups"))
    assert len(judged) == 11 * 4
    assert len(drops) == 11 * 4 * 3
    means = drops.groupby(["policy", "data_set", "score"])["gold_gained"].mean()
    there = judged.set_index(["policy", "data_set", "score"])["gold_gained"]
    pd.testing.assert_series_equal(means.sort_index(), there.sort_index())
    assert len(additivity(groups)) == 4
    assert (folder / "figures" / "influence.png").stat().st_size > 10_000
    assert len(findings(folder)) > 20


def test_tables_say_which_program_made_them(folder: Path) -> None:
    told = pq.read_schema(folder / "influence.parquet").metadata
    assert told[b"results_source"].decode() == results_source()
    assert len(told[b"settings"]) == 10


def test_what_was_stopped_goes_on(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of the tables has a data set more than the others, as when the machine dies between two of them."""
    told = pq.read_schema(folder / "judged.parquet").metadata
    made_by = {name: told[name.encode()].decode() for name in ("results_source", "settings")}
    for file, rows in (("influence", 3), ("groups", 3), ("dropped", 2), ("judged", 2)):
        table = read(folder, file)
        places = list(dict.fromkeys(zip(table["policy"], table["data_set"], strict=True)))[:rows]
        kept = [place in places for place in zip(table["policy"], table["data_set"], strict=True)]
        write_table(table[kept], tmp_path / f"{file}.parquet", **made_by)
    assert main(["influence", "--quick", "--out", str(tmp_path), "--set", *TINY]) == 0
    said = capsys.readouterr().out
    assert said.startswith("there already: 2 of 4\n3 of 4: transformer")
    for file in ("influence", "groups", "dropped", "judged"):
        pd.testing.assert_frame_equal(read(tmp_path, file), read(folder, file))


def test_tables_of_another_sweep_are_not_taken(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in folder.glob("*.parquet"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert main(["influence", "--quick", "--out", str(tmp_path), "--set", *TINY, "train.steps=13"]) == 0
    assert "there already" not in capsys.readouterr().out
    assert not label_values(tmp_path)["value"].equals(label_values(folder)["value"])


def test_the_same_command_gives_the_same_tables(folder: Path, tmp_path: Path) -> None:
    assert main(["influence", "--quick", "--out", str(tmp_path), "--set", *TINY, 'sweep.policy.kind=["linear"]']) == 0
    before = label_values(folder)
    pd.testing.assert_frame_equal(label_values(tmp_path), before[before["policy"] == "linear"])


REFUSED = {
    'world.kind="sampled"': 'world.kind (="sampled"): influence needs "enumerable"',
    'sweep.loss=["logistic","hinge"]': "sweep.loss: has 2 values; influence needs one",
    "sweep.beta=[0.1,1.0]": "sweep.beta: has 2 values; influence needs one",
    'sweep.loss=["dpop"]': "influence needs a loss that is a function of beta rho alone",
    'sweep.method=["best_of_n"]': 'influence needs ["gpo"], which learns from pairs',
    "sweep.data.label_noise=[0.0,0.1]": "influence needs one, and takes no axis but",
    "sweep.seeds=1": "influence needs 2 data sets or more",
    "data.pairs=10": "data.pairs (=10): influence needs 20 or more",
    "online.refresh=10": "online.refresh (=10): influence needs pairs that are there before training",
    'data.labels="ties"': 'data.labels (="ties"): influence needs one chosen response',
    'data.filter="ches"': 'data.filter (="ches"): influence needs all pairs',
    "train.reference_sync=10": "train.reference_sync (=10): influence needs a reference that stays",
    "data.pears=30": "did you mean data.pairs",
}


@pytest.mark.parametrize(("setting", "said"), REFUSED.items(), ids=REFUSED)
def test_what_does_not_fit_is_refused(
    setting: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = 'sweep.policy.kind=["transformer"]'
    assert main(["influence", "--out", str(tmp_path / "out"), "--set", kind, setting]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("")
    assert main(["influence", "--out", str(tmp_path / "out")]) == 2
    assert "is a file; name a folder" in capsys.readouterr().err


def test_what_is_set_comes_before_what_quick_sets() -> None:
    assert quick_settings(()) == QUICK
    assert quick_settings(("data.pairs=50",)) == ("train.steps=100", "sweep.seeds=3", "data.pairs=50")
