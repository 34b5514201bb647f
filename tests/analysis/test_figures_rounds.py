"""The figure of rounds, against gold that was put where rounds end."""

import itertools
from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
import pytest

from analysis.figures.layout import shown_data
from analysis.figures.proxies import overoptimization, rounds
from analysis.figures.style import RC
from tests.analysis.test_figures import check_rules

STEPS = (0, 1, 4, 16, 17, 20, 32, 33, 36, 48)  # three rounds of 16 steps


def planted(gold: dict[tuple[str, str], float], seeds: int = 3) -> pd.DataFrame:
    """Curves with this gold at the end of the last round by data and start, less in earlier rounds."""
    rows = [
        {
            "run_id": f"{data}-{start}-{seed}",
            "method": "iterated",
            "loss": None,
            "beta": 0.0,
            "seed": seed,
            "pairs": 64,
            "label_noise": 0.0,
            "iterated_data": data,
            "iterated_start": start,
            "step": step,
            "kl": step % 16 / 4,
            "gold": last * step / 48 + 0.1 * (seed - 1) if step % 16 == 0 and step else 99.0 * (step > 0),
            "proxy": 0.0,
            "status": "ok",
        }
        for ((data, start), last), seed, step in itertools.product(gold.items(), range(seeds), STEPS)
    ]
    return pd.DataFrame(rows)


GOLD = {("all", "reference"): 3.0, ("all", "last"): 1.0, ("last", "reference"): 0.6, ("last", "last"): -1.4}


@pytest.mark.parametrize(
    ("steps", "length"), [(STEPS, 16), ((0, 5, 10), 5), ((0, 1, 2, 4, 8), 8), ((0, 3), 3), (range(9), None)]
)
def test_a_round_is_as_long_as_its_checkpoints_come_again(steps: Sequence[int], length: int | None) -> None:
    assert rounds.round_length(steps) == length


def test_it_shows_gold_at_the_ends_of_rounds_by_each_choice() -> None:
    drawn = shown_data(rounds.draw(planted(GOLD)))
    ends = drawn[drawn["x"] == 3].set_index("line")["y"]
    assert ends.to_dict() == pytest.approx(
        {"data all": 2.0, "data last": -0.4, "start reference": 1.8, "start last": -0.2}
    )
    middle = drawn[drawn["x"] == 2].set_index("line")["y"]
    assert middle["data all"] == pytest.approx(2.0 * 2 / 3)
    assert (drawn.loc[drawn["x"] == 0, "y"] == 0).all()


def test_its_title_is_of_the_choice_that_matters_most() -> None:
    with mpl.rc_context(RC):
        figure = rounds.draw(planted(GOLD))
        check_rules(figure)
    assert figure.title.startswith("Gold is −0.4 ± 0.2 (last) to 2.0 ± 0.2 (all) after three rounds, by data")


def test_runs_may_have_rounds_of_other_lengths() -> None:
    curves = planted(GOLD).assign(train_steps=16)
    longer = curves.assign(step=curves["step"] * 3 // 2, train_steps=24, run_id=curves["run_id"] + "-longer")
    drawn = shown_data(rounds.draw(pd.concat([curves, longer], ignore_index=True)))
    assert sorted(drawn["x"].unique()) == [0, 1, 2, 3]
    ends = drawn[drawn["x"] == 3].set_index("line")["y"]
    assert ends["data all"] == pytest.approx(2.0)


def test_nothing_is_drawn_where_each_step_was_measured() -> None:
    curves = planted(GOLD)
    assert not rounds.FIGURE.applies(curves.assign(step=curves["step"].rank(method="dense").astype(int) - 1))


def test_one_design_of_one_seed_is_drawn() -> None:
    figure = rounds.draw(planted({("all", "last"): 1.0}, seeds=1))
    assert figure.title == "Gold is 0.90 after three rounds"
    assert "one seed" in figure.words


def test_nothing_is_drawn_where_every_run_diverged() -> None:
    assert not rounds.FIGURE.applies(planted(GOLD).assign(status="diverged"))


def test_paths_that_come_back_are_not_drawn_along_kl() -> None:
    curves = planted(GOLD)
    assert rounds.FIGURE.applies(curves)
    assert not overoptimization.FIGURE.applies(curves)
