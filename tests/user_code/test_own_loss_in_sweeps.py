"""Sweeps of losses of the user's own: both forms against ours, where code may come from, and when it has changed."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import load
from run import main
from simulator import ConfigError, Sweep, SweepError, run_sweep
from simulator.sweeps.cautions import cautions
from simulator.sweeps.grid import expand
from simulator.sweeps.hashes import with_hashes
from tests.conftest import SMALL, heard
from tests.helpers.own_losses import MINE, sweep_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


@pytest.mark.slow
def test_both_forms_train_as_ours_do(mine: Path, tmp_path: Path) -> None:
    """In two processes, so that workers find the file, too."""
    sweep = sweep_of(tmp_path, "logistic", "mine.py:again", "mine.py:by_pairs", "simper", "mine.py:free")
    with heard():  # that lengths are all the same
        run_sweep(sweep, tmp_path / "out", workers=2, memory="2GiB")
    curves = pd.read_parquet(tmp_path / "out" / "curves.parquet")
    measured = ["kl", "gold", "train_loss", "train_accuracy"]

    def of(loss: str) -> np.ndarray:
        return curves.loc[curves["loss"] == loss, measured].to_numpy()

    assert len(of("logistic"))
    for ours, theirs in (("logistic", "again"), ("logistic", "by_pairs"), ("simper", "free")):
        assert of(f"mine.py:{theirs}") == pytest.approx(of(ours), rel=1e-4, abs=1e-6)
    rows = curves.drop_duplicates("loss").set_index("loss")
    assert rows.loc["mine.py:again", "kappa"] == pytest.approx(0.5)
    assert np.isnan(rows.loc["mine.py:by_pairs", "kappa"])
    assert np.isnan(rows.loc["mine.py:free", "beta"])
    losses = pd.read_parquet(tmp_path / "out" / "losses.parquet")
    assert set(losses["loss"]) == {"logistic", "mine.py:again"}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def f(z:\n", "broken.py cannot be loaded (SyntaxError"),
        ("import nothing_like_it\n", "broken.py cannot be loaded (ModuleNotFoundError, line 1: No module named"),
        ("import sys\nsys.exit(3)\n", "broken.py cannot be loaded (SystemExit, line 2: 3)"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_the_users_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, told: str
) -> None:
    (tmp_path / "broken.py").write_text(source)
    (tmp_path / "c.toml").write_text('[sweep]\nloss = "broken.py:f"\n')
    assert main(["sweep", str(tmp_path / "c.toml"), "--out", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another working folder than that of the sweep."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_file_that_is_not_there(elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.toml").write_text('[sweep]\nloss = ["hinge", "missing.py:f"]\n')
    assert main(["sweep", str(tmp_path / "c.toml"), "--dry-run"]) == 2
    told = capsys.readouterr().err
    both = f"{tmp_path / 'missing.py'} nor {elsewhere.resolve() / 'missing.py'}"
    assert f"sweep.loss = missing.py:f: there is no file {both}" in told


def test_a_name_that_is_neither_says_how_to_name_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--dry-run", "--set", "sweep.loss=mine.py"]) == 2
    assert "must name a function in the file, as mine.py:function" in capsys.readouterr().err
    assert main(["sweep", "--dry-run", "--set", "sweep.loss=mine"]) == 2
    assert "my_file.py:function" in capsys.readouterr().err


def test_near_misses_are_named(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.toml").write_text('[sweep]\nloss = "mien.py:again"\n')
    assert main(["sweep", str(tmp_path / "c.toml"), "--dry-run"]) == 2
    assert "did you mean mine.py?" in capsys.readouterr().err
    for setting, told in (
        ('sweep.loss=["SimPER"]', "did you mean simper?"),
        ('sweep.loss=["cDPO"]', "did you mean conservative_dpo?"),
        ("sweep.method=vpo", 'did you mean gpo with sweep.loss = "vpo"?'),
        ("objective.vpoo.alpha=1", "did you mean objective.vpo?"),
        ("objective.vpo.alfa=1", "did you mean objective.vpo.alpha?"),
        ("objective.rpo.responses=1", "objective.rpo.responses = 1: must be greater than or equal to 2"),
        ('objective.vpo.calibration="chosn"', "did you mean chosen?"),
        ("online.refresh=-1", "online.refresh = -1: must be greater than or equal to 0"),
    ):
        assert main(["sweep", "--dry-run", "--set", setting]) == 2
        assert told in capsys.readouterr().err, setting


def test_an_axis_that_says_nothing_is_told() -> None:
    with pytest.warns(UserWarning, match=r"sweep\.objective\.vpo\.alpha: no run of this sweep reads it"):
        assert main(["sweep", "--dry-run", "--set", "sweep.objective.vpo.alpha=[0.1,1]", "sweep.seeds=1"]) == 0


def test_a_loss_that_starts_the_wrong_way_is_told_once(mine: Path, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, "mine.py:backwards", "mine.py:pairs_backwards", "discopop", "logistic")
    told = cautions(sweep, expand(sweep))
    assert [text.split()[1] for text in told] == ["mine.py:backwards", "mine.py:pairs_backwards", "discopop"]
    assert "f'(0) = +0.5" in told[0]
    assert "at beta = 1, of +1" in told[1]
    assert "f'(0) = +0.784" in told[2]
    with pytest.warns(UserWarning, match=r"backwards has f'\(0\) = \+0.5"):
        run_sweep(sweep_of(tmp_path, "mine.py:backwards"), tmp_path / "out", workers=1)


@pytest.mark.slow
def test_a_loss_that_raises_in_training_fails_its_stack_with_the_reason(mine: Path, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, "mine.py:raises_later", train={"learning_rate": 0.5})
    path = tmp_path / "sweep.toml"
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "sweep", str(path), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert sweep.sweep.loss == ("mine.py:raises_later",)
    assert done.returncode == 1
    assert "sweep.loss = mine.py:raises_later: raises (RuntimeError, line 25: too far)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("elsewhere")
def test_code_is_never_loaded_from_a_results_directory(mine: Path, tmp_path: Path) -> None:
    out = run_sweep(sweep_of(tmp_path, "mine.py:again"), tmp_path / "out", workers=1)
    shutil.copy(mine, out / "mine.py")
    with pytest.raises(ConfigError, match="code is never loaded from a results directory such as"):
        expand(Sweep.from_toml(out / "config.toml"))
    other = tmp_path / "other.toml"
    other.write_text(f'[sweep]\nloss = "{out.resolve() / "mine.py"}:again"\n')
    with pytest.raises(ConfigError, match="never loaded from a results directory"):
        expand(Sweep.from_toml(other))


def test_what_a_loss_does_not_use_may_change(mine: Path, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, "mine.py:again", sweep={"seeds": 1}, train={"steps": 2})
    out = run_sweep(sweep, tmp_path / "out", workers=1)
    before = (out / "curves.parquet").stat().st_mtime_ns
    mine.write_text(MINE.replace("FACTOR = 2", "FACTOR = 3  # another thought") + "\ndef more(z):\n    return z\n")
    assert run_sweep(sweep, out, workers=1) == out
    assert (out / "curves.parquet").stat().st_mtime_ns == before
    assert (out / "code" / "mine.py").read_text() == MINE
    held = Sweep.from_toml(out / "config.toml", beside=tmp_path)
    assert set(held.code) == {"mine.py:again"}
    mine.write_text(MINE.replace("return softplus(-z)", "return softplus(-2 * z)"))
    with pytest.raises(ConfigError, match="is not the code that this sweep is about"):
        with_hashes(held, [])


@pytest.mark.slow(but="True")
@pytest.mark.parametrize("ended", [True, False])
def test_runs_of_a_loss_that_changed_are_run_again_and_the_others_stay(mine: Path, tmp_path: Path, ended: bool) -> None:
    kept = {"seeds": 1, "data.pairs": [16, 32]}
    sweep = sweep_of(tmp_path, "hinge", "mine.py:again", "mine.py:by_pairs", sweep=kept, train={"steps": 2})
    out, done = tmp_path / "out", []

    def stop(steps: int, runs: int, worked: bool) -> None:
        done.append(runs)
        if sum(done) == 5:
            raise KeyboardInterrupt

    if ended:
        run_sweep(sweep, out, workers=1)
    else:
        with pytest.raises(KeyboardInterrupt):
            run_sweep(sweep, out, workers=1, watch=stop)
    before = {path.name: path.read_bytes() for path in out.rglob("*.parquet")}
    mine.write_text(MINE.replace("return softplus(-z)", "return softplus(-2 * z)"))
    counts = {True: 0, False: 0}

    def watch(steps: int, runs: int, worked: bool) -> None:
        counts[worked] += runs

    with heard() as told:
        run_sweep(sweep, out, workers=1, watch=watch)
    assert counts == ({True: 2, False: 4} if ended else {True: 6 - counts[False], False: counts[False]})
    assert counts[False] >= 2
    assert any("sweep.loss = mine.py:again: its code has changed since" in line for line in told)
    whole = run_sweep(sweep, tmp_path / "whole", workers=1)
    assert (out / "curves.parquet").read_bytes() == (whole / "curves.parquet").read_bytes()
    assert (out / "code" / "mine.py.before").read_text() == MINE
    set_aside = [path for path in out.rglob("*.before") if "parquet" in path.name]
    assert set_aside or not ended
    assert all(path.read_bytes() == before[path.name.removesuffix(".before")] for path in set_aside)


def test_a_file_is_looked_up_beside_the_sweep_and_then_where_one_works(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    sweep_of(inner, "mine.py:again")
    monkeypatch.chdir(tmp_path)
    assert expand(Sweep.from_toml("inner/sweep.toml"))[0].kappa == pytest.approx(0.5)
    (inner / "mine.py").write_text("def again(z):\n    return (z - 1) ** 2\n")
    assert expand(Sweep.from_toml("inner/sweep.toml"))[0].kappa == pytest.approx(1)
    helper = inner / "beside_it.py"
    helper.write_text("SHIFT = 2.0\n")
    (inner / "mine.py").write_text("from beside_it import SHIFT\ndef again(z):\n    return (z - SHIFT) ** 2\n")
    assert expand(Sweep.from_toml("inner/sweep.toml"))[0].kappa == pytest.approx(0.5)


def test_what_a_file_imports_from_beside_itself_belongs_to_it(tmp_path: Path) -> None:
    """Helpers of one name in two folders are two; a helper that changes is another code."""
    for folder, power in (("a", 2), ("b", 4)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text("from helper import POWER\ndef f(z):\n    return (z - 1) ** POWER\n")
        (tmp_path / folder / "helper.py").write_text(f"POWER = {power}\n")
    sweep = sweep_of(tmp_path, "a/mine.py:f", "b/mine.py:f")
    kappas = {run.loss: run.kappa for run in expand(sweep)}
    assert kappas == {"a/mine.py:f": pytest.approx(1), "b/mine.py:f": pytest.approx(3)}
    before = with_hashes(sweep, []).code
    assert len(set(before.values())) == 2
    (tmp_path / "a" / "helper.py").write_text("POWER = 6\n")
    assert {run.loss: run.kappa for run in expand(sweep)}["a/mine.py:f"] == pytest.approx(5)
    after = with_hashes(sweep, []).code
    assert after["a/mine.py:f"] != before["a/mine.py:f"]
    assert after["b/mine.py:f"] == before["b/mine.py:f"]


def test_a_loss_whose_slope_at_zero_is_zero_trains_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("def f(z):\n    return z ** 2 - z ** 3 / 10\n")
    with pytest.warns(UserWarning, match="nothing pushes margins up"):
        out = run_sweep(sweep_of(tmp_path, "some.py:f"), tmp_path / "out", workers=1)
    assert pd.read_parquet(out / "losses.parquet")["kappa"].isna().all()
    assert pd.read_parquet(out / "curves.parquet")["kappa"].isna().all()


@pytest.mark.slow
def test_code_that_prints_does_not_disturb_the_workers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = "print('loaded')\ndef f(z):\n    print('called')\n    return (z - 1) ** 2\n"
    (tmp_path / "some.py").write_text(source)
    out = run_sweep(sweep_of(tmp_path, "some.py:f", train={"steps": 3}), tmp_path / "out", workers=2, memory="2GiB")
    assert (pd.read_parquet(out / "runs.parquet")["status"] == "finished").all()


def test_a_loss_that_raises_leaves_its_neighbours_alone(mine: Path, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, "mine.py:raises_later", "logistic", train={"learning_rate": 0.5})
    with pytest.raises(SweepError, match="too far"):
        run_sweep(sweep, tmp_path / "out", workers=1)
    assert set(load(tmp_path / "out")["loss"].dropna()) == {"logistic"}


def test_records_do_not_go_where_the_code_lies(mine: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds the code of sweep\.loss = mine\.py:again; choose another --out"):
        run_sweep(sweep_of(tmp_path, "mine.py:again"), tmp_path, workers=1)
    assert not (tmp_path / "config.toml").exists()


@pytest.mark.parametrize("record", ["losses.parquet", "figures/tradeoff.svg", "claims.json", "parts/x.curves.parquet"])
def test_any_record_makes_a_results_directory(tmp_path: Path, record: str) -> None:
    sweep_of(tmp_path, "mine.py:again")
    (tmp_path / "sweep.toml").rename(tmp_path / "config.toml")
    (tmp_path / "mine.py").write_text("raise SystemExit('I was run')\n")
    (tmp_path / record).parent.mkdir(exist_ok=True)
    (tmp_path / record).touch()
    with pytest.raises(ConfigError, match="never loaded from a results directory"):
        expand(Sweep.from_toml(tmp_path / "config.toml"))


def test_one_file_has_one_name(tmp_path: Path) -> None:
    assert sweep_of(tmp_path, "./mine.py:again") == sweep_of(tmp_path, "mine.py:again")


def test_losses_of_ones_own_are_described_and_drawn(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "picture.png"
    assert main(["losses", f"{mine}:again", "squared", "--picture", str(picture)]) == 0
    told = capsys.readouterr().out
    assert "0.6931    -0.5    0.25     0.5  log(1 + exp(-z)), written by a user" in told
    assert picture.stat().st_size > 1000
    assert main(["losses", "logistik"]) == 2
    assert "did you mean logistic?" in capsys.readouterr().err


def test_the_small_sweep_has_no_losses_of_its_own() -> None:
    assert "loss" not in SMALL["sweep"]
