"""Whole sweeps of every method: their records, in any number of processes, and what is not trained twice."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from analysis.figures.drawing import draw_all
from analysis.report.terminal_text import text
from simulator import ConfigError, Sweep, run_sweep
from simulator.methods import METHODS
from simulator.proxies.reward_model import members_needed
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep
from tests.methods.test_methods import PROXY


@pytest.fixture(scope="module")
def everything() -> Sweep:
    """A sweep with every method, two sizes of proxies and an ensemble."""
    return small_sweep(
        proxy=PROXY,
        best_of_n={"largest": 16},
        rl={"prompts": 3, "responses": 4},
        train={"steps": 6, "checkpoints": 3},
        sweep={
            "method": list(METHODS),
            "loss": ["logistic"],
            "beta": [0.1],
            "penalty": [0.0, 0.1],
            "seeds": 2,
            "proxy.width": [8, 16],
            "proxy.members": [1, 2],
            "data.labeller": ["gold", "proxy"],
        },
    )


@pytest.fixture(scope="module")
def folder(everything: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_sweep(everything, tmp_path_factory.mktemp("methods") / "all", workers=1)


def test_a_sweep_of_everything_has_all_its_records(everything: Sweep, folder: Path) -> None:
    runs, curves = expand(everything), pd.read_parquet(folder / "curves.parquet")
    assert set(curves["run_id"]) - {run.run_id for run in runs} == set(
        curves.loc[curves["method"] == "oracle", "run_id"]
    )
    proxies = pd.read_parquet(folder / "proxies.parquet")
    assert proxies["proxy"].tolist() == [member.name for member in members_needed(runs)]
    assert len(proxies) == 2 * 2 * 2
    assert {path.stem for path in (folder / "proxies").glob("*.npz")} == set(proxies["proxy"])
    against = curves[curves["proxy_parameters"].notna()]
    assert set(against["method"]) == {"gpo", "best_of_n", "rl", "gibbs", "iterated"}
    assert set(against["proxy_parameters"]) == set(proxies["parameters"])
    assert against[["kl", "gold", "proxy", "win_rate", "entropy"]].notna().all().all()
    assert not list(folder.glob("parts/*"))


@pytest.mark.slow(but="methods1")
@pytest.mark.parametrize("methods", [["gpo", "best_of_n", "rl"], ["best_of_n"]])
def test_a_sampled_sweep_has_its_records_too(methods: list[str], tmp_path: Path) -> None:
    sweep = small_sweep(
        world={"kind": "sampled", "language": {"stop": 0.1}},
        measure={"baseline": 16, "samples": 4},
        proxy=PROXY,
        best_of_n={"largest": 8, "pool": 32},
        rl={"prompts": 3, "responses": 4, "algorithm": "ppo"},
        train={"steps": 6, "checkpoints": 3},
        sweep={
            "method": methods,
            "loss": ["logistic"],
            "beta": [0.1],
            "seeds": 2,
            "proxy.members": [1, 2],
            "data.labeller": ["proxy"],
        },
    )
    with heard():  # of settings that some of these methods do not read
        run_sweep(sweep, tmp_path / "sampled", workers=1)
    curves = pd.read_parquet(tmp_path / "sampled" / "curves.parquet")
    assert (
        curves[["kl", "kl_se", "gold", "gold_se", "proxy", "proxy_se", "win_rate", "win_rate_se"]].notna().all().all()
    )
    assert set(curves.loc[curves["method"] == "best_of_n", "kl_source"]) == {"bound"}
    assert set(curves.loc[curves["method"] != "best_of_n", "kl_source"]) <= {"sampled"}
    moving = curves[(curves["method"] != "best_of_n") & (curves["step"] > 0)]
    assert (moving[["gold_se", "proxy_se"]] > 0).all().all()
    assert "best-of-n" in text(tmp_path / "sampled")
    assert draw_all(tmp_path / "sampled")


@pytest.mark.slow
def test_more_processes_give_the_same_bytes(everything: Sweep, folder: Path, tmp_path: Path, long: bool) -> None:
    other = run_sweep(everything, tmp_path / "other", workers=3 if long else 2)
    assert (other / "curves.parquet").read_bytes() == (folder / "curves.parquet").read_bytes()
    said = [pd.read_parquet(path / "proxies.parquet").drop(columns="wall_seconds") for path in (other, folder)]
    pd.testing.assert_frame_equal(*said)


def test_what_is_trained_is_not_trained_again(everything: Sweep, folder: Path, tmp_path: Path) -> None:
    """The stacks of runs are gone, and one proxy is damaged: that one alone is trained again."""
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    for name in ("curves", "runs"):
        (again / f"{name}.parquet").unlink()
    damaged = sorted((again / "proxies").glob("*.npz"))[3]
    whole, times = damaged.read_bytes(), {path: path.stat().st_mtime_ns for path in (again / "proxies").glob("*.npz")}
    damaged.write_bytes(whole[: len(whole) // 2])
    with heard() as told:
        run_sweep(everything, again, workers=1)
    assert any(
        f"{damaged.name}: is not as it was written; it is kept as {damaged.name}.damaged" in said for said in told
    )
    changed = {path for path, time in times.items() if path.stat().st_mtime_ns != time}
    assert changed == {damaged}
    assert (again / "curves.parquet").read_bytes() == (folder / "curves.parquet").read_bytes()
    assert len(pd.read_parquet(again / "proxies.parquet")) == 8


@pytest.mark.parametrize("damage", ["table", "tables and proxies"])
def test_what_is_said_of_proxies_is_found_again(everything: Sweep, folder: Path, tmp_path: Path, damage: str) -> None:
    """The sweep was stopped after its proxies; then their table was cut off, or all of them were lost."""
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    for name in ("curves", "runs"):
        (again / f"{name}.parquet").unlink()
    table = again / "proxies.parquet"
    if damage == "table":
        table.write_bytes(table.read_bytes()[:100])
    else:
        table.unlink()
        shutil.rmtree(again / "proxies")
    with heard() as told:
        run_sweep(everything, again, workers=1)
    assert any(f"{table}: is {'not as it was' if damage == 'table' else 'gone'}" in said for said in told)
    assert (again / "curves.parquet").read_bytes() == (folder / "curves.parquet").read_bytes()
    assert pd.read_parquet(table)["proxy"].tolist() == [member.name for member in members_needed(expand(everything))]


def test_proxies_alone_are_records_of_their_sweep(everything: Sweep, folder: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    (begun / "proxies").mkdir(parents=True)
    shutil.copy(folder / "config.toml", begun)
    first = next((folder / "proxies").glob("*.npz"))
    shutil.copy(first, begun / "proxies")
    other = everything.model_copy(update={"proxy": everything.proxy.model_copy(update={"steps": 41})})
    with pytest.raises(ConfigError, match=r"holds the records of another sweep, where proxy.steps = 40 and not 41"):
        run_sweep(other, begun, workers=1)
