"""`rules` and `suggest` as users ask for them, and what reward models say of policies that a sweep kept."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import simulator as sim
from analysis.figures.instruments.rules import draw
from analysis.figures.look import PAGE, drawn_as
from analysis.instruments.stopping.candidates import choices
from analysis.instruments.stopping.suggest import suggestions
from run import main
from simulator import run_sweep
from simulator.instruments.stopping.ensembles import MEMBERS, STEPS, WIDTH, write_ensembles
from tests.analysis.test_figures import check_rules
from tests.conftest import small_sweep

TABLES = {
    "measure": {"held_out": 32},
    "keep": {"policies": "checkpoints"},
    "train": {"checkpoints": 3},
    "sweep": {"loss": ["logistic", "squared"], "beta": [0.05, 0.5], "seeds": 2},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study."""
    made = tmp_path_factory.mktemp("stopping") / "sweep"
    run_sweep(small_sweep(**TABLES), made, workers=1)
    assert main(["rules", str(made), "--workers", "1"]) == 0
    return made


def test_reward_models_are_asked_about_every_policy(folder: Path) -> None:
    """The mean over members is that of proxies of one member each, measured by the public surface."""
    table, curves = pd.read_parquet(folder / "ensembles.parquet"), pd.read_parquet(folder / "curves.parquet")
    trained = curves[curves["loss"].notna()]
    assert set(zip(table["run_id"], table["step"], strict=True)) == set(
        zip(trained["run_id"], trained["step"], strict=True)
    )
    name = trained["run_id"].iloc[-1]
    policies = sim.load_policies(folder, run_id=name)
    world = sim.make_world(folder / "config.toml")
    seed = int(trained["seed"].iloc[-1])
    pairs = world.preferences(48, seed=seed)
    proxy = sim.train_proxy(world, pairs, seed=seed, width=WIDTH, members=MEMBERS, combine="mean", steps=STEPS)
    law = policies.log_prob(world.prompts, world.responses[None].expand(len(world.prompts), -1, -1)).exp().numpy()[0]
    values = []
    for unit, member in zip(proxy.ensemble.units, proxy.ensemble.members, strict=True):
        values.append((law * unit.apply(member.scores)).sum(axis=1).mean())
    found = table[table["run_id"] == name].sort_values("step").iloc[-1]
    assert found["ensemble_mean"] == pytest.approx(np.mean(values), abs=1e-5)
    assert found["ensemble_sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-5)


def test_the_reference_has_no_score(folder: Path) -> None:
    start = pd.read_parquet(folder / "ensembles.parquet").query("step == 0")
    assert start["ensemble_mean"].abs().max() < 1e-5
    assert start["ensemble_sd"].max() < 1e-5


def test_they_are_asked_once(folder: Path) -> None:
    before = (folder / "ensembles.parquet").stat().st_mtime_ns
    write_ensembles(folder, lambda text: pytest.fail(text))
    assert (folder / "ensembles.parquet").stat().st_mtime_ns == before


def test_the_study_is_kept_and_drawn(folder: Path) -> None:
    judged = pd.read_parquet(folder / "rules.parquet")
    assert (judged["regret"] >= 0).all()
    assert (judged["best"] - judged["gold"] - judged["regret"]).abs().max() < 1e-12
    with drawn_as(PAGE):
        check_rules(draw(judged))


def test_a_suggestion_is_a_policy_of_the_sweep(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = suggestions(folder)
    curves = pd.read_parquet(folder / "curves.parquet")
    for _, row in table.iterrows():
        same = (curves["loss"] == row["loss"]) & (curves["seed"] == row["seed"])
        chosen = curves[same & (curves["beta"] == row["chosen_beta"]) & (curves["step"] == row["step"])]
        assert chosen["kl"].tolist() == [row["kl"]]
        assert curves[same]["gold"].max() - chosen["gold"].iloc[0] == pytest.approx(row["regret"])
    assert main(["suggest", str(folder), "--record", str(folder / "record.json")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("rule: ")
    assert "its record: in 4 choices" in said
    assert "logistic (DPO): beta" in said


@pytest.mark.parametrize(
    ("tables", "command", "said"),
    [
        ({"sweep": {"beta": [0.5]}}, "suggest", "two values of beta"),
        ({"keep": {"policies": "none"}}, "rules", 'keep.policies = "checkpoints"'),
        ({"sweep": {"seeds": 1, "beta": [0.1, 1.0]}}, "rules", "tuned on some and judged on others"),
    ],
)
def test_a_sweep_that_offers_no_choice(
    tables: dict[str, dict[str, object]], command: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sweep(
        small_sweep(**{**tables, "keep": {"policies": "end", **tables.get("keep", {})}}), tmp_path / "s", workers=1
    )
    assert main([command, str(tmp_path / "s")]) == 2
    assert said in capsys.readouterr().err


def test_a_study_of_several_worlds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each world has a language and a gold of its own, and is a fold."""
    (tmp_path / "small.toml").write_text(small_sweep(**{**TABLES, "sweep": {"beta": [0.05, 0.5]}}).to_toml())
    out = tmp_path / "study"
    assert main(["rules", str(tmp_path / "small.toml"), "--out", str(out), "--worlds", "2", "--workers", "1"]) == 0
    judged = pd.read_parquet(out / "rules.parquet")
    assert set(judged["fold"]) == {"101", "102"}
    worlds = [sim.make_world(out / f"world-{number}" / "config.toml") for number in (101, 102)]
    assert not np.allclose(worlds[0].simulated.listing.gold, worlds[1].simulated.listing.gold)
    assert main(["rules", str(out), "--set", "sweep.seeds=2"]) == 2
    assert "is a folder of records" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("sweep.beta=[0.1]", "sweep.beta = [0.1]: rules choose among two values or more"),
        ('keep.policies="none"', 'keep.policies = "none": reward models read policies'),
    ],
)
def test_a_study_that_cannot_be_judged_is_not_begun(
    changed: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rules", "--quick", "--out", str(tmp_path / "study"), "--set", changed]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_scores_of_other_curves_are_not_taken(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert "ensemble_mean" in choices(copy)[0].seen
    table = pq.read_table(copy / "ensembles.parquet")
    pq.write_table(table.replace_schema_metadata({"curves_sha256": "other"}), copy / "ensembles.parquet")
    assert "ensemble_mean" not in choices(copy)[0].seen


def test_wrong_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "record.json").write_text("{}")
    assert main(["suggest", str(tmp_path), "--record", str(tmp_path / "record.json")]) == 2
    assert "is no record of rules" in capsys.readouterr().err
    assert main(["suggest", str(tmp_path)]) == 2
    assert main(["rules", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err
