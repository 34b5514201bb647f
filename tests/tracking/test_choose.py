"""Which tracker a name stands for, and what is said of names that stand for none."""

from pathlib import Path

import pytest

import run
from simulator import ConfigError
from simulator.tracking import choose
from simulator.tracking.choose import check, open_tracker
from simulator.tracking.mlflow_place import without_secret

OWN = """
import os

class Mine:
    def begin(self, folder, settings): return ()
    def finished(self, runs, curves): pass
    def end(self, folder, ending): return "here"

def tracker():
    return Mine()

def nothing():
    pass

def half():
    return type("Half", (), {"begin": print, "end": 3})()

def a_class():
    return Mine

def wants(name):
    return Mine()

def raises():
    raise RuntimeError("no such\\nserver")

def leaves():
    raise SystemExit(3)

NUMBER = 3
"""
METHODS = "must return an object with the methods begin, finished and end, not"


@pytest.fixture(autouse=True)
def _mine(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("import no_such_package\n\ndef tracker():\n    pass\n")
    (tmp_path / "taken").write_text("")


def test_a_function_of_the_users_own_makes_a_tracker() -> None:
    chosen = open_tracker("mine.py:tracker")
    assert chosen.tracker.end(Path(), "finished") == "here"
    assert chosen.path == Path("mine.py").resolve()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mine.py:nothing", f"{METHODS} NoneType; which has no begin nor finished nor end"),
        ("mine.py:half", f"{METHODS} Half; which has no finished nor end"),
        ("mine.py:a_class", f"{METHODS} the class Mine; make one of it"),
        ("mine.py:wants", "must return a tracker, but raises (TypeError: wants() missing 1 required positional"),
        ("mine.py:raises", "must return a tracker, but raises (RuntimeError, line 25: no such server)"),
        ("mine.py:leaves", "must return a tracker, but raises (SystemExit, line 28: 3)"),
        (
            "mine.py:trakcer",
            "trakcer is not there; mine.py has tracker, nothing, half, a_class, wants, raises, leaves; did",
        ),
        ("mine.py:NUMBER", "NUMBER is no function; mine.py has tracker"),
        ("mine.py:Mine", "Mine is no function; mine.py has tracker"),
        (
            "broken.py:tracker",
            "broken.py cannot be loaded (ModuleNotFoundError, line 1: No module named 'no_such_package')",
        ),
        ("mien.py:tracker", "there is no file "),
    ],
)
def test_what_is_wrong_with_a_function_is_said(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        open_tracker(name)
    assert str(error.value).startswith(f"--track {name}: {said}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mlfow", "such as mine.py:tracker; did you mean mlflow?"),
        ("MLflow", "such as mine.py:tracker; did you mean mlflow?"),
        ("wandb", "must be mlflow, or a file and a function in it, such as mine.py:tracker"),
        ("mine.py", "must be mlflow, or a file and a function in it, such as mine.py:tracker"),
        ("", "must be mlflow, or a file and a function in it"),
        ("nie.py:tracker\x1b[31m", r"--track nie.py:tracker\x1b[31m: must be mlflow"),
        ("mien.py:tracker", "; did you mean mine.py?"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_wrong_name_is_one_message_before_any_work(
    name: str, said: str, more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["sweep", "--out", str(tmp_path / "out"), "--track", name, *more]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: --track ")
    assert said in told
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = choose.find_spec
    monkeypatch.setattr(choose, "find_spec", lambda name: None if name in ("mlflow", "alembic") else found(name))
    with pytest.raises(ConfigError) as error:
        check("mlflow")
    assert str(error.value) == (
        "--track mlflow: needs mlflow and alembic, not installed here; pip install 'alignment-simulator[track]'"
    )


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        (
            "sqlite:///taken/my.db",
            'MLFLOW_TRACKING_URI = "sqlite:///taken/my.db": cannot be written (taken is not a dir',
        ),
        ("sqlite:///.", 'MLFLOW_TRACKING_URI = "sqlite:///.": cannot be written (. is a directory)'),
        ("", "mlflow.db: cannot be written (mlflow.db is a directory)"),
    ],
)
def test_a_store_that_cannot_be_written_is_told_before_any_work(
    uri: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mlflow.db").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError) as error:
        check("mlflow")
    assert str(error.value).startswith(f"--track mlflow: {said}")


@pytest.mark.parametrize("uri", ["sqlite:///there.db", "sqlite:///new/folder/my.db", "https://somewhere:5000", ""])
def test_a_store_that_may_be_written_is_not_touched(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("there.db").write_text("")
    before = sorted(Path().iterdir())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    check("mlflow")
    assert sorted(Path().iterdir()) == before


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("nonsense://store", "'nonsense://store'"),
        ("file:store", "The filesystem tracking backend"),
        ("sqlite:///mine.py", "file is not a database"),
    ],
)
def test_a_store_that_mlflow_refuses_is_one_message(uri: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError) as error:
        open_tracker("mlflow")
    assert str(error.value).startswith("--track mlflow: its store cannot be opened (")
    assert said in str(error.value)
    assert len(str(error.value)) < 450


def test_a_password_is_not_said() -> None:
    assert without_secret("https://me:secret@host:5000/a@b") == "https://host:5000/a@b"
    assert without_secret("sqlite:////tmp/a@b.db") == "sqlite:////tmp/a@b.db"
