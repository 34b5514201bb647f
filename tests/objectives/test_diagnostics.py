"""Quantities inside a loss that are recorded beside it."""

from pathlib import Path

import pandas as pd

from analysis.records.about import MEASURED, settings_of
from simulator import run_sweep
from simulator.objectives import DIAGNOSTICS
from simulator.sweeps.cautions import cautions
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep


def test_what_an_objective_watches_is_recorded_for_its_runs_alone(tmp_path: Path) -> None:
    names = ["logistic", "kto", "chi_po", "dpop", "bco_pair", "wpo"]
    folder = run_sweep(small_sweep(sweep={"loss": names, "beta": [0.05], "seeds": 1}), tmp_path / "watched", workers=1)
    curves = pd.read_parquet(folder / "curves.parquet")
    columns = {"kto": "kto_reference_point", "chi_po": "chi_po_clipped", "dpop": "dpop_penalized", "wpo": "wpo_weight"}
    columns["bco_pair"] = "bco_threshold"
    assert set(DIAGNOSTICS) == {*columns.values(), "kto_mismatched_logratio"}
    trained = curves[curves["method"] == "gpo"]
    assert (trained["status"] == "ok").all()
    for loss, column in columns.items():
        own = trained["loss"] == loss
        assert trained.loc[own, column].notna().all()
        assert trained.loc[~own, column].isna().all()
    kto = trained[trained["loss"] == "kto"]
    assert (kto["kto_reference_point"] == kto["kto_mismatched_logratio"].clip(lower=0.0)).all()
    assert (kto.loc[kto["step"] > 0, "kto_mismatched_logratio"] != 0).all()
    assert trained.loc[trained["loss"] == "dpop", "dpop_penalized"].between(0, 1).all()
    assert set(DIAGNOSTICS) <= set(MEASURED)
    assert set(DIAGNOSTICS).isdisjoint(settings_of(curves))


def test_kto_with_one_prompt_says_that_there_is_no_other() -> None:
    sweep = small_sweep(world={"prompts": 1}, sweep={"loss": ["kto", "logistic"], "beta": [0.1]})
    (said,) = [text for text in cautions(sweep, expand(sweep)) if "other prompts" in text]
    assert said.startswith("loss kto compares with responses to other prompts, and world.prompts = 1")
    more = small_sweep(sweep={"loss": ["kto"], "beta": [0.1]})
    assert not cautions(more, expand(more))
