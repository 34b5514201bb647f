"""Sums of objectives with weights: their names, what they are, and what cannot be one."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import run as command
import simulator as sim
from analysis.records.names import loss_label
from simulator import ConfigError, Sweep, run_sweep
from simulator.divergences import divergence_of
from simulator.objectives import OBJECTIVES
from simulator.objectives.linked import linked
from simulator.objectives.mixtures import canonical, mixture
from simulator.objectives.objective import Pairs
from simulator.objectives.stacked_losses import ObjectiveSlice, StackedPairs, pair_losses
from simulator.settings.run import Run
from simulator.sweeps.cautions import cautions
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep
from tests.helpers.tilted_worlds import tilted_world

FLOATS = torch.float64


def runs_with(names: list[str], **tables: dict[str, Any]) -> list[Run]:
    grid = {"loss": names, "beta": [0.3], "seeds": 1, **tables.pop("sweep", {})}
    return expand(small_sweep(sweep=grid, **tables))


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("logistic + 0.5 sft", "logistic + 0.5 sft"),
        ("0.5*sft+dpo", "logistic + 0.5 sft"),
        (" 0.50 * sft  +  1.0 sigmoid ", "logistic + 0.5 sft"),
        ("0.2 squared + 0.8 logistic", "0.8 logistic + 0.2 squared"),
        ("5e-1 sft + 1e+0 logistic", "logistic + 0.5 sft"),
        ("0.30000000000000004 sft + logistic", "logistic + 0.3 sft"),
        ("2 aot_pair + bco + kto", "2 aot_unpaired + bco_pair + kto"),
        ("1e-6 sft + 1000000 logistic", "1000000 logistic + 1e-06 sft"),
    ],
)
def test_two_spellings_are_one_name(written: str, name: str) -> None:
    assert canonical(written) == name
    assert canonical(name) == name
    (one,), (other,) = runs_with([written]), runs_with([name])
    assert one.loss == name
    assert one.run_id == other.run_id


REFUSED = {
    "logistic + 0.5 sftt": 'the part "sftt", which is no loss of ours',
    "logistic + sigmod": "did you mean sigmoid?",
    "logistic - 0.5 sft": 'must be a sum of losses, such as "logistic + 0.5 sft"; "logistic - 0.5 sft" is no loss',
    "0.5 sft": 'must be a sum of at least two losses, such as "logistic + 0.5 sft"; alone it is "sft"',
    "logistic + -1 sft": '"-1 sft" has the weight -1; it must be from 1e-06 to 1,000,000',
    "logistic + 0 sft": "has the weight 0",
    "logistic + inf sft": "has the weight inf",
    "logistic + nan sft": "has the weight nan",
    "logistic + 1e9 sft": "has the weight 1e+09",
    "logistic + dpo": "has the loss logistic twice",
    "logistic +": '"" is no loss with a weight before it',
    "half logistic + sft": '"half logistic" is no loss with a weight before it',
    "2 3 logistic + sft": '"2 3 logistic" is no loss with a weight before it',
    "vpo + sft": 'the part "vpo", which is not the loss of each pair alone',
    "logistic + 0.1 ganpo": 'the part "ganpo", which is not the loss of each pair alone',
    "rpo + sft": 'the part "rpo_squared", which is not',
    "logistic + rpo_loo": 'the part "rpo_loo", which is not',
    "logistic + mine.py:half": 'the part "mine.py:half", which is a function of your own',
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_sum_is_answered_everywhere(name: str, lab: sim.World, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"[sweep]\nloss = ['{name}']\n")
    with pytest.raises(ConfigError) as error:
        Sweep.from_toml(file)
    assert f'sweep.loss[0] = "{name}": ' in str(error.value)
    assert REFUSED[name] in str(error.value)
    with pytest.raises(ConfigError) as error:
        sim.train(lab, lab.preferences(seed=0), loss=name, steps=1)
    assert str(error.value).startswith(f"loss = {name}: ")
    assert REFUSED[name] in str(error.value)
    assert command.main(["losses", name]) == 2
    assert REFUSED[name] in capsys.readouterr().err


def test_a_sum_comes_once_in_a_list() -> None:
    with pytest.raises(ValueError, match=r"must list every value once; logistic \+ 0.5 sft comes twice"):
        runs_with(["logistic + 0.5 sft", "0.5 sft + dpo"])


def test_of_functions_of_z_it_is_one() -> None:
    """Slopes and curvatures add up: -0.8/2 - 2 * 0.2 and 0.8/4 + 2 * 0.2."""
    (one,) = runs_with(["0.8 logistic + 0.2 squared"])
    assert one.kappa == pytest.approx(0.6 / 0.8)
    (run,) = runs_with(["logistic + 3 conservative_dpo"], objective={"conservative_dpo": {"epsilon": 0.2}})
    assert run.kappa == pytest.approx((0.25 + 3 * 0.25) / (0.5 + 3 * 0.5 * (0.8 - 0.2)))
    (other,) = runs_with(["logistic + 0.5 sft"])
    assert other.kappa is None
    assert other.beta == 0.3
    (plain,) = runs_with(["orpo + sft"])
    assert plain.beta is None


def test_it_reads_the_tables_of_its_parts() -> None:
    def ids(**objective: Any) -> set[str]:
        return {run.run_id for run in runs_with(["kto + 2 aot + sft"], objective=objective)}

    assert len(ids() | ids(kto={"desirable": 2.0}) | ids(aot={"epsilon": 0.1})) == 3
    assert ids() == ids(dpop={"weight": 3.0}, dpo_sft={"weight": 3.0})
    swept = runs_with(["kto + sft"], sweep={"objective.kto.desirable": [1.0, 2.0]})
    assert [run.columns()["kto_desirable"] for run in swept] == [1.0, 2.0]
    assert len({run.run_id for run in runs_with(["logistic + sft", "logistic + 2 sft"])}) == 2


def test_a_link_stands_in_sums_of_functions_of_a_margin_alone() -> None:
    (run,) = runs_with(["hinge + logistic"], train={"divergence": "chi2_kl"})
    assert run.settings.train.divergence == "chi2_kl"
    with pytest.raises(ConfigError, match=r'loss "logistic \+ sft" cannot have train.divergence = "chi2_kl"'):
        runs_with(["logistic + sft"], train={"divergence": "chi2_kl"})


def test_links_go_through_to_the_parts() -> None:
    """With chi-squared φ(u) = u - 1, so z = β(u_w - u_l)."""
    ratios = torch.randn(1, 5, 2, generator=torch.Generator().manual_seed(0)).double()
    nothing = torch.zeros_like(ratios)
    given = StackedPairs(
        policy=ratios, reference=nothing, lengths=nothing + 1, beta=torch.full((1, 1), 0.7, dtype=FLOATS)
    )
    objective = linked(mixture("0.8 logistic + 0.2 squared"), divergence_of("chi2", 0.5))
    found = pair_losses(given, [ObjectiveSlice(objective=objective, rows=1, hyperparameters={})])
    z = 0.7 * -np.diff(np.exp(ratios[0].numpy()))[:, 0]
    assert found[0].numpy() == pytest.approx(0.8 * np.log1p(np.exp(-z)) + 0.2 * (z - 1) ** 2, rel=1e-9)


def test_numerical_gradients_of_a_sum_with_parameters() -> None:
    objective = mixture("0.5 kto + 2 bco_pair + aot + simpo")
    rng = np.random.default_rng(0)
    policy, reference, other = (-np.abs(rng.normal(size=(1, 2, 6))) - 0.1 for _ in range(3))
    numbers = {"kto.desirable": 1.5, "kto.undesirable": 0.5, "aot.epsilon": 0.1, "simpo.margin": 0.4}
    own = {name: torch.tensor([[value]], dtype=FLOATS) for name, value in numbers.items()}

    def pairs(values: np.ndarray) -> Pairs:
        return Pairs(
            policy=torch.from_numpy(values).clone().requires_grad_(),
            reference=torch.from_numpy(reference),
            lengths=torch.tensor([3.0, 5.0], dtype=FLOATS).view(1, 2, 1).expand(1, 2, 6),
            beta=torch.tensor([[0.7]], dtype=FLOATS),
            hyperparameters={**own, "bco_pair.threshold": "running"},
            count=6,
            mismatched=torch.from_numpy(other),
            remembered={"bco_mean": torch.tensor([[0.3]], dtype=FLOATS)},
        )

    at = pairs(policy)
    (slope,) = torch.autograd.grad(objective.loss(at).sum(), at.policy)
    for place in np.ndindex(policy.shape):
        step = np.zeros_like(policy)
        step[place] = 1e-6
        high, low = (objective.loss(pairs(policy + sign * step)).sum().item() for sign in (1, -1))
        assert slope[place].item() == pytest.approx((high - low) / 2e-6, rel=1e-5, abs=1e-7)


def test_logistic_with_sft_is_dpo_with_an_sft_term(lab: sim.World) -> None:
    pairs = lab.preferences(seed=0)
    ends = [
        sim.train(lab, pairs, loss=loss, beta=0.3, steps=10, settings=settings).parameters
        for loss, settings in (("logistic + 0.25 sft", None), ("dpo_sft", {"objective.dpo_sft.weight": 0.25}))
    ]
    assert (ends[0] - lab.reference.parameters).abs().max() > 1e-3
    assert ends[0].numpy() == pytest.approx(ends[1].numpy(), abs=1e-6)


def test_it_has_the_same_bits_alone_and_beside_others(lab: sim.World) -> None:
    names = ["0.5 kto + sft", "logistic", "bco_pair + 0.5 sft", "hinge + logistic", "2 aot + kto", "bco_pair"]
    train = {"beta": 0.3, "steps": 8, "batch": 15, "checkpoints": 3}
    data = [lab.preferences(seed=seed) for seed in (0, 1)]
    assert len({run.stack_key for run in runs_with(names)}) == 1
    together = sim.train(lab, data, loss=names, seed=[0, 1], **train)  # type: ignore[arg-type]
    for row, (loss, seed) in enumerate(zip(together.table["loss"], together.table["seed"], strict=True)):
        alone = sim.train(lab, data[seed], loss=loss, seed=seed, **train)  # type: ignore[arg-type]
        assert torch.equal(alone.parameters[0], together.parameters[row]), (loss, seed)


def test_on_the_population_and_with_ties_its_parts_must_be_weighable() -> None:
    train_losses = {}
    world = tilted_world("tabular", data__population=True)
    for loss in ("logistic", "sft", "logistic + 0.5 sft", "bco_pair + sft"):
        policies = sim.train(world, world.preferences(None, seed=0), loss=loss, beta=0.3, steps=2, checkpoints=2)
        train_losses[loss] = policies.curves["train_loss"].iloc[0]
    assert train_losses["logistic + 0.5 sft"] == pytest.approx(train_losses["logistic"] + 0.5 * train_losses["sft"])
    for loss in ("aot", "aot_unpaired + logistic"):
        with pytest.raises(ConfigError, match=r"data\.population is the expectation over all pairs"):
            runs_with([loss], data={"population": True}, policy={"kind": "tabular"})
        with pytest.raises(ConfigError, match="sorts the pairs of a batch, and a tied pair has no place among them"):
            runs_with([loss], data={"labels": "ties"})
        with pytest.raises(ConfigError, match="compares a pair with others of its batch"):
            runs_with([loss], train={"batch": 1})
    assert runs_with(["logistic + bco_pair"], data={"labels": "ties"})


def test_a_sweep_records_it_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(small_sweep(sweep={"loss": ["hinge + 0.5 dpo", "sft + bco"], "beta": [0.3], "seeds": 1}).to_toml())
    sweep = Sweep.from_toml(file)
    assert sweep.sweep.loss == ("hinge + 0.5 logistic", "bco_pair + sft")
    with heard() as told:
        folder = run_sweep(sweep, tmp_path / "out", workers=1)
    assert [text for text in told if text.startswith("loss bco_pair + sft divides by the number of tokens")]
    curves = pd.read_parquet(folder / "curves.parquet")
    trained = curves[curves["method"] == "gpo"]
    assert set(trained["loss"]) == set(sweep.sweep.loss)
    assert (trained["status"] == "ok").all()
    assert trained.loc[trained["loss"] == "bco_pair + sft", "bco_threshold"].notna().all()
    frozen = pd.read_parquet(folder / "losses.parquet")
    at = frozen[frozen["loss"] == "hinge + 0.5 logistic"]
    z = at["z"].to_numpy()
    assert at["f"].to_numpy() == pytest.approx(np.maximum(0, 1 - z) + 0.5 * np.log1p(np.exp(-z)))


def test_other_names_of_parts_are_told_of(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[sweep]\nloss = ["dpo + 0.5 sft", "ipo + sft", "dpo"]\nbeta = [0.1]\nseeds = 1\n')
    sweep = Sweep.from_toml(file)
    assert sweep.aliases_used == ("dpo", "ipo")
    told = cautions(sweep, expand(sweep))
    assert "sweep.loss = dpo: is recorded as logistic, which is DPO's loss, beta as there" in told


def test_a_sum_that_starts_by_pushing_margins_down_is_warned_of(lab: sim.World) -> None:
    with heard() as told:
        sim.train(lab, lab.preferences(seed=0), loss="discopop + 0.1 logistic", beta=0.3, steps=1)
    assert [text for text in told if "loss discopop + 0.1 logistic at discopop.tau = 0.05 has f'(0) =" in text]


def test_losses_shows_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "losses.svg"
    assert command.main(["losses", "0.2 ipo + 0.8 dpo", "sft+dpo", "2 cdpo + kto", "--picture", str(picture)]) == 0
    said = capsys.readouterr().out
    assert "0.8 logistic + 0.2 squared" in said
    assert "0.8 [log(1 + exp(-z))] + 0.2 [(z - 1)^2]" in said
    assert "logistic + sft " in said
    assert "[objective.conservative_dpo] epsilon = 0.1  [objective.kto] desirable = 1, undesirable = 1" in said
    assert picture.exists()


def test_a_plus_in_the_name_of_a_file_is_no_sum(tmp_path: Path) -> None:
    (tmp_path / "a + b.py").write_text("def half(z):\n    return (z - 0.5).square()\n")
    file = tmp_path / "mine.toml"
    file.write_text('[sweep]\nloss = ["a + b.py:half"]\nbeta = [0.1]\nseeds = 1\n')
    (run,) = expand(Sweep.from_toml(file))
    assert run.loss == "a + b.py:half"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("logistic + 0.5 sft", "logistic (DPO) + 0.5 SFT"),
        ("0.8 bco_pair + aot_unpaired, alpha 0.1", "0.8 BCO + AOT unpaired, α 0.1"),
    ],
)
def test_figures_name_each_loss_of_a_sum(name: str, label: str) -> None:
    assert loss_label(name) == label


def test_parts_are_all_losses_of_pairs_alone() -> None:
    able = {name for name in OBJECTIVES if is_part(name)}
    assert set(OBJECTIVES) - able == {name for name in OBJECTIVES if name.startswith(("rpo", "vpo", "ganpo"))}


def is_part(name: str) -> bool:
    other = "logistic" if name != "logistic" else "hinge"
    try:
        mixture(f"{other} + {name}")
    except ValueError:
        return False
    return True
