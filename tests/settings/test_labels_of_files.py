"""Labels of gold matter wherever gold labels some pair, and cannot be asked for where it labels none."""

from pathlib import Path

import pytest

import simulator as sim
from simulator.common.errors import ConfigError
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep
from tests.helpers.pair_files import as_ids


@pytest.fixture
def file(lab: sim.World, tmp_path: Path) -> str:
    return str(tmp_path / as_ids(tmp_path, lab, lab.preferences(20, seed=0)))


def ids(**tables: dict[str, object]) -> set[str]:
    tables["sweep"] = {"loss": ["logistic"], "beta": [0.1], "seeds": 1, **tables.get("sweep", {})}
    return {run.run_id for run in expand(small_sweep(**tables))}


def test_runs_whose_later_pairs_gold_labels_have_names_of_their_own(file: str) -> None:
    online = {"refresh": 2, "pairs": 8}
    plain = ids(data={"file": file}, online=online)
    for key, value in (("label_noise", 0.4), ("temperature", 2.0), ("labels", "ties"), ("labels", "intransitive")):
        assert not plain & ids(data={"file": file, key: value}, online=online), key
    noisy = ids(data={"file": file}, online=online, sweep={"data.label_noise": [0.0, 0.4]})
    assert len(noisy) == 2
    assert ids(data={"file": file, "label_noise": 0.4}) == ids(data={"file": file})


def test_a_loss_that_takes_no_ties_is_refused_where_gold_ties_later_pairs(file: str) -> None:
    with pytest.raises(ConfigError, match="a tied pair has none"):
        ids(data={"file": file, "labels": "ties"}, online={"refresh": 2}, sweep={"loss": ["ganpo"]})


def test_labels_that_nobody_gives_are_refused(file: str) -> None:
    for labels in ("ties", "intransitive"):
        with pytest.raises(ValueError, match=r"those of data\.file have their labels"):
            ids(data={"file": file, "labels": labels})
