"""What lengths do, in analysis: planted curves in which it is known who speaks longer, and what of gold is left."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Annotation

from analysis.figures.layout import shown_data, text_of
from analysis.figures.look import PAGE, drawn_as
from analysis.figures.offline import axis_values, length
from analysis.headline.axes import axes_apart, axis_apart, comparable
from analysis.headline.headline import headline_of
from analysis.headline.lengths import equal_length, length_biased_labels, lengths, lengths_apart, plainly, signed
from analysis.records.load import further_axes
from analysis.statistics.intervals import Estimate
from analysis.statistics.lengths.at_equal_kl import lengths_at_kl, of_losses

SEEDS, STEPS, USUAL = 6, [0, 10, 100], 2.5
LONGER = {"logistic": 0.3, "simpo": 0.8, "simper": 0.3, "r_dpo": -0.4}  # tokens beyond the reference at 1 nat


def planted(
    bias: float = 0.0, longer: float = 0.0, gold: float = 1.0, *, noise: float = 0.02, seeds: int = SEEDS
) -> pd.DataFrame:
    """Runs whose length, gold and gold at equal length rise as the root of KL, to 4 nats at the weakest beta.

    bias: the length bias of labels. longer: tokens more at 1 nat. gold: at 1 nat, of which 0.6 is left at equal length.
    SimPER has no beta, and ORPO hardly leaves the reference.
    """
    rows = []
    for number, (loss, tokens) in enumerate([*LONGER.items(), ("orpo", 0.0)]):
        for seed in range(seeds):
            rng = np.random.default_rng([number, seed, round(10 * bias)])
            shared = np.random.default_rng(seed).normal()  # of all losses of a seed, which pairing takes out
            mine = noise * rng.normal(size=3) + [2 * noise * shared, 0.0, 0.0]
            at_one = np.array([tokens + longer, gold, 0.6 * gold]) + mine
            for beta in [np.nan] if loss in ("simper", "orpo") else [0.1, 1.0]:
                end = 0.05 if loss == "orpo" else 1.0 if beta == 1.0 else 4.0
                for place, step in enumerate(STEPS):
                    kl = end * (place / 2) ** 2
                    of_length, of_gold, equal = at_one * np.sqrt(kl)
                    own = (f"{loss}-{beta}-{seed}-{bias}", "gpo", loss, beta, 0.5, seed, bias, step, kl)
                    rows.append((*own, of_gold, equal, USUAL + of_length, 0.1, "ok"))
    names = ["run_id", "method", "loss", "beta", "kappa", "seed", "length_bias", "step", "kl", "gold"]
    names += ["gold_equal_length", "length", "mu_squared", "status"]
    return pd.DataFrame(rows, columns=names)


def test_losses_are_read_off_at_the_kl_that_all_reach() -> None:
    found = lengths_at_kl(planted(noise=0.0))
    assert found
    assert (found.kl, found.still, len(found.draws)) == (pytest.approx(4.0), ("orpo",), SEEDS)
    for loss, tokens in LONGER.items():
        assert found.each[loss]["length"] == pytest.approx(2 * tokens)
        assert found.each[loss]["gold"] == pytest.approx(2.0)
        assert found.each[loss]["gold_equal_length"] == pytest.approx(1.2)
    near = of_losses(planted(noise=0.0)).at(["simpo"], 1.0)
    assert near
    assert near.each["simpo"]["length"] == pytest.approx(0.8)


def test_the_statement_names_who_is_longer_and_who_is_shorter() -> None:
    found = lengths_at_kl(planted())
    assert found
    statement = lengths_apart(found)
    assert statement.title == "SimPO makes longer responses than logistic (DPO), R-DPO makes shorter ones"
    assert "tokens longer (at 4.0 nats); those of SimPO (+1.0" in statement.text
    apart = found.each["r_dpo"]["length"] - found.each["logistic"]["length"]
    half = (
        3.534 * apart.std(ddof=1) / np.sqrt(SEEDS)
    )  # Student's t with 5 degrees of freedom at 1 - 0.05 / 3, a table's
    assert f"those of R-DPO (−1.39 ± {half:.2f}) are shorter; " in statement.text
    assert "for one other loss no difference from it is sure" in statement.text  # SimPER is as long
    assert statement.text.endswith(". ORPO stays near the reference and is not compared")
    assert not statement.sure
    assert statement.numbers["simpo less logistic"] == pytest.approx(1.0, abs=0.1)


def test_pairing_finds_what_seeds_hide() -> None:
    """The scatter that all losses of a seed share is far larger than the difference."""
    curves = planted(noise=0.0)
    wide = pd.Series(np.random.default_rng(1).normal(size=SEEDS))
    shift = curves["seed"].map(wide) * np.sqrt(curves["kl"])
    found = lengths_at_kl(curves.assign(length=curves["length"] + shift))
    assert found
    assert lengths_apart(found).text.startswith("Whether logistic (DPO) changes lengths is not sure")
    assert {name: round(each.value, 6) for name, each in found.longer().items()} == {
        "simpo": 1.0,
        "simper": 0.0,
        "r_dpo": -1.4,
    }
    assert lengths_apart(found).sure is False
    assert lengths_apart(found).title.startswith("SimPO makes longer")


def test_one_seed_is_sure_of_nothing() -> None:
    found = lengths_at_kl(planted(seeds=1))
    assert found
    assert not lengths_apart(found).sure
    assert lengths_apart(found).title == "No loss surely differs from logistic (DPO) in length"
    assert "what lengths give or cost on average over four losses is not sure (+" in equal_length(found).text
    assert equal_length(found).title == "what lengths give or cost on average over four losses is not sure"


def test_what_is_left_at_equal_length() -> None:
    found = lengths_at_kl(planted())
    assert found
    statement = equal_length(found)
    assert statement.sure
    assert statement.numbers["by_length"] == pytest.approx(0.8, abs=0.05)
    assert statement.text.startswith("of 1.99 ± 0.01 gold, 1.20 ± 0.02 is left at the reference's lengths")
    assert statement.title == "of 1.99 ± 0.01 gold, 1.20 ± 0.02 is left at equal length, on average over four losses"
    better = lengths_at_kl(planted().assign(gold_equal_length=lambda table: table["gold"] + 0.5 * np.sqrt(table["kl"])))
    assert better
    assert equal_length(better).title.startswith("lengths cost 1.00 gold: it is 1.99 ± 0.01, and 2.99 ± 0.01 at")
    none = planted().assign(gold_equal_length=lambda table: table["gold"])
    same = lengths_at_kl(none)
    assert same
    assert equal_length(same).numbers["by_length"] == 0.0
    assert not equal_length(same).sure


def test_length_biased_labels() -> None:
    """Rows of labels without a bias may say so by saying nothing; in the next test they say 0."""
    curves = pd.concat([planted(), planted(bias=1.0, longer=0.5, gold=0.7)], ignore_index=True)
    curves = curves.assign(length_bias=curves["length_bias"].replace(0.0, np.nan))
    statement = length_biased_labels(curves)
    assert statement
    assert statement.sure
    assert statement.numbers["length"] == pytest.approx(1.0, abs=0.1)
    assert statement.numbers["gold"] == pytest.approx(-0.6, abs=0.1)
    assert statement.numbers["gold_equal_length"] == pytest.approx(-0.36, abs=0.1)
    assert statement.text.startswith("labels that like length make responses 1.0")
    assert "tokens longer. Gold is 0.6" in statement.text
    assert "lower; at equal length it differs by −0.3" in statement.text
    assert statement.text.endswith("(length bias 1 less 0, at 4.0 nats, on average over four losses)")
    assert statement.title.startswith("Labels that like length cost 0.6")
    assert [each.topic for each in lengths(curves)] == ["length", "length_bias"]


def test_labels_that_change_nothing_are_not_sure() -> None:
    curves = pd.concat([planted(noise=0.3), planted(bias=1.0, noise=0.3)], ignore_index=True)
    statement = length_biased_labels(curves)
    assert statement
    assert not statement.sure
    assert "What they do to gold is not sure" in statement.text
    assert statement.title == "What labels that like length do to gold is not sure"


def test_nothing_where_responses_have_one_length() -> None:
    for curves in (planted().drop(columns="gold_equal_length"), planted().assign(gold_equal_length=np.nan)):
        assert lengths_at_kl(curves) is None
        assert lengths(curves) == []
        assert not length.FIGURE.applies(curves)
    topics = [each.topic for each in headline_of(planted(), pd.DataFrame({"loss": []}))]
    assert topics[:2] == ["length", "equal_length"]
    assert length_biased_labels(planted()) is None


def test_the_figure_shows_the_planted_numbers() -> None:
    curves = planted(noise=0.0)
    with drawn_as(PAGE):
        figure = length.draw(curves, "length bias 0")
    title = "of 2.00 gold, 1.20 is left at equal length, on average over four losses"
    assert title in text_of(figure, "title")
    assert "Length bias 0: SimPO makes" in text_of(figure, "title")  # SimPO keeps its capital
    assert all("[" in axes.get_xlabel() for axes in figure.axes)  # a unit
    drawn = shown_data(figure)
    points = drawn[drawn["line"].str.startswith("SimPO, ")].set_index("line")["x"]
    wanted = {"SimPO, tokens": 1.6, "SimPO, gold": 2.0, "SimPO, gold at equal length": 1.2}
    assert dict(points) == pytest.approx(wanted)
    path = drawn[drawn["line"] == "R-DPO"]
    assert path["y"].to_numpy() == pytest.approx(-0.4 * np.sqrt(path["x"].to_numpy()), abs=1e-6)
    assert "ORPO" in set(drawn["line"])
    assert not any(line.startswith("ORPO, ") for line in drawn["line"])
    assert length.FIGURE.applies(curves)


def test_of_many_losses_those_that_differ_most_in_length_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    found = lengths_at_kl(planted(noise=0.0))
    assert found
    monkeypatch.setattr(length, "MOST", 3)
    assert length.shown_losses([*LONGER, "orpo"], found) == ["logistic", "simpo", "r_dpo"]


def test_names_are_joined_to_their_lines_without_crossing_and_in_colours_that_differ() -> None:
    """Where lengths give nothing, which the title does not state as a finding."""
    with drawn_as(PAGE):
        figure = length.draw(planted(seeds=2).assign(gold_equal_length=lambda table: table["gold"]))
    assert text_of(figure, "title").endswith("; what lengths give or cost on average over four losses is not sure")
    above = figure.axes[2]
    joins = [
        (above.transAxes.inverted().transform(above.transData.transform(each.xy)), np.array(each.xyann))
        for each in above.texts
        if isinstance(each, Annotation)
    ]
    assert len(joins) == len(LONGER) + 1
    assert len({each.get_color() for each in above.texts}) == len(joins)
    for number, a in enumerate(joins):
        assert not any(crosses(a, b) for b in joins[:number])
    assert crosses((np.array([0.0, 0.0]), np.array([1.0, 1.0])), (np.array([0.0, 1.0]), np.array([1.0, 0.0])))
    (legend,) = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    assert [each.get_text() for each in legend.get_texts()] == ["gold", "at equal length"]


def crosses(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether two segments cross: the ends of each lie on both sides of the other."""

    def side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> float:
        (x, y), (u, v) = end - start, point - start
        return float(np.sign(x * v - y * u))

    return side(*a, b[0]) * side(*a, b[1]) < 0 and side(*b, a[0]) * side(*b, a[1]) < 0


@pytest.mark.parametrize(
    ("value", "error", "text"), [(-0.003, 0.02, "0.00 ± 0.0"), (0.003, 0.02, "0.00 ± 0.0"), (0.1, 0.02, "+0.10 ± 0.0")]
)
def test_what_is_shown_as_0_has_no_sign(value: float, error: float, text: str) -> None:
    assert signed(Estimate(value=value, error=error, degrees_of_freedom=100)).startswith(text)
    assert signed(Estimate(value=-1.04, error=error, degrees_of_freedom=100)).startswith("−1.04 ± 0.0")


def test_settings_of_a_loss_in_a_sentence() -> None:
    assert plainly("r_dpo, alpha 1") == "R-DPO with α = 1"
    assert plainly("vpo, alpha 0.1, lambda 2") == "VPO with α = 0.1 and λ = 2"
    assert plainly("simpo") == "SimPO"


def golds() -> pd.DataFrame:
    """Two golds and two label noises: noise costs 0.4 at 1 nat of the first gold, and gives as much of the second."""
    found = []
    for gold_length in (0.0, 1.0):
        for noise in (0.0, 0.3):
            own = planted(gold=1.0 + (0.4 if gold_length else -0.4) * (noise > 0), seeds=3)
            name = own["run_id"] + f"-{gold_length}-{noise}"
            found.append(own.assign(gold_length=gold_length, label_noise=noise, run_id=name))
    return pd.concat(found, ignore_index=True)


def test_golds_are_not_compared_and_other_axes_are_compared_at_the_first_gold() -> None:
    curves = golds()
    axes = further_axes(curves)
    assert set(axes) == {"gold_length", "label_noise"}
    assert axis_apart(curves, "gold_length", axes) is None  # so that it has no figure of its own either
    (statement,) = axes_apart(curves)
    assert statement.topic == "axis label noise"
    assert statement.text.startswith("At equal KL, label noise 0.3 has 0.5")  # 0.4 times the mean of the root of KL
    assert statement.text.endswith("nats, length in gold 0)")
    with drawn_as(PAGE):
        figure = axis_values.draw(curves, "label_noise")
    assert text_of(figure, "title").startswith("Length in gold 0: label noise 0.3: 0.5")
    assert "averaged over losses, " in text_of(figure, "words")


def test_golds_of_several_seeds_are_averaged_over() -> None:
    curves = golds().rename(columns={"gold_length": "gold_seed"})
    assert set(comparable(curves, "label_noise")["gold_seed"]) == {0.0, 1.0}
    assert [each.topic for each in axes_apart(curves)] == ["axis label noise"]


def test_labellers_who_like_length_are_stated_once() -> None:
    curves = pd.concat([planted(seeds=3), planted(bias=1.0, longer=0.5, seeds=3)], ignore_index=True)
    topics = [each.topic for each in headline_of(curves, pd.DataFrame({"loss": []}))]
    assert "length_bias" in topics
    assert "axis length bias" not in topics
    alike = curves.drop(columns=["gold_equal_length", "length"])  # nothing is known of lengths
    assert [each.topic for each in axes_apart(alike)] == ["axis length bias"]
