"""Numbers as people read them."""

import math

import pytest

from analysis.records.number_format import number, with_error


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.78e-17, "0"), (-7.63e-17, "0"), (-3.4e-18, "0"), (0.0, "0"), (-0.0, "0"), (math.nan, "-"), (1.2345, "1.23")],
)
def test_zero_is_printed_as_zero(value: float, shown: str) -> None:
    assert number(value) == shown


def test_numbers_have_the_digits_that_their_error_allows() -> None:
    assert with_error(1.1649, 0.2731) == "1.16 ± 0.27"
    assert with_error(0.26, 1.13) == "0.3 ± 1.1"
    assert with_error(-0.0001, 0.05) == "0.000 ± 0.050"
    assert with_error(1.1649, math.nan) == "1.16"
    assert with_error(2.0, 0.0) == "2.000 ± 0.000"
