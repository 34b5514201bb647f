"""Divergences, the split of the squared loss and the ledger, against sums that are written out response by response."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import simulator as sim
from analysis import load
from simulator.engine.checkpoints import Track
from simulator.measurement.columns import QUANTITIES
from simulator.measurement.exact import ReferenceLaw, measure_distribution, measure_pairs
from simulator.measurement.ledger import SHOWN, ledger_name, ledger_rows, places, with_pairs
from simulator.measurement.listed_sums import PARTS
from simulator.storage.tables import ROUNDING
from simulator.sweeps.sweep import Sweep

P, G = 2, 6


@pytest.fixture
def laws() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """pi, pi_ref and mu, and gold with mean 0 under pi_ref, [P, G] each."""
    rng = np.random.default_rng(4)
    policy, reference, behaviour = (rng.dirichlet(np.full(G, 0.7), size=P) for _ in range(3))
    gold = rng.normal(size=(P, G))
    return policy, reference, behaviour, gold - (reference * gold).sum(axis=1, keepdims=True)


def law_of(reference: np.ndarray, gold: np.ndarray) -> ReferenceLaw:
    tables = {name: torch.from_numpy(gold) for name in ("gold", "fluency", "gold_rank")}
    return ReferenceLaw(reference=torch.from_numpy(reference).log(), length=1, **tables)


def test_each_quantity_is_the_sum_that_defines_it(
    laws: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    policy, reference, behaviour, gold = laws
    found = measure_distribution(
        torch.from_numpy(policy).log()[None], law_of(reference, gold), torch.from_numpy(behaviour)
    )
    true = dict.fromkeys(
        ["forward_kl", "chi2", "total_variation", "coverage", "mu_squared_raised", "mu_squared_suppressed"], 0.0
    )
    variance, spread = 0.0, 0.0
    for p in range(P):
        s = [math.log(policy[p, g] / reference[p, g]) for g in range(G)]
        centre = sum(behaviour[p, g] * s[g] for g in range(G))
        mean = sum(policy[p, g] * s[g] for g in range(G))
        centre_of_reference = sum(reference[p, g] * s[g] for g in range(G))
        for g in range(G):
            true["forward_kl"] += -reference[p, g] * s[g] / P
            true["chi2"] += (policy[p, g] ** 2 / reference[p, g] - policy[p, g]) / P
            true["total_variation"] += max(0.0, policy[p, g] - reference[p, g]) / P
            true["coverage"] += policy[p, g] ** 2 / reference[p, g] / P
            side = "mu_squared_raised" if s[g] > 0 else "mu_squared_suppressed"
            true[side] += behaviour[p, g] * (s[g] - centre) ** 2 / P
            variance += policy[p, g] * (s[g] - mean) ** 2 / P
            spread += reference[p, g] * (s[g] - centre_of_reference) ** 2 / P
    for name, value in true.items():
        assert found[name].item() == pytest.approx(value, rel=1e-12), name
    assert found["proxy_variance"].item() == pytest.approx(variance / spread, rel=1e-12)
    split = found["mu_squared_raised"] + found["mu_squared_suppressed"]
    assert split.item() == pytest.approx(found["mu_squared"].item(), rel=1e-12)


def test_total_variation_of_draws_has_the_exact_one_as_its_mean(
    laws: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> None:
    policy, reference, _, _ = laws
    drawn = QUANTITIES["total_variation"].drawn
    assert drawn
    each = drawn({"ratio": torch.from_numpy(np.log(policy / reference))}).numpy()
    assert (policy * each).sum(axis=1) == pytest.approx(np.abs(policy - reference).sum(axis=1) / 2)


def test_variance_of_a_proxy(lab: sim.World) -> None:
    """By its definition, for two policies and a proxy of each."""

    class Tables:
        tables = torch.randn(2, *lab.simulated.reference_law.gold.shape, dtype=torch.float64)

    log_probs = torch.randn(Tables.tables.shape, dtype=torch.float64).log_softmax(dim=-1)
    found = lab.simulated.measure_distribution(log_probs, lab.settings.data, Tables())  # type: ignore[arg-type]
    law, score = log_probs.exp(), Tables.tables
    square = (law * score.square()).sum(dim=-1) - (law * score).sum(dim=-1).square()
    assert found["proxy_variance"].numpy() == pytest.approx(square.mean(dim=-1).numpy())


def test_displaced_pairs_count_with_their_weights() -> None:
    """By a table that has each order of each pair as often as its weight says."""
    ratios = torch.tensor([[[-1.0, 2.0], [0.5, -3.0], [-0.2, -0.1]]], dtype=torch.float64)
    weights = torch.tensor([[[3.0, 1.0], [2.0, 0.0], [1.0, 1.0]]], dtype=torch.float64)
    spelled = [(-1.0, 2.0)] * 3 + [(2.0, -1.0)] + [(0.5, -3.0)] * 2 + [(-0.2, -0.1), (-0.1, -0.2)]
    losses = torch.zeros(1, dtype=torch.float64)
    found = measure_pairs(ratios, losses, weights)
    true = measure_pairs(torch.tensor([spelled], dtype=torch.float64), losses)
    assert found.keys() == true.keys()
    for name in ("displaced", "train_accuracy", "chosen_logratio", "rejected_logratio"):
        assert found[name].item() == pytest.approx(true[name].item()), name


def test_columns_are_the_same_at_every_checkpoint() -> None:
    track = Track(rows=2)
    track.record({"kl": torch.zeros(1)})
    with pytest.raises(ValueError, match="columns differ between checkpoints"):
        track.record({"kl": torch.zeros(1), "tied": torch.zeros(1)})


def test_the_oracle_has_no_squared_loss(lab: sim.World) -> None:
    """Which depends on the behaviour policy, and so has no place in it; nor have its parts."""
    assert not [name for name in lab.simulated.oracle("here") if name.startswith("mu_squared")]


def told_parts(
    ungrammatical: torch.Tensor, prompt: torch.Tensor, numbers: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    parts = ungrammatical.to(torch.uint8).expand(len(prompt), -1, -1).contiguous()
    return with_pairs(parts, places(prompt, numbers, parts.shape), weights)


def test_every_response_is_in_the_part_that_its_pairs_say() -> None:
    ungrammatical = torch.zeros(P, G, dtype=torch.bool)
    ungrammatical[:, [0, 4, 5]] = True
    prompt = torch.tensor([[0, 0, 1, 0], [1, 1, 1, 1]])
    numbers = torch.tensor([[[0, 1], [2, 0], [3, 3], [2, 1]], [[4, 0], [4, 0], [4, 1], [2, 4]]])
    found = told_parts(ungrammatical, prompt, numbers)
    names = [[[PARTS[part] for part in row] for row in run] for run in found.tolist()]
    left = ["ungrammatical", "unseen", "unseen", "unseen", "ungrammatical", "ungrammatical"]
    assert names[0] == [["seen", "rejected", "chosen", "unseen", *left[4:]], [*left[:3], "seen", *left[4:]]]
    assert names[1] == [left, ["rejected", "rejected", "chosen", "unseen", "seen", "ungrammatical"]]


def test_pairs_count_in_the_ledger_as_their_weights_say() -> None:
    """As it stands, tied, exchanged, and not at all."""
    numbers, weights = torch.tensor([[[0, 1], [2, 3], [4, 5]]]), torch.tensor([[[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]])
    found = told_parts(torch.zeros(1, G, dtype=torch.bool), torch.zeros(1, 3, dtype=torch.long), numbers, weights)
    assert [PARTS[part] for part in found[0, 0].tolist()] == [
        "chosen",
        "rejected",
        "seen",
        "seen",
        "rejected",
        "chosen",
    ]


def test_ranked_responses_between_are_seen() -> None:
    found = told_parts(torch.zeros(1, 4, dtype=torch.bool), torch.tensor([[0]]), torch.tensor([[[2, 1, 0]]]))
    assert [PARTS[part] for part in found[0, 0].tolist()] == ["rejected", "seen", "chosen", "unseen"]


def test_the_ledger_is_the_sums_over_its_parts(laws: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> None:
    policy, reference, behaviour, gold = laws
    parts = torch.tensor([[0, 1, 2, 3, 3, 2], [0, 0, 2, 1, 1, 4]], dtype=torch.uint8)
    found = measure_distribution(
        torch.from_numpy(policy).log()[None],
        law_of(reference, gold),
        torch.from_numpy(behaviour),
        parts=parts[None],
    )
    change = 0.0
    for place, part in enumerate(PARTS):
        here = [(p, g) for p in range(P) for g in range(G) if parts[p, g] == place]
        mass, of_reference = (sum(law[at] for at in here) / P for law in (policy, reference))
        ratio = sum(reference[at] * math.log(policy[at] / reference[at]) for at in here) / P
        values = {
            "mass": mass,
            "reference_mass": of_reference,
            "logratio": ratio / of_reference,
            "gold": sum(policy[at] * gold[at] for at in here) / P / mass,
            "gold_change": sum((policy[at] - reference[at]) * gold[at] for at in here) / P,
        }
        change += values["gold_change"]
        for name, value in values.items():
            assert found[ledger_name(part, name)].item() == pytest.approx(value, rel=1e-10), (part, name)
    assert change == pytest.approx(found["gold"].item(), abs=1e-12)


def test_rows_of_the_ledger_leave_out_what_is_not_finite() -> None:
    measured = {
        ledger_name(part, name): np.arange(4.0).reshape(2, 2) + place
        for place, part in enumerate(PARTS)
        for name in ("mass", "reference_mass", "logratio", "gold", "gold_change")
    }
    for part in PARTS:
        measured[ledger_name(part, "mass")][1, 0] = np.nan
    table = ledger_rows(["a", "b"], [0, 7], measured)
    names = table[["run_id", "step"]].drop_duplicates().to_numpy().tolist()
    assert names == [["a", 0], ["b", 0], ["b", 7]]
    assert table["part"].tolist() == list(SHOWN) * 3
    row = table[(table["run_id"] == "b") & (table["step"] == 7) & (table["part"] == "rejected")].iloc[0]
    assert row["gold"] == 3 + PARTS.index("rejected")


def assert_sums(changes: np.ndarray, gold: np.ndarray) -> None:
    """Gold is the sum of its changes to 1e-9; curves have 0 for what is 0 but for the rounding of a network."""
    rounded = gold == 0
    assert changes[~rounded] == pytest.approx(gold[~rounded], abs=1e-9)
    assert np.abs(changes[rounded]).max(initial=0.0) < ROUNDING


def test_the_ledger_of_a_stack_in_training(lab: sim.World) -> None:
    pairs = lab.preferences(16, seed=0)
    stack = sim.training(lab, pairs, beta=0.1, steps=4, checkpoints=3)
    assert stack.ledger.empty
    curves = pd.DataFrame(list(stack))
    sums = stack.ledger.groupby("step")["gold_change"].sum()
    assert_sums(sums.to_numpy(), curves["gold"].to_numpy(float))


def test_a_sweep_leaves_a_ledger_that_sums_to_its_gold(tmp_path: Path) -> None:
    """For policies on pairs, offline and online, and against a proxy; to 1e-9, as the contract says."""
    small = {
        "world": {"vocabulary": 3, "response_length": 2, "prompts": 3},
        "reference": {"steps": 20},
        "data": {"pairs": 100},
        "train": {"steps": 6, "checkpoints": 3, "batch": 4},
        "proxy": {"width": 4, "steps": 5},
        "sweep": {"method": ["gpo", "rl", "gibbs"], "loss": "logistic", "beta": 0.1, "seeds": 2, "penalty": [0.1]},
        "online": {"refresh": 3, "pairs": 4},
    }
    sim.run_sweep(Sweep.model_validate(small), out=tmp_path / "out")
    curves, ledger = load(tmp_path / "out"), pd.read_parquet(tmp_path / "out" / "ledger.parquet")
    sums = ledger.groupby(["run_id", "step"])[["mass", "reference_mass", "gold_change"]].sum()
    both = curves[curves["method"] != "oracle"].set_index(["run_id", "step"]).join(sums)
    assert set(both["method"]) == {"gpo", "rl", "gibbs"}
    assert both["mass"].to_numpy() == pytest.approx(1, abs=1e-12)
    assert_sums(both["gold_change"].to_numpy(), both["gold"].to_numpy())
    trained = ledger[ledger["run_id"].str.startswith("gpo") & (ledger["step"] == 0)]
    assert trained["mass"].to_numpy() == pytest.approx(
        trained["reference_mass"].to_numpy(), abs=1e-8
    )  # a network rounds
    assert (trained[trained["part"] == "chosen"]["mass"] > 0).all()
