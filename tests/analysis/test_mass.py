"""The ledger in analysis: which part of the responses takes gold away, with planted ledgers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.figures.film import film_mass, picture
from analysis.figures.layout import text_of
from analysis.figures.look import PAGE, drawn_as
from analysis.figures.offline import mass
from analysis.headline.headline import headline
from analysis.headline.rise_and_fall import rise_and_fall
from analysis.headline.where_gold_went import where_gold_went
from analysis.records.load import ResultsError, load_table
from analysis.statistics.mass import PARTS, falls_by_part, ledger_of, mass_along
from analysis.statistics.peaks import GROUPS, smooth_peak_and_fall

Tables = tuple[pd.DataFrame, pd.DataFrame]
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
def planted() -> Tables:
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
def folder(planted: Tables, tmp_path: Path) -> Path:
    for name, table in zip(("curves", "ledger"), planted, strict=True):
        table.to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def test_parts_add_up_to_the_fall_of_the_headline(folder: Path, planted: Tables) -> None:
    curves, _ = planted
    found = falls_by_part(ledger_of(folder, curves))
    gold = curves.pivot(index="seed", columns="step", values="gold").to_numpy()
    assert sum(each.value for each in found.values()) == pytest.approx(smooth_peak_and_fall(gold)[2], abs=1e-12)
    for part, changes in CHANGES.items():
        assert found[part].value == pytest.approx(changes[2] - changes[-1], abs=0.04)
    assert found["ungrammatical"].interval()[0] > 0.8


def test_the_statement_names_the_planted_part(folder: Path, planted: Tables) -> None:
    curves, _ = planted
    statement = where_gold_went(curves, ledger_of(folder, curves))
    assert statement
    assert statement.sure
    assert statement.numbers["part"] == "ungrammatical"
    assert statement.numbers["mass_at_peak"] == pytest.approx(0.2)
    assert statement.numbers["mass_at_end"] == pytest.approx(0.3)
    assert statement.text.startswith("Of the fall of 1.12 ± 0.03, 0.89 ± 0.02 is due")
    assert "is due to ungrammatical responses that no pair has. Their probability goes from 0.20" in statement.text
    assert statement.text.endswith("at the peak to 0.30 at the end")
    first, second = headline(folder, curves)[:2]
    assert (first.topic, second.topic) == ("rise_and_fall", "where_gold_went")
    for name in ("fall", "fall_low", "fall_high"):
        assert statement.numbers[name] == first.numbers[name]
    assert first.title.split("falls by ")[1] == statement.title.split("falls by ")[1].split(":")[0]
    there = where_gold_went(curves, ledger_of(folder, curves), "label noise 0.1")
    assert there
    assert " (label noise 0.1), " in there.text


@pytest.mark.parametrize("seeds", [2, 3, 5, 8, GROUPS + 9])
def test_a_part_that_gives_all_of_the_fall_has_its_estimate_and_error(seeds: int) -> None:
    """As the table of peaks has them, which computes them without a ledger; the peak jumps between two checkpoints."""
    rng = np.random.default_rng(seeds)
    gold = np.array([0.0, 0.5, 1.0, 1.0, 0.2]) + 0.1 * rng.normal(size=(seeds, len(STEPS)))
    rows = [
        (seed, step, part, gold[seed, place] if part == "unseen" else 0.0, gold[seed, place])
        for seed in range(seeds)
        for place, step in enumerate(STEPS)
        for part in PARTS
    ]
    found = falls_by_part(pd.DataFrame(rows, columns=["seed", "step", "part", "gold_change", "gold"]))
    _, _, fall, error = smooth_peak_and_fall(gold)
    assert (found["unseen"].value, found["unseen"].error) == pytest.approx((fall, error), rel=1e-12)
    assert found["unseen"].degrees_of_freedom == min(seeds, GROUPS) - 1
    assert (found["chosen"].value, found["chosen"].error) == (0.0, 0.0)


def test_nothing_is_stated_without_a_fall_or_a_ledger(folder: Path, planted: Tables) -> None:
    curves, ledger = planted
    rising = ledger["step"] <= 10
    early = curves[curves["step"] <= 10]
    assert where_gold_went(early, ledger[rising].merge(early[["run_id", "seed", "step", "kl"]])) is None
    (folder / "ledger.parquet").unlink()
    assert where_gold_went(curves, ledger_of(folder, curves)) is None
    assert [each.topic for each in headline(folder, curves)][:1] == ["rise_and_fall"]


def changed(tables: Tables, extra: dict[str, np.ndarray]) -> Tables:
    """Curves with ledger, in which some parts give more gold: by seed and checkpoint, [SEEDS, STEPS]."""
    curves, ledger = (table.copy() for table in tables)
    for part, amounts in extra.items():
        more = pd.DataFrame(
            [(f"run-{seed}", step, amounts[seed, place]) for seed in range(SEEDS) for place, step in enumerate(STEPS)],
            columns=["run_id", "step", "more"],
        )
        own = ledger["part"] == part
        ledger.loc[own, "gold_change"] += ledger[own].merge(more, on=["run_id", "step"])["more"].to_numpy()
        curves["gold"] += curves.merge(more, on=["run_id", "step"])["more"].to_numpy()
    rows = curves[["run_id", "seed", "step", "kl", "gold"]]
    return curves, ledger.rename(columns={"gold": "gold_inside"}).merge(rows, on=["run_id", "step"])


def at_end(by_seed: np.ndarray) -> np.ndarray:
    """What is added at the last checkpoint alone, [SEEDS, STEPS]."""
    return np.outer(by_seed, np.arange(len(STEPS)) == len(STEPS) - 1)


SWING = np.resize([1.0, -1.0], SEEDS)  # over seeds, with mean 0
FROM_START = -np.outer(np.ones(SEEDS), [0.0, 1.0, 2.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"ungrammatical": at_end(2.5 * SWING)}, "whether it then falls is not sure"),
        ({"chosen": FROM_START}, "Gold falls from the start"),
        ({"chosen": np.outer(6.0 * SWING, np.array(STEPS) > 0)}, "It is not sure whether gold rises at all"),
    ],
    ids=["unsure fall", "peak at step 0", "unsure rise"],
)
def test_nothing_is_stated_unless_a_rise_and_a_fall_are_sure(
    planted: Tables, extra: dict[str, np.ndarray], says: str
) -> None:
    """Though parts add up to a fall above 0, or some part surely gives gold away."""
    curves, ledger = changed(planted, extra)
    found = falls_by_part(ledger)
    assert max(each.interval()[0] for each in found.values()) > 0 or sum(each.value for each in found.values()) > 0
    assert says in rise_and_fall(curves).text
    assert where_gold_went(curves, ledger) is None
    with drawn_as(PAGE):
        assert text_of(mass.draw(curves, ledger), "title").startswith("Where probability goes")


def test_the_largest_part_is_sure_only_at_the_level_of_all_parts(planted: Tables) -> None:
    """What two parts give swings by seeds in opposite ways: the fall is sure, and the interval of 95 % leaves 0 out."""
    swing = at_end(0.97 * SWING)
    curves, ledger = changed(planted, {"ungrammatical": swing, "unseen": -swing})
    statement = where_gold_went(curves, ledger)
    assert statement
    own = falls_by_part(ledger)["ungrammatical"]
    assert own.interval()[0] > 0 > own.interval(0.99)[0]
    assert (statement.numbers["low"], statement.numbers["high"]) == own.interval(0.99)
    assert not statement.sure
    assert statement.text.startswith("It is not sure which responses the fall of 1.12 ± 0.03 is due to; the largest")
    with drawn_as(PAGE):
        assert text_of(mass.draw(curves, ledger), "title").endswith("; it is not sure by which responses")


def test_one_seed_has_no_sure_fall(folder: Path, planted: Tables) -> None:
    curves = planted[0][planted[0]["seed"] == 0]
    assert where_gold_went(curves, ledger_of(folder, curves)) is None


def test_the_ledger_of_some_runs_is_read_alone(folder: Path) -> None:
    table = load_table(folder, "ledger", ["run-1", "run-3"])
    assert set(table["run_id"]) == {"run-1", "run-3"}
    assert len(table) == 2 * len(STEPS) * len(PARTS)


def test_the_film_has_a_picture_for_each_checkpoint(folder: Path, tmp_path: Path) -> None:
    path = film_mass(folder, tmp_path / "mass.gif")
    with Image.open(path) as film:
        assert film.n_frames == len(STEPS)
    with pytest.raises(ResultsError, match=r"must end in \.gif"):
        film_mass(folder, tmp_path / "mass.mp4")
    (folder / "ledger.parquet").unlink()
    with pytest.raises(ResultsError, match="has no ledger"):
        film_mass(folder, tmp_path / "mass.gif")


@pytest.mark.parametrize("place", [0, 3])
def test_a_picture_of_the_film_shows_the_planted_masses_and_gold_so_far(
    folder: Path, planted: Tables, place: int
) -> None:
    curves, _ = planted
    with drawn_as(PAGE):
        bars, path = picture(curves, mass_along(ledger_of(folder, curves)), STEPS[place]).axes
    names = [label.get_text() for label in bars.get_yticklabels()]
    now, start = (dict(zip(names, [bar.get_width() for bar in found], strict=True)) for found in bars.containers)
    moved = {"unseen": -0.05 * place, "ungrammatical": 0.05 * place}
    assert start == pytest.approx({name: MASSES[name] for name in ("chosen", "rejected", "unseen", "ungrammatical")})
    assert now == pytest.approx({name: MASSES[name] + moved.get(name, 0.0) for name in start})
    words = dict(zip(names, [text.get_text() for text in bars.texts], strict=True))
    for name in names:
        assert float(words[name].removeprefix("gold ").replace("−", "-")) == pytest.approx(
            CHANGES[name][place], abs=0.03
        )
    here = [line for line in path.lines if line.get_marker() == "o"][-1]
    gold = curves[curves["step"] == STEPS[place]]["gold"].mean()
    assert (here.get_xdata()[0], here.get_ydata()[0]) == pytest.approx((place, gold))
    past = [line for line in path.lines if line.get_color() == "black" and line.get_marker() != "o"]
    assert [list(line.get_xdata()) for line in past] == [list(range(place + 1))]


def test_the_figure_shows_masses_that_add_up_to_one(folder: Path, planted: Tables) -> None:
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
