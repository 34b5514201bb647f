"""Claims on online and offline training on records that were made to satisfy or to violate them, or leave them open."""

import numpy as np
import pandas as pd
import pytest

from analysis import Estimate
from simulator import Sweep
from simulator.sweeps.grid import expand
from tests.helpers.planted_records import claim_of, note_of, records_of, verdict_of, verdicts, with_noise
from tests.helpers.tang_records import MEAN, of_kinds, of_sets, of_sizes

AXES = {
    "tang": ["loss", "online_refresh", "online_replay"],
    "tang_data": ["loss", "behaviour", "one_from_reference"],
    "tang_size": ["loss", "policy_width", "online_refresh"],
}

MOVES = {  # the comparisons of two kinds that move where one kind has more gold
    "offline": {"online less offline": -1, "shuffled less offline": -1},
    "online": {"online less offline": 1, "ordered less online": -1, "online less shuffled": 1},
    "ordered": {"ordered less online": 1},
    "shuffled": {"online less shuffled": -1, "shuffled less offline": 1},
}
CLAIMS = {
    "squared": {
        "online less offline": "online",
        "ordered less online": "ordered",
        "online less shuffled": "shuffled",
        "shuffled less offline": "coverage",
    },
    "sft": {"online less offline": "bo2"},
}


def estimate_of(curves: pd.DataFrame, name: str) -> Estimate:
    """The only estimate that a claim is judged by."""
    (found,) = claim_of("tang", name).estimate(records_of(curves)).estimates.values()
    return found


def as_published(kind: str, loss: str) -> float:
    return 1.0 + (kind in ("online", "shuffled" if loss == "sft" else "ordered"))


def opposite(kind: str, loss: str) -> float:
    return {"offline": 2.0, "online": 1.0, "ordered": 2.0, "shuffled": 3.0}[kind]


def learned(kind: str, share: float) -> float:
    """Accuracy that rises with gold, and is less offline."""
    return 0.5 + 0.1 * share + 0.1 * (kind == "online") * share


def as_text(value: object) -> str:
    """A setting as a text: a number is the same whether it is whole or not, and what is not there is none."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return "none" if np.isnan(value) else f"{value:g}"
    return "none" if value is None else str(value)


def places(table: pd.DataFrame) -> set[tuple[str, ...]]:
    return {tuple(map(as_text, row)) for row in table.itertuples(index=False)}


@pytest.mark.parametrize("config", AXES)
def test_made_records_have_the_axes_of_the_sweeps(config: str) -> None:
    made = {
        "tang": of_kinds(as_published),
        "tang_data": of_sets(reference=1.0, one_side=1.0, both_sides=1.0),
        "tang_size": of_sizes(lambda rank: 1.0),
    }[config]
    shipped = pd.DataFrame([run.columns() for run in expand(Sweep.from_toml(config, ("sweep.seeds=1",)))])
    assert places(made[AXES[config]]) == places(shipped[AXES[config]])


def test_what_is_as_published_is_found() -> None:
    curves = of_kinds(as_published, loses=0.5, chosen=-0.5)
    found = verdicts(curves, "tang", part="")
    assert len(found) == 12
    assert set(found.values()) == {"holds"}, found
    assert estimate_of(curves, "online").value == pytest.approx(MEAN, abs=0.05)
    assert estimate_of(curves, "peak").value == pytest.approx(1.0, abs=0.1)
    assert estimate_of(curves, "classify").value == pytest.approx(0.2, abs=0.02)


def test_the_opposite_is_found() -> None:
    found = verdicts(of_kinds(opposite, loses=-0.5, accuracy=learned, chosen=0.5), "tang", part="")
    assert set(found.values()) == {"fails"}, found


@pytest.mark.slow
def test_noise_leaves_every_claim_open() -> None:
    level = of_kinds(lambda kind, loss: 1.0, chosen=-0.1, accuracy=lambda kind, share: 0.5)
    noisy = with_noise(level, draw=3, gold=1.0, chosen_logratio=0.5, held_out_accuracy=0.3)
    found = verdicts(noisy, "tang", part="")
    assert set(found.values()) == {"undecided"}, found
    sets = with_noise(of_sets(reference=1.0, one_side=1.0, both_sides=1.0), draw=3, gold=1.0)
    assert set(verdicts(sets, "tang", part="data").values()) == {"undecided"}
    sizes = with_noise(of_sizes(lambda rank: 0.5), gold=2.0)
    assert set(verdicts(sizes, "tang", part="size").values()) == {"undecided"}


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("loss", ["squared", "sft"])
def test_a_claim_is_on_the_kinds_that_it_names(kind: str, loss: str) -> None:
    """One kind of training with a loss has more gold; the claims that name it move in their direction, others not."""
    before = of_kinds(lambda made, of: 1.0, points=5)
    before = before[before["loss"].isin(CLAIMS)]
    made = before["online_replay"].fillna("offline").replace("none", "online")
    after = before.assign(gold=before["gold"] * (1 + (made.eq(kind) & before["loss"].eq(loss))))
    for each, claims in CLAIMS.items():
        for comparison, claim in claims.items():
            moved = estimate_of(after, claim).value - estimate_of(before, claim).value
            expected = MOVES[kind].get(comparison, 0) if each == loss else 0
            assert moved == pytest.approx(MEAN * expected, abs=0.05), claim


def test_one_loss_that_is_not_better_online_is_enough_to_fail() -> None:
    curves = of_kinds(lambda kind, loss: 1.0 + (kind == "online") * (-1.0 if loss == "hinge" else 1.0))
    assert verdict_of(curves, "tang", "losses") == "fails"


@pytest.mark.parametrize(
    ("sets", "quality", "one_side"),
    [
        ({"reference": 2.0, "one_side": 2.0, "both_sides": 1.0}, "holds", "holds"),
        ({"reference": 1.0, "one_side": 1.0, "both_sides": 2.0}, "fails", "fails"),
        ({"reference": 1.0, "one_side": 3.0, "both_sides": 2.0}, "fails", "holds"),
        ({"reference": 2.0, "one_side": 1.0, "both_sides": 1.0}, "holds", "fails"),
    ],
)
def test_pairs_of_good_responses(sets: dict[str, float], quality: str, one_side: str) -> None:
    assert verdicts(of_sets(**sets), "tang", part="data") == {"quality": quality, "one-side": one_side}


def test_gaps_over_the_size_of_the_policy() -> None:
    shrinking = of_sizes(lambda rank: 2.0 - 0.5 * rank)
    assert verdicts(shrinking, "tang", part="size") == {"size": "holds", "size-trend": "holds"}
    slope = -0.5 * MEAN / np.log10(2)
    assert estimate_of(shrinking, "size-trend").value == pytest.approx(slope, abs=0.1)
    growing = of_sizes(lambda rank: 0.5 * rank - 0.5)
    assert verdicts(growing, "tang", part="size") == {"size": "fails", "size-trend": "fails"}


AT_THE_MARGIN = (2, 0, 4, 1, 3)  # of 0.3


def with_ranks(order: tuple[int, ...]) -> pd.DataFrame:
    """Gold that rises at each checkpoint after the start, and accuracy that takes this order there."""
    last = len(order)
    curves = of_kinds(as_published, accuracy=lambda kind, share: 0.5, points=last + 1)
    places = (curves["step"] * last / curves["step"].max()).round().astype(int)
    accuracy = places.map({0: 0.5} | {place + 1: 0.5 + rank / 100 for place, rank in enumerate(order)})
    return curves.assign(gold=places / 10, held_out_accuracy=accuracy)


@pytest.mark.parametrize(
    ("order", "correlation", "verdict"),
    [
        (tuple(range(12)), 1.0, "fails"),
        (tuple(range(12))[::-1], -1.0, "fails"),
        ((3, 0, 1, 2, 4), 0.4, "fails"),
        (AT_THE_MARGIN, 0.3, "undecided"),
        ((4, 0, 1, 2, 3), 0.0, "holds"),
    ],
)
def test_ranks_whose_correlation_is_known(order: tuple[int, ...], correlation: float, verdict: str) -> None:
    """Spearman's 1 - 6 sum d^2 / (n^3 - n), which comes in steps of 12 / (n^3 - n), at each strength."""
    curves, n = with_ranks(order), len(order)
    each = claim_of("tang", "correlation").estimate(records_of(curves)).estimates
    assert len(each) == 2
    for found in each.values():
        assert found.value == pytest.approx(correlation)
        assert found.error == pytest.approx(12 / (n**3 - n) / np.sqrt(12 * curves["seed"].nunique()))
        assert found.bounds == (-1.0, 1.0)
    assert verdict_of(curves, "tang", "correlation") == verdict


def test_a_seed_that_lacks_a_strength_is_not_compared() -> None:
    """The accuracy of the strengths that it has is not that of all: at the largest beta offline is no better."""
    curves = of_kinds(as_published, accuracy=lambda kind, share: 0.5 + 0.2 * (kind == "offline"))
    large = curves["beta"].eq(0.3)
    curves.loc[large, "held_out_accuracy"] = 0.5
    lost = curves["seed"].eq(0) & large & curves["online_refresh"].eq(0) & curves["loss"].eq("squared")
    without = curves[~lost]
    assert estimate_of(without, "classify").degrees_of_freedom == estimate_of(curves, "classify").degrees_of_freedom - 1
    assert estimate_of(without, "classify").value == pytest.approx(0.1, abs=0.01)


ONLINE = "online", "peak", "fall", "ordered", "shuffled", "coverage", "classify", "correlation", "chosen"


def test_what_is_missing_is_told() -> None:
    curves = of_kinds(as_published)
    for claim in (*ONLINE, "bo2", "bo2-shuffled", "losses", "size", "size-trend"):
        assert note_of(curves.drop(columns="online_refresh"), "tang", claim) == "there is no column online_refresh"
    for claim in ONLINE:
        noisy = pd.concat([curves, curves.assign(label_noise=0.25, run_id=curves["run_id"] + "n")])
        assert note_of(noisy, "tang", claim) == "the curves vary in label_noise, too; take those of one value"
    for kind, claim in (("ordered", "ordered"), ("shuffled", "shuffled"), ("none", "online")):
        there = curves[curves["online_replay"] != kind]
        name = kind if kind in ("ordered", "shuffled") else "online"
        assert note_of(there, "tang", claim) == f"there are no runs of squared {name}"
    offline = curves[curves["online_refresh"] == 0].drop(columns="online_replay")
    assert note_of(offline, "tang", "losses") == "there are no runs of logistic online"
    assert note_of(curves[curves["loss"] != "sft"], "tang", "bo2") == "there are no runs of sft online"
    assert (
        note_of(curves[curves["online_refresh"] > 0], "tang", "correlation") == "there are no runs of squared offline"
    )
    apart = curves.assign(beta=curves["beta"] + curves["online_refresh"])
    assert note_of(apart, "tang", "online") == "they have no strength in common"
    for column, claim in (
        ("held_out_accuracy", "classify"),
        ("held_out_accuracy", "correlation"),
        ("chosen_logratio", "chosen"),
    ):
        assert note_of(curves.drop(columns=column), "tang", claim) == f"there is no column {column}"
    short = curves[curves["step"].isin([0, curves["step"].max()])]
    assert note_of(short, "tang", "correlation") == "no seed has a number"


def test_what_is_missing_of_pairs_is_told() -> None:
    curves = of_sets(reference=1.0, one_side=1.0, both_sides=1.0)
    good = curves[curves["behaviour"] == "best_of_n"]
    plain = curves[curves["behaviour"] == "reference"].drop(columns="behaviour")
    assert note_of(plain, "tang", "quality") == "there is no column behaviour"
    assert note_of(good, "tang", "quality") == "there are no runs of squared on pairs of reference"
    without = curves.drop(columns="one_from_reference")[curves["one_from_reference"] == "False"]
    assert note_of(without, "tang", "one-side") == "there is no column one_from_reference"
    for one, side in (("True", "one side"), ("False", "no side")):
        there = curves[curves["behaviour"].eq("reference") | curves["one_from_reference"].ne(one)]
        said = f"there are no runs of squared on pairs of best_of_n, {side} of the reference"
        assert note_of(there, "tang", "one-side") == said
    dpo = curves.assign(loss="logistic")
    assert (
        note_of(dpo, "tang", "quality")
        == "there are no runs of squared on pairs of best_of_n, no side of the reference"
    )


def test_other_losses_have_no_part_in_claims_on_ipo() -> None:
    """Runs of DPO with other gold stand beside those of IPO, and nothing changes."""
    for curves, claim in (
        (of_sets(reference=2.0, one_side=2.0, both_sides=1.0), "one-side"),
        (of_sizes(lambda rank: 2.0 - 0.5 * rank), "size-trend"),
    ):
        dpo = curves.assign(loss="logistic", run_id=curves["run_id"] + "dpo", gold=5.0 * curves["seed"])
        assert estimate_of(pd.concat([curves, dpo]), claim) == estimate_of(curves, claim)


def test_what_is_missing_of_sizes_is_told() -> None:
    curves = of_sizes(lambda rank: 1.0)
    for kind, there in (("online", curves["online_refresh"] == 0), ("offline", curves["online_refresh"] > 0)):
        said = f"there are no runs of squared {kind} at every width"
        assert note_of(curves[there], "tang", "size") == said
        assert note_of(curves[there | curves["policy_width"].ne(8)], "tang", "size-trend") == said
    one = curves[curves["policy_width"] == 8]
    assert note_of(one.drop(columns="policy_width"), "tang", "size") == "there is no column policy_width"
    assert note_of(one, "tang", "size-trend") == "there are fewer than two values to see a trend over"
    assert verdict_of(one, "tang", "size") == "holds"
