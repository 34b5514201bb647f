"""Features of the user's own: linear policies weigh them as they do ours, and what is wrong is said before a run."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import simulator as sim
from run import main
from simulator.execution.cluster.carried import user_files
from simulator.execution.local.worker import own_code_of
from simulator.own_rewards.features import NUMBERS, OwnFeatures, own_features
from simulator.own_rewards.source import CodeSource
from simulator.own_rewards.trial import Sizes
from simulator.settings.tables import Settings
from simulator.storage.recovery import changed_losses
from simulator.sweeps.grid import expand
from simulator.sweeps.memory_budget import arrange, machine_of
from simulator.worlds.policy_classes.sizes import class_bytes, features_of
from simulator.worlds.policy_classes.tilted import Tilted
from tests.conftest import heard, small_sweep
from tests.helpers.tilted_worlds import tilted_world

FEATURES = '''
import numpy as np

def tokens(prompts, responses):
    """How often each token comes."""
    return np.stack([(responses == token).sum(axis=1) for token in range(3)], axis=1)

def by_hand(prompts, responses):
    return [[row[0] * 10 + prompt[-1], float(row[-1] < 0)] for prompt, row in zip(prompts, responses)]

def by_name(responses):
    return responses[:, :1] > 1

def wide(prompts, responses):
    return np.ones((len(responses), 50000), dtype=np.float32)

def changed(prompts, responses):
    return tokens(prompts, responses) * 1.0

def one_each(prompts, responses):
    return responses[:, 0]

def none_each(prompts, responses):
    return np.zeros((len(responses), 0))

def turned(prompts, responses):
    return tokens(prompts, responses).T

def not_finite(prompts, responses):
    return np.where(responses == 2, np.inf, 1.0)

def ragged(prompts, responses):
    return [[1.0] * (1 + row[0] % 2) for row in responses]

def words(prompts, responses):
    return [["good"]] * len(responses)

CALLS = []

def state(prompts, responses):
    CALLS.append(1)
    return tokens(prompts, responses) + 0.5 * len(CALLS)

def random(prompts, responses):
    return np.random.random((len(responses), 2))

def across(prompts, responses):
    return responses - responses.mean(axis=0)

def one_hot(prompts, responses):
    return responses[:, :1] == np.unique(responses[:, 0])

def raises(prompts, responses):
    raise RuntimeError("no such thing as a feature")

def texts(response_texts):
    return [[len(text)] for text in response_texts]

def late(prompts, responses):
    return np.zeros((len(responses), 2 if len(responses) < 40 else 3))
'''
SIZES = Sizes(vocabulary=3, prompt_length=2, response_length=2, ends=False, is_text=False)
LINEAR: dict[str, Any] = {"kind": "linear", "features": "mine.py:tokens"}
FEW: dict[str, Any] = {"world": {"vocabulary": 3, "response_length": 2}, "train": {"steps": 5, "checkpoints": 2}}
GRID: dict[str, Any] = {"loss": ["logistic"], "beta": [0.5], "seeds": 1}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FEATURES)
    return path


def found(mine: Path, function: str, sizes: Sizes = SIZES) -> OwnFeatures:
    return own_features(f"mine.py:{function}", CodeSource(base_folder=mine.parent), sizes)


def sweep_of(folder: Path, **tables: dict[str, Any]) -> sim.Sweep:
    path = folder / "sweep.toml"
    path.write_text(small_sweep(**{"policy": LINEAR, "sweep": GRID, **FEW, **tables}).to_toml())
    return sim.Sweep.from_toml(path)


def names(folder: Path, **tables: dict[str, Any]) -> list[str]:
    return [run.run_id for run in expand(sweep_of(folder, **tables))]


@pytest.mark.usefixtures("mine")
def test_ours_written_by_a_user_train_to_the_same_bits() -> None:
    ours, theirs = (tilted_world("linear", policy__features=name) for name in ("tokens", "mine.py:tokens"))
    pairs = [world.preferences(32, seed=0) for world in (ours, theirs)]
    ends = [
        sim.train(world, some, loss="logistic", beta=0.3, steps=8, seed=0)
        for world, some in zip((ours, theirs), pairs, strict=True)
    ]
    assert torch.equal(ends[0].parameters, ends[1].parameters)
    assert ends[0].parameters.count_nonzero() == 3
    curves = [end.curves.drop(columns="run_id") for end in ends]
    pd.testing.assert_frame_equal(*curves, check_exact=True)
    assert theirs.facts["policy_parameters"] == 3
    assert theirs.measure(ends[0])["kl"].tolist() == ends[0].curves["kl"].tolist()[-1:]  # one class, so one law


def test_every_response_has_its_own_row_however_many_are_asked_at_once(
    mine: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts, responses = rng.integers(3, size=(4, 2)), np.array([[0, 1], [2, 2], [1, -1], [2, -1], [0, 0]])
    expected = [[[10.0 * row[0] + prompt[-1], float(row[-1] < 0)] for row in responses] for prompt in prompts]
    for at_once in (NUMBERS, 6, 1):
        monkeypatch.setattr("simulator.own_rewards.features.NUMBERS", at_once)
        every = found(mine, "by_hand").of_all(prompts, responses)
        assert every.dtype == np.float64
        assert every.tolist() == expected
    assert found(mine, "by_name").of_all(prompts, responses).tolist() == [[[0.0], [1.0], [0.0], [1.0], [0.0]]] * 4


@pytest.mark.usefixtures("mine")
def test_a_world_holds_what_the_function_says() -> None:
    world = tilted_world("linear", policy__features="mine.py:by_hand")
    policies = world.simulated.policy_class
    assert isinstance(policies, Tilted)
    assert policies.features is not None
    for row, prompt in enumerate(world.prompts.tolist()):
        said = [[10.0 * response[0] + prompt[-1], 0.0] for response in world.responses.tolist()]
        assert policies.features[row].tolist() == said


@pytest.mark.parametrize(
    ("function", "rule"),
    [
        ("tokns", "tokns is not there; mine.py has tokens, by_hand"),
        ("one_each", "must return a row of one number or more for each response, shape [32, F] here, not [32]"),
        ("none_each", "shape [32, F] here, not [32, 0]"),
        ("turned", "shape [32, F] here, not [3, 32]"),
        ("not_finite", "must return finite numbers, not inf"),
        ("ragged", "must return 32 rows of as many numbers each, not list"),
        ("words", "must return 32 rows of as many numbers each, not list"),
        ("state", "must give the same features for the same responses each time"),
        ("random", "must give the same features for the same responses each time"),
        ("across", "must describe each response by itself: beside others a response has"),
        ("one_hot", "must return as many numbers for each response always, shape [1, 3] here as before, not [1, 1]"),
        ("raises", "raises (RuntimeError, line 54: no such thing as a feature)"),
        ("texts", "cannot be given response_texts: only worlds of text have them"),
    ],
)
def test_what_is_wrong_is_said(mine: Path, function: str, rule: str) -> None:
    with pytest.raises(sim.ConfigError) as error:
        found(mine, function)
    assert str(error.value).startswith(f"policy.features = mine.py:{function}: ")
    assert rule in str(error.value)


def test_what_the_trial_cannot_see_is_said_when_the_world_is_made(mine: Path) -> None:
    every = np.zeros((50, 2), dtype=np.int64)
    with pytest.raises(sim.ConfigError, match=r"late: must return as many numbers .* shape \[50, 2\] here as before"):
        found(mine, "late").of_all(every[:1], every)


def test_a_sweep_with_wrong_features_ends_in_words_before_anything_is_written(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep_of(tmp_path, policy={**LINEAR, "features": "mine.py:across"})
    assert main(["sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "out")]) == 2
    written = capsys.readouterr().err
    assert "error: policy.features = mine.py:across: must describe each response by itself" in written
    assert "Traceback" not in written
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("toknes", "must be one of tokens, positions, bigrams, my_file.py:function; did you mean tokens?"),
        ("mine.py", "mine.py: must name a function in the file, as mine.py:function"),
        ("mine\n.py:f", "must not have control characters"),
        (3, "must be a valid string"),
    ],
)
def test_names_that_are_none_are_said(value: object, rule: str) -> None:
    with pytest.raises(sim.ConfigError) as error:
        sim.make_world("quickstart", {"policy.kind": "linear", "policy.features": value})
    assert rule in str(error.value)
    assert "policy.features" in str(error.value)


def test_a_name_is_the_same_however_it_is_written() -> None:
    assert Settings.model_validate({"policy": {"features": "./a//mine.py:f"}}).policy.features == "a/mine.py:f"


def test_names_of_runs_follow_from_the_code_that_is_used(mine: Path, tmp_path: Path) -> None:
    before = names(tmp_path)
    mine.write_text(FEATURES.replace("np.inf", "np.nan") + "\ndef more():\n    return 1\n")
    assert names(tmp_path) == before
    mine.write_text(FEATURES.replace(".sum(axis=1) for", ".mean(axis=1) for"))
    assert not set(names(tmp_path)) & set(before)
    best = {"method": ["best_of_n"], "seeds": 1}
    assert names(tmp_path, sweep=best) == names(tmp_path, sweep=best, policy={"kind": "transformer"})
    (run,) = expand(sweep_of(tmp_path))
    assert own_code_of([run]) == ["mine.py:tokens"]
    assert [file.resolve() for file, _ in user_files(sweep_of(tmp_path))] == [mine.resolve()]  # on nodes of a cluster


def test_features_that_nothing_reads_need_not_be_there(tmp_path: Path) -> None:
    for kind in ("transformer", "tabular"):
        unread = {"kind": kind, "features": "nowhere.py:features"}
        assert names(tmp_path, policy=unread) == names(tmp_path, policy={"kind": kind})
        assert own_code_of(expand(sweep_of(tmp_path, policy=unread))) == []


@pytest.mark.usefixtures("mine")
def test_their_memory_is_planned(tmp_path: Path) -> None:
    runs = expand(sweep_of(tmp_path, policy={**LINEAR, "features": "mine.py:wide"}))
    spec = runs[0].settings.spec
    assert features_of(spec) == 50_000
    assert class_bytes(spec) == 8 * 3 * 9 * 50_000
    needed = (
        arrange(runs, [machine_of("8GiB", 2**34, 1)]).bytes
        - arrange(expand(sweep_of(tmp_path)), [machine_of("8GiB", 2**34, 1)]).bytes
    )
    assert needed > class_bytes(spec)


def test_more_features_than_there_is_memory_for_are_refused(mine: Path) -> None:
    every = np.zeros((2**20, 2), dtype=np.int64)
    with pytest.raises(
        sim.ConfigError, match=r"wide: gives 50,000 features, which take 400,000.0 GiB for all 1,073,74"
    ):
        found(mine, "wide").of_all(every[:1024], every)


def test_what_changed_is_named_in_tables_of_every_version(tmp_path: Path) -> None:
    table = pd.DataFrame({"run_id": ["a", "b"], "loss": ["logistic", "mine.py:loss"]})
    table["gold.reward"] = ["motif", "mine.py:gold"]
    later = table.assign(**{"policy.kind": ["linear", "linear"], "policy.features": ["mine.py:tokens", "bigrams"]})
    for name, made in (("earlier", table), ("later", later)):
        made.to_parquet(tmp_path / f"{name}.parquet")
    earlier, today = tmp_path / "earlier.parquet", tmp_path / "later.parquet"
    assert changed_losses(today, ["a", "b"]) == changed_losses(earlier, ["a", "b"]) == ""
    assert changed_losses(today, ["b"]).startswith(
        "policy.features = mine.py:tokens: its code has changed since 1 runs"
    )
    assert changed_losses(earlier, ["a"]).startswith(
        "sweep.loss = mine.py:loss or gold.reward = mine.py:gold: its code"
    )


@pytest.mark.slow
def test_a_sweep_has_them_in_workers_and_runs_again_what_changed(mine: Path, tmp_path: Path) -> None:
    axes = {**GRID, "seeds": 2, "policy.features": ["tokens", "mine.py:tokens", "mine.py:changed"]}
    sweep = sweep_of(tmp_path, sweep=axes)
    out = sim.run_sweep(sweep, tmp_path / "out", workers=2, memory="3GiB")
    curves = pd.read_parquet(out / "curves.parquet")
    curves = curves[curves["method"] == "gpo"]
    ours, theirs, others = (curves[curves["policy_features"] == name] for name in axes["policy.features"])
    numbers = [name for name in curves if curves[name].dtype == "float64"]
    assert {"kl", "gold"} <= set(numbers)
    np.testing.assert_array_equal(ours[numbers], theirs[numbers])
    assert (out / "code" / "mine.py").read_text() == FEATURES
    kept = sim.load_policies(out, run_id=theirs["run_id"].iloc[0])
    assert kept.parameters.count_nonzero() == 3
    mine.write_text(FEATURES.replace("* 1.0", "* 2.0"))
    with heard() as said:
        sim.run_sweep(sweep, out, workers=1)
    assert any(
        "policy.features = mine.py:changed: its code has changed since 2 runs were recorded" in one for one in said
    )
    after = pd.read_parquet(out / "curves.parquet")
    assert set(ours["run_id"]) | set(theirs["run_id"]) <= set(after["run_id"])
    assert not set(others["run_id"]) & set(after["run_id"])
    assert (out / "code" / "mine.py.before").read_text() == FEATURES
