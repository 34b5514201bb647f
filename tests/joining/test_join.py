"""Folders that were made in several places, joined, are the folder of one place, byte for byte."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analysis
import run
from simulator import ConfigError, Sweep, run_sweep
from simulator.joining.join import join_folders
from simulator.storage.checksums import read_checksums
from simulator.storage.layout import ResultFolder
from simulator.storage.merge import write_final_checksums
from tests.conftest import small_sweep
from tests.joining.test_growing import copy_folder

GRID = {"method": ["gpo", "best_of_n"], "loss": ["logistic", "hinge"], "beta": [0.1], "seeds": 3}
SAME = ("curves", "responses", "gold_law", "margins", "ledger", "losses")
OF_MACHINES = ["wall_seconds"]


def sweep_with(**grid: object) -> Sweep:
    return small_sweep(
        sweep={**GRID, "gold.seed": [0, 1], **grid}, train={"steps": 20}, proxy={"steps": 20}, best_of_n={"largest": 8}
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_sweep(sweep_with(), tmp_path_factory.mktemp("whole") / "out", workers=1)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("parts")
    return [run_sweep(sweep_with(), root / f"{i}", workers=1, part=f"{i}/3") for i in range(1, 4)]


def join(*folders: Path, out: Path) -> Path:
    join_folders(folders, out, lambda *_: None)
    return out


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def check_same(joined: Path, whole: Path) -> None:
    for name in SAME:
        assert (joined / f"{name}.parquet").read_bytes() == (whole / f"{name}.parquet").read_bytes(), name
    for name in ("world.json", "tables.json", "source.json"):
        assert (joined / name).read_bytes() == (whole / name).read_bytes(), name
    for name in ("runs", "proxies"):
        here, there = (
            pd.read_parquet(folder / f"{name}.parquet").drop(columns=OF_MACHINES) for folder in (joined, whole)
        )
        pd.testing.assert_frame_equal(here, there)
    sums = read_checksums(joined / "SHA256SUMS", joined)
    assert sums is not None
    assert sums.intact


@pytest.mark.slow
def test_parts_of_an_array_job_are_the_sweep(parts: list[Path], whole: Path, tmp_path: Path) -> None:
    joined = join(*reversed(parts), out=tmp_path / "joined")
    check_same(joined, whole)
    assert (joined / "config.toml").read_bytes() == (whole / "config.toml").read_bytes()
    assert names_in(joined / "proxies") == names_in(whole / "proxies")
    assert names_in(joined / "policies") == sorted(name for part in parts for name in names_in(part / "policies"))
    run_sweep(sweep_with(), joined, workers=1)  # all is there
    pd.testing.assert_frame_equal(analysis.load(joined), analysis.load(whole))


@pytest.mark.slow
def test_seeds_that_were_split_by_hand(whole: Path, tmp_path: Path) -> None:
    some = [run_sweep(sweep_with(seeds=seeds), tmp_path / f"{i}", workers=1) for i, seeds in enumerate(([2, 1], 2))]
    lines: list[str] = []
    joined = join_folders(some, tmp_path / "joined", lambda *text: lines.extend(map(str, text)))
    check_same(tmp_path / "joined", whole)
    assert (joined.runs, joined.again, joined.missing) == (18, 6, 0)  # seed 1 is in both
    assert Sweep.from_toml(tmp_path / "joined" / "config.toml").sweep.seeds == 3


@pytest.mark.slow
def test_worlds_and_losses_that_were_split_leave_what_is_missing(whole: Path, tmp_path: Path) -> None:
    one = run_sweep(sweep_with(**{"gold.seed": [1], "loss": ["logistic"]}), tmp_path / "1", workers=1)
    two = run_sweep(sweep_with(**{"gold.seed": [0]}), tmp_path / "2", workers=1)
    joined = join_folders([two, one], tmp_path / "joined", lambda *_: None)
    assert (joined.runs, joined.missing) == (15, 3)
    run_sweep(sweep_with(), tmp_path / "joined", workers=1)
    check_same(tmp_path / "joined", whole)


@pytest.mark.slow
def test_a_stopped_sweep_gives_what_it_has_finished(whole: Path, parts: list[Path], tmp_path: Path) -> None:
    def stop(steps: int, runs: int, worked: bool) -> None:
        if runs:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep_with(), tmp_path / "stopped", workers=1, watch=stop)
    check_same(join(tmp_path / "stopped", *parts, out=tmp_path / "joined"), whole)
    few = join_folders([tmp_path / "stopped", parts[0]], tmp_path / "few", lambda *_: None)
    assert 0 < few.runs < 18
    assert few.runs + few.missing == 18


def altered(source: Path, target: Path, table: str, column: str, row: int) -> Path:
    """A copy whose table has one number that is a little larger, and checksums that agree with it."""
    copy_folder(source, target)
    path = target / f"{table}.parquet"
    content = pd.read_parquet(path)
    at = content.index[content[column].notna() & (content[column] != 0)][row]
    value = content.loc[at, column]
    content.loc[at, column] = np.nextafter(value, np.inf) if content[column].dtype == float else value + 1
    content.to_parquet(path, index=False)
    write_final_checksums(ResultFolder(path=target), {})
    return target


@pytest.mark.slow(but="curves-gold-9")
@pytest.mark.parametrize(
    ("table", "column", "row"),
    [
        *(("curves", "gold", 9), ("curves", "kl", 0), ("curves", "gold", -1)),  # the last rows are the oracle's
        *(("responses", "probability", 3), ("runs", "train.batch", 0)),
    ],
)
def test_overlaps_that_are_not_equal_are_refused(
    table: str, column: str, row: int, parts: list[Path], tmp_path: Path
) -> None:
    other = altered(parts[0], tmp_path / "other", table, column, row)
    with pytest.raises(ConfigError, match=rf"other: {table}.parquet has {column} = .*; what is in several folders"):
        join(parts[0], other, out=tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def edited(source: Path, target: Path, name: str, old: str, new: str) -> Path:
    copy_folder(source, target)
    text = (target / name).read_text(encoding="utf-8")
    assert old in text
    (target / name).write_text(text.replace(old, new), encoding="utf-8")
    write_final_checksums(ResultFolder(path=target), {})
    return target


def test_other_settings_worlds_and_code_are_refused_with_the_key(parts: list[Path], tmp_path: Path) -> None:
    one, out = parts[0], tmp_path / "joined"
    longer = edited(one, tmp_path / "longer", "config.toml", "steps = 20", "steps = 21")
    with pytest.raises(
        ConfigError, match=r"join .*longer: proxy.steps = 21, and .* has 20; only the lists of \[sweep\]"
    ):
        join(one, longer, out=out)
    facts = json.loads((one / "world.json").read_text())
    name = facts.get("worlds", [facts])[0]["reference_sha256"]
    world = edited(one, tmp_path / "world", "world.json", name, "0" * 64)
    with pytest.raises(
        ConfigError, match=r"world.json: reference_sha256 = \"0{64}\", and .*SIMULATOR_CACHE names a folder"
    ):
        join(one, world, out=out)
    copy_folder(one, tmp_path / "code")
    runs = pd.read_parquet(one / "runs.parquet").assign(results_source="0123456789")
    runs.to_parquet(tmp_path / "code" / "runs.parquet", index=False)
    write_final_checksums(ResultFolder(path=tmp_path / "code"), {})
    with pytest.raises(ConfigError, match=r"code: results_source = 0123456789, and .*made by different code"):
        join(one, tmp_path / "code", out=out)


def test_what_cannot_be_joined_is_refused_by_name(
    parts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    one, two = parts[:2]
    copy_folder(two, damaged := tmp_path / "damaged")
    (damaged / "curves.parquet").write_bytes(b"no table")
    (tmp_path / "empty").mkdir()
    (full := tmp_path / "full").mkdir()
    (full / "file").write_text("mine")
    cases = {
        (one, one): "comes twice",
        (one,): "names fewer than two folders",
        (one, tmp_path / "nowhere"): "there is no such folder",
        (one, tmp_path / "empty"): "holds no records of a sweep",
        (one, damaged): "curves.parquet is not as it was written",
    }
    for folders, said in cases.items():
        assert run.main(["join", *map(str, folders), "--out", str(tmp_path / "out")]) == 2
        assert said in capsys.readouterr().err
    assert run.main(["join", str(one), str(two), "--out", str(full)]) == 2
    assert "is there and not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert run.main(["join", str(one), str(two), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert f"runs of 2 folders are in {tmp_path / 'out'}" in said
    assert "runs of the sweep are not there" in said


def test_joining_long_says_where_it_is(parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.joining.join.EVERY", 0.0)
    lines: list[str] = []
    join_folders(parts, tmp_path / "out", lines.append)
    assert lines[0] == f"reading {parts[0]}, 1 of 3"
    assert lines[-3:] != lines[:3]
    assert {"joining curves.parquet", "writing checksums"} <= set(lines)
