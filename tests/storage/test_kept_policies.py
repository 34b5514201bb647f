"""Policies that sweeps keep: the same as trained again, whole or reported, and as many as were asked for."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import simulator as sim
from run import main
from simulator.storage.layout import ResultFolder
from simulator.sweeps import kept_policies
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep

TINY = {
    "world": {"vocabulary": 4, "response_length": 2, "prompts": 2},
    "train": {"steps": 6, "checkpoints": 3, "batch": 8},
    "proxy": {"steps": 5},
    "rl": {"prompts": 4},
    "sweep": {"method": ["gpo", "rl", "gibbs"], "loss": "logistic", "beta": [0.1, 1.0], "seeds": 2},
}


def files_of(folder: Path) -> list[Path]:
    return sorted((folder / "policies").glob("*.safetensors"))


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that keeps every checkpoint."""
    sweep = small_sweep(**TINY, keep={"policies": "checkpoints"})
    return sim.run_sweep(sweep, tmp_path_factory.mktemp("every") / "out", workers=1)


def test_kept_policies_are_those_that_training_again_gives(every: Path, tmp_path: Path) -> None:
    runs = pd.read_parquet(every / "runs.parquet")
    trained = list(runs.loc[runs["method"].isin(["gpo", "rl"]), "run_id"])
    kept = sim.load_policies(every, run_id=trained)
    without = tmp_path / "without"
    shutil.copytree(every, without)
    shutil.rmtree(without / "policies")
    again = sim.load_policies(without, run_id=trained)
    assert torch.equal(kept.parameters, again.parameters)
    assert list(kept.table["run_id"]) == trained == list(again.table["run_id"])
    pd.testing.assert_frame_equal(kept.curves[["step", "kl", "gold"]], again.curves[["step", "kl", "gold"]])
    lab = sim.make_world(small_sweep(**TINY))
    ends = kept.curves.groupby("run_id", sort=False).last()
    assert lab.measure(kept)["kl"].to_numpy() == pytest.approx(ends["kl"].to_numpy(), rel=1e-6)


def test_every_checkpoint_can_be_loaded_by_its_step(every: Path) -> None:
    name = str(pd.read_parquet(every / "runs.parquet")["run_id"][0])
    lab, curves = sim.make_world(small_sweep(**TINY)), pd.read_parquet(every / "curves.parquet")
    of_run = curves[curves["run_id"] == name]
    assert list(of_run["step"]) == [0, 1, 6]
    for step, kl in zip(of_run["step"], of_run["kl"], strict=True):
        policies = sim.load_policies(every, run_id=name, step=step)
        assert int(policies.table["step"][0]) == step
        assert lab.measure(policies)["kl"][0] == pytest.approx(kl, rel=1e-5, abs=1e-9)
    with pytest.raises(sim.ConfigError, match=r"step = 3: of gpo-logistic.* kept are 0, 1, 6; a sweep with \[keep\]"):
        sim.load_policies(every, run_id=name, step=3)


def test_files_are_plain_safetensors_and_sealed(every: Path) -> None:
    sums = (every / "SHA256SUMS").read_text()
    assert len(files_of(every)) == 6  # two stacks, at three checkpoints
    for path in files_of(every):
        assert f"policies/{path.name}" in sums
        assert set(load_file(path)) == {"parameters"}
        assert len(sim.load_policies(path)) in (2, 4)


def test_a_sweep_keeps_the_end_unless_said_and_a_run_is_the_same(every: Path, tmp_path: Path) -> None:
    out = sim.run_sweep(small_sweep(**TINY), tmp_path / "out", workers=1)
    assert len(files_of(out)) == 2
    assert all(path.stem.endswith("-000000006") for path in files_of(out))
    none = sim.run_sweep(small_sweep(**TINY, keep={"policies": "none"}), tmp_path / "none", workers=1)
    assert not (none / "policies").exists()
    tables = [pd.read_parquet(folder / "curves.parquet") for folder in (every, out, none)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2])
    with heard() as told:
        sim.run_sweep(small_sweep(**TINY), none, workers=1)  # what is kept makes it no other sweep
    assert not told


def test_a_damaged_policy_is_told_and_trained_again_when_asked_for(every: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(every, out)
    path = files_of(out)[2]
    whole = path.read_bytes()
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    with pytest.raises(sim.ConfigError, match=r"is no file of policies .*not as it was written"):
        sim.load_policies(path)
    with heard() as told:
        sim.run_sweep(small_sweep(**TINY, keep={"policies": "checkpoints"}), out, workers=1)
    assert any(path.name in line and "load_policies trains its runs again" in line for line in told)
    assert not path.exists()
    assert path.name not in (out / "SHA256SUMS").read_text()
    name = sim.load_policies(every / "policies" / path.name).table["run_id"][0]
    assert torch.equal(sim.load_policies(out, run_id=name).parameters, sim.load_policies(every, run_id=name).parameters)


def test_a_sweep_that_was_stopped_keeps_what_it_had(tmp_path: Path) -> None:
    sweep, whole = small_sweep(**TINY, keep={"policies": "checkpoints"}), tmp_path / "whole"
    sim.run_sweep(sweep, whole, workers=1)

    def stop(steps: int, runs: int, worked: bool) -> None:
        if worked and steps:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sim.run_sweep(sweep, tmp_path / "out", workers=1, watch=stop)
    sim.run_sweep(sweep, tmp_path / "out", workers=1)
    assert [path.read_bytes() for path in files_of(whole)] == [path.read_bytes() for path in files_of(tmp_path / "out")]


def test_what_takes_much_room_is_kept_when_asked_for_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = small_sweep(**TINY)
    runs = expand(sweep)
    row = 4 * 64 * -(-runs_parameters(runs) // 64)
    assert sum(kept_policies.policy_bytes(run, "end") for run in runs) == 6 * row
    assert sum(kept_policies.policy_bytes(run, "checkpoints") for run in runs) == 18 * row
    monkeypatch.setattr(kept_policies, "MOST_UNASKED", 6 * row - 1)
    assert kept_policies.kept_of(sweep, runs) == "none"
    assert kept_policies.kept_of(small_sweep(**TINY, keep={"policies": "end"}), runs) == "end"
    assert kept_policies.described(sweep, runs).startswith('none are kept; [keep] policies = "end" keeps them')
    assert main(["sweep", "--dry-run", "--set", "sweep.seeds=1", "train.steps=3"]) == 0
    assert re.search(r"policies +none are kept", capsys.readouterr().out)
    assert main(["sweep", "--dry-run", "--set", 'keep.policies="edn"']) == 2
    assert 'keep.policies = "edn": must be "auto", "none", "end" or "checkpoints"' in capsys.readouterr().err


def runs_parameters(runs: list) -> int:
    """The sizes of the network as its paper has them: embeddings, blocks, read-out."""
    width, layers, vocabulary, places = 8, 2, 4, 3
    return vocabulary * width + places * width + layers * 12 * width**2 + width * vocabulary


def test_a_removed_folder_of_policies_is_no_loss_of_records(every: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(every, out)
    shutil.rmtree(out / "policies")
    assert ResultFolder(path=out).policies_of("any") == []
    with heard() as told:
        sim.run_sweep(small_sweep(**TINY, keep={"policies": "checkpoints"}), out, workers=1)
    assert any("is gone" in line for line in told)
    pd.testing.assert_frame_equal(pd.read_parquet(out / "curves.parquet"), pd.read_parquet(every / "curves.parquet"))
