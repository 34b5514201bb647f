"""Every claim on a published order, on records in the shape of its paper's sweeps with that order, or its reverse."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import PAPERS
from analysis.published.claim import Records, UnknownError
from analysis.published.judging import decide
from analysis.published.orders.chi import PUBLISHED, cells_order
from analysis.published.papers.wolf import NAMES
from analysis.published.papers.wolf import PUBLISHED as DESIGNS
from analysis.published.path_measures import levels_at_kl
from tests.helpers.planted_records import records_of, rises_and_falls, runs
from tests.helpers.tang_records import of_kinds, of_sets, of_sizes
from tests.helpers.wolf_records import of_rounds

VERDICTS = {1: "holds", -1: "fails"}
BLANK = {"pairs": 64, "loss": None, "kappa": math.nan}


def orders(source: Path | pd.DataFrame, paper: str) -> dict[str, str]:
    """The verdicts on the orders of a paper."""
    records = records_of(source)
    return {claim.name: decide(claim, records).verdict for claim in PAPERS[paper].claims if claim.order}


@pytest.mark.parametrize("sign", [1, -1])
def test_gao_on_sizes_of_proxies(sign: int) -> None:
    cells = [
        {"method": method, "beta": beta, "proxy_width": 4 * 2**rank, "proxy_parameters": 400.0 * 2**rank}
        for method, beta in (("best_of_n", np.nan), ("rl", 0.0))
        for rank in range(7)
    ]

    def path(cell: dict, share: float) -> dict:
        rank = sign * (math.log2(cell["proxy_width"] / 4) - 3)
        d = 3 * share
        bend = d if cell["method"] == "best_of_n" else math.log(max(d, 1e-9))
        return {"kl": d**2, "gold": d * (2 + 0.3 * rank - (1.2 - 0.3 * rank) * bend)}

    found = orders(runs(cells, path, points=20).assign(**BLANK), "gao")
    named = {name: found[name] for name in ("order-alpha-bon", "order-beta-bon", "order-beta-rl")}
    assert set(named.values()) == {VERDICTS[sign]}, named


@pytest.mark.parametrize("sign", [1, -1])
def test_gao_on_data_and_policies(sign: int) -> None:
    data = [
        {"method": "best_of_n", "beta": np.nan, "proxy_width": width, "pairs": 64 * 2**rank}
        for width in (8, 32, 128)
        for rank in range(9)
    ]
    policies = [{"method": "rl", "beta": 0.0, "policy_width": 8 * 2**rank} for rank in range(4)]

    def path(cell: dict, share: float) -> dict:
        rank = math.log2(cell["pairs"] / 64) - 4 if "pairs" in cell else 3 - math.log2(cell["policy_width"])
        return {"kl": 4 * share, "gold": rises_and_falls(3 + 0.5 * sign * rank, 1.0, share)}

    of_data = runs(data, path).assign(loss=None, kappa=np.nan, proxy_parameters=1.0)
    assert orders(of_data, "gao")["order-data"] == VERDICTS[sign]
    assert orders(runs(policies, path).assign(**BLANK), "gao")["order-policy"] == VERDICTS[sign]


def ensemble_path(sign: int) -> Callable[[dict, float], dict]:
    """Gold against one proxy and ensembles: what ends high and what falls is as Coste et al. say, or the reverse."""

    def path(cell: dict, share: float) -> dict:
        one = cell["proxy_members"] == 1
        careful = not one and cell["proxy_combine"] != "mean"
        high = careful if cell["method"] == "rl" else not one
        end = 2.0 + sign * (1.0 if high else -1.0)
        loses = 0.5 + sign * (0.4 if not careful else -0.4)
        return {"kl": 9 * share, "gold": rises_and_falls(end + loses, loses, share)}

    return path


@pytest.mark.parametrize("sign", [1, -1])
def test_coste(sign: int) -> None:
    cells = [
        {"method": method, "beta": beta, "proxy_members": members, "proxy_combine": how, "label_noise": noise}
        for method, beta in (("best_of_n", np.nan), ("rl", 0.0), ("rl", 0.1))
        for members, how in ((1, "mean"), (5, "mean"), (5, "worst_case"), (5, "uncertainty_weighted"))
        for noise in (0.0, 0.25)
    ]
    found = orders(runs(cells, ensemble_path(sign)).assign(**BLANK), "coste")
    assert len(found) == 5
    assert set(found.values()) == {VERDICTS[sign]}, found


@pytest.mark.parametrize("sign", [1, -1])
def test_rafailov(sign: int) -> None:
    cells = [
        {"method": "gpo", "loss": loss, "beta": beta, "kappa": 0.5, "policy_width": width}
        for loss in ("logistic", "squared", "hinge")
        for beta in (0.01, 1.0)
        for width in (8, 16, 32)
    ]

    def path(cell: dict, share: float) -> dict:
        loses = 1 + sign * (0.3 * (cell["loss"] != "squared") + 0.3 * (4 - math.log2(cell["policy_width"])))
        return {"kl": 4 * share, "gold": rises_and_falls(2.0, loses, share)}

    found = orders(runs(cells, path).assign(pairs=64), "rafailov")
    assert found == {"order-losses": VERDICTS[sign], "order-sizes": VERDICTS[sign]}


@pytest.mark.parametrize("sign", [1, -1])
def test_tang(sign: int) -> None:
    def level(kind: str, loss: str) -> float:
        return 2 + sign * (kind in (("online", "shuffled") if loss == "sft" else ("online",)))

    found = orders(of_kinds(level), "tang")
    assert {found["order-ipo"], found["order-bo2"]} == {VERDICTS[sign]}
    sets = of_sets(reference=2.0, one_side=2.0, both_sides=2.0 - sign)
    assert orders(sets, "tang")["order-pairs"] == VERDICTS[sign]
    assert orders(of_sizes(lambda rank: -sign * rank, offline=4.0), "tang")["order-gap"] == VERDICTS[sign]


@pytest.mark.parametrize("sign", [1, -1])
def test_wolf(sign: int, tmp_path: Path) -> None:
    golds = {NAMES[design]: sign * gold for design, gold in DESIGNS.items()}
    folder = of_rounds(tmp_path / "made", lambda name: [golds[name] * turn / 4 for turn in (1, 2, 3, 4)])
    assert orders(folder, "wolf") == {"order-designs": VERDICTS[sign]}


@pytest.mark.parametrize("sign", [1, -1])
def test_neighbours(sign: int) -> None:
    levels = {"simper": 3, "logistic": 2, "squared": 1, "vpo": 4}
    cells = [
        {"method": "gpo", "loss": loss, "beta": beta, "kappa": np.nan, "train_learning_rate": rate, "vpo_alpha": alpha}
        for loss in levels
        for beta in ((np.nan,) if loss == "simper" else (0.03, 0.3))
        for alpha in ((0.1, 1.0) if loss == "vpo" else (np.nan,))
        for rate in (0.001, 0.003, 0.01)
    ]

    def path(cell: dict, share: float) -> dict:
        level = 3 + 0.6 * sign * levels[cell["loss"]]
        return {"kl": 4 * share, "gold": level * share - 0.2 * (cell["beta"] == 0.03) * share}

    found = orders(runs(cells, path).assign(pairs=64), "neighbours")
    assert found == {"order-simper": VERDICTS[sign], "order-vpo": VERDICTS[sign]}


@pytest.mark.parametrize("sign", [1, -1])
def test_the_twelve_cells_of_chi(sign: int) -> None:
    def after(records: Records, loss: str, beta: float, epochs: int) -> pd.Series:
        rate = PUBLISHED[loss, beta][{1: 0, 2: 1, 4: 2}[epochs]]
        return pd.Series(sign * rate + np.random.default_rng(epochs).normal(0, 0.1, size=6))

    records = Records(pd.DataFrame({"status": ["ok"], "method": ["gpo"], "run_id": ["1"]}))
    claim = cells_order(after)
    found = decide(claim, records)
    assert (found.verdict, found.seeds) == (VERDICTS[sign], 6)
    assert list(found.ours or ()) == list(claim.order.published if claim.order else ())
    assert "DPO 0.005, 4 epochs" in (found.ours or ())


def test_what_is_ordered_is_written_beforehand() -> None:
    """A claim is named as an order where it has one, of at least three labels, not all tied."""
    for paper in PAPERS.values():
        for claim in paper.claims:
            assert (claim.order is not None) == claim.name.startswith("order-")
            if claim.order is None:
                continue
            assert len(claim.order.published) >= 3
            assert len(set(claim.order.published.values())) > 1
            assert claim.order.mapping.endswith(".")
            assert claim.order.why.endswith(".")
            assert claim.ours
            assert claim.source.endswith(("read in the paper", "as others quote it"))


def test_an_order_that_was_not_measured_is_undecided() -> None:
    one = {"method": "gpo", "loss": "squared", "beta": 0.1, "kappa": 1.0}
    nothing = runs([one], lambda cell, share: {"kl": 4 * share, "gold": share})
    for paper in PAPERS:
        assert set(orders(nothing.assign(pairs=64, label_noise=0.0), paper).values()) <= {"undecided"}


def test_levels_at_equal_kl_go_as_far_as_all_do() -> None:
    """Gold is the root of KL for one and twice that for the other, which goes further: the mean is over KL up to 4."""
    rows = [
        {"beta": beta, "slope": slope, "seed": seed, "step": step, "kl": kl, "gold": slope * math.sqrt(kl)}
        for beta in (0.1, 1.0)
        for slope in (1, 2)
        for seed in range(3)
        for step in range(5)
        for kl in (step * (1.0 if slope == 1 else 3.0),)
    ]
    table = pd.DataFrame(rows).assign(method="gpo", status="ok")
    table["run_id"] = table[["beta", "slope", "seed"]].astype(str).agg(" ".join, axis=1)
    groups = {name: table[table["slope"] == slope] for name, slope in (("one", 1), ("two", 2))}
    grid = np.sqrt(np.linspace(0, 4, 102)[1:])
    found = levels_at_kl(groups)
    assert found.to_numpy() == pytest.approx(np.outer(np.ones(3), [grid.mean(), 2 * grid.mean()]))
    some = {"one": groups["one"], "two": groups["two"][groups["two"]["seed"] > 0]}
    assert list(levels_at_kl(some).index) == [1, 2]
    apart = {"one": groups["one"], "two": groups["two"].assign(beta=groups["two"]["beta"] + 5)}
    with pytest.raises(UnknownError, match="no strength in common"):
        levels_at_kl(apart)
