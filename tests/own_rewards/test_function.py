"""A gold reward that is a function of the user's own: what it may be, and how it can be wrong."""

import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import simulator as sim
from simulator.own_rewards import trial
from simulator.own_rewards.load import own_reward
from simulator.own_rewards.source import CodeSource
from simulator.own_rewards.trial import Sizes, examples
from simulator.user_code.time_limit import TooLongError, time_limit
from tests.helpers.own_golds import GOLD

SIZES = Sizes(vocabulary=4, prompt_length=2, response_length=3, ends=False, is_text=False)
TEXT = Sizes(vocabulary=256, prompt_length=4, response_length=6, ends=True, is_text=True)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(GOLD)
    return path


def found(mine: Path, function: str, sizes: Sizes = SIZES):
    return own_reward(f"mine.py:{function}", CodeSource(base_folder=mine.parent), sizes)


def complaint(mine: Path, function: str, sizes: Sizes = SIZES) -> str:
    with pytest.raises(sim.ConfigError) as error:
        found(mine, function, sizes)
    assert str(error.value).startswith(f"gold.reward = mine.py:{function}: ")
    return str(error.value)


def test_a_function_gives_the_scores_that_it_says(mine: Path, rng: np.random.Generator) -> None:
    prompts, responses = rng.integers(4, size=(2, 500, 2)).astype(np.int64), rng.integers(4, size=(500, 3))
    weights = np.array([0.5, -1.0, 2.0, 0.25])
    for name in ("reward", "by_name", "as_a_list"):
        reward = found(mine, name)
        for _ in range(2):  # the second time as it remembers
            assert reward(prompts[0], responses) == pytest.approx(weights[responses].sum(axis=1))
    assert found(mine, "reward").rules() == ["The sum of what each token is worth."]
    assert found(mine, "by_name").rules() == ["by mine.py:by_name"]


def test_a_function_that_writes_into_its_arguments_changes_nothing(mine: Path) -> None:
    prompts, responses = np.ones((3, 2), dtype=np.int64), np.full((3, 3), 2)
    assert found(mine, "in_place")(prompts, responses).tolist() == [1.0] * 3
    assert responses.tolist() == [[2] * 3] * 3


def test_functions_that_name_texts_are_given_strings(mine: Path) -> None:
    prompts = np.frombuffer(b"ab: cd: ", dtype=np.uint8).reshape(2, 4).astype(np.int64)
    responses = np.array([[*b"aeon\n", -1], [*b"\xff\xfexyz\n"]])
    assert found(mine, "vowels", TEXT)(prompts, responses).tolist() == [3, 0]
    assert found(mine, "both", TEXT)(prompts, responses).tolist() == [3, 4]


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("rewrad", "rewrad is not there; mine.py has reward,"),
        ("rewrad", "did you mean reward?"),
        ("WEIGHTS", "WEIGHTS is no function"),
        ("raises", "raises (RuntimeError, line 29: no such thing as a reward)"),
        ("nothing", "must return a number for each response, shape [32] here, not []"),
        ("one_number", "must return a number for each response, shape [32] here, not []"),
        ("a_table", "shape [32] here, not [32, 3]"),
        ("not_finite", "must return finite numbers, not nan"),
        ("words", "must return 32 numbers, not list"),
        ("complex_numbers", "must return 32 numbers, not ndarray"),
        ("random", "must give the same scores for the same responses each time"),
        ("counts_calls", "must give the same scores for the same responses each time"),
        ("across", "must score each response by itself"),
        ("ranks", "must score each response by itself"),
        ("wants", "cannot be given respones; did you mean responses?"),
        ("vowels", "cannot be given response_texts: only worlds of text have them"),
    ],
)
def test_what_is_wrong_is_said(mine: Path, function: str, told: str) -> None:
    assert told in complaint(mine, function)


@pytest.mark.parametrize("function", ["forever", "stubborn"])
def test_a_function_that_never_returns_is_refused(mine: Path, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "SECONDS", 0.2)
    assert "does not return: 32 responses took more than 0.2 s" in complaint(mine, function)


def test_a_limit_holds_in_other_threads_too() -> None:
    ended: list[str] = []

    def work() -> None:
        try:
            with time_limit(0.05):
                while True:
                    time.sleep(0.001)
        except TooLongError:
            ended.append("too long")
        with time_limit(30.0):
            ended.append("in time")
        time.sleep(0.1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(timeout=20)
    assert ended == ["too long", "in time"]


def test_a_limit_that_holds_leaves_no_alarm_behind() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(0.05):
        assert signal.getsignal(signal.SIGALRM) != before
    assert signal.getsignal(signal.SIGALRM) == before
    time.sleep(0.1)  # nothing is raised any more


def test_a_score_that_rounding_reaches_is_not_remembered(mine: Path) -> None:
    """A product of matrices may round a row otherwise in other company; then every score is computed anew."""
    source = "import numpy as np\ndef reward(prompts, responses):\n    x = responses[:, 0] * 1.0\n"
    mine.write_text(source + "    return x + 1e-9 * len(x)\n")
    assert not found(mine, "reward").remembers
    mine.write_text(source + "    return x\n")
    assert found(mine, "reward").remembers


def test_examples_are_of_the_kind_that_a_world_has() -> None:
    prompts, responses = examples(TEXT)
    assert prompts.shape == (32, 4)
    assert responses.shape == (32, 6)
    assert ((responses >= 32) | (responses == -1)).all()
    ended = (responses == -1).cumsum(axis=1)
    assert ended.any()
    assert (ended[:, 0] == 0).all()
    assert (np.diff((responses == -1).astype(int), axis=1) >= 0).all()
