"""Sweeps and worlds with a gold reward of the user's own: everything follows from it, as from ours."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simulator as sim
from gold_rewards import GOLD_REWARDS
from run import main
from simulator.common.random_streams import random_stream
from tests.conftest import heard, small_sweep
from tests.helpers.own_golds import GOLD

SMALLER = {"train": {"steps": 4, "checkpoints": 2}, "sweep": {"loss": "logistic", "beta": [0.3], "seeds": 2}}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(GOLD)
    return path


def sweep_of(folder: Path, reward: str, **tables: dict[str, object]) -> sim.Sweep:
    path = folder / "sweep.toml"
    path.write_text(small_sweep(**{**SMALLER, "gold": {"reward": reward}, **tables}).to_toml())
    return sim.Sweep.from_toml(path)


@pytest.mark.slow
def test_the_same_reward_written_by_a_user_gives_the_same_records(mine: Path, tmp_path: Path) -> None:
    """ "additive" draws weights; a function with these weights is the same gold, in workers and in all tables."""
    weights = GOLD_REWARDS["additive"](
        vocabulary=4, prompt_length=2, response_length=3, rng=random_stream(0, "gold", "additive")
    ).weights
    mine.write_text(
        "import numpy as np\ndef reward(prompts, responses):\n"
        f"    counts = np.stack([(responses == token).sum(axis=1) for token in range(4)], axis=1)\n"
        f"    return (counts * np.array({weights.tolist()})).sum(axis=1)\n"
    )
    grid = {"sweep": {"method": ["gpo", "gibbs"], "loss": "logistic", "beta": [0.3], "seeds": 2}, "proxy": {"steps": 5}}
    with heard():
        for reward, out, workers in (("additive", "ours", 1), ("mine.py:reward", "theirs", 2)):
            sim.run_sweep(sweep_of(tmp_path, reward, **grid), tmp_path / out, workers=workers, memory="2GiB")
    ours, theirs = (pd.read_parquet(tmp_path / out / "curves.parquet") for out in ("ours", "theirs"))
    numbers = [name for name in ours if ours[name].dtype == "float64"]
    assert {"gold", "proxy", "win_rate"} <= set(numbers)
    np.testing.assert_array_equal(ours[numbers], theirs[numbers])
    assert list(ours["method"]) == list(theirs["method"])
    assert "oracle" in set(ours["method"])
    assert sorted(ours["run_id"].dropna()) != sorted(theirs["run_id"].dropna())
    assert (tmp_path / "theirs" / "code" / "mine.py").read_text() == mine.read_text()


def test_a_function_given_in_python_is_the_same_gold(mine: Path, tmp_path: Path) -> None:
    def reward(prompts: np.ndarray, responses: np.ndarray) -> np.ndarray:
        return np.array([0.5, -1.0, 2.0, 0.25])[responses].sum(axis=1)

    by_file = sim.make_world(sweep_of(tmp_path, "mine.py:reward"))
    given = sim.make_world(sweep_of(tmp_path, "motif"), gold=reward)
    every = given.responses[None].expand(len(given.prompts), -1, -1)
    assert np.allclose(by_file.gold(by_file.prompts, every), given.gold(given.prompts, every), atol=1e-12)
    assert given.facts["gold_reward"] == "given:reward"
    pairs = given.preferences(16, seed=3)
    assert pairs.gold.numpy() == pytest.approx(
        given.gold(pairs.prompts, np.stack([pairs.chosen, pairs.rejected], axis=1)).numpy()
    )
    trained = sim.train(given, pairs, loss="logistic", beta=[0.1], steps=3, seed=0)
    assert given.measure(trained)["gold"].notna().all()
    with pytest.raises(sim.ConfigError, match=r"gold = 3: must be a function of prompts"):
        sim.make_world(small_sweep(), gold=3)
    with pytest.raises(sim.ConfigError, match=r"given:reward: was given as a function in Python; in a sweep file name"):
        sim.make_world(small_sweep(), {"gold.reward": "given:reward"})


def test_a_constant_gold_is_refused_in_words_before_anything_is_written(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep_of(tmp_path, "mine.py:constant")
    assert main(["sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "gold.reward = mine.py:constant: the gold reward is the same for every response, so it has no scale" in told
    assert not (tmp_path / "out").exists()


def test_what_fails_beyond_the_trial_is_said_once(mine: Path, tmp_path: Path) -> None:
    with pytest.raises(sim.ConfigError) as error:
        sim.make_world(sweep_of(tmp_path, "mine.py:many"))
    assert str(error.value).count("gold.reward = mine.py:many: ") == 1
    assert "raises (RuntimeError, line" in str(error.value)


def test_runs_of_a_gold_that_changed_are_run_again(mine: Path, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, "mine.py:reward")
    out = sim.run_sweep(sweep, tmp_path / "out", workers=1)
    before = pd.read_parquet(out / "curves.parquet")
    mine.write_text(GOLD + "\ndef more():\n    return 1\n")
    assert sim.run_sweep(sweep, out, workers=1) == out
    assert not list(out.glob("*.before"))
    mine.write_text(GOLD.replace("2.0, 0.25", "-2.0, 0.25"))
    with heard() as told:
        sim.run_sweep(sweep, out, workers=1)
    assert any("gold.reward = mine.py:reward: its code has changed since 2 runs were recorded" in line for line in told)
    after = pd.read_parquet(out / "curves.parquet")
    assert not np.allclose(before["gold"].iloc[:4], after["gold"].iloc[:4])
    assert not set(before["run_id"].dropna()) & set(after["run_id"].dropna())


def test_gold_can_be_an_axis_of_a_sweep(mine: Path, tmp_path: Path) -> None:
    grid = {"sweep": {**SMALLER["sweep"], "seeds": 1, "gold.reward": ["motif", "mine.py:reward", "mine.py:by_name"]}}
    out = sim.run_sweep(sweep_of(tmp_path, "transformer", **grid), tmp_path / "out", workers=1)
    curves = pd.read_parquet(out / "curves.parquet")
    ends = curves[curves["method"] == "gpo"].groupby("gold_reward")["gold"].last()
    assert ends["mine.py:reward"] == pytest.approx(ends["mine.py:by_name"])
    assert ends["motif"] != pytest.approx(ends["mine.py:reward"])


def test_sampled_worlds_and_texts_take_one_too(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("we see an old owl. you eat a pie. " * 60)
    world = {"language": {"text": str(tmp_path / "text.txt")}, "response_length": 6, "prompts": 3, "prompt_length": 4}
    sweep = sim.Sweep.model_validate(
        {"world": world, "reference": {"steps": 20}, "measure": {"samples": 8, "baseline": 64}}
        | {"policy": {"width": 8}, "gold": {"reward": "mine.py:vowels", "fluency": 0.0}}
    ).found_in(sweep_of(tmp_path, "motif").source)
    lab = sim.make_world(sweep)
    pairs = lab.preferences(32, seed=0, labels="deterministic")
    vowels = [
        [sum(chr(token) in "aeiou" for token in row) for row in side.tolist()]
        for side in (pairs.chosen, pairs.rejected)
    ]
    margins = np.subtract(*map(np.array, vowels))
    assert (margins >= 0).all()
    assert margins.max() > 0
    gaps = (pairs.gold[:, 0] - pairs.gold[:, 1]).numpy()
    assert gaps == pytest.approx(margins / (margins[margins > 0] / gaps[margins > 0])[0], abs=1e-4)
