"""The audit as users ask for it, in Python and as a command."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

import simulator as sim
from analysis.figures.layout import shown_data, text_of
from analysis.figures.look import PAGE, drawn_as
from analysis.figures.theory.estimators import draw, title_of
from run import main
from simulator.audit.policy import path
from simulator.audit.text import lines_of, number, words_of
from simulator.worlds.protocol import as_listed
from tests.analysis.test_figures import check_rules
from tests.conftest import small_sweep
from tests.helpers.planted_proxy import planted_proxy

FEW = {"steps": 3, "responses": 3, "batches": 60, "reuse": (1,)}
SMALL = """
[world]
vocabulary = 3
response_length = 2
prompts = 5
[reference]
steps = 20
[policy]
width = 8
"""


@pytest.fixture(scope="module")
def table(lab: sim.World) -> pd.DataFrame:
    return sim.audit_estimators(lab, **FEW)


def test_a_policy_of_ones_own_is_audited_where_it_stands(lab: sim.World, table: pd.DataFrame) -> None:
    policies = sim.train(lab, planted_proxy(lab, 0), method="rl", penalty=0.3, steps=5)
    found = sim.audit_estimators(lab, policies=policies, **FEW)
    measured = lab.measure(policies)
    assert found["kl"].unique().tolist() == measured["kl"].tolist()
    assert found["steps"].isna().all()
    assert (table["steps"] == 3).all()
    assert list(found["estimator"]) == list(table["estimator"])
    assert found["variance"].iloc[0] != table["variance"].iloc[0]


def test_the_reward_is_gold_or_a_proxys(lab: sim.World, table: pd.DataFrame) -> None:
    found = sim.audit_estimators(lab, proxy=planted_proxy(lab, 0), **FEW)
    assert (found["variance"] != table["variance"]).all()
    assert (found.loc[found["estimator"] == "RLOO", "bias"] < 1e-10).all()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"penalty": -1.0}, "penalty = -1.0: must be a number of at least 0"),
        ({"clip": 1.0}, "clip = 1.0: must be a number above 0, below 1"),
        ({"responses": 1}, "responses = 1: must be a whole number of at least 2"),
        ({"batches": 1}, "batches = 1: must be a whole number of at least 2"),
        ({"steps": -1}, "steps = -1: must be a whole number of at least 0"),
        ({"reuse": (0,)}, "reuse = 0: must be a whole number of at least 1"),
        ({"seed": 0.5}, "seed = 0.5: must be a whole number from 0"),
        ({"batches": 10**13}, "10,000,000,000,000 batches of 8 responses to each of 3 prompts would take"),
        ({"responses": 10**10}, "lower batches or responses"),
        ({"policies": 3}, "policies: must be Policies, as sim.train(…) gives them, not int"),
    ],
)
def test_wrong_arguments_are_told(lab: sim.World, given: dict, said: str) -> None:
    with pytest.raises(sim.ConfigError) as caught:
        sim.audit_estimators(lab, **given)
    assert said in str(caught.value)


def test_only_one_policy_and_only_where_responses_are_listed(lab: sim.World) -> None:
    both = sim.train(lab, lab.preferences(48), loss="logistic", beta=[0.1, 1.0], steps=2)
    with pytest.raises(sim.ConfigError, match=r"policies: must be one, not 2; policies\[0\] is the first of them"):
        sim.audit_estimators(lab, policies=both, **FEW)
    sampled = sim.make_world(small_sweep(world={"kind": "sampled"}))
    with pytest.raises(sim.ConfigError, match=r"needs world.kind = .enumerable."):
        sim.audit_estimators(sampled)


def test_what_would_not_fit_is_refused(lab: sim.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulator.audit.audit.LARGEST", 2**10)
    with pytest.raises(sim.ConfigError, match=r"gradients of all tokens would take .* GiB"):
        sim.audit_estimators(lab)


def test_one_number_of_steps_may_come_by_itself(lab: sim.World) -> None:
    found = sim.audit_estimators(lab, **FEW | {"reuse": 2})
    assert set(found.loc[found["part"] == "reuse", "reuse"]) == {0, 2}


def test_the_path_decays_weights_where_training_does(lab: sim.World) -> None:
    listed, start = as_listed(lab.simulated), lab.simulated.policy_class.start
    train = lab.settings.train.model_copy(update={"weight_decay": 0.5})
    adam, decayed = (
        path(
            listed,
            start,
            torch.from_numpy(lab.simulated.listing.gold),
            0.1,
            [1],
            train.model_copy(update={"optimizer": name}),
        )[0]
        for name in ("adam", "adamw")
    )
    assert torch.allclose(decayed, adam - 0.5 * train.learning_rate * start, atol=1e-6)
    assert not torch.equal(adam, decayed)


def test_lines_fit_a_terminal(table: pd.DataFrame) -> None:
    lines = [*lines_of(table), *words_of(table)]
    assert max(map(len, lines)) <= 100
    assert sum("RLOO" in line for line in lines) == 2
    assert number(float("nan")) == "-"
    assert [number(value) for value in (1e-12, 0.125, -3.0, 2.5e6, 0.0012)] == [
        "0",
        "0.125",
        "-3.000",
        "2.5e+06",
        "0.0012",
    ]


def test_the_figure_shows_the_table(table: pd.DataFrame) -> None:
    with drawn_as(PAGE):
        figure = draw(table)
        check_rules(figure)
    assert isinstance(figure, Figure)
    shown = shown_data(figure)
    rows = table[table["part"] == "objective"]
    cosines = shown[(shown["panel"].str.startswith("Objective")) & (shown["line"] == "expectation")]
    assert cosines["x"].tolist() == pytest.approx(rows["cosine"].tolist())
    clipped = shown[shown["line"] == "ratio of each token, clipped"]
    assert clipped["x"].tolist() == [0, 1]
    known = table.set_index("estimator")["cosine"]
    assert known["k3 in the loss, by token"] < 1
    assert "k3 in the loss points" in text_of(figure, "title")


def test_the_command_writes_a_table_and_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")
    asked = ["audit", "small.toml", "--out", "out", "--steps", "3", "--batches", "50"]
    assert main(asked) == 0
    written = pd.read_csv("out/audit.csv")
    assert (written["prompts"] == 4).all()
    printed = capsys.readouterr().out
    assert "small.toml: the policy after 3 exact steps, KL" in printed
    assert max(map(len, printed.splitlines())) <= 100
    for name in written.loc[written["part"] != "reuse", "estimator"]:
        assert f"  {name} " in printed
    files = {path.name for path in Path("out/figures").iterdir()}
    assert files == {f"audit.{kind}" for kind in ("png", "svg", "pdf", "csv")}
    assert len(ElementTree.parse("out/figures/audit.svg").getroot()) > 1
    before = Path("out/audit.csv").read_bytes()
    assert main(asked) == 0
    assert Path("out/audit.csv").read_bytes() == before
    assert main([*asked, "--set", "world.prompts=5"]) == 0
    assert (pd.read_csv("out/audit.csv")["prompts"] == 5).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "file"], "--out file: is a file; name a folder"),
        (["--set", "world.kind=sampled"], 'audit: needs world.kind = "enumerable"'),
        (["--steps", "-1"], "steps = -1: must be a whole number of at least 0"),
    ],
)
def test_the_command_tells_what_is_wrong(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["audit", "small.toml", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_at_the_reference_nothing_is_compared_with_a_gradient_that_is_zero(lab: sim.World) -> None:
    found = sim.audit_estimators(lab, **FEW | {"steps": 0})
    compared = ["scale", "bias", "bias_se", "cosine", "cosine_se", "noise", "one_batch_cosine", "one_batch_cosine_se"]
    of_kl = found["part"] == "kl"
    assert found.loc[of_kl, compared].isna().all(axis=None)
    assert found.loc[of_kl & (found["estimator"] == "k1 in the loss"), "variance"].item() > 0
    assert found.loc[~of_kl, compared].notna().all(axis=None)
    assert re.fullmatch(r"in the mean, GRPO points \d+° away from the gradient of the objective", title_of(found))
    nowhere = found.assign(cosine=float("nan"))
    assert title_of(nowhere) == "there is no gradient of the objective here to point away from"
