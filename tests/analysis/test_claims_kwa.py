"""Claims on errors of heavy tails on records that were made to satisfy or to violate them."""

from pathlib import Path

import numpy as np
import pandas as pd

from analysis import claims

SEEDS, STEPS = 8, np.arange(1, 13)
DIVERGENCES = ("kl", "chi2", "chi2_kl")
LAWS = (("gaussian", np.nan), ("student", 2.0), ("student", 4.0), ("student", 8.0))
INDEX = {2.0: 2.0, 4.0: 3.5, 8.0: 5.0}  # Hill's estimate at each number of degrees of freedom
LIGHT_INDEX = 9.0


def paths(
    heavy: dict[str, float],
    light: dict[str, float],
    ends: tuple[float, float],
    scatter: float = 0.05,
    draw: int = 0,
) -> pd.DataFrame:
    """Gold that rises to a peak at step 6 and goes to its end: the peaks of 2 degrees and of Gaussian errors.

    heavy, light: peaks by divergence; those between lie between. ends: of the heavy tail and of the light one.
    """
    rng = np.random.default_rng(draw)
    rows = []
    for law, degrees in LAWS:
        share = {2.0: 0.0, 4.0: 1 / 3, 8.0: 2 / 3}.get(degrees, 1.0)
        for divergence in DIVERGENCES:
            peak = (1 - share) * heavy[divergence] + share * light[divergence]
            last = ends[0] if law == "student" else ends[1]
            for seed in range(SEEDS):
                moved = scatter * rng.normal()
                gold = np.interp(STEPS, [0, 6, 12], [0.0, peak, last]) + moved * STEPS / 12
                run = f"{law}-{degrees}-{divergence}-{seed}"
                rows += [
                    (run, "gibbs", seed, law, degrees, divergence, step, 0.5 * step, value, step, "ok")
                    for step, value in zip(STEPS, gold, strict=True)
                ]
    names = ["run_id", "method", "seed", "proxy_error", "proxy_degrees", "gibbs_divergence", "step", "kl", "gold"]
    return pd.DataFrame(rows, columns=[*names, "proxy", "status"]).assign(
        loss=None, beta=np.nan, kappa=np.nan, pairs=64
    )


def recorded(folder: Path, curves: pd.DataFrame, turned: bool = False) -> Path:
    """A folder of these curves, with the tail index of each proxy; turned: the heavier, the larger."""
    folder.mkdir()
    curves.to_parquet(folder / "curves.parquet")
    rows = []
    for law, degrees in LAWS:
        index = INDEX.get(degrees, LIGHT_INDEX) * (-1 if turned else 1)
        rows += [(f"{law}-{degrees}-{seed}", law, degrees, seed, index, 0, 0.0, 0.0) for seed in range(SEEDS)]
    names = ["proxy", "error", "error_degrees", "seed", "tail_index", "parameters", "held_out_loss", "correlation"]
    pd.DataFrame(rows, columns=names).to_parquet(folder / "proxies.parquet")
    return folder


def judged(folder: Path) -> dict[str, str]:
    table = claims(folder, "kwa")
    return dict(table[["name", "verdict"]].itertuples(index=False))


def peaks(kl: float, chi2: float) -> dict[str, float]:
    return {"kl": kl, "chi2": chi2, "chi2_kl": chi2}


def test_errors_that_do_as_published_are_found(tmp_path: Path) -> None:
    curves = paths(peaks(0.3, 1.2), peaks(1.7, 1.4), (-0.1, 1.0))
    table = claims(recorded(tmp_path / "as", curves), "kwa").set_index("name")
    assert set(table["verdict"]) == {"holds"}, table["verdict"]
    assert "KL 6 nats, proxy 12 there" in str(table.loc["heavy-end", "note"])
    assert table.loc["heavy-peak", "note"].startswith("peaks of gold: light 1.")


def test_the_opposite_is_found(tmp_path: Path) -> None:
    curves = paths(peaks(1.7, 1.2), peaks(0.3, 0.8), (1.0, -0.5))
    found = judged(recorded(tmp_path / "not", curves))
    assert set(found.values()) == {"fails"}, found


def test_noise_leaves_every_claim_open(tmp_path: Path) -> None:
    curves = paths(peaks(0.9, 1.0), peaks(1.0, 0.9), (0.05, 0.1), scatter=1.0, draw=1)
    found = judged(recorded(tmp_path / "noise", curves))
    assert set(found.values()) == {"undecided"}, found


def test_the_order_of_tails_counts_and_not_their_size(tmp_path: Path) -> None:
    curves = paths(peaks(0.3, 1.2), peaks(1.7, 1.4), (-0.1, 1.0))
    assert judged(recorded(tmp_path / "turned", curves, turned=True))["tails"] == "fails"


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    curves = paths(peaks(0.3, 1.2), peaks(1.7, 1.4), (-0.1, 1.0))
    no_light = claims(recorded(tmp_path / "one", curves[curves["proxy_error"] == "student"]), "kwa").set_index("name")
    note = "there are no policies under kl against proxies with gaussian errors"
    assert (
        no_light.loc["light-end", "note"].startswith("there are no runs") or no_light.loc["light-end", "note"] == note
    )
    alone = claims(curves, "kwa").set_index("name")
    assert alone.loc["tails", "note"] == "there is no table of proxies"
    assert alone.loc["heavy-end", "verdict"] == "holds"
