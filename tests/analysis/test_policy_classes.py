"""What classes of policies, data, losses and optimizers take of gold, on curves of which each part is planted."""

import numpy as np
import pandas as pd
import pytest

from analysis.figures.drawing import KINDS
from analysis.figures.layout import shown_data, text_of
from analysis.figures.look import PAGE, drawn_as
from analysis.figures.theory import policy_classes as figure
from analysis.headline.axes import axis_apart
from analysis.headline.headline import headline_of
from analysis.headline.statement import place_text
from analysis.headline.titles.policy_classes import (
    falls_statement,
    missing_of,
    missing_statement,
    optimizer_takes,
    policy_classes,
    rows_of_classes,
)
from analysis.records.load import further_axes

KINDS_OF = ("transformer", "tabular", "linear")
TOP = {"transformer": 1.0, "tabular": 1.2, "linear": 0.7}  # gold at the end, on the population
DATA = {"transformer": 0.6, "tabular": 0.5, "linear": 0.2}  # that drawn pairs take
LOST = 0.1  # to the best possible
SLOW = 0.3  # that the other learning rate takes
STEPS = (0, 1, 10, 100)
UP = (0.0, 0.5, 0.9, 1.0)  # along training


def curves_of(*, seeds: int = 6, noise: float = 0.05, populations: tuple[bool, ...] = (False, True)) -> pd.DataFrame:
    """Curves that rise to the planted ends; those of drawn pairs are 0.4 above them at the third checkpoint."""
    rng = np.random.default_rng(3)
    rows = []
    for kind in KINDS_OF:
        rows += oracle(kind)
        for population in populations:
            for rate, seed in [(rate, seed) for rate in (0.01, 0.1) for seed in range(1 if population else seeds)]:
                off = 0.0 if population else noise * rng.normal()
                own = rate == (0.01 if kind == "transformer" else 0.1)
                end = TOP[kind] - (0.0 if population else DATA[kind] + off) - (0.0 if own else SLOW)
                for place, step in enumerate(STEPS):
                    gold = UP[place] * end + (0.4 if place == 2 and not population else 0.0)
                    loss = 0.7 - 0.1 * place / 3 + (0.0 if own else 0.05)
                    rows.append(row_of(kind, population, rate, seed, step, 0.5 * place, gold, loss))
    return pd.DataFrame(rows).astype({"population": "object"})


def row_of(
    kind: str, population: bool, rate: float, seed: int, step: int, kl: float, gold: float, loss: float
) -> dict[str, object]:
    """A row of curves."""
    return {
        **{"run_id": f"{kind}-{population}-{rate}-{seed}", "method": "gpo", "loss": "logistic", "beta": 0.1},
        **{"kappa": 0.5, "seed": seed, "pairs": 0 if population else 128, "label_noise": 0.0, "policy_kind": kind},
        **{"population": population, "train_learning_rate": rate, "step": step, "kl": kl, "gold": gold},
        **{"mu_squared": kl, "train_loss": loss, "status": "ok"},
    }


def oracle(kind: str) -> list[dict[str, object]]:
    """The best possible: LOST above a table on the population, whose path ends at 1.5 nats."""
    top = TOP["tabular"] + LOST
    return [
        {"run_id": f"oracle-{kind}", "method": "oracle", "beta": 1 / kl, "policy_kind": kind, "step": place}
        | {"kl": kl, "gold": top * (kl / 1.5) ** 0.5, "status": "ok"}
        for place, kl in enumerate((0.25, 0.5, 1.0, 1.5, 2.0))
    ]


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    return curves_of()


def test_the_parts_are_the_planted_ones_and_add_up(curves: pd.DataFrame) -> None:
    found = missing_of(curves)
    rows = rows_of_classes(curves)
    assert set(found) == set(KINDS_OF)
    for kind, each in found.items():
        assert each.loss == pytest.approx(LOST, abs=1e-9)
        assert each.policy_class == pytest.approx(TOP["tabular"] - TOP[kind], abs=1e-9)
        assert each.data
        low, high = each.data.interval()
        assert low < DATA[kind] < high
        assert 0.0 < high - low < 0.2
        ends = rows[(rows["policy_kind"] == kind) & (rows["pairs"] == 128) & (rows["step"] == 100)]["gold"]
        assert each.total == pytest.approx(TOP["tabular"] + LOST - ends.mean(), abs=1e-9)


def test_each_class_is_shown_with_the_optimizer_of_the_least_training_loss(curves: pd.DataFrame) -> None:
    rates = rows_of_classes(curves).groupby("policy_kind")["train_learning_rate"].unique()
    assert {kind: list(values) for kind, values in rates.items()} == {
        "transformer": [0.01],
        "tabular": [0.1],
        "linear": [0.1],
    }
    assert optimizer_takes(curves) == pytest.approx(dict.fromkeys(KINDS_OF, SLOW), abs=1e-9)
    one = curves[(curves["method"] == "oracle") | (curves["train_learning_rate"] == 0.1)]
    assert optimizer_takes(one) == {}


def test_the_statements_say_what_is_planted() -> None:
    missing, falls = policy_classes(curves_of(seeds=4, noise=0.01))
    assert falls.sure
    for kind in KINDS_OF:
        planted = 0.4 - 0.1 * (TOP[kind] - DATA[kind])
        assert falls.numbers[f"{kind}, pairs: fall"] == pytest.approx(planted, abs=0.01)
        assert falls.numbers[f"{kind}, population: fall"] == pytest.approx(0.0, abs=1e-12)
    assert "by 0.00 (table), 0.00 (linear) and 0.00 (transformer) on the whole population" in falls.text
    assert missing.sure
    assert missing.text.startswith(
        "On the whole population (logistic (DPO), β 0.1), a table ends 0.10 below the best possible gold for its KL; a "
        "linear policy has 0.50 less and a transformer has 0.20 less. With 128 drawn pairs gold is lower by 0."
    )
    assert missing.numbers["transformer: data"] == pytest.approx(0.6, abs=0.02)
    assert missing.numbers["transformer: optimizer"] == pytest.approx(SLOW)


def test_what_few_noisy_seeds_show_is_not_sure() -> None:
    missing = missing_statement(curves_of(seeds=2, noise=0.8))
    assert missing
    assert not missing.sure
    assert "not sure" in missing.text
    one = missing_statement(curves_of(seeds=1))
    assert one
    assert not one.sure
    falls = falls_statement(rows_of_classes(curves_of(seeds=3, noise=6.0)))
    assert not falls.sure
    assert falls.text.count("not sure") >= 1
    assert "not sure" not in falls.text[falls.text.index("128 drawn pairs") :]


def test_what_is_gained_is_not_called_taken(curves: pd.DataFrame) -> None:
    """A transformer above the table, a linear policy as good, and drawn pairs that give gold."""
    whole = curves["pairs"].eq(0) & curves["step"].eq(100)
    for kind, rate, gold in (("linear", 0.1, 1.2), ("transformer", 0.01, 1.25)):
        own = whole & curves["policy_kind"].eq(kind) & curves["train_learning_rate"].eq(rate)
        curves = curves.assign(gold=curves["gold"].mask(own, gold))
    drawn = curves["pairs"].eq(128) & curves["step"].eq(100) & curves["policy_kind"].eq("linear")
    found = missing_statement(curves.assign(gold=curves["gold"] + 2.0 * drawn))
    assert found
    assert "a linear policy has as much and a transformer has 0.05 more. With" in found.text
    assert "gold is lower by 0.5" in found.text
    assert ", and higher by 1." in found.text
    assert found.text.endswith("(linear)")
    assert "−" not in found.text


def test_nothing_is_stated_of_one_class_and_no_parts_without_a_population(curves: pd.DataFrame) -> None:
    one = curves[curves["policy_kind"] == "tabular"]
    assert policy_classes(one) == []
    assert policy_classes(curves.drop(columns="policy_kind")) == []
    assert not KINDS["classes"].applies(one)
    drawn = policy_classes(curves_of(seeds=2, populations=(False,)))
    assert [each.topic for each in drawn] == ["falls_of_classes"]
    assert "population" not in drawn[0].text
    without = curves[(curves["policy_kind"] != "tabular") | (curves["method"] == "oracle")]
    assert missing_statement(without) is None
    whole = missing_statement(curves_of(seeds=2, populations=(True,)))
    assert whole
    assert whole.sure
    assert whole.title == (
        "On the whole population a linear policy has 0.50 less and a transformer has 0.20 less gold than a table"
    )


def test_the_headline_begins_with_classes_and_averages_nothing_over_them(curves: pd.DataFrame) -> None:
    noisy = curves.assign(label_noise=curves["label_noise"].mask(curves["method"].eq("oracle")))
    found = headline_of(noisy, pd.DataFrame({"loss": []}))
    assert [each.topic for each in found] == ["classes", "falls_of_classes"]
    axes = further_axes(curves)
    assert {*axes} == {"policy_kind", "population", "pairs", "train_learning_rate"}
    assert all(axis_apart(curves, axis, axes) is None for axis in axes)


def test_the_population_is_not_compared_seed_by_seed(curves: pd.DataFrame) -> None:
    one = curves[curves["policy_kind"].eq("tabular")]
    axes = further_axes(one)
    assert {*axes} == {"population", "pairs", "train_learning_rate"}
    assert [axis for axis in axes if axis_apart(one, axis, axes)] == ["train_learning_rate"]


def test_places_name_the_population() -> None:
    at = {"pairs": 0, "policy_kind": "tabular", "population": True}
    assert place_text(at) == "the whole population, policy kind tabular"
    assert place_text({"population": False, "pairs": 128}) == "pairs 128"
    assert place_text({"label_noise": 0.1}) == "label noise 0.1"


def test_the_figure_draws_the_planted_numbers(curves: pd.DataFrame) -> None:
    with drawn_as(PAGE):
        drawn = figure.draw(curves)
    table = shown_data(drawn)
    assert text_of(drawn, "title").startswith("With 128 drawn pairs a table's gold is lower by 0.5")
    assert "over 6 seeds" in text_of(drawn, "words")
    names = [text.get_text() for text in drawn.axes[-1].texts]
    assert sorted(names) == sorted(["table", "linear", "transformer"] * 3)  # each point has its name: 1 + 2 + 3 + 3
    parts = table.set_index("line")["x"]
    assert parts["class: linear"] == pytest.approx(0.5)
    assert parts["loss: table"] == pytest.approx(LOST)
    assert parts["optimizer: linear"] == pytest.approx(SLOW)
    assert parts["data: table"] == pytest.approx(DATA["tabular"], abs=0.1)
    whole = table[table["panel"].str.startswith("the whole population") & (table["line"] == "transformer")]
    assert whole["y"].tolist() == pytest.approx([up * TOP["transformer"] for up in UP])
