"""Sweeps by the compiled engine: the same bytes however they are cut, and what records say of it."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator as sim
from run import main
from simulator.engine.recorder import Recorder
from simulator.engine.snapshots import Saver
from simulator.execution.run_stack import run_stack
from simulator.native.library import instructions
from simulator.sweeps.grid import expand
from simulator.worlds.build import build_world
from tests.conftest import small_sweep
from tests.helpers.engines import needs_engine
from tests.helpers.engines import without_engine as without_engine
from tests.helpers.plans import plan_of
from tests.helpers.saved_states import GoesOnFrom, KeepsEveryState

POLICY = {"policy": {"layers": 2, "width": 16, "heads": 2}}
LOSSES = {"sweep": {"loss": ["logistic", "nca_pair", "savage"], "beta": [0.1, 1.0], "seeds": 2}}
KINDS = {"enumerable": {}, "sampled": {"world": {"kind": "sampled"}}}
SAMPLED = {"measure": {"samples": 4, "baseline": 8}}


def sweep_of(kind: str) -> sim.Sweep:
    return small_sweep(**POLICY, **LOSSES, **KINDS[kind], **(SAMPLED if kind == "sampled" else {}))


def sha(folder: Path) -> str:
    return hashlib.sha256((folder / "curves.parquet").read_bytes()).hexdigest()


@pytest.mark.slow("sampled")
@needs_engine
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_do_not_depend_on_processes_nor_on_stacks(kind: str, tmp_path: Path) -> None:
    whole = sim.run_sweep(sweep_of(kind), tmp_path / "whole", workers=1)
    cut = sim.run_sweep(sweep_of(kind), tmp_path / "cut", workers=2)
    assert sha(cut) == sha(whole)
    runs = pd.read_parquet(whole / "runs.parquet")
    assert set(runs["engine"]) == {f"native ({instructions()})"}
    all_runs = expand(sweep_of(kind))
    world = build_world(all_runs[0].settings)
    for run in all_runs[::5]:
        alone = run_stack([run], world, [], Recorder())
        together = pd.read_parquet(whole / "curves.parquet").query("run_id == @run.run_id")
        for name in ("kl", "gold", "train_loss", "win_rate", "chosen_logratio"):
            assert np.abs(alone[name].to_numpy() - together[name].to_numpy()).max() <= 1e-7, name  # tables are tidied


@needs_engine
@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_goes_on_from_every_saved_state_to_the_same_bits(kind: str) -> None:
    runs = expand(sweep_of(kind))
    world, saver = build_world(runs[0].settings), KeepsEveryState()
    true = run_stack(runs, world, [], Recorder(saver=saver))
    assert len(saver.states) > 6
    for state in saver.states[::3]:
        again = run_stack(runs, world, [], Recorder(saver=GoesOnFrom(state)))
        pd.testing.assert_frame_equal(again[true.columns], true)


def test_the_plan_says_what_computes() -> None:
    asked = plan_of(small_sweep(train={"engine": "torch"}), workers=1)
    assert asked.lines(Path("there"))[2] == "engine          torch"


@pytest.mark.usefixtures("without_engine")
def test_without_the_engine_plan_and_records_say_why_and_that(tmp_path: Path) -> None:
    line = plan_of(sweep_of("enumerable"), workers=1).lines(Path("there"))[2]
    assert line == "engine          torch (the compiled engine is not there: a test is without it)"
    folder = sim.run_sweep(small_sweep(sweep={"seeds": 1, "beta": [0.5]}), tmp_path / "out", workers=1)
    assert set(pd.read_parquet(folder / "runs.parquet")["engine"]) == {"torch"}


@needs_engine
def test_a_state_of_another_engine_is_not_gone_on_from(tmp_path: Path) -> None:
    """What began by torch is begun again, or a run would be half of each."""
    path = tmp_path / "state"
    saver = Saver(path=path, of={"engine": "torch"}, every=0.0)
    runs = expand(sweep_of("enumerable"))[:1]
    world = build_world(runs[0].settings)
    run_stack(runs, world, [], Recorder(saver=saver))
    assert saver.load() is not None
    assert Saver(path=path, of={"engine": f"native ({instructions()})"}).load() is None


@pytest.mark.parametrize("plan", [(), ("--dry-run",)])
def test_the_command_refuses_native_for_other_widths(
    plan: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("--set", 'train.engine="native"', "--set", "policy.width=24", "--out", str(tmp_path / "out"))
    assert main(["sweep", *settings, *plan]) == 2
    assert 'error: train.engine (="native")' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
