"""A sweep that grows keeps what is there to the byte, and ends as one that had all values from the beginning."""

import json
from pathlib import Path

import pandas as pd
import pytest

import run
from simulator import ConfigError, Sweep, run_sweep
from simulator.joining.grids import grown
from simulator.storage.layout import ResultFolder
from tests.conftest import small_sweep

LESS = {"loss": ["logistic", "hinge"], "beta": [0.5], "seeds": 2}


def sweep_with(**grid: object) -> Sweep:
    return small_sweep(sweep={**LESS, **grid}, train={"steps": 20})


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_sweep(sweep_with(), tmp_path_factory.mktemp("ended") / "out", workers=1)


@pytest.fixture
def folder(ended: Path, tmp_path: Path) -> Path:
    copy_folder(ended, tmp_path / "grown")
    return tmp_path / "grown"


def copy_folder(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())


MORE = {
    "seeds": {"seeds": 4},
    "a beta before": {"beta": [0.1, 0.5]},
    "a loss": {"loss": ["logistic", "hinge", "squared"]},
    "an axis that was none": {"data.pairs": [48, 24]},
    "an axis of worlds": {"gold.seed": [0, 1]},
    "several": {"seeds": 3, "beta": [0.5, 2.0], "train.steps": [20, 10]},
    "a method": {"method": ["gpo", "gibbs"]},
}


@pytest.mark.slow(but="several")
@pytest.mark.parametrize("more", list(MORE))
def test_a_grown_sweep_is_the_sweep_that_had_it_all(more: str, folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in sorted((folder / "policies").iterdir())}
    asked = sweep_with(**MORE[more])
    run_sweep(asked, folder, workers=1, grow=True)
    whole = run_sweep(asked, tmp_path / "whole", workers=1)
    for name in ("curves.parquet", "config.toml", "world.json", "losses.parquet", "responses.parquet"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    assert all(path.read_bytes() == content for path, content in before.items())
    assert ResultFolder(path=folder).checksums.exists()


def test_what_was_there_is_not_run_again(folder: Path) -> None:
    there = pd.read_parquet(folder / "runs.parquet").set_index("run_id")
    run_sweep(sweep_with(seeds=3), folder, workers=1, grow=True)
    now = pd.read_parquet(folder / "runs.parquet").set_index("run_id")
    assert len(now) == 6
    pd.testing.assert_frame_equal(now.loc[there.index], there)  # with the seconds that each took


def test_new_values_alone_are_added_and_the_same_command_goes_on(folder: Path) -> None:
    for _ in range(2):
        run_sweep(sweep_with(seeds=[5, 7]), folder, workers=1, grow=True)
        assert Sweep.from_toml(folder / "config.toml").sweep.seeds == (0, 1, 5, 7)
    assert len(json.loads((folder / "grown.json").read_text())) == 1
    assert set(pd.read_parquet(folder / "runs.parquet")["seed"]) == {0, 1, 5, 7}
    run_sweep(sweep_with(seeds=[0, 1, 5, 7]), folder, workers=1)  # the config is the union, so no --grow is needed


@pytest.mark.slow
def test_a_stopped_sweep_grows_too(tmp_path: Path) -> None:
    def stop(steps: int, runs: int, worked: bool) -> None:
        if runs:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep_with(**{"train.batch": [8, 16]}), out, workers=1, watch=stop)
    assert list((out / "parts").glob("*.sha256"))
    asked = sweep_with(**{"train.batch": [8, 16, 12]})
    run_sweep(asked, out, workers=1, grow=True)
    whole = run_sweep(asked, tmp_path / "whole", workers=1)
    assert (out / "curves.parquet").read_bytes() == (whole / "curves.parquet").read_bytes()


def test_a_folder_that_is_not_there_is_begun(tmp_path: Path) -> None:
    run_sweep(sweep_with(), tmp_path / "out", workers=1, grow=True)
    assert (tmp_path / "out" / "curves.parquet").exists()
    assert not (tmp_path / "out" / "grown.json").exists()


@pytest.mark.parametrize(
    ("grid", "tables", "said"),
    [
        ({"seeds": 1}, {}, "sweep.seeds = 1: leaves out 1; --grow only adds"),
        ({"loss": ["hinge", "squared"]}, {}, "sweep.loss = ['hinge', 'squared']: leaves out \"logistic\"; --grow only"),
        ({}, {"world": {"prompts": 4}}, "world.prompts = 4: the sweep that is there has 3, and only the lists of"),
        ({}, {"train": {"steps": 30}}, "to vary it, list it as sweep.train.steps with 20 among its values"),
        ({"data.pairs": [24, 96]}, {}, None),  # 48 is there, and not listed: new values alone
    ],
)
def test_shrinking_and_changing_are_refused_with_the_key(
    grid: dict[str, object], tables: dict[str, dict[str, object]], said: str | None, folder: Path
) -> None:
    asked = small_sweep(**{"train": {"steps": 20}, **tables}, sweep={**LESS, **grid})
    if said is None:
        held = Sweep.from_toml(folder / "config.toml")
        assert grown(held, asked).sweep.axes == {"data.pairs": (48, 24, 96)}
        return
    files = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    with pytest.raises(ConfigError) as error:
        run_sweep(asked, folder, workers=1, grow=True)
    assert said in str(error.value)
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()} == files


def test_the_command_says_that_a_sweep_may_grow(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    config = tmp_path / "small.toml"
    config.write_text(sweep_with().to_toml(), encoding="utf-8")
    command = ["sweep", str(config), "--out", str(folder), "--set", "sweep.seeds=3"]
    assert run.main([*command, "--dry-run"]) == 2
    assert "where sweep.seeds = 2 and not 3" in (said := capsys.readouterr().err)
    assert "add to them with --grow" in said
    assert run.main([*command, "--grow", "--fresh"]) == 2
    assert "--grow: keeps what is there, and --fresh removes it" in capsys.readouterr().err
    assert run.main([*command, "--grow", "--dry-run"]) == 0
    assert f"of 4 runs are in {folder}" in capsys.readouterr().out
