"""Which of our runs are called the same in TRL."""

import pytest

from simulator.interchange.programs import example_run, is_example
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep


@pytest.mark.parametrize(("divergence", "same"), [("kl", True), ("chi2_kl", False)])
def test_a_run_with_links_of_its_own_is_no_example(divergence: str, same: bool) -> None:
    runs = expand(
        small_sweep(train={"divergence": divergence}, sweep={"loss": ["logistic"], "beta": [0.5], "seeds": 1})
    )
    assert [is_example(run) for run in runs] == [same]
    both = {"loss": ["logistic"], "beta": [0.5], "seeds": 1, "train.divergence": ["chi2", "kl"]}
    assert example_run(expand(small_sweep(sweep=both))).settings.train.divergence == "kl"
