"""The command `export`: what it says, and what of a user's input it refuses, with one message and nothing written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from run import main
from simulator.interchange import exporting
from simulator.interchange.exporting import folder_name
from simulator.interchange.target import not_ours
from tests.conftest import small_sweep
from tests.interchange.conftest import written


@pytest.fixture
def folder(results: Path, tmp_path: Path) -> Path:
    """A result folder that may be damaged."""
    return Path(shutil.copytree(results, tmp_path / "sweep"))


def names_of(folder: Path) -> list[str]:
    return pd.read_parquet(folder / "runs.parquet")["run_id"].tolist()


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The message of a call that fails for what the user gave."""
    assert main(["export", *map(str, arguments)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.isprintable() or told.err.replace("\n", "").isprintable()
    return told.err.removeprefix("error: ").strip()


def test_runs_by_name_and_what_is_said(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    names = names_of(folder)[3:5]
    assert main(["export", str(folder), "--to", str(tmp_path / "out"), "--policies", *names]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"the reference, 2 policies and 144 pairs in {tmp_path / 'out'}: 0.")
    assert [one["run_id"] for one in json.loads((tmp_path / "out" / "policies.json").read_text())] == names
    assert not_ours(tmp_path / "out") == ""
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert main(["export", str(folder), "--to", str(tmp_path / "out"), "--policies", "none"]) == 0
    assert not (tmp_path / "out" / "policies").exists()
    assert not (tmp_path / "out" / "policies.json").exists()


def test_all_policies_go_where_they_are_small(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def loaded(path: Path, run_id: list[str]) -> object:
        asked.append(run_id)
        raise exporting.ConfigError("enough")

    monkeypatch.setattr(exporting, "load_policies", loaded)
    names = names_of(folder)
    refused(capsys, folder, "--to", tmp_path / "out")
    assert asked.pop() == names
    monkeypatch.setattr(exporting, "MOST", 2**18)
    assert main(["export", str(folder), "--to", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"{len(names)} policies would be ")
    assert told[0].endswith(f"such as {names[0]}, or take --policies all")
    assert told[1].startswith("the reference, 0 policies")
    refused(capsys, folder, "--to", tmp_path / "out", "--policies", "all")
    assert asked.pop() == names
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_runs_without_a_policy(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = names_of(folder)
    runs = pd.read_parquet(folder / "runs.parquet")
    runs.loc[0, "status"] = "diverged"
    runs.to_parquet(folder / "runs.parquet")
    (folder / "SHA256SUMS").unlink()
    told = refused(capsys, folder, "--to", tmp_path / "out", "--policies", names[0])
    assert told.startswith(f"--policies {names[0]}: diverged, failed or is not finished")
    told = refused(capsys, folder, "--to", tmp_path / "out", "--policies", f"{names[1]}x")
    assert "is no run of" in told
    assert f"did you mean {names[1]}?" in told
    both = refused(capsys, folder, "--to", tmp_path / "out", "--policies", names[1], "none")
    assert both == "--policies: must be all, none, or names of runs, and not both"
    refused(capsys, folder, "--to", tmp_path / "out", "--policies", "all", "none")
    refused(capsys, folder, "--to", tmp_path / "out", "--policies", "\x1b[2J")
    assert not (tmp_path / "out").exists()


def test_methods_that_train_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from simulator.sweeps.grid import expand

    sweep = small_sweep(sweep={"method": "best_of_n"}, proxy={"width": 4})
    (name, *_) = (run.run_id for run in expand(sweep))
    there = written(sweep, tmp_path / "sweep")
    told = refused(capsys, there, "--to", tmp_path / "out", "--policies", name)
    assert told == f"--policies {name}: best_of_n trains no policy, so there is none to export"
    assert main(["export", str(there), "--to", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith("the reference, 0 policies and 144 pairs")


def test_several_worlds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = written(small_sweep(sweep={"world.seed": [1, 2]}), tmp_path / "sweep")
    told = refused(capsys, there, "--to", tmp_path / "out")
    assert told.startswith("--policies: the runs are of 2 worlds, and an export has one; name runs of one world")
    assert not (tmp_path / "out").exists()


def change(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "is not there"),
        (lambda folder: (folder / "config.toml").unlink(), "no config.toml"),
        (change("config.toml", b"\x00"), "config.toml: is not as the sweep wrote it"),
        (change("runs.parquet", b"PAR1"), "runs.parquet: is not as the sweep wrote it"),
        (lambda folder: (folder / "curves.parquet").unlink(), "curves.parquet: is not as the sweep wrote it"),
        (change("SHA256SUMS", b"x"), "SHA256SUMS: is not as the sweep wrote it"),
        (
            lambda folder: ((folder / "SHA256SUMS").unlink(), change("runs.parquet", b"PAR1")(folder)),
            "runs.parquet: cannot be read",
        ),
        (
            lambda folder: ((folder / "SHA256SUMS").unlink(), change("config.toml", b"[world]\nmoons = 3\n")(folder)),
            "moons",
        ),
    ],
)
def test_folders_that_are_no_whole_sweep(
    damage: Callable[[Path], object], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(folder)
    assert message in refused(capsys, folder, "--to", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_sweeps_names_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(small_sweep(), tmp_path / "first")
    told = refused(capsys, tmp_path, "--to", tmp_path.parent / "out")
    assert told.endswith(f"it holds those of several, such as {tmp_path / 'first'}")
    (tmp_path / "file").write_text("")
    assert "is a file" in refused(capsys, tmp_path / "file", "--to", tmp_path / "out")


def test_a_text_that_changed_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abc " * 200)
    sweep = small_sweep(world={"kind": "sampled", "vocabulary": 256, "language": {"text": str(text)}})
    written(sweep.model_copy(update={"texts": {str(text): "0" * 64}}), tmp_path / "sweep")
    assert "has changed since the sweep" in refused(capsys, tmp_path / "sweep", "--to", tmp_path / "out")


def test_another_reference_is_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads((folder / "world.json").read_bytes()) | {"reference_sha256": "0" * 64}
    (folder / "world.json").write_text(json.dumps(facts))
    (folder / "SHA256SUMS").unlink()
    assert main(["export", str(folder), "--to", str(tmp_path / "out"), "--policies", "none"]) == 0
    told = capsys.readouterr().err
    assert told.startswith("warning: the reference was trained again, and is not the sweep's to the bit")


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("gpo-logistic-0.1-0-0123456789", "gpo-logistic-0.1-0-0123456789"),
        ("gpo-../my file.py:half-1e-05-3-0123456789", "gpo-..%2Fmy%20file.py%3Ahalf-1e-05-3-0123456789"),
        ("..", "%2E."),
        ("gpo-ü%\x1b\\", "gpo-%C3%BC%25%1B%5C"),
    ],
)
def test_names_of_runs_as_names_of_folders(run_id: str, name: str) -> None:
    assert folder_name(run_id) == name
    from urllib.parse import unquote

    assert unquote(name) == run_id


def test_names_that_are_too_long_are_cut_and_stay_apart() -> None:
    long = [folder_name(f"gpo-{'x' * 4000}.py:f-1-0-{number:010}") for number in range(2)]
    assert len({*long}) == 2
    assert all(len(name) <= 200 for name in long)


def test_a_loss_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from simulator import run_sweep

    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a|b.py").write_text("def half(z):\n    return (1 - z).clamp(min=0) / 2\n")
    sweep = small_sweep(sweep={"loss": "own/a|b.py:half", "beta": 1.0, "seeds": 1}, train={"steps": 4})
    folder = run_sweep(sweep, tmp_path / "sweep", workers=1)
    assert main(["export", str(folder), "--to", "out"]) == 0
    capsys.readouterr()
    (one,) = json.loads((tmp_path / "out" / "policies.json").read_text())
    assert one["folder"].startswith("policies/gpo-own%2Fa%7Cb.py%3Ahalf-1-0-")
    assert (tmp_path / "out" / one["folder"] / "model.safetensors").is_file()
    (tmp_path / "own" / "a|b.py").write_text("def half(z):\n    return (2 - z).clamp(min=0) / 2\n")
    told = refused(capsys, folder, "--to", "again")
    assert told.startswith("sweep.loss = own/a|b.py:half: has changed since the sweep; bring that code back")
    assert r"| `own/a\|b.py:half` | no equal is known |" in (tmp_path / "out" / "README.md").read_text()
