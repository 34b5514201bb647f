"""Sums that are called exact are over laws of mass 1, zero is 0, and quantiles are those of numpy."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gold_rewards import scale_under
from simulator import Sweep, run_sweep
from simulator.measurement.best_of_n import log_best_of_n
from simulator.measurement.exact import ReferenceLaw, gold_rank, measure_distribution, measure_pairs
from simulator.measurement.probability_mass import MassError, checked_mass
from simulator.worlds.protocol import World
from tests.conftest import SMALL

SHORT = np.log(1 - 1e-6)  # a law that lacks a millionth


def test_a_law_without_all_of_its_mass_is_refused() -> None:
    law = np.array([[0.5, 0.25, 0.25]])
    assert checked_mass(law, "it") is law
    assert checked_mass(torch.from_numpy(law) * (1 + 9e-10), "it") is not None
    with pytest.raises(MassError, match=r"the law of a policy has a mass that is off 1 by 0\.035, so sums"):
        checked_mass(law * 0.965, "a policy")
    with pytest.raises(MassError, match="off 1 by 2e-09"):
        checked_mass(law * (1 + 2e-9), "a policy")


def test_laws_of_policies_that_diverged_pass() -> None:
    assert checked_mass(torch.tensor([[torch.nan, 0.5], [0.5, 0.5]]), "a policy").isnan().sum() == 1
    assert checked_mass(torch.empty(0, 4), "a policy").shape == (0, 4)


@pytest.mark.parametrize("short", ["policy", "reference", "behaviour"])
def test_measurements_refuse_a_law_that_was_cut_off(world: World, short: str) -> None:
    known = world.reference_law
    laws = {"policy": known.reference[None], "reference": known.reference, "behaviour": known.reference}
    laws[short] = laws[short] + SHORT
    used = ReferenceLaw(
        reference=laws["reference"], gold=known.gold, fluency=known.fluency, gold_rank=known.gold_rank, length=3
    )
    with pytest.raises(MassError, match="off 1 by 1e-06"):
        measure_distribution(laws["policy"], used, laws["behaviour"].exp())


def test_best_of_n_ranks_and_the_scale_of_gold_refuse_one_too(world: World) -> None:
    reference, gold = world.reference_law.reference + SHORT, world.reference_law.gold
    with pytest.raises(MassError):
        log_best_of_n(reference, gold, torch.tensor([2]))
    with pytest.raises(MassError):
        gold_rank(reference, gold)
    with pytest.raises(ArithmeticError, match="gold has no exact scale"):
        scale_under(reference.exp().numpy(), gold.numpy())


@pytest.mark.parametrize("pairs", [1, 2, 4, 6, 8, 9])
def test_quantiles_of_few_pairs_are_those_of_numpy(pairs: int, rng: np.random.Generator) -> None:
    margins = np.stack([np.arange(pairs, dtype=float), rng.normal(size=pairs)])
    ratios = torch.from_numpy(np.stack([margins, 0 * margins], axis=-1))
    found = measure_pairs(ratios, torch.zeros(2))
    for level in (5, 25, 50, 75, 95):
        assert found[f"margin_q{level:02d}"].numpy() == pytest.approx(np.quantile(margins, level / 100, axis=1))
    assert found["margin_q50"][0] == (pairs - 1) / 2  # 0.5, 1.5, 2.5 and 3.5 for 2, 4, 6 and 8 pairs


def test_what_is_0_is_recorded_as_0(tmp_path: Path, curves: pd.DataFrame) -> None:
    first = curves[(curves["step"] == 0) & (curves["method"] == "gpo")]
    assert len(first)
    assert (first[["kl", "gold", "proxy", "mu_squared", "kl_se", "chosen_logratio", "margin_q05"]] == 0).all(axis=None)
    tables = {
        "best_of_n": {"largest": 4},
        "proxy": {"steps": 30, "width": 4},
        "measure": {"kl_estimators": True},
        "sweep": {"method": ["best_of_n"], "seeds": 1},
    }
    sweep = Sweep.model_validate({name: SMALL[name] for name in ("world", "reference", "data", "policy")} | tables)
    folder = run_sweep(sweep, tmp_path / "bon", workers=1)
    table = pd.read_parquet(folder / "curves.parquet")
    one = table[table["n"] == 1].iloc[0]
    assert (one[["kl", "kl_bound", "gold", "proxy", "kl_k1", "kl_k2", "kl_k3"]] == 0).all()
    assert (table.loc[table["n"] > 1, "kl"] > 0.01).all()
