"""Reports on what cannot be read, and published experiments, as a user meets them on the command line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import run
from analysis import claims
from analysis.published.claim import Part
from analysis.published.holm import holm
from analysis.published.papers import PAPERS
from simulator.storage.provenance import results_source, verdicts_source


def broken(folder: Path, results: Path, change: str) -> Path:
    """A copy of a result directory with one thing wrong."""
    copy = folder / change
    shutil.copytree(results, copy)
    curves = pd.read_parquet(copy / "curves.parquet")
    path = copy / "curves.parquet"
    if change == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif change == "foreign":
        pd.DataFrame({"x": [1]}).to_parquet(path)
    elif change == "all diverged":
        curves.assign(status=curves["step"].eq(0).map({True: "ok", False: "diverged"})).to_parquet(path)
    elif change == "no gold":
        curves.drop(columns="gold").to_parquet(path)
    elif change == "truncated margins":
        (copy / "margins.parquet").write_bytes(b"PAR1 but not really")
    elif change == "foreign responses":
        pd.DataFrame({"x": [1]}).to_parquet(copy / "responses.parquet")
    elif change == "malformed claims":
        (copy / "claims.json").write_text("[{")
    elif change == "empty":
        shutil.rmtree(copy)
        copy.mkdir()
    return copy


@pytest.mark.slow("truncated margins-margins.parquet: cannot be read as Parquet")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("truncated", "curves.parquet: cannot be read as Parquet"),
        ("foreign", "curves.parquet: lacks the column run_id, so it is no table of this simulator"),
        ("all diverged", "every run diverged, so there is nothing to show; a smaller learning rate may help"),
        ("no gold", "curves.parquet: lacks the column gold"),
        ("truncated margins", "margins.parquet: cannot be read as Parquet"),
        ("foreign responses", "responses.parquet: lacks the column run_id"),
        ("malformed claims", "claims.json"),
        ("empty", "is no result directory"),
    ],
)
def test_a_report_on_what_cannot_be_read_is_refused(
    change: str, said: str, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture, request: pytest.FixtureRequest
) -> None:
    if change not in ("all diverged", "truncated margins"):  # which figures show
        request.getfixturevalue("undrawn")
    assert run.main(["report", str(broken(tmp_path, results, change))]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / change / "report.html").exists()


@pytest.mark.slow
def test_a_report_on_an_older_layout_shows_what_is_there(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "older"
    shutil.copytree(results, folder)
    for name in ("margins", "responses", "gold_law"):
        (folder / f"{name}.parquet").unlink()
    curves = pd.read_parquet(folder / "curves.parquet")
    late = ["kappa", "mu_squared", "pairs", "label_noise", "length", *(name for name in curves if "margin_" in name)]
    curves.drop(columns=late).to_parquet(folder / "curves.parquet")
    assert run.main(["report", str(folder)]) == 0
    assert (folder / "report.html").exists()
    drawn = {path.stem for path in (folder / "figures").glob("*.png")}
    assert "tradeoff" in drawn
    assert not drawn & {"mu_squared", "links", "weights"}
    assert set(claims(folder, "gpo")["verdict"]) <= {"holds", "fails", "undecided"}


def test_reproduce_names_the_nearest_experiment(capsys: pytest.CaptureFixture) -> None:
    assert run.main(["reproduce", "rafaelow"]) == 2
    assert f"must be one of {', '.join(PAPERS)}, all; did you mean rafailov?" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_reproduce_leaves_the_claims_of_every_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    small = ("world.prompts=2", "world.response_length=2", "world.vocabulary=4", "reference.steps=50")
    quick = (*small, "train.steps=8", "train.checkpoints=5", "data.pairs=32", "sweep.seeds=2", "sweep.beta=[0.01,0.1]")
    both = {"one": quick, "two": (*quick, "world.seed=2")}
    parts = {part: Part(config="gpo", quick=settings) for part, settings in both.items()}
    of_two = [replace(claim, part=part) for part in parts for claim in PAPERS["gpo"].claims]
    monkeypatch.setitem(PAPERS, "gpo", replace(PAPERS["gpo"], parts=parts, claims=tuple(of_two)))
    out = tmp_path / "out"
    assert run.main(["reproduce", "gpo", "--quick", "--out", str(out), "--workers", "1"]) == 0
    told = json.loads((out / "claims.json").read_text())
    assert [entry["name"] for entry in told] == [claim.name for claim in of_two]
    assert {entry["verdict"] for entry in told} <= {"holds", "fails", "undecided"}
    assert all(entry["quick"] and entry["note"].startswith("quick version") for entry in told)
    for part in parts:
        assert len(json.loads((out / part / "claims.json").read_text())) == len(told) / 2
        assert (out / part / "figures" / "counterexample.png").exists()
        assert (out / part / "report.html").exists()
        world = json.loads((out / part / "world.json").read_text())
        own = [entry for entry in told if entry["reference_sha256"] == world["reference_sha256"]]
        assert len(own) == len(told) / 2
        assert {entry["results_source"] for entry in own} == {world["results_source"]} == {results_source()}
        assert {entry["verdicts_source"] for entry in own} == {verdicts_source()}
    for ours in (False, True):
        family = [entry for entry in told if entry["ours"] == ours]
        assert [entry["p_holm"] for entry in family] == holm([entry["p"] for entry in family])
    said = capsys.readouterr().out
    assert f"{len(told)} claims: " in said
    assert said.count("(quick)") == len(told)
    assert f"claims in {out / 'claims.json'}" in said
