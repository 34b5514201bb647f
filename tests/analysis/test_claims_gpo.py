"""The claims of GPO on records that were made to satisfy, to violate, or to leave them open; what is ours apart."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import PAPERS, Estimate, claims
from analysis.published.claim import Records
from analysis.published.estimates.gpo_peaks import told
from analysis.published.holm import holm, holm_corrected
from analysis.published.judging import decide
from analysis.published.measures import in_steps
from analysis.published.verdicts import tally
from analysis.records.about import GPO_LOSSES
from analysis.statistics.best_beta.fitted_peak import peaks_over_beta
from analysis.theory.six_losses import SIX, TAIL_ORDER

KAPPA = {loss: SIX[loss].kappa for loss in GPO_LOSSES}
LADDER = tuple(0.01 * 2 ** (step / 2) for step in range(15))


def judged(curves: pd.DataFrame, name: str) -> tuple[str, str]:
    """The verdict of a claim, and its note."""
    (claim,) = (claim for claim in PAPERS["gpo"].claims if claim.name == name)
    found = decide(claim, Records(curves))
    return found.verdict, found.note


def sweep(at: Callable[[str, float, float, int], dict], *, betas: tuple[float, ...], seeds: int, points: int = 2):
    """Curves of the six losses: at each share of the way what `at(loss, beta, share, seed)` says."""
    rows = [
        {"method": "gpo", "loss": loss, "beta": beta, "kappa": KAPPA[loss], "seed": seed, "step": step, "status": "ok"}
        | {"run_id": f"{loss}-{beta}-{seed}"}
        | at(loss, beta, step / (points - 1), seed)
        for loss in GPO_LOSSES
        for beta in betas
        for seed in range(seeds)
        for step in range(points)
    ]
    return pd.DataFrame(rows)


def traced(flat: float, noise: float) -> pd.DataFrame:
    """KL that rises evenly to 2 nats, and a squared loss that rises but for the last `flat` of training."""

    def at(loss: str, beta: float, share: float, seed: int) -> dict:
        stops = 1 - flat - noise * (seed % 2)
        return {"kl": 2 * share, "gold": share, "mu_squared": 3 * min(share, stops)}

    return sweep(at, betas=(0.01, 1.0), seeds=6, points=21)


@pytest.mark.parametrize(
    ("flat", "noise", "verdict"), [(0.4, 0.1, "holds"), (0.0, 0.0, "fails"), (0.0, 0.25, "undecided")]
)
def test_kl_that_rises_while_the_squared_loss_does_not(flat: float, noise: float, verdict: str) -> None:
    assert judged(traced(flat, noise), "apart")[0] == verdict


@pytest.mark.parametrize(
    ("times", "spread", "verdict"), [(3.0, 0.1, "holds"), (1.0, 0.1, "fails"), (2.2, 1, "undecided")]
)
def test_kl_that_outgrows_the_squared_loss_halfway_and_comes_back(times: float, spread: float, verdict: str) -> None:
    def at(loss: str, beta: float, share: float, seed: int) -> dict:
        ratio = 1 + (times - 1) * (1 - abs(2 * share - 1)) + spread * (seed - 2.5) / 5
        return {"kl": share * ratio, "gold": share, "mu_squared": 2 * share}

    curves = sweep(at, betas=(0.01, 1.0), seeds=6, points=21)
    assert judged(curves, "outgrows")[0] == verdict
    assert judged(curves, "kl-grows")[0] == "fails"  # at the end they are equal again


def tailed(order: tuple[str, ...], reversed_seeds: int = 0) -> pd.DataFrame:
    """KL at equal beta kappa in this order, and in the opposite one for some seeds."""

    def at(loss: str, beta: float, share: float, seed: int) -> dict:
        place = order.index(loss) * (-1 if seed < reversed_seeds else 1)
        kl = math.exp(0.3 * place) / (1 + beta * (KAPPA[loss] or 1.0))
        return {"kl": kl * share, "gold": share}

    return sweep(at, betas=(0.1, 0.3, 1.0, 3.0), seeds=6)


def test_the_order_of_tails() -> None:
    verdict, note = judged(tailed(TAIL_ORDER), "tails")
    assert verdict == "holds"
    assert note == f"from least KL to most: {', '.join(TAIL_ORDER)}; said: {', '.join(TAIL_ORDER)}"
    assert judged(tailed(TAIL_ORDER[::-1]), "tails")[0] == "fails"
    assert judged(tailed(TAIL_ORDER, reversed_seeds=2), "tails")[0] == "undecided"
    few = tailed(TAIL_ORDER)
    lost = "no runs of savage are there that did not diverge; the claim is of all six losses"
    assert judged(few[few["loss"] != "savage"], "tails") == ("undecided", lost)
    smallest = few.loc[few["loss"] == "savage", "beta"].min()
    late = f"no runs of savage at beta {smallest:g} are there that did not diverge"
    assert judged(few[~few["loss"].eq("savage") | few["beta"].ne(smallest)], "tails") == ("undecided", late)


def test_seeds_that_agree_in_steps_are_not_exact() -> None:
    same = in_steps(Estimate(value=0.4, error=0.0, degrees_of_freedom=5), 0.1)
    assert same.error == pytest.approx(0.1 / math.sqrt(12 * 6))
    rounded = np.random.default_rng(0).uniform(size=100_000)
    assert np.var(rounded - np.round(rounded, 1)) == pytest.approx(0.1**2 / 12, rel=0.02)
    assert math.isnan(in_steps(Estimate(value=0.4, error=math.nan), 0.1).error)


def peaked(power: float, *, shift: float = 0.0, noise: float = 0.01, depth: float = 0.2) -> pd.DataFrame:
    """Gold with its peak where beta kappa^power is 0.1, and a win rate with its peak at exp(shift) times that beta."""
    rng = np.random.default_rng(0)

    def at(loss: str, beta: float, share: float, seed: int) -> dict:
        x = math.log(beta * (KAPPA[loss] or 1.0) ** power / 0.1)
        gold, wins = (1 - depth * far**2 + noise * rng.normal() for far in (x, x - shift))
        return {"kl": share / beta, "gold": gold * share, "win_rate": 0.5 + 0.1 * wins * share}

    return sweep(at, betas=LADDER, seeds=8)


def test_peaks_over_beta_where_they_were_made_to_be() -> None:
    good = peaked(1.0)
    assert {name: judged(good, name)[0] for name in ("peak", "aligned", "win-rate")} == dict.fromkeys(
        ("peak", "aligned", "win-rate"), "holds"
    )
    assert "on average it is 2 times as large where kappa is half" in judged(good, "aligned")[1]
    against = peaked(0.0, shift=0.8)
    assert {name: judged(against, name)[0] for name in ("aligned", "win-rate")} == {
        "aligned": "fails",
        "win-rate": "fails",
    }
    noisy = peaked(1.0, noise=1.0, depth=0.02)
    assert {judged(noisy, name)[0] for name in ("peak", "aligned", "win-rate")} == {"undecided"}
    level = peaked(1.0, depth=0.0)
    assert judged(level, "peak")[0] == "fails"


def test_gold_that_is_level_at_an_end_is_not_exactly_without_a_peak_there() -> None:
    level = peaked(1.0, noise=0.05).assign(gold=lambda rows: rows["gold"] - 1.3 * np.log(rows["beta"]) * rows["step"])
    (claim,) = (claim for claim in PAPERS["gpo"].claims if claim.name == "peak")
    against = claim.estimate(Records(level)).estimates["logistic against the smallest beta"]
    assert abs(against.value) < 0.05
    assert against.error > 0.0


def test_a_peak_at_an_end_or_on_a_coarse_ladder_is_none() -> None:
    rising = peaked(1.0).assign(gold=lambda rows: np.log(rows["beta"]) * rows["step"])
    verdict, note = judged(rising, "aligned")
    assert verdict == "undecided"
    assert note.startswith("the peak of gold over beta of logistic, hinge,")
    good = peaked(1.0)
    coarse = good[good["beta"].isin(LADDER[::2])]
    assert judged(coarse, "aligned")[1].startswith("neighbours among the betas are more than a factor of 1.6 apart")
    assert judged(good.drop(columns="win_rate"), "win-rate")[1] == "there is no column win_rate"


def test_peaks_are_told_with_their_intervals() -> None:
    found = told(peaks_over_beta(peaked(1.0)))
    assert found.startswith("logistic 0.2 [0.2, 0.2], hinge 0.1 [")


def proxies(folder: Path, *, gold: float, noise: float, accurate: float, seeds: int = 8) -> Path:
    """Best-of-n and Gibbs against proxies of the six f, hinge with so much more gold at 4 nats, and more accurate."""
    rng, rows, made = np.random.default_rng(0), [], []
    for loss in GPO_LOSSES:
        for seed in range(seeds):
            more = gold * (loss == "hinge") + noise * rng.normal()
            for method in ("best_of_n", "gibbs"):
                for step, kl in enumerate(np.linspace(0.2, 4.0, 12)):
                    run = {"run_id": f"{method}-{loss}-{seed}", "method": method, "proxy_loss": loss, "seed": seed}
                    rows.append(run | {"step": step, "kl": kl, "gold": math.sqrt(kl) * (1 + more / 2), "status": "ok"})
            extra = accurate * (loss == "hinge") + noise / 20 * rng.normal()
            made.append({"proxy": f"{loss}-{seed}", "proxy_loss": loss, "seed": seed, "gold_accuracy": 0.7 + extra})
    folder.mkdir()
    pd.DataFrame(rows).assign(loss=None, beta=np.nan, kappa=np.nan, pairs=64).to_parquet(folder / "curves.parquet")
    table = pd.DataFrame(made).assign(parameters=100.0, held_out_loss=0.5, correlation=0.5)
    table.to_parquet(folder / "proxies.parquet")
    return folder


@pytest.mark.parametrize(
    ("gold", "noise", "accurate", "verdict"),
    [(0.0, 0.02, 0.0, "holds"), (0.8, 0.02, 0.05, "fails"), (0.0, 0.6, 0.0, "undecided")],
)
def test_proxies_of_each_f(tmp_path: Path, gold: float, noise: float, accurate: float, verdict: str) -> None:
    folder = proxies(tmp_path / "made", gold=gold, noise=noise, accurate=accurate)
    table = claims(folder, "gpo").set_index("name")
    assert set(table.loc[["proxies", "proxies-accuracy"], "verdict"]) == {verdict}
    assert "best_of_n: compared from 0 up to 4 nats" in table.loc["proxies", "note"]
    assert "gibbs: compared from 0 up to 4 nats" in table.loc["proxies", "note"]


def test_claims_of_ours_are_corrected_among_themselves() -> None:
    rows = [
        {"paper": "gpo", "name": "a", "p": 0.01, "ours": False},
        {"paper": "gpo", "name": "b", "p": 0.03, "ours": True},
        {"paper": "gpo", "name": "c", "p": 0.02, "ours": False},
        {"paper": "gao", "name": "d", "p": 0.04},  # of an earlier version, which knew none of ours
    ]
    found = {row["name"]: row["p_holm"] for row in holm_corrected(rows)}
    assert found == {"a": 0.02, "b": 0.03, "c": 0.02, "d": 0.04}
    assert [found[name] for name in "ac"] == holm([0.01, 0.02])


def test_the_tally_says_over_what_the_correction_goes() -> None:
    entries = [
        {"name": "a", "verdict": "holds", "p_holm": 0.01, "ours": False},
        {"name": "b", "verdict": "holds", "p_holm": 0.2, "ours": True},
    ]
    assert tally(entries) == (
        "2 claims: 2 holds, 0 fails, 0 undecided; with Holm's correction over the 1 of the paper, and apart over 1 of "
        "ours, at 5 % undecided, too: b"
    )
    assert "over all 1 at 5 %" in tally(entries[:1])


def test_what_is_ours_says_so() -> None:
    for paper in PAPERS.values():
        for claim in paper.claims:
            assert (
                claim.ours == claim.statement.startswith("Ours, not the paper's: ") == claim.source.startswith("ours")
            )
    table = claims(peaked(1.0), "gpo")
    assert set(table.loc[table["ours"], "name"]) == {"suppressed", "win-rate", "proxies", "proxies-accuracy"}
