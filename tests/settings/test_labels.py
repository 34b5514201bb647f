"""Keys of labels: what may not be asked for, what is read, and what may train together."""

import re
from typing import Any

import pytest

from simulator.sweeps.grid import expand
from tests.conftest import small_sweep

REVIEWS = {"language": {"text": "shipped:reviews"}, "vocabulary": 256}


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        (
            {"gold": {"reward": "sentiment"}, "data": {"disagreement": 0.5}, "world": REVIEWS | {"kind": "sampled"}},
            "gold.reward (=sentiment) is not drawn",
        ),
        ({"data": {"labels": "intransitive", "disagreement": 0.5}}, "needs labels that follow from gold"),
        ({"data": {"label_noise": 0.1, "flip_toward": "longer"}}, "needs responses of different lengths"),
        ({"data": {"labels": "ties"}, "sweep": {"loss": ["ganpo"]}}, "a tied pair has none"),
        ({"data": {"labels": "tie"}}, "'ties'"),
        ({"data": {"annotators": 0}}, "data.annotators"),
    ],
)
def test_labels_that_cannot_be_are_refused(tables: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        expand(small_sweep(**tables))


@pytest.mark.parametrize(
    "data",
    [
        {"tie_strength": 3.0, "cycle": 3.0, "annotators": 4, "flip_toward": "likelier", "length_bias": 2.0},
        {"labels": "bradley_terry", "disagreement": 0.0, "annotators": 9},
    ],
)
def test_keys_that_say_nothing_name_no_other_run(data: dict[str, Any]) -> None:
    plain, other = (expand(small_sweep(data={"pairs": 48, **more})) for more in ({}, data))
    assert [run.run_id for run in plain] == [run.run_id for run in other]


def test_labels_that_train_otherwise_are_not_stacked_with_others() -> None:
    axes = {"data.labels": ["bradley_terry", "deterministic", "ties", "intransitive"], "data.cycle": [1.0, 2.0]}
    runs = expand(small_sweep(sweep={"loss": ["logistic"], "beta": [0.5], "seeds": 1, **axes}))
    keys: dict[str, set[str]] = {}
    for run in runs:
        keys.setdefault(run.settings.data.labels, set()).add(run.stack_key)
    assert keys["bradley_terry"] == keys["deterministic"]
    assert [len(each) for each in keys.values()] == [1, 1, 1, 2]
    assert len(set().union(*keys.values())) == 4
