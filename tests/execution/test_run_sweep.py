"""Whole sweeps: the records of the contract, the same bytes again, going on after a stop, and refusals."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import simulator.execution.jobs.stack_job
from simulator import ConfigError, Sweep, run_sweep
from tests.conftest import small_sweep

CONTRACT = [
    "run_id",
    "method",
    "loss",
    "beta",
    "seed",
    "pairs",
    "label_noise",
    "step",
    "kl",
    "kl_se",
    "gold",
    "gold_se",
    "proxy",
    "proxy_se",
    "win_rate",
    "win_rate_se",
    "mu_squared",
    "train_loss",
    "train_accuracy",
    "entropy",
    "chosen_logratio",
    "rejected_logratio",
    "status",
]
TINY = {"loss": ["logistic", "hinge"], "beta": [0.1, 1.0], "seeds": 2}
SHORT = {"steps": 6, "checkpoints": 3}


def tiny(**grid: object):
    return small_sweep(sweep=TINY | grid, train=SHORT)


def test_curves_have_the_columns_of_the_contract(curves: pd.DataFrame) -> None:
    assert set(CONTRACT) <= set(curves.columns)
    gpo = curves[curves["method"] == "gpo"]
    assert len(gpo) == 6 * 3 * 3 * 6
    assert gpo.notna().all().all()
    assert (gpo[["kl_se", "gold_se", "proxy_se", "win_rate_se"]] == 0).all().all()
    assert set(curves["status"]) == {"ok"}
    assert set(gpo["step"]) == {0, 1, 3, 7, 17, 40}


def test_every_run_starts_as_the_reference(curves: pd.DataFrame) -> None:
    start = curves[(curves["method"] == "gpo") & (curves["step"] == 0)]
    zero = ["kl", "gold", "proxy", "mu_squared", "chosen_logratio", "rejected_logratio"]
    assert start[zero].to_numpy() == pytest.approx(0, abs=1e-5)
    assert (start["train_accuracy"] == 0.5).all()
    assert start["win_rate"].to_numpy() == pytest.approx(0.5, abs=1e-5)


def test_curves_make_sense_together(curves: pd.DataFrame) -> None:
    gpo = curves[curves["method"] == "gpo"]
    assert (gpo["kl"] > -1e-9).all()
    assert gpo["win_rate"].between(0, 1).all()
    end = gpo[gpo["step"] == 40]
    assert (end["train_accuracy"] > 0.6).mean() > 0.9
    mean = end.groupby("beta")["kl"].mean()
    assert mean[0.05] > mean[0.5] > mean[5.0]


def test_runs_hold_every_setting(results: Path, curves: pd.DataFrame) -> None:
    runs = pd.read_parquet(results / "runs.parquet")
    assert list(runs["run_id"]) == list(dict.fromkeys(curves.loc[curves["method"] == "gpo", "run_id"]))
    assert set(runs["status"]) == {"finished"}
    assert (runs["wall_seconds"] > 0).all()
    assert {"world.vocabulary", "train.learning_rate", "torch_version", "gold.fluency"} <= set(runs.columns)
    assert (runs["data.pairs"] == 48).all()


def test_the_folder_holds_what_the_contract_lists(results: Path) -> None:
    assert sorted(path.name for path in results.iterdir()) == [
        "SHA256SUMS",
        "config.toml",
        "curves.parquet",
        "gold_law.parquet",
        "ledger.parquet",
        "losses.parquet",
        "margins.parquet",
        "policies",
        "responses.parquet",
        "runs.parquet",
        "source.json",
        "tables.json",
        "world.json",
    ]
    assert tomllib.loads((results / "config.toml").read_text())["train"]["schedule"] == "constant"


def test_world_facts(results: Path) -> None:
    facts = json.loads((results / "world.json").read_text())
    assert facts["responses"] == 64
    assert facts["gold_seed"] == 0
    excess = facts["reference_cross_entropy"] - facts["language_entropy"]
    assert 0 < excess < 0.15 * facts["language_entropy"]
    assert facts["reference_entropy"] < facts["largest_entropy"]


def test_a_default_device_changes_no_byte(tmp_path: Path) -> None:
    """It routes every call of torch through a mode, under which torch's own layers may take another path."""
    sweep = small_sweep(sweep={"loss": ["hinge"], "beta": [0.1], "seeds": 1}, train={"steps": 4, "checkpoints": 2})
    alone = run_sweep(sweep, tmp_path / "alone", workers=1)
    torch.set_default_device("cpu")
    try:
        under = run_sweep(sweep, tmp_path / "under", workers=1)
    finally:
        torch.set_default_device(None)
    assert (under / "curves.parquet").read_bytes() == (alone / "curves.parquet").read_bytes()


def test_the_same_sweep_gives_the_same_bytes_in_one_process_and_in_two(tmp_path: Path) -> None:
    folders = [run_sweep(tiny(), tmp_path / name, workers=workers) for name, workers in (("a", 1), ("b", 1), ("c", 2))]
    tables = ("curves", "responses", "gold_law", "margins", "ledger")
    contents = {b"".join((folder / f"{name}.parquet").read_bytes() for name in tables) for folder in folders}
    assert len(contents) == 1


def test_axes_stand_in_every_row_and_worlds_share_no_oracle(tmp_path: Path) -> None:
    sweep = tiny(**{"data.pairs": [16, 32], "gold.fluency": [0.0, 1.0], "beta": [0.1]})
    folder = run_sweep(sweep, tmp_path / "axes", workers=1)
    curves = pd.read_parquet(folder / "curves.parquet")
    gpo, oracle = curves[curves["method"] == "gpo"], curves[curves["method"] == "oracle"]
    assert len(gpo.groupby(["pairs", "gold_fluency"])) == 4
    assert oracle["pairs"].isna().all()
    assert set(oracle["gold_fluency"]) == {0.0, 1.0}
    assert len(json.loads((folder / "world.json").read_text())["worlds"]) == 2
    nested = gpo[(gpo["step"] == 0) & (gpo["seed"] == 0)]
    assert nested["kl"].to_numpy() == pytest.approx(0, abs=1e-5)


class Interrupted(BaseException):
    pass


def interrupt_after(monkeypatch: pytest.MonkeyPatch, stacks: int) -> None:
    """Let `stacks` stacks finish, and stop in the next as Ctrl-C would."""
    whole, count = simulator.execution.jobs.stack_job.finish_stack, iter(range(100))

    def finish(*arguments: object) -> None:
        if next(count) >= stacks:
            raise Interrupted
        whole(*arguments)

    monkeypatch.setattr("simulator.execution.jobs.stack_job.finish_stack", finish)


def test_an_interrupted_sweep_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = tiny(**{"data.pairs": [16, 32, 48]})
    whole = run_sweep(sweep, tmp_path / "whole", workers=1)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(Interrupted):
            run_sweep(sweep, tmp_path / "parts", workers=1)
    assert not (tmp_path / "parts" / "curves.parquet").exists()
    seen: list[tuple[int, bool]] = []
    run_sweep(sweep, tmp_path / "parts", workers=1, watch=lambda steps, runs, worked: seen.append((runs, worked)))
    assert sum(runs for runs, worked in seen if not worked) == 16
    assert sum(runs for runs, worked in seen if worked) == 8
    assert (tmp_path / "parts" / "curves.parquet").read_bytes() == (whole / "curves.parquet").read_bytes()


@pytest.mark.slow(but=("None-curves", "PAR1 not really PAR1-runs"))
@pytest.mark.parametrize("kind", ["curves", "runs"])
@pytest.mark.parametrize("damage", [None, b"", b"PAR1 not really PAR1"])
def test_a_lost_or_damaged_part_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, damage: bytes | None
) -> None:
    sweep = tiny(**{"data.pairs": [16, 32]})
    whole = run_sweep(sweep, tmp_path / "whole", workers=1)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        with pytest.raises(Interrupted):
            run_sweep(sweep, tmp_path / "parts", workers=1)
    (part,) = [path for path in (tmp_path / "parts" / "parts").glob(f"*.{kind}.parquet") if "oracle" not in path.name]
    if damage is None:
        part.unlink()
    else:
        part.write_bytes(damage)
    why = "is gone" if damage is None else "is not as it was written; it is kept as .*damaged"
    with pytest.warns(UserWarning, match=rf"{part.name}: {why}.*, and what its stack had done is done again|is gone"):
        run_sweep(sweep, tmp_path / "parts", workers=1)
    assert (tmp_path / "parts" / "curves.parquet").read_bytes() == (whole / "curves.parquet").read_bytes()
    kept = [path.read_bytes() for path in (tmp_path / "parts").glob("parts/*.damaged")]
    assert kept == ([] if damage is None else [damage])


def test_a_finished_sweep_is_left_alone(results: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in results.rglob("*.*")}
    total = [0, 0]

    def watch(steps: int, runs: int, worked: bool) -> None:
        assert not worked
        total[0] += steps
        total[1] += runs

    run_sweep(small_sweep(), results, watch=watch)
    assert total == [54 * 40, 54]
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in results.rglob("*.*")} == before


def test_records_of_another_sweep_are_refused_and_kept(tmp_path: Path) -> None:
    folder = run_sweep(tiny(), tmp_path / "out", workers=1)
    before = (folder / "curves.parquet").read_bytes()
    with pytest.raises(ConfigError, match=r"another sweep, where data\.pairs = 48 and not 16; choose another --out"):
        run_sweep(small_sweep(sweep=TINY, train=SHORT, data={"pairs": 16}), folder, workers=1)
    assert (folder / "curves.parquet").read_bytes() == before
    (folder / "notes.txt").write_text("mine")
    run_sweep(small_sweep(sweep=TINY, train=SHORT, data={"pairs": 16}), folder, workers=1, fresh=True)
    assert (pd.read_parquet(folder / "runs.parquet")["pairs"] == 16).all()
    assert (folder / "notes.txt").read_text() == "mine"


def test_records_without_a_config_are_those_of_the_sweep_that_has_their_runs(tmp_path: Path) -> None:
    folder = run_sweep(tiny(), tmp_path / "out", workers=1)
    before = {path.name: path.read_bytes() for path in folder.rglob("*.*")}
    (folder / "config.toml").unlink()
    with pytest.raises(ConfigError, match=r"another sweep, whose config\.toml is gone, or not whole; choose another"):
        run_sweep(tiny(beta=[7.0]), folder, workers=1)
    with pytest.warns(UserWarning, match=r"config\.toml: is gone; it is made again"):
        run_sweep(tiny(), folder, workers=1)
    assert {path.name: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        run_sweep(tiny(), tmp_path / "file" / "out")


def test_a_wrong_axis_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[sweep]\n'data.pires' = [1]\n")
    with pytest.raises(ConfigError, match=r"unknown key sweep\.data\.pires"):
        run_sweep(Sweep.from_toml(tmp_path / "wrong.toml"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_diverged_runs_are_marked_and_counted(tmp_path: Path) -> None:
    wild = small_sweep(
        sweep={"loss": ["exponential"], "beta": [0.1, 1e6], "seeds": 2}, train=SHORT | {"learning_rate": 0.01}
    )
    folder = run_sweep(wild, tmp_path / "wild", workers=1)
    runs = pd.read_parquet(folder / "runs.parquet").set_index("beta")
    assert (runs.loc[0.1, "status"] == "finished").all()
    assert (runs.loc[1e6, "status"] == "diverged").all()
    assert runs.loc[1e6, "diverged_at"].notna().all()
    curves = pd.read_parquet(folder / "curves.parquet")
    wrong = curves[curves["status"] == "diverged"]
    assert len(wrong) == 2
    assert wrong["kl"].isna().all()


@pytest.mark.slow
def test_an_error_of_the_one_who_watches_ends_the_sweep(tmp_path: Path) -> None:
    def broken(run_steps: int, runs: int, worked: bool) -> None:
        if worked:
            raise BrokenPipeError("nobody reads")

    with pytest.raises(BrokenPipeError, match="nobody reads"):
        run_sweep(tiny(**{"data.pairs": [16, 32]}), tmp_path / "out", workers=2, watch=broken)


def test_an_impossible_world_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    folder = run_sweep(tiny(), tmp_path / "out", workers=1)
    before = (folder / "curves.parquet").read_bytes()
    bad = small_sweep(
        sweep=TINY, train=SHORT, world={"prompts": 16, "language": {"slip": 1e-9}}, reference={"steps": 20}
    )
    for fresh, out in ((True, folder), (False, tmp_path / "new")):
        with pytest.raises(ConfigError, match=r"world\.prompts = 16: the language has only about"):
            run_sweep(bad, out, workers=1, fresh=fresh)
    assert (folder / "curves.parquet").read_bytes() == before
    assert not (tmp_path / "new").exists()


def test_fresh_removes_nothing_that_is_not_a_record(tmp_path: Path) -> None:
    folder = run_sweep(tiny(), tmp_path / "out", workers=1)
    kept = [folder / "figures" / "thesis.tex", folder / "parts" / "gear.stl", folder / "notes.txt"]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (folder / "figures" / "tradeoff.png").write_bytes(b"ours")
    run_sweep(tiny(seeds=1), folder, workers=1, fresh=True)
    assert all(path.read_text() == "mine" for path in kept)
    assert not (folder / "figures" / "tradeoff.png").exists()
    assert len(pd.read_parquet(folder / "runs.parquet")) == 4


def test_a_config_of_something_else_is_refused_even_with_fresh(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("colour = 'green'")
    for fresh in (False, True):
        with pytest.raises(
            ConfigError, match=r"config\.toml that is not of this version, or not whole; bring it back, or choose"
        ):
            run_sweep(tiny(), tmp_path, workers=1, fresh=fresh)
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("out", ["", "."])
def test_the_folder_must_be_one_of_its_own(out: str) -> None:
    with pytest.raises(ConfigError, match="must name a folder of its own"):
        run_sweep(tiny(), out)


@pytest.mark.parametrize("name", ["losses.parquet", "world.json"])
def test_a_lost_side_file_is_written_again(tmp_path: Path, name: str) -> None:
    folder = run_sweep(tiny(), tmp_path / "out", workers=1)
    before = {path.name: path.read_bytes() for path in folder.rglob("*.*")}
    (folder / name).unlink()
    with pytest.warns(UserWarning, match=f"{name}: is gone; it is made again"):
        run_sweep(tiny(), folder, workers=1)
    assert {path.name: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_an_axis_of_names_and_numbers_is_recorded_as_names(tmp_path: Path) -> None:
    sweep = tiny(**{"world.language.topics": ["auto", 2], "beta": [0.1]})
    folder = run_sweep(sweep, tmp_path / "out", workers=1)
    for name in ("curves", "runs"):
        table = pd.read_parquet(folder / f"{name}.parquet")
        assert set(table["world_language_topics"]) == {"auto", "2"}


def test_every_row_that_is_ok_is_finite(tmp_path: Path) -> None:
    wild = small_sweep(
        sweep={"loss": ["exponential", "logistic"], "beta": [0.1, 100.0], "seeds": 2},
        train={"steps": 30, "checkpoints": 8, "learning_rate": 0.3, "clip": 0.0},
    )
    curves = pd.read_parquet(run_sweep(wild, tmp_path / "wild", workers=1) / "curves.parquet")
    gpo = curves[curves["method"] == "gpo"]
    measured = gpo.loc[gpo["status"] == "ok", ["kl", "gold", "proxy", "train_loss", "entropy", "mu_squared"]]
    assert np.isfinite(measured).all().all()
    assert (gpo["status"] == "diverged").any()
    assert (gpo[gpo["status"] == "diverged"].groupby("run_id").size() == 1).all()


def test_devices_and_workers_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--device tpu: must be one of auto, cpu, cuda"):
        run_sweep(tiny(), tmp_path / "out", device="tpu")
    with pytest.raises(ConfigError, match="--workers 0: must be at least 1"):
        run_sweep(tiny(), tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("extra", [{"response_length": 1, "prompts": 2}, {"prompt_length": 1}, {"vocabulary": 2}])
def test_small_worlds_of_every_shape_run(tmp_path: Path, extra: dict[str, int]) -> None:
    sweep = small_sweep(
        world={"vocabulary": 4, "response_length": 3, "prompts": 2} | extra,
        sweep={"loss": ["squared"], "beta": [0.1], "seeds": 1},
        train=SHORT | {"optimizer": "adamw", "schedule": "linear"},
        data={"behaviour": "mixture", "label_noise": 0.1},
    )
    curves = pd.read_parquet(run_sweep(sweep, tmp_path / "out", workers=1) / "curves.parquet")
    assert np.isfinite(curves.loc[curves["method"] == "gpo", "gold"]).all()
