"""The ledger in analysis: which part of the responses takes gold away, with planted ledgers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.figures.film import film_mass
from analysis.figures.layout import text_of
from analysis.figures.look import PAGE, drawn_as
from analysis.figures.offline import mass
from analysis.headline.headline import headline
from analysis.headline.where_gold_went import where_gold_went
from analysis.records.load import ResultsError, load_table
from analysis.statistics.mass import PARTS, falls_by_part, ledger_of, mass_along
from analysis.statistics.peaks import fall_with_error

SEEDS, STEPS = 8, [0, 1, 10, 100, 1000]
CHANGES = {  # of gold, at each checkpoint; gold peaks at the third
    "chosen": [0.0, 0.3, 0.6, 0.6, 0.5],
    "rejected": [0.0, 0.1, 0.1, 0.1, 0.1],
    "seen": [0.0, 0.0, 0.0, 0.0, 0.0],
    "unseen": [0.0, 0.2, 0.4, 0.3, 0.3],
    "ungrammatical": [0.0, 0.0, 0.0, -0.4, -0.9],
}
MASSES = {"chosen": 0.4, "rejected": 0.2, "seen": 0.0, "unseen": 0.3, "ungrammatical": 0.1}


@pytest.fixture
def planted() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves of one loss and beta, and their ledger, with a little noise in each seed."""
    rng = np.random.default_rng(0)
    curves, ledger = [], []
    for seed in range(SEEDS):
        noise = 0.02 * rng.normal(size=(len(PARTS), len(STEPS)))
        for place, step in enumerate(STEPS):
            gold = 0.0
            for row, part in enumerate(PARTS):
                change = CHANGES[part][place] + (noise[row, place] if place and part != "seen" else 0.0)
                gold += change
                own = MASSES[part] + {"ungrammatical": 0.1, "unseen": -0.1}.get(part, 0.0) * place / 2
                ledger.append((f"run-{seed}", step, part, own, MASSES[part], 0.0, 0.0, change))
            curves.append((f"run-{seed}", "gpo", "logistic", 0.01, 0.5, seed, step, float(place), gold, 1.0, "ok"))
    names = ["run_id", "method", "loss", "beta", "kappa", "seed", "step", "kl", "gold", "mu_squared", "status"]
    columns = ["run_id", "step", "part", "mass", "reference_mass", "logratio", "gold", "gold_change"]
    return pd.DataFrame(curves, columns=names), pd.DataFrame(ledger, columns=columns)


@pytest.fixture
def folder(planted: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path) -> Path:
    for name, table in zip(("curves", "ledger"), planted, strict=True):
        table.to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def test_parts_add_up_to_the_fall_of_the_claims(folder: Path, planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    curves, _ = planted
    found = falls_by_part(ledger_of(folder, curves))
    gold = curves.pivot(index="seed", columns="step", values="gold").to_numpy()
    assert sum(each.value for each in found.values()) == pytest.approx(fall_with_error(gold)[0], abs=1e-12)
    for part, changes in CHANGES.items():
        low, high = found[part].interval()
        assert low - 0.03 < changes[2] - changes[-1] < high + 0.03
        assert found[part].value == pytest.approx(changes[2] - changes[-1], abs=0.04)
    assert found["ungrammatical"].interval()[0] > 0.8


def test_the_statement_names_the_planted_part(folder: Path, planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    curves, _ = planted
    statement = where_gold_went(curves, ledger_of(folder, curves))
    assert statement
    assert statement.sure
    assert statement.numbers["part"] == "ungrammatical"
    assert statement.numbers["mass_at_peak"] == pytest.approx(0.2)
    assert statement.numbers["mass_at_end"] == pytest.approx(0.3)
    assert "goes from 0.20 at the peak to 0.30 at the end (logistic (DPO), β 0.01)" in statement.text
    assert [each.topic for each in headline(folder, curves)][:2] == ["rise_and_fall", "where_gold_went"]


def test_nothing_is_stated_without_a_fall_or_a_ledger(folder: Path, planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    curves, ledger = planted
    rising = ledger["step"] <= 10
    early = curves[curves["step"] <= 10]
    assert where_gold_went(early, ledger[rising].merge(early[["run_id", "seed", "step", "kl"]])) is None
    (folder / "ledger.parquet").unlink()
    assert where_gold_went(curves, ledger_of(folder, curves)) is None
    assert [each.topic for each in headline(folder, curves)][:1] == ["rise_and_fall"]


def test_what_one_seed_shows_is_not_sure(folder: Path, planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    curves = planted[0][planted[0]["seed"] == 0]
    statement = where_gold_went(curves, ledger_of(folder, curves))
    assert statement
    assert not statement.sure
    assert statement.text.startswith("It is not sure which responses take gold away")


def test_the_ledger_of_some_runs_is_read_alone(folder: Path) -> None:
    table = load_table(folder, "ledger", ["run-1", "run-3"])
    assert set(table["run_id"]) == {"run-1", "run-3"}
    assert len(table) == 2 * len(STEPS) * len(PARTS)


def test_the_film_has_a_picture_for_each_checkpoint(folder: Path, tmp_path: Path) -> None:
    path = film_mass(folder, tmp_path / "mass.gif")
    with Image.open(path) as film:
        assert film.n_frames == len(STEPS)
        first = np.asarray(film.convert("RGB")).copy()
        film.seek(len(STEPS) - 1)
        assert (np.asarray(film.convert("RGB")) != first).any()
    with pytest.raises(ResultsError, match=r"must end in \.gif"):
        film_mass(folder, tmp_path / "mass.mp4")
    (folder / "ledger.parquet").unlink()
    with pytest.raises(ResultsError, match="has no ledger"):
        film_mass(folder, tmp_path / "mass.gif")


def test_the_figure_shows_masses_that_add_up_to_one(folder: Path, planted: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    curves, _ = planted
    with drawn_as(PAGE):
        figure = mass.draw(curves, ledger_of(folder, curves))
    assert text_of(figure, "title").endswith("of it by ungrammatical responses that no pair has")
    drawn = pd.concat([table.assign(panel=number) for number, (_, table) in enumerate(figure.drawn)])
    tops = drawn[drawn["line"] == "ungrammatical"].groupby("panel")["y"].max()
    assert tops.iloc[0] == pytest.approx(1.0)
    assert "both" not in set(drawn["line"])  # a part without mass is not drawn
    means = mass_along(ledger_of(folder, curves))
    gold = drawn[drawn["line"] == "gold"]["y"].to_numpy()
    assert gold == pytest.approx(means.groupby("step")["gold_change"].sum().to_numpy())
