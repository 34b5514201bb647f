"""Verdicts on planted curves, and Holm's correction against the one of claims."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.figures.instruments.search import title_of
from analysis.instruments import search
from analysis.instruments.search import NAME, comparisons, corrected, findings, judged, overall, verdict
from tests.helpers.planted_curves import planted

Array = np.ndarray


def curves(offsets: dict[str, float], *, worlds: int, noise: float, seeds: int = 3) -> pd.DataFrame:
    """Planted curves of several worlds, in which each loss has so much more gold away from the reference.

    Each world moves each loss by a normal number of its own, which its seeds share.
    """
    rng, parts = np.random.default_rng(8), []
    for world in range(worlds):
        for loss, offset in offsets.items():
            some = planted(seeds=seeds, losses=(loss,), noise=0.0, world_seed=world, gold_seed=world)
            moved = (offset + noise * rng.normal()) * (some["step"] > 0)
            parts.append(some.assign(gold=some["gold"] + moved))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def in_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, pd.DataFrame]:
    """Curves stand in for folders of the judging."""
    held: dict[str, pd.DataFrame] = {}
    monkeypatch.setattr(search, "judged_folders", lambda folder: ["one", "other"])
    monkeypatch.setattr(search, "load", lambda folders: held["curves"])
    return held


def test_planted_differences_are_told(in_folder: dict[str, pd.DataFrame]) -> None:
    offsets = {NAME: 0.0, "logistic": -0.3, "hinge": 0.3, "squared": 0.0}
    in_folder["curves"] = curves(offsets, worlds=10, noise=0.01)
    table = comparisons("any").set_index("rival")
    assert table["verdict"].to_dict() == {"logistic": "better", "hinge": "worse", "squared": "equivalent"}
    assert (table["worlds"] == 10).all()
    assert table.loc["logistic", "low"] < table.loc["logistic", "difference"] < table.loc["logistic", "high"]
    assert overall(table.reset_index()).endswith("better 1, worse 1, equivalent 1")


def test_few_noisy_worlds_decide_nothing(in_folder: dict[str, pd.DataFrame]) -> None:
    in_folder["curves"] = curves({NAME: 0.0, "logistic": 0.0, "hinge": 0.05}, worlds=3, noise=0.3)
    assert set(comparisons("any")["verdict"]) == {"undecided"}


def test_seeds_of_a_world_are_no_worlds(in_folder: dict[str, pd.DataFrame]) -> None:
    """What worlds do to a loss is shared by its seeds: more of them narrow no interval."""
    widths = []
    for seeds in (1, 12):
        in_folder["curves"] = curves({NAME: 0.0, "logistic": 0.0}, worlds=5, noise=0.2, seeds=seeds)
        row = comparisons("any").iloc[0]
        assert row["worlds"] == 5
        widths.append(row["high"] - row["low"])
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_better_than_all_is_said_where_it_is_so(in_folder: dict[str, pd.DataFrame]) -> None:
    in_folder["curves"] = curves({NAME: 0.4, "logistic": 0.0, "hinge": 0.1}, worlds=8, noise=0.02)
    assert overall(comparisons("any")) == "The loss that was found is better than all 2 rivals at equal KL"


def test_p_values_that_are_not_known_count_as_tests() -> None:
    assert corrected([0.01, np.nan, 0.02]) == pytest.approx([0.03, 1.0, 0.04])


def test_correction_can_take_a_verdict_away() -> None:
    one = pd.DataFrame({"difference": [0.2], "p": [0.03], "equivalence_p": [0.9]})
    assert judged(one)["verdict"].tolist() == ["better"]
    assert judged(pd.concat([one] * 2))["verdict"].tolist() == ["undecided"] * 2


@pytest.mark.parametrize(
    ("difference", "p", "equivalence", "said"),
    [
        (0.2, 0.01, 0.9, "better"),
        (-0.2, 0.01, 0.9, "worse"),
        (0.02, 0.01, 0.01, "equivalent"),
        (0.02, 0.3, 0.3, "undecided"),
    ],
)
def test_a_verdict_is_what_is_sure(difference: float, p: float, equivalence: float, said: str) -> None:
    assert verdict(difference, p, equivalence) == said


def test_the_title_says_what_was_judged() -> None:
    history = pd.DataFrame({"kind": ["candidate"] * 3})
    assert title_of(history, None) == "A search over 3 losses, which was not judged yet"
    table = pd.DataFrame({"verdict": ["better", "undecided", "worse", "undecided"]})
    assert title_of(history, table) == (
        "At equal KL the loss that was found is better than 1 of 4 rivals, worse than 1, undecided against 2"
    )
    best = pd.DataFrame({"verdict": ["better"] * 3})
    assert title_of(history, best) == "The loss that was found is better than all 3 rivals at equal KL"


def test_a_folder_without_a_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(search.ResultsError, match=r"history\.parquet: cannot be read as the"):
        findings(tmp_path)
