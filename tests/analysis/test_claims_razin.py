"""Claims on likelihood displacement on records that were made to satisfy or to violate them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import claims
from analysis.published.estimates.razin import edit_distance
from tests.helpers.planted_records import runs

LOSSES = ("logistic", "squared")
PARTS = {"chosen": -0.2, "rejected": -0.2, "seen": 0.0, "ungrammatical": 0.1, "unseen": 0.3}  # what each gains
PAIRS = 600
LETTERS = list("abcdefgh")


def cells_of(**settings: tuple) -> list[dict]:
    """Cells of DPO and IPO at beta 0.1 over one or two further settings."""
    found = [{"method": "gpo", "loss": loss, "beta": 0.1, "kappa": 0.5} for loss in LOSSES]
    for name, values in settings.items():
        found = [cell | {name: value} for cell in found for value in values]
    return found


def displacing(lost: float, linear: float, loss_end: float) -> pd.DataFrame:
    """Chosen log-ratios that fall by `lost` at 4 nats with transformers and `linear` with linear policies."""

    def path(cell: dict, share: float) -> dict:
        fall = lost if cell["policy_kind"] == "transformer" else linear
        train = 1 + (loss_end - 1) * share
        return {"kl": 4 * share, "gold": share, "chosen_logratio": -fall * share, "train_loss": train}

    return runs(cells_of(policy_kind=("transformer", "linear")), path).assign(pairs=64)


def pairs_of(run: str, ches: float, edits: float, rng: np.random.Generator) -> pd.DataFrame:
    """Pairs of a run, with such correlations of CHES, and of less the edit distance, with where chosen ones end."""
    end = rng.normal(size=PAIRS)
    score = ches * end + np.sqrt(1 - ches**2) * rng.normal(size=PAIRS)
    alike = edits * end + np.sqrt(1 - edits**2) * rng.normal(size=PAIRS)
    changes = 4 - np.searchsorted(np.quantile(alike, (0.25, 0.5, 0.75)), alike)
    said = [rng.choice(LETTERS[:4], size=4) for _ in range(PAIRS)]
    texts = ["".join(one) for one in said]
    others = ["efgh"[:count] + text[count:] for text, count in zip(texts, changes, strict=True)]
    table = {"pair": range(PAIRS), "chosen": texts, "rejected": others, "ches": score, "displacement_rate": 0.0}
    return pd.DataFrame(table | {"chosen_logratio": end, "run_id": run})


def recorded(
    folder: Path,
    curves: pd.DataFrame,
    *,
    ches: float = -0.5,
    edits: float = 0.0,
    gained: float = 1.0,
    noise: float = 0.0,
) -> Path:
    """A folder of these curves, with pairs, and a ledger in which parts gain `gained` times what PARTS says."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    curves.to_parquet(folder / "curves.parquet")
    last = curves["step"].max()
    ids = list(curves["run_id"].unique())
    pd.concat([pairs_of(run, ches, edits, rng) for run in ids]).to_parquet(folder / "pairs.parquet")
    rows = [
        (run, last, part, 0.4 + gained * gain + noise * rng.normal(), 0.4, 0.0, 0.0, 0.0)
        for run in ids
        for part, gain in PARTS.items()
    ]
    names = ["run_id", "step", "part", "mass", "reference_mass", "logratio", "gold", "gold_change"]
    pd.DataFrame(rows, columns=names).to_parquet(folder / "ledger.parquet")
    return folder


def filtering(folder: Path, filtered: float, control: float, noise: float = 0.0) -> Path:
    """A folder of runs on 512 and 10,240 pairs, with a filter that leaves 5 % of them or without; chosen log-ratios."""

    def path(cell: dict, share: float) -> dict:
        end = filtered if cell["filter"] == "ches" else control
        return {"kl": 4 * share, "gold": share, "chosen_logratio": end * share, "train_loss": 1 - share / 2}

    curves = runs(cells_of(pairs=(512, 10240), filter=("none", "ches")), path)
    curves = curves.assign(label_noise=0.0)
    moved = noise * np.random.default_rng(1).normal(size=len(curves))
    folder.mkdir()
    curves.assign(chosen_logratio=curves["chosen_logratio"] + moved).to_parquet(folder / "curves.parquet")
    ids = pd.DataFrame({"run_id": curves["run_id"].unique()}).assign(status="finished")
    ids.assign(**{"data.filter_share": 0.95, "policy.kind": "transformer"}).to_parquet(folder / "runs.parquet")
    return folder


def judged(folder: Path) -> pd.DataFrame:
    return claims(folder, "razin").set_index("name")


MAIN = ["displaced", "loss-falls", "linear", "ches-ranks", "edit-distance", "outside"]
FILTER = ["filter-removes", "filter-less"]


def test_displacement_that_is_as_published_is_found(tmp_path: Path) -> None:
    table = judged(recorded(tmp_path / "as", displacing(lost=2.0, linear=0.5, loss_end=0.5)))
    assert set(table.loc[MAIN, "verdict"]) == {"holds"}, table["verdict"]
    assert table.loc["outside", "estimate"] == pytest.approx(PARTS["unseen"] + PARTS["ungrammatical"])
    assert "DPO: chosen -0.20, rejected -0.20, seen +0.00, ungrammatical +0.10, unseen +0.30" in str(
        table.loc["outside", "note"]
    )
    assert table.loc["linear", "estimate"] == pytest.approx(1.5 * 51.5 / 101, abs=0.1)  # the mean over KL up to the end


def test_the_opposite_is_found(tmp_path: Path) -> None:
    curves = displacing(lost=-1.0, linear=1.0, loss_end=1.5)
    table = judged(recorded(tmp_path / "not", curves, ches=0.5, edits=0.6, gained=-1.0))
    assert set(table.loc[MAIN, "verdict"]) == {"fails"}, table["verdict"]


def test_noise_leaves_every_claim_open(tmp_path: Path) -> None:
    curves = displacing(lost=0.2, linear=0.1, loss_end=0.97)
    rng = np.random.default_rng(0)
    for name, size in (("chosen_logratio", 1.0), ("train_loss", 0.2)):
        curves[name] += size * rng.normal(size=len(curves))
    table = judged(recorded(tmp_path / "noise", curves, ches=-0.1, edits=0.1, gained=0.12, noise=0.3))
    assert set(table.loc[MAIN, "verdict"]) == {"undecided"}, table["verdict"]


def test_a_filter_that_removes_displacement_is_found_and_one_that_does_not(tmp_path: Path) -> None:
    for name, made, verdict in (
        ("removes", {"filtered": 0.5, "control": -2.0}, "holds"),
        ("adds", {"filtered": -3.0, "control": -2.0}, "fails"),
        ("noise", {"filtered": -0.05, "control": -0.1, "noise": 1.0}, "undecided"),
    ):
        table = judged(filtering(tmp_path / name, **made))
        assert set(table.loc[FILTER, "verdict"]) == {verdict}, name


def test_the_control_has_as_many_pairs_as_the_filter_leaves(tmp_path: Path) -> None:
    folder = filtering(tmp_path / "few", filtered=0.5, control=-2.0)
    curves = pd.read_parquet(folder / "curves.parquet")
    curves[curves["pairs"] == 10240].to_parquet(folder / "curves.parquet")
    assert (
        judged(folder).loc["filter-less", "note"].startswith("there are no runs on what CHES leaves of the pairs, and")
    )


def test_without_records_of_pairs_the_reason_is_told(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "as", displacing(lost=2.0, linear=0.5, loss_end=0.5))
    for name, claim, reason in (
        ("pairs", "ches-ranks", "pairs were not recorded"),
        ("ledger", "outside", "the ledger"),
    ):
        (folder / f"{name}.parquet").unlink()
        assert judged(folder).loc[claim, "note"].startswith(reason)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ("abcd", "abcd", 0.0),
        ("abcd", "bcda", 0.5),
        ("kitten", "sitting", 3 / 7),
        ("ab", "", 1.0),
        ("", "", 0.0),
        ("flaw", "lawn", 0.5),
    ],
)
def test_edit_distances_that_are_known(one: str, other: str, distance: float) -> None:
    assert edit_distance(one, other) == edit_distance(other, one) == pytest.approx(distance)
