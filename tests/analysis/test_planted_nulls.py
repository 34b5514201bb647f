"""No claim holds in records where there is nothing to it: no effect where one is claimed, the margin where none is.

Every claim of every paper is judged by planted records in which it is not so: what is said to rise is level, what is
said to differ is equal, and what is said to be equal, or below a bound, is off by exactly the margin or the bound.
"""

import inspect
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from analysis import claims, fit_scaling_law
from analysis.published.claim import LEAST
from analysis.published.estimates.gao import LARGEST_FITTED_KL
from analysis.published.estimates.gpo_peaks import STEP
from analysis.published.estimates.gpo_proxies import POINT
from analysis.published.estimates.gpo_training import TENTH
from analysis.published.judging import decide
from analysis.published.papers import PAPERS
from analysis.published.papers.tang import SAME
from analysis.statistics.comparison import SIMILAR
from analysis.theory.six_losses import TAIL_ORDER
from tests.analysis import test_claims_chi, test_claims_gpo, test_claims_kwa, test_claims_razin, test_claims_tang
from tests.analysis.test_claims import (
    FAMILIES,
    KAPPA,
    direct,
    ensembles,
    gpo,
    hump,
    neighbours,
    penalized,
    policies,
    with_proxies,
)
from tests.helpers.planted_records import claim_of, records_of, runs
from tests.helpers.tang_records import MEAN, of_kinds, of_sets, of_sizes
from tests.helpers.wolf_records import of_rounds

COMPUTED = {"mixture", "bandit", "on-policy"}  # without data
BOUND = 0.22  # a loss that makes gold fall by 0.2 from the highest of the twelve points to the last


def level(loss: str, kl: float) -> float:
    """Gold that neither rises nor falls, and differs by the margin of similarity for one loss."""
    return 0.2 * (loss == "hinge") * min(1.0, 10 * kl)


def same_everywhere(loss: str, beta: float) -> float:
    """KL that is the same at every beta, with every loss."""
    return 3.0


def by_beta(loss: str, beta: float) -> float:
    """KL that is one function of beta for every loss: kappa plays no part."""
    return 4 / (1 + 8 * beta)


def departing(loss: str, beta: float) -> float:
    """The same, but that losses of kappa 1 depart at the largest beta, and only there."""
    return by_beta(loss, beta) * (8.0 if beta == 3.0 and (KAPPA | FAMILIES)[loss] == 1.0 else 1.0)


def judged(curves: pd.DataFrame | Path, paper: str, *names: str) -> dict[str, str]:
    records = records_of(curves)
    return {name: decide(claim_of(paper, name), records).verdict for name in names}


@pytest.mark.slow
def test_gpo() -> None:
    flat = judged(
        gpo(level, same_everywhere, half=0.5),
        "gpo",
        "beta",
        "rise",
        "fall",
        "similar",
        "not-kl",
        "kl-grows",
        "outgrows",
    )
    assert "holds" not in flat.values(), flat
    even = judged(gpo(level, same_everywhere, suppressed=2 / 3), "gpo", "suppressed")
    assert "holds" not in even.values(), even  # twice as much, and not more
    for kl_of in (by_beta, departing):
        found = judged(gpo(lambda loss, kl: hump(kl), kl_of), "gpo", "kappa", "best-beta", "tail")
        assert "holds" not in found.values(), (kl_of, found)


def test_gpo_along_training_and_by_tails() -> None:
    assert judged(test_claims_gpo.traced(flat=TENTH, noise=0.0), "gpo", "apart")["apart"] != "holds"
    first, *others, last = TAIL_ORDER
    of_eleven = test_claims_gpo.tailed((first, last, *others))  # 11 of 15 pairs are as said
    alike = of_eleven.assign(kl=1.0)
    for curves in (of_eleven, alike):
        assert judged(curves, "gpo", "tails")["tails"] != "holds"


def test_gpo_on_peaks_and_proxies(tmp_path: Path) -> None:
    assert judged(test_claims_gpo.peaked(1.0, depth=0.0), "gpo", "peak")["peak"] != "holds"
    apart = judged(test_claims_gpo.peaked(1 - STEP / math.log(2), shift=STEP), "gpo", "aligned", "win-rate")
    assert "holds" not in apart.values(), apart
    folder = test_claims_gpo.proxies(tmp_path / "made", gold=SIMILAR, noise=0.02, accurate=POINT)
    found = judged(folder, "gpo", "proxies", "proxies-accuracy")
    assert "holds" not in found.values(), found


def against(gold_of: Callable[[float], float], apart: float = 0.2) -> pd.DataFrame:
    """Best-of-n and RL along one path of gold over d, whatever the size of the proxy; RL has `apart` more gold."""
    cells = [
        {"method": method, "beta": beta, "proxy_width": width, "proxy_parameters": 100.0 * width}
        for method, beta in (("best_of_n", np.nan), ("rl", 0.0))
        for width in (4.0, 40.0, 400.0)
    ]

    def path(cell: dict, share: float) -> dict:
        d = 3.2 * share
        more = apart * (cell["method"] == "rl") * min(1.0, 10 * share)
        return {"kl": d**2, "gold": gold_of(d) + more, "proxy": 2 * d}

    return runs(cells, path, points=30).assign(pairs=64, loss=None, kappa=np.nan)


def mixed(share: float) -> Callable[[float], float]:
    """Gold that is a mixture of the two forms of the law."""
    return lambda d: d * (1.5 - 0.5 * share * d - 0.5 * (1 - share) * math.log(d)) if d else 0.0


def as_good(share: float, below: float | None) -> float:
    """log of what one form misses over what the other does, of a mixture without noise."""
    d = 3.2 * np.linspace(0, 1, 30)[1:]
    law = fit_scaling_law(d, [mixed(share)(each) for each in d], "bon", kl_below=below)
    ours, other = (law.rmse, law.rival_rmse) if below is None else (law.beyond_rmse, law.rival_beyond_rmse)
    return math.log(other / ours)


def test_gao_on_sizes() -> None:
    names = ("alpha-bon", "beta-bon", "beta-rl", "form-bon", "form-rl", "spending", "alike", "fall-bon", "fall-rl")
    found = judged(against(lambda d: min(d, 1.0)), "gao", *names)
    assert "holds" not in {name: found[name] for name in names if not name.startswith("form")}.values(), found
    for below, of in ((None, ("form-bon", "form-rl")), (LARGEST_FITTED_KL, ("predicts",))):
        share = brentq(as_good, 0.05, 0.95, args=(below,))
        found = judged(against(mixed(share), apart=0.0), "gao", *of)
        assert "holds" not in found.values(), (share, found)


def test_gao_on_policies_penalties_and_data(tmp_path: Path) -> None:
    size = judged(policies(0.0, math.log10(1.5)), "gao", "policy-gain", "policy-kl")
    assert "holds" not in size.values(), size
    penalty = judged(penalized(0.0, 0.08), "gao", "penalty-proxy", "penalty-gold")
    assert penalty == {"penalty-proxy": "fails", "penalty-gold": "fails"}
    table = claims(with_proxies(tmp_path, 0.55, 0.0), "gao").set_index("name")
    assert table.loc["few", "verdict"] != "holds"
    assert table.loc["validation", "verdict"] != "holds"
    assert table.loc["validation", ["low", "high"]].between(-1, 1).all()


def test_rafailov(tmp_path: Path) -> None:
    settings = {"train.batch": 8, "data.pairs": 2560, "data.labeller": "gold", "data.pool": 1}
    curves = direct(prone=0.0, larger=0.0, rl_form=False, late=1.0)
    rising = curves.assign(gold=np.sqrt(curves["kl"]))
    for name, table, of in (("equal", curves, ("ipo", "larger", "form", "quarter")), ("rising", rising, ("hump",))):
        folder = tmp_path / name
        folder.mkdir()
        table.to_parquet(folder / "curves.parquet")
        ids = pd.DataFrame({"run_id": table["run_id"].unique()})
        ids.assign(status="finished", **settings).to_parquet(folder / "runs.parquet")
        found = claims(folder, "rafailov").set_index("name")["verdict"]
        assert not (found[list(of)] == "holds").any(), found


def test_coste() -> None:
    equal = judged(ensembles(0.5, 0.5, 1.5), "coste", "reduce-bon", "reduce-rl", "mean", "k2", "remove-bon")
    assert "holds" not in equal.values(), equal
    none = judged(ensembles(0.0, BOUND, 1.0), "coste", "single", "remove-bon")
    assert "holds" not in none.values(), none


def test_neighbours() -> None:
    equal = neighbours(vpo=0.5, backward=0.5, tuned=0.2, ganpo=0.0, further=1.25)
    names = [claim.name for claim in PAPERS["neighbours"].claims if claim.name != "vpo-none" and not claim.order]
    found = judged(equal, "neighbours", *names)
    assert "holds" not in found.values(), found
    at_the_bound = neighbours(vpo=1.1 * BOUND, backward=0.5, tuned=0.2, ganpo=0.0, further=1.25)
    assert judged(at_the_bound, "neighbours", "vpo-none")["vpo-none"] != "holds"


def test_chi(tmp_path: Path) -> None:
    names = ("every-cell", "every-cell-ipo", "loses-more", "dpo-below", "chi-above")
    half = test_claims_chi.with_win_rates(tmp_path / "half", lambda loss, beta, epochs: 0.5)
    found = claims(half, "chi").set_index("name")["verdict"]
    assert not (found[list(names)] == "holds").any(), found
    level = judged(test_claims_chi.over_pairs(lambda loss, pairs: 0.4), "chi", "regret-falls", "regret-smaller")
    assert "holds" not in level.values(), level


def test_razin(tmp_path: Path) -> None:
    names = ("displaced", "loss-falls", "linear", "ches-ranks", "edit-distance", "outside")
    curves = test_claims_razin.displacing(lost=0.05, linear=0.05, loss_end=math.exp(-0.049))
    folder = test_claims_razin.recorded(tmp_path / "none", curves, ches=0.0, edits=0.12, gained=0.125, noise=0.01)
    found = claims(folder, "razin").set_index("name")["verdict"]
    assert not (found[list(names)] == "holds").any(), found
    folder = test_claims_razin.filtering(tmp_path / "filter", filtered=-0.05, control=-0.05, noise=0.001)
    found = claims(folder, "razin").set_index("name")["verdict"]
    assert not (found[["filter-removes", "filter-less"]] == "holds").any(), found


def test_kwa(tmp_path: Path) -> None:
    names = ("heavy-end", "light-end", "heavy-peak", "chi2-keeps", "no-winner", "tails")
    equal = dict.fromkeys(test_claims_kwa.DIVERGENCES, 1.0)
    folder = test_claims_kwa.recorded(tmp_path / "equal", test_claims_kwa.paths(equal, equal, (0.05, 0.05)))
    found = claims(folder, "kwa").set_index("name")["verdict"]
    assert not (found[list(names)] == "holds").any(), found
    away = test_claims_kwa.recorded(tmp_path / "away", test_claims_kwa.paths(equal, equal, (-0.2, 0.0)))
    assert claims(away, "kwa").set_index("name").loc["heavy-near", "verdict"] != "holds"


def test_tang() -> None:
    names = ("online", "peak", "fall", "shuffled", "classify", "chosen", "bo2", "losses")
    equal = of_kinds(lambda kind, loss: 1.0, accuracy=lambda kind, share: 0.6)
    assert set(judged(equal, "tang", *names).values()) == {"fails"}
    off = {
        "squared": {"ordered": SAME / MEAN, "shuffled": LEAST / MEAN},
        "sft": {"shuffled": SAME / MEAN},
    }
    apart = of_kinds(lambda kind, loss: 1.0 + off.get(loss, {}).get(kind, 0.0))
    found = judged(apart, "tang", "ordered", "coverage", "bo2-shuffled")
    assert "holds" not in found.values(), found
    ranked = test_claims_tang.with_ranks(test_claims_tang.AT_THE_MARGIN)
    assert judged(ranked, "tang", "correlation")["correlation"] != "holds"


def test_tang_on_pairs_and_sizes() -> None:
    good = 1.0 + LEAST / MEAN
    pairs = judged(of_sets(reference=1.0, one_side=good, both_sides=good), "tang", "quality", "one-side")
    assert "holds" not in pairs.values(), pairs
    for gap in (0.0, 0.5):  # which is the same at every size
        found = judged(of_sizes(lambda rank, gap=gap: gap), "tang", "size", "size-trend")
        assert found["size-trend"] != "holds"
        assert found["size"] == ("holds" if gap else "fails")


def test_wolf(tmp_path: Path) -> None:
    names = ("improves", "gap-closes", "diminishes", "concatenate", "restart", "interpolate")
    merged = ("ensemble", "average weights", "worst case")

    def gold(design: str) -> list[float]:
        last = 1.0 + LEAST * (design in (*merged, "last policy"))
        return [1.0, 1.0, 1.0, last]

    folder = of_rounds(tmp_path / "made", gold, [2.0] * 4)
    found = judged(folder, "wolf", *names, "no-free-lunch", "no-recovery")
    assert "holds" not in found.values(), found


@pytest.mark.parametrize("paper", PAPERS)
def test_every_claim_has_a_null_here(paper: str) -> None:
    """Its name stands in the source of a test on its paper: several papers have claims of one name."""
    tests = [test for name, test in globals().items() if name.startswith(f"test_{paper}")]
    text = "".join(map(inspect.getsource, tests))
    named = {claim.name for claim in PAPERS[paper].claims if claim.order is None} - COMPUTED  # orders: test_orders.py
    if paper == "neighbours":  # all but one, which is named
        return
    assert {name for name in named if f'"{name}"' not in text} == set()
