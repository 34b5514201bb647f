"""Displacement in analysis: which losses displace fewer, with which gold, and what predicts it, with planted tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from analysis.figures.drawing import displacement_figures
from analysis.figures.layout import text_of
from analysis.figures.look import PAGE, drawn_as
from analysis.figures.offline.displacement import row_label
from analysis.headline.displacement import displacement
from analysis.headline.headline import headline
from analysis.headline.statement import amount, half_of, signed
from analysis.records.load import load, pairwise_rows
from analysis.statistics.intervals import mean_of
from analysis.statistics.mass import PARTS
from analysis.statistics.pair_scores.displacement import rank_correlations

SEEDS, PAIRS, BETA = 6, 64, 0.01
PATHS = {  # of each loss, at three checkpoints after the reference: KL, the share displaced, and gold
    "logistic": [(1.0, 0.5, 0.4), (2.0, 0.6, 0.6), (4.0, 0.8, 0.3)],
    "squared": [(1.0, 0.5, 0.4), (2.0, 0.6, 0.6), (4.0, 0.8, 0.3)],  # the same
    "exponential": [(1.0, 0.6, 0.4), (2.0, 0.7, 0.6), (5.0, 0.9, 0.0)],  # displaces more, 0.83 at 4 nats
    "dpop": [(1.0, 0.2, 0.4), (2.0, 0.2, 0.7), (3.0, 0.3, 0.9)],  # less, with more gold than 0.45
    "dpo_sft": [(1.5, 0.5, 0.5), (0.9, 0.52, 0.3), (1.5, 0.55, 0.5)],  # less at its end, as it moves less
}
RANKS = {"ches": -0.9, "displacement_rate": 0.0}  # correlations with where chosen responses end

Tables = dict[str, pd.DataFrame]


def planted(correlations: dict[str, float], noise: float = 0.01) -> Tables:
    """Curves, ledger and pairs. noise: of displaced and gold over seeds."""
    rng = np.random.default_rng(0)
    curves, ledger, pairs = [], [], []
    for loss, path in PATHS.items():
        for seed in range(SEEDS):
            run, moved = f"{loss}-{seed}", noise * rng.normal(size=2)
            for step, (kl, share, gold) in enumerate([(0.0, 0.0, 0.0), *path]):
                off = moved * bool(step)
                row = (run, "gpo", loss, BETA, 0.5, seed, step, kl, gold + off[0], 1.0, "ok")
                curves.append((*row, share + off[1], -share, -4 * share))
                ledger += [(run, step, part, 0.2, 0.2, 0.0, 0.0, gold / len(PARTS)) for part in PARTS]
            end = rng.normal(size=PAIRS)
            scores = [r * end + np.sqrt(1 - r**2) * rng.normal(size=PAIRS) for r in correlations.values()]
            table = pd.DataFrame(dict(zip(correlations, scores, strict=True)))
            pairs.append(table.assign(run_id=run, pair=range(PAIRS), chosen_logratio=end, rejected_logratio=end - 1))
    names = ["run_id", "method", "loss", "beta", "kappa", "seed", "step", "kl", "gold", "mu_squared", "status"]
    columns = ["run_id", "step", "part", "mass", "reference_mass", "logratio", "gold", "gold_change"]
    return {
        "curves": pd.DataFrame(curves, columns=[*names, "displaced", "chosen_logratio", "rejected_logratio"]),
        "ledger": pd.DataFrame(ledger, columns=columns),
        "pairs": pd.concat(pairs, ignore_index=True),
    }


@pytest.fixture(scope="module")
def tables() -> Tables:
    return planted(RANKS)


def test_the_statement_names_the_losses_that_displace_fewer_at_the_same_kl(tables: Tables) -> None:
    """That of equal curves is not sure, and neither is that of a loss which only moves less."""
    first, _ = displacement(tables["curves"], tables["pairs"])
    assert first.text.startswith("With logistic (DPO), β 0.01, 80")
    assert "less likely than under the reference. At the same KL the share is lower with DPOP (40" in first.text
    assert "points lower at 3.0 nats; gold differs by +0.4" in first.text
    assert first.text.split(", and higher with ")[1].startswith("exponential (3")
    assert first.text.endswith("; a difference is not sure with squared (IPO) and DPO + SFT")
    assert first.title == (
        "At the same KL fewer chosen responses fall with DPOP than with logistic (DPO); gold is surely more"
    )
    assert first.sure
    for loss, kl, difference, gold in (
        ("dpop", 3.0, 0.3 - 0.7, 0.9 - 0.45),
        ("exponential", 4.0, 0.7 + 0.2 * 2 / 3 - 0.8, 0.6 * 1 / 3 - 0.3),
        ("dpo_sft", 1.5, 0.55 - 0.55, 0.5 - 0.5),
        ("squared", 4.0, 0.0, 0.0),
    ):
        assert first.numbers[f"{loss}: seeds"] == SEEDS
        assert first.numbers[f"{loss}: kl"] == pytest.approx(kl)
        assert first.numbers[f"{loss}: difference"] == pytest.approx(difference, abs=0.015)
        assert first.numbers[f"{loss}: gold"] == pytest.approx(gold, abs=0.015)


def test_of_several_losses_that_displace_fewer_the_one_that_does_most_is_named(tables: Tables) -> None:
    curves = tables["curves"]
    fewer = curves[curves["loss"] == "dpop"]
    others = [
        fewer.assign(loss=loss, run_id=loss + fewer["run_id"], displaced=fewer["displaced"] + less)
        for loss, less in (("dpop, weight 1", 0.1), ("dpop, weight 2", 0.2))
    ]
    kept = curves[curves["loss"].isin(["logistic", "dpop"])]
    first, _ = displacement(pd.concat([kept, *others], ignore_index=True), tables["pairs"])
    assert "the share is lower with three losses, most with DPOP (40" in first.text


def test_a_seed_that_starts_beyond_the_common_kl_is_left_out(tables: Tables) -> None:
    """Both losses have displaced the same at each KL, but seed 0 of the other has none between 0 and 5 nats."""
    curves = tables["curves"]
    two = curves[curves["loss"].isin(["logistic", "dpop"])].copy()
    far = (two["loss"] == "logistic") & (two["seed"] == 0) & (two["step"] > 0)
    two.loc[far, ["kl", "displaced"]] = 5.0, 0.0
    first, _ = displacement(two, tables["pairs"])
    without, _ = displacement(two[two["seed"] > 0], tables["pairs"])
    assert first.numbers["dpop: seeds"] == SEEDS - 1
    for name in ("kl", "difference", "difference, low", "gold"):
        assert first.numbers[f"dpop: {name}"] == without.numbers[f"dpop: {name}"]
    two.loc[(two["loss"] == "logistic") & (two["step"] > 0), "kl"] = 5.0
    first, _ = displacement(two, tables["pairs"])
    assert first.text.endswith("under the reference. DPOP has no KL in common with logistic (DPO)")
    assert not first.sure


@pytest.mark.parametrize(
    ("correlations", "ches", "rate", "sure"),
    [
        (RANKS, "predicts it with five of five", "says little with five of five", True),
        (dict.fromkeys(RANKS, 0.9), "goes against it with five of five", "predicts it with five of five", True),
        (dict.fromkeys(RANKS, -0.3), "CHES (−0.3", "is not sure with ", False),
        (dict.fromkeys(RANKS, 0.0), "Neither CHES (", ") nor the displacement rate (", True),
    ],
    ids=["ches", "wrong sign", "in between", "neither"],
)  # fmt: skip
def test_a_score_predicts_only_with_its_own_sign(
    correlations: dict[str, float], ches: str, rate: str, sure: bool
) -> None:
    found = planted(correlations)
    _, second = displacement(found["curves"], found["pairs"])
    assert ches in second.text
    assert rate in second.text
    assert second.sure == sure
    assert ("says how far a chosen response falls" in second.text) == second.text.startswith("Neither")


def test_rank_correlations_are_those_of_scipy(tables: Tables) -> None:
    last = tables["curves"][lambda rows: (rows["step"] == 3) & (rows["seed"] < 2)]
    pairs = tables["pairs"].round(1)  # with ties
    found = rank_correlations(pairs, last).set_index("run_id")
    assert set(found.index) == set(last["run_id"])
    for run, row in found.iterrows():
        own = pairs[pairs["run_id"] == run]
        for score in RANKS:
            assert row[score] == pytest.approx(spearmanr(own[score], own["chosen_logratio"]).statistic, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "plain", "with_sign"),
    [
        ((0.09, 0.10, 0.11), "0.10 ± 0.02", "+0.10 ± 0.02"),
        ((-0.09, -0.10, -0.11), "−0.10 ± 0.02", "−0.10 ± 0.02"),
        ((-0.011, 0.0, 0.01), "0.00 ± 0.03", "0.00 ± 0.03"),
        ((0.5, 0.5, 0.5), "0.50", "+0.50"),
        ((0.5,), "0.50", "+0.50"),
    ],
)
def test_estimates_are_written_with_half_of_their_interval(
    values: tuple[float, ...], plain: str, with_sign: str
) -> None:
    """Half of an interval of three values is 4.303 times their standard deviation over the root of 3."""
    assert amount(mean_of(values)) == plain
    assert signed(mean_of(values)) == with_sign
    if len(set(values)) > 1:
        assert half_of(mean_of(values)) == pytest.approx(4.303 * np.std(values, ddof=1) / np.sqrt(3), rel=1e-3)


def test_nothing_is_stated_without_recorded_pairs_and_of_one_seed_nothing_is_sure(tables: Tables) -> None:
    assert displacement(tables["curves"], tables["pairs"].iloc[:0]) == []
    assert displacement(tables["curves"].drop(columns="displaced"), tables["pairs"]) == []
    alone = tables["curves"][tables["curves"]["seed"] == 0]
    first, second = displacement(alone, tables["pairs"])
    assert not first.sure
    assert not second.sure
    assert "no loss surely displaces fewer" in first.title


def test_a_folder_has_the_statements_and_the_figure_with_the_planted_numbers(tables: Tables, tmp_path: Path) -> None:
    for name, table in tables.items():
        few = table[table["run_id"].str.startswith(("logistic", "dpop"))]
        few.to_parquet(tmp_path / f"{name}.parquet")
    pd.DataFrame({"loss": [], "kappa": [], "z": [], "f": [], "slope": []}).to_parquet(tmp_path / "losses.parquet")
    topics = [each.topic for each in headline(tmp_path)]
    assert topics[-2:] == ["displacement", "ches"]
    pairs = pairwise_rows(load(tmp_path))
    figures = displacement_figures(pairs, tmp_path)
    with drawn_as(PAGE):
        figure = figures["displacement"]()
    assert text_of(figure, "title").startswith("At the same KL fewer chosen responses fall with DPOP")
    drawn = pd.concat([table.assign(panel=axes.get_title(loc="left")) for axes, table in figure.drawn])
    for number, panel in ((1, "pairs displaced"), (2, "gold")):
        own = drawn[drawn["panel"] == panel].set_index("line")
        for loss, label in {"logistic": "logistic (DPO)", "dpop": "DPOP"}.items():
            assert own.loc[label, "x"] == pytest.approx(PATHS[loss][-1][number], abs=0.015)
        there = own.loc[["logistic (DPO) at the same KL"]].set_index("y")["x"]
        assert there[own.loc["DPOP", "y"]] == pytest.approx((0.7, 0.45)[number - 1], abs=0.015)
    found = drawn[drawn["line"] == "CHES"]
    assert len(found) == 2
    assert (found["x"] < -0.8).all()
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows == ["logistic (4.0)", "DPOP (3.0)"]
    assert row_label("dpop, weight 50.0", 0.0349) == "DPOP, weight 50.0 (0.035)"
    (tmp_path / "pairs.parquet").unlink()
    assert displacement_figures(pairs, tmp_path) == {}
