"""Claims of χPO on records that were made to satisfy or to violate them."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import claims
from analysis.published.estimates.chi import EPOCHS
from analysis.published.orders.chi import PUBLISHED
from tests.helpers.planted_records import runs, verdicts

PAIRS, BATCH = 768, 32  # 24 steps an epoch
LOSSES = ("chi_po", "logistic", "squared")
BETAS = (0.005, 0.05)
Rate = Callable[[str, float, float], float]


def published(loss: str, beta: float, epochs: float) -> float:
    """The published win rates, as shares, on lines between the ends of epochs; those of IPO are 0.1 below DPO's."""
    rates = PUBLISHED["logistic" if loss == "squared" else loss, beta]
    return float(np.interp(epochs, EPOCHS, rates)) / 100 - 0.1 * (loss == "squared")


def with_win_rates(folder: Path, rate: Rate, noise: float = 0.001, pairs: int = PAIRS) -> Path:
    """A folder of runs over four epochs, eight steps from checkpoint to checkpoint, with these win rates."""
    cells = [{"method": "gpo", "loss": loss, "beta": beta, "kappa": 0.5} for loss in LOSSES for beta in BETAS]

    def path(cell: dict, share: float) -> dict:
        return {"kl": 4 * share, "gold": share}

    curves = runs(cells, path, points=13)
    rng = np.random.default_rng(1)
    far = 4 * curves["step"] / curves["step"].max()
    each = [rate(*at) for at in zip(curves["loss"], curves["beta"], far, strict=True)]
    curves = curves.assign(win_rate=each + noise * rng.normal(size=len(curves)))
    folder.mkdir()
    curves.to_parquet(folder / "curves.parquet")
    ids = pd.DataFrame({"run_id": curves["run_id"].unique()}).assign(status="finished")
    settings = {"train.batch": BATCH, "data.pairs": pairs, "data.labeller": "gold", "data.pool": 1}
    ids.assign(**settings).to_parquet(folder / "runs.parquet")
    return folder


def over_pairs(regret: Callable[[str, float], float], noise: float = 0.02) -> pd.DataFrame:
    """Gold at the end of training of χPO and DPO over pairs and beta, which is 1 less so much regret at beta 0.1."""
    cells = [
        {"method": "gpo", "loss": loss, "beta": beta, "kappa": 0.5, "pairs": pairs}
        for loss, beta, pairs in product(("chi_po", "logistic"), (0.01, 0.1, 1.0), (256, 1024, 4096))
    ]

    def path(cell: dict, share: float) -> dict:
        off = 0.3 * abs(np.log10(cell["beta"] / 0.1))
        return {"kl": 2 * share, "gold": (1 - off - regret(cell["loss"], cell["pairs"])) * share}

    curves = runs(cells, path, points=3)
    moved = noise * np.random.default_rng(2).normal(size=len(curves))
    oracle = {"method": "oracle", "run_id": "oracle", "beta": [9.0, 1.0, 0.1], "status": "ok"}
    oracle |= {"kl": [0.0, 1.0, 4.0], "gold": [0.0, 0.5, 2.0]}
    return pd.concat([curves.assign(gold=curves["gold"] + moved), pd.DataFrame({"step": 0, **oracle})])


def root(loss: str, pairs: float) -> float:
    """Regret as the bound has it, half as large for χPO."""
    return (0.5 if loss == "chi_po" else 1.0) * 8 / np.sqrt(pairs)


def judged(folder: Path) -> dict[str, str]:
    table = claims(folder, "chi").set_index("name")["verdict"]
    return {str(name): str(verdict) for name, verdict in table.items() if not str(name).startswith("regret")}


def test_the_published_table_itself_satisfies_every_claim_on_it(tmp_path: Path) -> None:
    assert set(judged(with_win_rates(tmp_path / "as", published)).values()) == {"holds"}


def test_the_opposite_of_the_table_violates_every_claim_on_it(tmp_path: Path) -> None:
    def exchanged(loss: str, beta: float, epochs: float) -> float:
        other = {"chi_po": "logistic", "logistic": "chi_po", "squared": "chi_po"}[loss]
        return published(other, beta, epochs)

    assert set(judged(with_win_rates(tmp_path / "not", exchanged)).values()) == {"fails"}


def test_noise_leaves_every_claim_on_win_rates_open(tmp_path: Path) -> None:
    def same(loss: str, beta: float, epochs: float) -> float:
        return 0.5 - 0.01 * epochs * (loss == "logistic")

    found = judged(with_win_rates(tmp_path / "noise", same, noise=0.2))
    assert set(found.values()) == {"undecided"}, found


def test_without_a_checkpoint_at_the_end_of_an_epoch_nothing_is_judged(tmp_path: Path) -> None:
    table = claims(with_win_rates(tmp_path / "far", published, pairs=8 * PAIRS), "chi").set_index("name")
    assert table.loc["order-cells", "verdict"] == "undecided"
    assert table.loc["order-cells", "note"] == "no checkpoint is at the end of epoch 1"


def test_regret_that_falls_as_the_bound_is_found_with_its_power() -> None:
    table = claims(over_pairs(root), "chi").set_index("name")
    regret = table.loc[["regret-falls", "regret-smaller"]]
    assert set(regret["verdict"]) == {"holds"}
    mean = np.mean([root("logistic", n) - root("chi_po", n) for n in (256, 1024, 4096)])
    assert table.loc["regret-smaller", "estimate"] == pytest.approx(mean, abs=0.03)
    slope = np.polyfit(np.log10([256, 1024, 4096]), [root("chi_po", n) for n in (256, 1024, 4096)], 1)[0]
    assert table.loc["regret-falls", "estimate"] == pytest.approx(slope, abs=0.03)
    assert "at beta 0.1, 0.1, 0.1" in table.loc["regret-falls", "note"]


def test_regret_that_rises_or_is_larger_is_found() -> None:
    found = verdicts(over_pairs(lambda loss, n: 0.1 * np.log10(n) + 0.3 * (loss == "chi_po")), "chi")
    assert (found["regret-falls"], found["regret-smaller"]) == ("fails", "fails")
    unsure = verdicts(over_pairs(root, noise=3.0), "chi")
    assert (unsure["regret-falls"], unsure["regret-smaller"]) == ("undecided", "undecided")


def test_no_regret_is_told_without_an_oracle() -> None:
    curves = over_pairs(root)
    table = claims(curves[curves["method"] != "oracle"], "chi").set_index("name")
    assert table.loc["regret-falls", "note"] == "there is no oracle to compare with"
