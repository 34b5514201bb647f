"""What of a sweep is logged to a tracker of the user's own, and that nothing that it does loses one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from simulator import ConfigError, SweepError, run_sweep
from simulator.tracking import log_sweep
from simulator.tracking.choose import choose
from simulator.tracking.log_sweep import log_all
from tests.conftest import heard, small_sweep
from tests.end_to_end.test_pages import FILE
from tests.helpers.own_losses import MINE


class Notes:
    """A tracker that writes down its calls, and knows some runs."""

    def __init__(self, known: object = ()) -> None:
        self.known, self.calls, self.runs, self.curves = known, [], [], []

    def begin(self, folder: Path, settings: Mapping[str, Any]) -> Any:
        self.calls.append(("begin", folder.name, settings["train.steps"], settings["sweep.beta"]))
        return self.known

    def finished(self, runs: pd.DataFrame, curves: pd.DataFrame) -> None:
        self.calls.append(("finished", len(runs), len(curves)))
        self.runs.append(runs.copy())
        self.curves.append(curves.copy())
        runs["run_id"], curves["step"] = "mine", -1  # nobody else sees this

    def end(self, folder: Path, ending: str) -> None:
        self.calls.append(("end", folder.name, ending))


def test_every_run_is_told_of_once_with_its_curve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_sweep, "MOST", 7)
    runs, curves = (pd.read_parquet(folder / f"{name}.parquet") for name in ("runs", "curves"))
    curves = curves.sample(frac=1, random_state=1)  # whatever its order
    curves.to_parquet(folder / "curves.parquet")
    notes = Notes()
    log_all(choose(notes), folder)
    assert notes.calls[0] == ("begin", "small", 40, [0.05, 0.5, 5.0])
    assert notes.calls[-1] == ("end", "small", "finished")
    assert [len(some) for some in notes.runs] == [7] * (len(runs) // 7) + [len(runs) % 7] * (len(runs) % 7 > 0)
    pd.testing.assert_frame_equal(pd.concat(notes.runs, ignore_index=True), runs)
    of_runs = curves[curves["run_id"].isin(runs["run_id"])]
    place = {run_id: i for i, run_id in enumerate(runs["run_id"])}
    logged = pd.concat(notes.curves, ignore_index=True)
    assert [(place[run], step) for run, step in zip(logged["run_id"], logged["step"], strict=True)] == sorted(
        (place[run], step) for run, step in zip(of_runs["run_id"], of_runs["step"], strict=True)
    )
    for some, of_them in zip(notes.runs, notes.curves, strict=True):
        assert list(dict.fromkeys(of_them["run_id"])) == list(some["run_id"])


def test_runs_that_it_knows_are_not_told_of_again(folder: Path) -> None:
    ids = list(pd.read_parquet(folder / "runs.parquet")["run_id"])
    some, all_of_them = Notes(ids[3:]), Notes(iter([*ids, "another"]))
    for notes in (some, all_of_them):
        log_all(choose(notes), folder)
    assert [list(runs["run_id"]) for runs in some.runs] == [ids[:3]]
    assert [what for what, *_ in all_of_them.calls] == ["begin", "end"]


def test_a_sweep_from_python_tells_its_tracker_and_goes_on_whatever_that_does(tmp_path: Path) -> None:
    sweep = small_sweep(sweep={"beta": [0.5], "seeds": 2, "loss": ["logistic"]}, train={"steps": 6, "checkpoints": 2})
    notes = Notes()
    folder = run_sweep(sweep, tmp_path / "mine", workers=1, tracker=notes)
    assert [what for what, *_ in notes.calls] == ["begin", "finished", "end"]
    run_sweep(sweep, folder, workers=1, tracker=notes)  # it had ended
    assert [what for what, *_ in notes.calls] == ["begin", "finished", "end"] * 2
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for method, error in (("begin", SystemExit(3)), ("finished", ValueError("no\nroom")), ("end", OSError(28, "full"))):
        broken = Notes()
        setattr(broken, method, raising(error))
        with heard() as told:
            run_sweep(sweep, folder, workers=1, tracker=broken)
        (text,) = told
        assert text.startswith(f"tracker = Notes: its method {method} failed ({type(error).__name__}")
        assert text.endswith("; nothing else depends on it, and the same command logs what is missing")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def raising(error: BaseException) -> Any:
    def method(*_: object) -> None:
        raise error

    return method


def test_runs_that_failed_are_told_of_and_so_is_how_the_sweep_ended(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    sweep = small_sweep(sweep={"seeds": 1, "loss": ["hinge", "mine.py:raises_later"]}, train={"learning_rate": 0.5})
    notes = Notes()
    with pytest.raises(SweepError, match="too far"):
        run_sweep(sweep, tmp_path / "out", workers=1, tracker=notes)
    (runs,), (curves,) = notes.runs, notes.curves
    assert set(zip(runs["loss"], runs["status"], strict=True)) >= {
        ("hinge", "finished"),
        ("mine.py:raises_later", "failed"),
    }
    assert set(curves["run_id"]) == set(runs["run_id"][runs["status"] == "finished"])
    assert notes.calls[-1] == ("end", "out", "failed")


@pytest.mark.parametrize(
    ("tracker", "said"),
    [
        (
            object(),
            "tracker must be an object with the methods begin, finished and end, not object; which has no begin",
        ),
        (Notes, "tracker must be an object with the methods begin, finished and end, not the class Notes; make one of"),
        ("wandb", "tracker = wandb: must be mlflow, or a file and a function in it, such as mine.py:tracker"),
    ],
)
def test_what_is_no_tracker_is_refused_before_any_work(tracker: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        run_sweep(small_sweep(), tmp_path / "out", tracker=tracker)
    assert str(error.value).startswith(said)
    assert not (tmp_path / "out").exists()


def test_what_begin_returns_must_be_names(folder: Path) -> None:
    with heard() as told:
        log_all(choose(Notes(known=3)), folder)
    assert "its method begin failed (TypeError: 'int' object is not iterable)" in told[0]


def test_the_tracker_of_the_documentation_works(folder: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "howto" / "trackers.md").read_text(encoding="utf-8")
    ((name, program),) = FILE.findall(page)
    Path(name).write_text(program)
    chosen = choose(f"{name}:tracker")
    for _ in range(2):
        log_all(chosen, folder)
    lines = [json.loads(line) for line in Path("tracked.jsonl").read_text().splitlines()]
    runs, curves = (pd.read_parquet(folder / f"{name}.parquet") for name in ("runs", "curves"))
    assert [line["run_id"] for line in lines] == list(runs["run_id"])
    best = curves.groupby("run_id")["gold"].max()
    assert [line["gold"] for line in lines] == [best[line["run_id"]] for line in lines]
