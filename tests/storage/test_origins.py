"""A sweep goes on only with the code and the reference that made its records."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import run
import simulator as sim
from simulator import ConfigError, Sweep, SweepError, run_sweep
from simulator.storage.layout import ResultFolder
from simulator.storage.origins import check_unchanged_since_start, origins_in
from simulator.storage.provenance import results_source
from simulator.worlds.components import Components, make_components
from tests.conftest import ROOT, heard, small_sweep

GRID = {"loss": ["hinge"], "beta": [0.1], "seeds": 2, "data.pairs": [16, 32]}
GOLD = "gold_rewards/rewards/transformer.py"


def sweep_of(**grid: object) -> Sweep:
    return small_sweep(sweep=GRID | grid, train={"steps": 4, "checkpoints": 2})


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one of two stacks is finished."""
    out = tmp_path_factory.mktemp("half") / "out"

    def one(run_steps: int, runs: int, worked: bool) -> None:
        if worked and runs:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep_of(), out, workers=1, watch=one)
    assert len(origins_in(ResultFolder(path=out))) == 2
    return out


@pytest.fixture
def out(half: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(half, tmp_path / "out"))


def reported(out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says of a folder."""
    capsys.readouterr()
    assert run.main(["report", str(out)]) == 0
    said = capsys.readouterr().out
    assert " runs" in said
    return said


def test_other_code_does_not_go_on_and_is_named(out: Path, edit: Callable[[str, str], None]) -> None:
    edit(GOLD, "x = 1\n")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=rf"made by other code, .* \(changed: {GOLD}\); .* with --accept-source$"):
        run_sweep(sweep_of(), out, workers=1)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("undrawn")
def test_other_code_that_determines_nothing_goes_on(
    out: Path, edit: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    edit("simulator/execution/local/worker_pool.py", "x = 1\n")
    edit(GOLD, (ROOT / GOLD).read_text(encoding="utf-8").replace('"""', '"""Better said. ', 1))
    run_sweep(sweep_of(), out, workers=1)
    assert "different code" not in reported(out, capsys)
    assert len(set(pd.read_parquet(out / "runs.parquet")["simulator_source"])) == 2


@pytest.mark.usefixtures("undrawn")
def test_other_code_that_is_accepted_is_told_of(
    out: Path, edit: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = results_source()
    edit(GOLD, "x = 1\n")
    run_sweep(sweep_of(), out, workers=1, accept_source=True)
    counts = pd.read_parquet(out / "runs.parquet")["results_source"].value_counts().to_dict()
    assert counts == {before: 2, results_source(): 2}
    said = f"different code made these runs, and their numbers may differ for it: 2 runs by {before}, 2 runs by"
    assert said in " ".join(reported(out, capsys).split())


@pytest.mark.usefixtures("undrawn")
def test_the_command_refuses_other_code_and_has_a_switch(
    out: Path, edit: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    (out.parent / "mine.toml").write_text(sweep_of().to_toml())
    command = ["sweep", str(out.parent / "mine.toml"), "--out", str(out), "--workers", "1"]
    edit(GOLD, "x = 1\n")
    for more in ([], ["--dry-run"]):
        assert run.main([*command, *more]) == 2
        assert "with --accept-source\n" in capsys.readouterr().err
    for more in (["--accept-source", "--dry-run"], ["--fresh", "--dry-run"], ["--accept-source"], [], ["--dry-run"]):
        assert run.main([*command, *more]) == 0
    assert "different code made these runs" in capsys.readouterr().out


def test_where_source_json_is_gone_the_tables_say_it(out: Path, edit: Callable[[str, str], None]) -> None:
    (out / "source.json").unlink()
    edit(GOLD, "x = 1\n")
    with pytest.raises(ConfigError, match=r"made by other code, .* \(source\.json does not say which modules"):
        run_sweep(sweep_of(), out, workers=1)


def test_another_reference_does_not_go_on(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine whose training gives another one."""

    def elsewhere(*arguments: Any) -> Components:
        ground = make_components(*arguments)
        reference = ground.reference.clone()
        reference[3] *= 1 + 1e-6
        return replace(ground, reference=reference)

    with monkeypatch.context() as patch:
        patch.setattr("simulator.worlds.build.make_components", elsewhere)
        with pytest.raises((ConfigError, SweepError), match=r"made with another reference \(SHA-256 [0-9a-f]{64}, and"):
            run_sweep(sweep_of(), out, workers=1)
    run_sweep(sweep_of(), out, workers=1)
    assert set(pd.read_parquet(out / "runs.parquet")["reference_sha256"]) == {
        json.loads((out / "world.json").read_text())["reference_sha256"]
    }


@pytest.mark.slow
def test_a_cache_that_is_damaged_between_two_starts_changes_nothing(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_sweep(sweep_of(), tmp_path / "whole", workers=1)
    monkeypatch.setenv("SIMULATOR_CACHE", str(tmp_path / "cache"))
    run_sweep(sweep_of(), tmp_path / "warm", workers=1)
    (path,) = (tmp_path / "cache").iterdir()
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x80  # a sign
    path.write_bytes(content)
    with heard() as told:
        run_sweep(sweep_of(), out, workers=1)
    assert any("is damaged; the reference is trained again" in said for said in told)
    assert (out / "curves.parquet").read_bytes() == (whole / "curves.parquet").read_bytes()


def test_a_process_with_other_code_or_another_reference_does_no_job(
    out: Path, edit: Callable[[str, str], None]
) -> None:
    folder, facts = ResultFolder(path=out), json.loads((out / "world.json").read_text())
    check_unchanged_since_start(folder, facts["name"], facts["reference_sha256"])
    with pytest.raises(sim.StorageError, match="is not the one that the sweep began with"):
        check_unchanged_since_start(folder, facts["name"], "0" * 64)
    edit(GOLD, "x = 1\n")
    with pytest.raises(sim.StorageError, match="the code of the simulator has changed since the sweep"):
        check_unchanged_since_start(folder, facts["name"], facts["reference_sha256"])


def test_proxies_say_how_they_were_made(tmp_path: Path) -> None:
    sweep = small_sweep(sweep={"method": ["best_of_n"], "seeds": 1}, proxy={"steps": 2}, best_of_n={"largest": 2})
    with heard():  # of settings that best-of-n does not read
        out = run_sweep(sweep, tmp_path / "out", workers=1)
    facts = json.loads((out / "world.json").read_text())
    assert {(one.source, one.reference) for one in origins_in(ResultFolder(path=out))} == {
        (results_source(), facts["reference_sha256"])
    }
    assert len(origins_in(ResultFolder(path=out))) == 2
