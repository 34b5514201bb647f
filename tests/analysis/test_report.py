"""The page of a result directory: its numbers are those of the tables, and what is broken or missing is said."""

import json
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

import run
from analysis import ResultsError, load, load_table, training_curves
from analysis.headline.headline import headline, sentences
from analysis.report import write_report
from analysis.report.facts import spelled, world_facts
from analysis.report.page import LIMIT
from analysis.report.side_tables import load_claims
from simulator import make_world, run_sweep
from tests.conftest import small_sweep
from tests.helpers.report_fixture import (
    BETAS,
    CLAIM,
    EVIL,
    STEPS,
    beside,
    best_of_n,
    data_in,
    gold_of,
    kl_of,
    oracle,
    plant,
    rows_of,
)

LOSSES = ("logistic", "hinge")


@pytest.fixture
def curves() -> pd.DataFrame:
    return pd.concat([rows_of(LOSSES, 3), oracle()], ignore_index=True)


def page(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def family(data: Any, name: str, part: int = 0) -> Any:
    (found,) = [each for each in data["parts"][part]["families"] if each["name"] == name]
    return found


def test_the_ends_of_runs_and_their_means_are_those_of_the_table(tmp_path: Path, curves: pd.DataFrame) -> None:
    data = data_in(page(plant(tmp_path / "a", curves)))
    for place, loss in enumerate(LOSSES):
        told = family(data, loss)
        assert told["stops"] == list(BETAS)
        assert told["seeds"] == [0, 1, 2]
        for i, beta in enumerate(BETAS):
            kl = [kl_of(place, beta, seed, STEPS[-1]) for seed in range(3)]
            gold = [gold_of(each, seed) for seed, each in enumerate(kl)]
            for seed in range(3):
                assert told["ends"][i][seed][:2] == pytest.approx([kl[seed], gold[seed]], rel=1e-3)
                path = [kl_of(place, beta, seed, step) for step in STEPS]
                assert told["each"][i][seed][0] == pytest.approx(path, rel=1e-3)
            assert told["means"]["gold"][i] == pytest.approx(np.mean(gold), rel=1e-3)
            half = 4.302653 * np.std(gold, ddof=1) / np.sqrt(3)  # Student's t with two degrees of freedom
            assert told["means"]["gold_high"][i] - told["means"]["gold"][i] == pytest.approx(half, abs=1e-3)
            assert told["means"]["kl"][i] == pytest.approx(np.mean(kl), rel=1e-3)


def test_bands_are_intervals_of_the_means_along_training(tmp_path: Path, curves: pd.DataFrame) -> None:
    shown = family(data_in(page(plant(tmp_path / "a", curves))), "hinge")
    means = training_curves(curves)
    for i, beta in enumerate(BETAS):
        rows = means[means["loss"].eq("hinge") & means["beta"].eq(beta)].sort_values("step")
        assert shown["paths"][i][1] == pytest.approx(rows["gold"].to_numpy(), abs=2e-3)
        for ends, name in zip(shown["band"][i], ("gold_low", "gold_high"), strict=True):
            assert ends == pytest.approx(rows[name].to_numpy(), abs=2e-3)


def test_the_headline_stands_first_and_the_settings_last(tmp_path: Path, curves: pd.DataFrame) -> None:
    folder = plant(tmp_path / "a", curves)
    text = page(folder)
    said = headline(folder)
    assert said
    places = [text.index(str(escape(sentence))) for sentence in sentences(said)]
    order = [*places, *(text.index(f'id="{name}"') for name in ("explore", "figures", "words", "run"))]
    assert order == sorted(order)
    assert text.count('<li class="unsure">') == sum(not each.sure for each in said)
    assert "18 runs, none diverged" in text


def test_gold_is_split_and_what_breaks_the_grammar_is_marked(tmp_path: Path, curves: pd.DataFrame) -> None:
    curves = curves.assign(fluency=-curves["kl"] / 4)
    tables = beside(curves)
    responses = tables["responses"].assign(
        fluency=-0.25, breaks=np.where(tables["responses"]["response"] == "abc", ".x.", "")
    )
    data = data_in(page(plant(tmp_path / "a", curves, tables | {"responses": responses})))
    shown = family(data, "logistic")
    assert shown["paths"][0][3] == pytest.approx(-np.array(shown["paths"][0][0]) / 4, rel=1e-2, abs=1e-6)
    assert data["items"][0][4:] == [-0.25, ".x."]
    assert data["items"][1][4:] == [-0.25, ""]
    older = data_in(page(plant(tmp_path / "b", curves.drop(columns="fluency"), tables)))
    assert family(older, "logistic")["paths"][0][3] is None
    assert older["items"][0][4:] == [None, ""]


def test_responses_and_laws_are_those_of_the_tables(tmp_path: Path, curves: pd.DataFrame) -> None:
    tables = beside(curves)
    data = data_in(page(plant(tmp_path / "a", curves, tables)))
    assert data["prompts"] == ["p", "q"]
    told = family(data, "hinge")
    for i, beta in enumerate(BETAS):
        laws = []
        for seed in range(3):
            run = f"gpo-hinge-{beta:g}-{seed}"
            rows = tables["responses"][tables["responses"]["run_id"] == run]
            said = told["said"][i][seed]
            assert said["ratio"] is True
            assert [item[0] for item in said["rows"]] == [0, 1, 2, 3]
            assert [item[1] for item in said["rows"]] == pytest.approx(rows["probability"].tolist(), rel=1e-2)
            assert [data["items"][item[0]][1] for item in said["rows"]] == rows["response"].tolist()
            law = tables["gold_law"][tables["gold_law"]["run_id"] == run]
            first, values = told["law"][i][seed]
            places = [data["bins"]["first"] + data["bins"]["width"] * (first + k) for k in range(len(values))]
            shown = {at: value for at, value in zip(places, values, strict=True) if value}
            assert shown == pytest.approx(dict(zip(law["gold"], law["probability"], strict=True)), rel=1e-2)
            laws.append(law["probability"].to_numpy())
        assert [value for value in told["laws"][i][1] if value] == pytest.approx(np.mean(laws, axis=0), rel=1e-2)
    assert [value for value in data["parts"][0]["reference"][1] if value] == [0.5, 0.4, 0.1]


def test_a_sweep_that_ran_has_a_page_whose_marks_are_its_ends(results: Path, tmp_path: Path) -> None:
    text = page(shutil.copytree(results, tmp_path / "copy"))
    curves, data = load(results), data_in(text)
    last = curves[(curves["method"] == "gpo") & (curves["step"] == curves["step"].max())]
    for loss, rows in last.groupby("loss"):
        told = family(data, str(loss))
        for (beta, seed), row in rows.set_index(["beta", "seed"]).iterrows():
            end = told["ends"][told["stops"].index(beta)][told["seeds"].index(seed)]
            assert end[:2] == pytest.approx([row["kl"], row["gold"]], rel=1e-3, abs=1e-9)
        assert all(said["rows"] for each in told["said"] for said in each)
    assert len(text.encode()) < LIMIT


def test_each_further_axis_has_its_values_and_parts(tmp_path: Path) -> None:
    curves = pd.concat([rows_of(LOSSES, 2, label_noise=0.25), rows_of(LOSSES, 2, label_noise=0.0), oracle()])
    data = data_in(page(plant(tmp_path / "a", curves)))
    assert data["axes"] == [{"name": "label_noise", "label": "label noise", "values": ["0", "0.25"]}]
    assert [part["at"] for part in data["parts"]] == [[0], [1]]
    assert all(part["oracle"]["kl"] for part in data["parts"])


def test_methods_without_an_axis_stand_at_each_of_its_values(tmp_path: Path) -> None:
    both = [rows_of(("logistic",), 2, train_steps=float(steps)) for steps in (16, 32)]
    curves = pd.concat([*both, best_of_n(2), oracle()], ignore_index=True)
    data = data_in(page(plant(tmp_path / "a", curves)))
    assert [[each["name"] for each in part["families"]] for part in data["parts"]] == 2 * [["logistic", "best-of-n"]]
    told = family(data, "best-of-n", 1)
    assert told["by"] == "n"
    assert told["stops"] == [1, 2, 4, 8, 16]
    rows = best_of_n(2)
    mean = rows.groupby("n")[["kl", "gold", "proxy"]].mean()
    for name in mean:
        assert told["means"][name] == pytest.approx(mean[name].tolist(), rel=1e-3, abs=1e-9)


def test_ends_and_penalties_of_reinforcement_learning(tmp_path: Path) -> None:
    rows = rows_of(("x",), 2).assign(method="rl", loss=None, proxy=1.0)
    several = data_in(page(plant(tmp_path / "a", rows)))
    assert (family(several, "RL")["by"], family(several, "RL")["stops"]) == ("β", list(BETAS))
    one = data_in(page(plant(tmp_path / "b", rows[rows["beta"] == BETAS[0]])))
    assert (family(one, "RL")["by"], family(one, "RL")["stops"]) == ("step", list(STEPS))


def test_losses_without_beta_go_along_training(tmp_path: Path) -> None:
    curves = pd.concat([rows_of(("logistic",), 2), rows_of(("simper",), 2, (1.0,)).assign(beta=np.nan)])
    told = family(data_in(page(plant(tmp_path / "a", curves))), "simper")
    assert told["by"] == "step"
    assert told["means"]["kl"] == pytest.approx(
        [np.mean([kl_of(0, 1.0, seed, step) for seed in range(2)]) for step in STEPS], rel=1e-3, abs=1e-9
    )


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    told = family(data_in(page(plant(tmp_path / "a", rows_of(LOSSES, 1)))), "logistic")
    assert told["of"] == 1
    assert told["means"]["gold_low"] == [None] * 3
    assert told["band"] == [[[None] * 4] * 2] * 3


def test_a_run_that_diverged_is_left_out_and_told(tmp_path: Path, curves: pd.DataFrame) -> None:
    gone = curves["run_id"].eq("gpo-logistic-0.1-1") & curves["step"].eq(16)
    curves.loc[gone, ["kl", "gold", "status"]] = [np.nan, np.nan, "diverged"]
    text = page(plant(tmp_path / "a", curves))
    told = family(data_in(text), "logistic")
    assert told["counts"] == [2, 3, 3]
    assert told["ends"][0][1][0] is None
    assert "18; 1 diverged" in text
    assert "logistic at β = 0.1 (1)" in text


def test_side_tables_may_be_missing(tmp_path: Path, curves: pd.DataFrame) -> None:
    folder = plant(tmp_path / "a", curves)
    for name in ("runs.parquet", "world.json", "config.toml"):
        (folder / name).unlink()
    assert "is not recorded in this folder" in page(folder)
    assert load_table(folder, "responses").empty


def test_a_running_sweep_has_a_page_from_its_parts(tmp_path: Path, curves: pd.DataFrame) -> None:
    folder = plant(tmp_path / "a", curves, beside(curves))
    (folder / "parts").mkdir()
    for kind in ("curves", "runs", "responses", "gold_law"):
        (folder / f"{kind}.parquet").rename(folder / "parts" / f"x.{kind}.parquet")
    text = page(folder)
    assert "18 so far" in text
    assert family(data_in(text), "hinge")["said"][0][0]["rows"]


@pytest.mark.parametrize("name", ["responses", "gold_law", "runs"])
def test_a_broken_table_is_named(tmp_path: Path, curves: pd.DataFrame, name: str) -> None:
    folder = plant(tmp_path / "a", curves)
    (folder / f"{name}.parquet").write_bytes(b"no table")
    with pytest.raises(ResultsError, match=f"{name}.parquet: cannot be read"):
        write_report(folder)
    pd.DataFrame({"run_id": ["a"]}).to_parquet(folder / f"{name}.parquet")
    with pytest.raises(ResultsError, match=f"{name}.parquet: lacks the column"):
        write_report(folder)


def test_nothing_to_show_is_said(tmp_path: Path, curves: pd.DataFrame) -> None:
    with pytest.raises(ResultsError, match="is no result directory"):
        write_report(tmp_path)
    lost = curves.assign(status=np.where((curves["method"] == "gpo") & (curves["step"] == 16), "diverged", "ok"))
    with pytest.raises(ResultsError, match="every run diverged, so there is nothing to show"):
        write_report(plant(tmp_path / "a", lost))


def test_a_page_that_cannot_be_written_is_said_and_leaves_nothing(tmp_path: Path, curves: pd.DataFrame) -> None:
    folder = plant(tmp_path / "a", curves)
    (folder / "report.html").mkdir()
    with pytest.raises(ResultsError, match=r"report\.html: cannot be written"):
        write_report(folder)
    assert not list(folder.glob(".*"))


def test_the_same_folder_gives_the_same_bytes_for_all_to_read(tmp_path: Path, curves: pd.DataFrame) -> None:
    folder = plant(tmp_path / "a", curves, beside(curves))
    before = write_report(folder).read_bytes()
    path = write_report(str(folder))
    assert path == folder / "report.html"
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert not list(folder.glob(".*"))


def test_users_words_are_text(tmp_path: Path) -> None:
    curves = rows_of((EVIL,), 2)
    folder = plant(tmp_path / "<b>a&amp;", curves, beside(curves, EVIL))
    (folder / "claims.json").write_text(json.dumps([CLAIM]))
    text = page(folder)
    assert "<img src=x" not in text
    assert "<h1>&lt;b&gt;a&amp;amp;</h1>" in text
    assert "Gold peaks &lt;b&gt;within&lt;/b&gt; training" in text
    assert "# &lt;i&gt;" in text
    data = data_in(text)
    assert data["parts"][0]["families"][0]["name"] == EVIL
    assert data["items"][0][1] == EVIL


def test_claims_have_their_verdicts_in_words(tmp_path: Path, curves: pd.DataFrame) -> None:
    folder = plant(tmp_path / "a", curves)
    assert 'id="claims"' not in page(folder)
    bare = {"statement": "Nobody knows", "verdict": "undecided"}
    (folder / "claims.json").write_text(json.dumps([CLAIM, CLAIM | {"verdict": "fails", "quick": False}, bare]))
    text = page(folder)
    cells = re.findall(r'class="verdict (\w+)"><span aria-hidden="true">(.)</span> (\w+)<', text)
    assert cells == [("holds", "✓", "holds"), ("fails", "✗", "fails"), ("undecided", "?", "undecided")]
    assert text.count("0.25 [0.1, 0.4]") == 2
    assert text.count("Quick version.") == 1


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ("{", r"claims\.json: is no JSON"),
        ("{}", r"claims\.json: must be a JSON list"),
        ("[1]", r"claims\.json: claim 1: must be an object"),
        (json.dumps([CLAIM, CLAIM | {"verdict": "yes"}]), r"claim 2: verdict is 'yes'; must be one of holds, fails"),
        (json.dumps([CLAIM | {"interval": [1]}]), r"claim 1: interval is \[1\]"),
        (json.dumps([CLAIM | {"estimate": "1"}]), r"claim 1: estimate is '1'"),
        (json.dumps([{"verdict": "holds"}]), "lacks its statement"),
    ],
)
def test_malformed_claims_are_named(tmp_path: Path, claims: str, message: str) -> None:
    (tmp_path / "claims.json").write_text(claims)
    with pytest.raises(ResultsError, match=message):
        load_claims(tmp_path)


def test_figures_of_an_axis_say_its_values(tmp_path: Path, curves: pd.DataFrame) -> None:
    folder = plant(tmp_path / "a", curves)
    (folder / "figures" / "tradeoff.png").rename(
        folder / "figures" / "tradeoff-label_noise-0.25-train_learning_rate-1e-05.png"
    )
    assert "Here label noise 0.25, learning rate 1e-05." in page(folder)


def test_the_command_report_writes_the_page_and_names_it(
    tmp_path: Path, curves: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = plant(tmp_path / "a", curves)
    monkeypatch.setattr("analysis.figures.drawing.draw_all", lambda *_, **options: [])
    assert run.main(["report", str(folder)]) == 0
    assert f"page     {folder / 'report.html'}" in capsys.readouterr().out
    assert 'id="figure-tradeoff"' in (folder / "report.html").read_text(encoding="utf-8")


def test_nothing_on_the_page_is_loaded_from_elsewhere(tmp_path: Path, curves: pd.DataFrame) -> None:
    text = page(plant(tmp_path / "a", curves))
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    assert len(scripts) == 3
    outside = text
    for script in scripts:
        outside = outside.replace(script, "")
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", outside)
    assert "http" not in outside.replace("http-equiv", "").replace("http://www.w3.org/", "")
    assert "default-src 'none'" in outside


def test_starting_over_removes_the_page(tmp_path: Path) -> None:
    sweep = small_sweep(sweep={"loss": ["logistic"], "beta": [1.0], "seeds": 1}, train={"steps": 4})
    folder = run_sweep(sweep, tmp_path / "a", workers=1)
    path = write_report(folder)
    assert path.exists()
    run_sweep(sweep, folder, workers=1, fresh=True)
    assert not path.exists()


def test_rules_of_gold_are_spelled_as_responses_are() -> None:
    """Letters for tokens where responses are shown in letters; a user's own rules are left as they are."""
    world = {
        "gold_reward": "motif",
        "vocabulary": 6,
        "gold_rules": ["0 3: +0.50", "5 … 1: -1.25", "the prompt's: +1.00"],
    }
    (gold,) = (text for name, text in world_facts(world) if name == "gold reward")
    assert gold == "motif; a d: +0.50; f … b: -1.25; the prompt's: +1.00"
    world = {"gold_reward": "additive", "vocabulary": 3, "gold_rules": ["each token 2: +0.10"]}
    assert dict(world_facts(world))["gold reward"] == "additive; each token c: +0.10"
    for other in ({"gold_reward": "mine.py:gold"}, {"vocabulary": 40}):
        assert "each token 2: +0.10" in dict(world_facts(world | other))["gold reward"]


@pytest.mark.parametrize("reward", ["motif", "additive"])
def test_a_spelled_rule_is_what_the_reward_gives(reward: str) -> None:
    """Each rule of the reward, read back from letters, names tokens of the vocabulary."""
    world = make_world(small_sweep(gold={"reward": reward}))
    text = dict(world_facts(dict(world.facts)))["gold reward"]
    rules = [spelled(str(rule), reward, world.vocabulary) for rule in world.facts["gold_rules"]]
    assert text == "; ".join([reward, *rules])
    words = re.compile("each token|repeating the prompt's last token")
    tokens = "".join(words.sub("", rule.partition(":")[0]) for rule in rules)
    assert set(tokens) <= set("abcd …")
