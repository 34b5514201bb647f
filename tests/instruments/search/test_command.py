"""The command from end to end, as a user meets it."""

from pathlib import Path

import pandas as pd
import pytest

import run
from analysis.instruments.search import comparisons, findings
from simulator.instruments.search.history import CANDIDATE, FOUND, RIVAL

pytest.importorskip("cma")

TINY = [
    *("search", "--set", "world.vocabulary=4", "world.response_length=3", "world.prompts=3", "reference.steps=100"),
    *("data.pairs=48", "train.steps=30", "train.learning_rate=0.01", "sweep.seeds=1"),
    *("sweep.beta=[0.1,1.0]", 'sweep.loss=["logistic","hinge"]'),
]
SMALL = ["--worlds", "2", "--held-out", "2", "--draws", "1", "--population", "4"]


def asked(out: Path, generations: int, *more: str) -> list[str]:
    return [*TINY, "--out", str(out), *SMALL, "--generations", str(generations), *more]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("search") / "whole"
    assert run.main(asked(out, 3, "--workers", "2")) == 0
    return out


def test_it_leaves_what_it_promises(done: Path) -> None:
    history = pd.read_parquet(done / "history.parquet")
    assert history["kind"].value_counts().to_dict() == {CANDIDATE: 12, RIVAL: 2, FOUND: 1}
    assert history["regret"].to_numpy() == pytest.approx(history[["regret_0", "regret_1"]].mean(axis=1).to_numpy())
    assert (history["regret"] > 0).all()
    candidates = history[history["kind"] == CANDIDATE]
    assert candidates["generation"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for name in ("found.py", "judged.toml", "shapes.parquet", "summary.md", "figures/search.png"):
        assert (done / name).is_file()
    assert sorted(path.name for path in (done / "judged").iterdir()) == ["world-20000", "world-20001"]


def test_what_is_judged_is_what_the_sweeps_hold(done: Path) -> None:
    table = comparisons(done)
    assert table["rival"].tolist() == ["logistic", "hinge"]
    assert (table["worlds"] == 2).all()
    assert "| logistic (DPO) |" in "\n".join(findings(done))
    curves = pd.read_parquet(done / "judged" / "world-20001" / "curves.parquet")
    trained = curves[curves["method"] == "gpo"]
    assert set(trained["loss"]) == {"logistic", "hinge", "found.py:found"}
    assert set(trained["seed"]) == {20000}
    assert sorted(trained["beta"].unique()) == [0.1, 0.316, 1.0]


@pytest.mark.filterwarnings(
    "ignore:.*its code has changed since 3 runs"
)  # what was found, in sweeps that judged before
def test_a_stopped_search_ends_as_one_in_one_go(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor does it matter how many processes share the work."""
    out = tmp_path / "stopped"
    assert run.main(asked(out, 1, "--workers", "1")) == 0
    before = (out / "found.py").read_bytes()
    assert run.main(asked(out, 3, "--workers", "1")) == 0
    assert "there already: 1 generation\n" in capsys.readouterr().out
    assert (out / "history.parquet").read_bytes() == (done / "history.parquet").read_bytes()
    assert (out / "found.py").read_bytes() == (done / "found.py").read_bytes() != before
    pd.testing.assert_frame_equal(comparisons(out), comparisons(done))


def test_another_search_does_not_go_into_its_folder(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (done / "history.parquet").read_bytes()
    assert run.main(asked(done, 3, "--nonconvex")) == 2
    assert "is of a search with other settings or other code" in capsys.readouterr().err
    assert (done / "history.parquet").read_bytes() == before


def test_losses_need_not_be_convex(tmp_path: Path) -> None:
    out = tmp_path / "any"
    assert run.main(asked(out, 1, "--nonconvex")) == 0
    masses = pd.read_parquet(out / "history.parquet").filter(like="mass_")
    assert (masses.dropna() < 0).to_numpy().any()
    assert "z.clamp(-8.0, 10.0)" in (out / "found.py").read_text(encoding="utf-8")


def test_what_it_would_take_is_told_and_nothing_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["search", "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "60 generations of 16, each in 8 worlds with 2 draws of pairs and 8 values of beta" in told
    assert "judged in 20 other worlds with 4 draws: 12,000 runs" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--population", "2"], "--population 2: must be from 4 to 1,000"),
        (["--held-out", "1"], "--held-out 1: must be from 2 to 1,000"),
        (["--generations", "0"], "--generations 0: must be from 1 to"),
        (["--workers", "0"], "--workers 0: must be at least 1"),
        (["--seed", "-1"], "--seed -1: must be from 0 to"),
        (["--set", "world.kind=sampled"], 'search: needs world.kind = "enumerable"'),
        (["--set", "sweep.data.pairs=[64,256]"], "search: data.pairs is an axis of the sweep"),
        (["--set", 'sweep.loss=["hinge"]'], "sweep.loss: must have logistic"),
        (["--set", 'sweep.loss=["logistic","kto"]'], "sweep.loss = kto: must be a function of beta rho alone"),
        (["--set", "sweep.method=gibbs"], 'search: sweep.method must be "gpo" alone, not "gibbs"'),
        (["--set", "sweep.seeds=[20000]"], "sweep.seeds: must be below 20,000"),
        (["--set", "online.refresh=10"], "search: online.refresh must be as it is unless said"),
        (["serch"], "did you mean search?"),
    ],
)
def test_wrong_input_is_one_message(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["search", *arguments, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert not (tmp_path / "out" / "history.parquet").exists()


def test_a_history_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "history.parquet").write_bytes(b"PAR1 but not really")
    assert run.main(asked(tmp_path, 1)) == 2
    assert "cannot be read as the history of a search" in capsys.readouterr().err


@pytest.mark.slow
def test_the_quick_form_runs_as_it_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run.main(["search", "--quick"]) == 0
    out = tmp_path / "results" / "search-quick"
    assert pd.read_parquet(out / "history.parquet")["kind"].value_counts()[CANDIDATE] == 32
    table = comparisons(out)
    assert len(table) == 9
    assert (table["worlds"] == 2).all()
    assert (table["low"] < table["difference"]).all()
    assert "f(z) = -z + " in (out / "summary.md").read_text(encoding="utf-8")
