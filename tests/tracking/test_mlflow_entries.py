"""Names and values as MLflow takes them: by its own rules, and another for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _validate_metric_name, _validate_param

from simulator.tracking.mlflow_entries import LONGEST_NAME, LONGEST_PARAMETER, name_of, read_name, text_of
from tests.helpers.hostile_names import HOSTILE

AWKWARD = ("", ".", "..", "...", "/", "a//b", "./a", "a/", "-u-", "-u2f-", "a-b", "é", "\x00", "𝛽", " ", "a:b", "%2f")


@pytest.mark.parametrize("name", [*HOSTILE, *AWKWARD])
def test_mlflow_takes_every_name_and_it_can_be_read_back(name: str) -> None:
    taken = name_of(name)
    _validate_metric_name(taken)
    _validate_param(taken, "1")
    assert len(taken) <= LONGEST_NAME
    assert read_name(taken) == name or len(name) > 200


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.text(max_size=30))
def test_no_two_names_become_one(one: str, other: str) -> None:
    assert read_name(name_of(one)) == one
    _validate_metric_name(name_of(one))
    assert (name_of(one) == name_of(other)) == (one == other)


def test_names_of_ours_stay_as_they_are() -> None:
    for name in ("train.learning_rate", "kl_se", "margin_q05", "objective.kto.desirable"):
        assert name_of(name) == name


def test_what_is_too_long_is_cut_and_differs_all_the_same() -> None:
    one, other = (text_of("é" * 7_000 + end, LONGEST_PARAMETER) for end in "ab")
    assert len(one) <= LONGEST_PARAMETER
    assert one != other
    assert name_of("x" * 300 + "a") != name_of("x" * 300 + "b")


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "0.1"), (1.0, "1.0"), (3, "3"), (True, "True"), ("a\nb", "a\nb"), ([0.1, 1], "[0.1, 1]")]
)
def test_values_are_written_as_they_are_read(value: object, text: str) -> None:
    assert text_of(value, LONGEST_PARAMETER) == text


def test_mlflow_would_refuse_the_names_as_they_were() -> None:
    refused = 0
    for name in (*HOSTILE, *AWKWARD):
        try:
            _validate_metric_name(name)
        except MlflowException:
            refused += 1
    assert refused > 12
