"""Rules that choose without gold: what each chooses, how they are judged, and what is advised."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.instruments.stopping.candidates import Choice
from analysis.instruments.stopping.judging import BASELINE, SUGGESTED, judge, summary, tuned_on_all
from analysis.instruments.stopping.record import lines_of, read_record, record_of, text_of
from analysis.instruments.stopping.rule import VISIBLE, Rule, closest_at_end, rules, visible

# Two strengths, three checkpoints each: the weaker goes farther.
LADDER = pd.DataFrame(
    {
        "beta": [0.1] * 3 + [1.0] * 3,
        "kappa": 0.5,
        "pairs": 1000,
        "step": [0, 50, 100] * 2,
        "kl": [0.0, 1.0, 4.0, 0.0, 0.2, 0.5],
        "chi2": [0.0, 2.0, 50.0, 0.0, 0.3, 1.0],
        "held_out_loss": [0.70, 0.50, 0.60, 0.70, 0.55, 0.52],
        "held_out_accuracy": [0.5, 0.68, 0.70, 0.5, 0.66, 0.69],
        "train_loss": [0.7, 0.4, 0.1, 0.7, 0.5, 0.4],
        "train_accuracy": [0.5, 0.75, 0.95, 0.5, 0.67, 0.72],
        "chosen_logratio": [0.0, -0.2, -2.0, 0.0, 0.1, 0.05],
        "rejected_logratio": 0.0,
        "margin_q05": 0.0,
        "margin_q25": 0.0,
        "margin_q50": [0.0, 2.0, 9.0, 0.0, 0.4, 0.9],
        "margin_q75": 0.0,
        "margin_q95": 0.0,
        "ensemble_mean": [0.0, 0.8, 1.0, 0.0, 0.5, 0.7],
        "ensemble_sd": [0.0, 0.05, 0.4, 0.0, 0.01, 0.02],
        "gold": 0.0,
    }
)
EXPECTED = {  # a number of each rule, and the row that it has to choose
    ("fixed beta", 0.7): 5,
    ("fixed beta kappa", 0.05): 2,
    ("fixed step", 60): 1,
    ("held-out accuracy", 0.0): 2,
    ("held-out accuracy", 0.015): 5,
    ("held-out loss", 0.0): 1,
    ("held-out loss", 0.1): 5,
    ("accuracy gap", 0.04): 5,
    ("accuracy gap", 0.1): 1,
    ("margin", 0.25): 1,
    ("margin", 0.1): 0,
    ("margin", 1.0): 2,
    ("proxy", 0.0): 2,
    ("ensemble disagreement", 1.0): 1,
    ("ensemble disagreement", 8.0): 5,
    ("KL budget", 0.4): 5,
    ("KL budget", 2.0): 2,
    ("chi-squared budget", 32.0): 2,
    ("chosen log-ratio", 0.25): 1,
    ("chosen log-ratio", 0.0): 5,
}


@pytest.mark.parametrize(("asked", "row"), EXPECTED.items(), ids=lambda value: str(value))
def test_a_rule_chooses_as_it_says(asked: tuple[str, float], row: int) -> None:
    name, number = asked
    assert rules()[name].choose(visible(LADDER), number) == row


def test_every_rule_is_tried_here_and_sees_no_gold() -> None:
    assert {name for name, _ in EXPECTED} == set(rules())
    assert next(iter(rules())) == BASELINE
    assert not {name for name in VISIBLE if name.startswith(("gold", "win"))}
    assert "gold" not in visible(LADDER)
    for rule in rules().values():
        assert set(rule.needs) <= set(VISIBLE)
        assert rule.can_choose(visible(LADDER))
        assert not rule.needs or not rule.can_choose(visible(LADDER).assign(**{rule.needs[0]: np.nan}))


def offered(gold: Callable[[int], Sequence[float]], folds: int = 4, each: int = 3) -> list[Choice]:
    """Choices of several folds, with gold of the six candidates in each."""
    return [
        Choice(
            where={"loss": "logistic", "world_seed": fold, "seed": seed}, fold=fold, seen=visible(LADDER), gold=values
        )
        for fold in range(folds)
        for seed in range(each)
        for values in [pd.Series(gold(fold))]
    ]


TWO = {
    BASELINE: Rule(
        name=BASELINE,
        about="beta {value}",
        needs=(),
        numbers=(0.1, 1.0),
        choose=lambda seen, value: closest_at_end(seen, "beta", value),
    ),
    "halfway": Rule(name="halfway", about="row", needs=(), numbers=(0.0,), choose=lambda seen, value: 1),
}


def test_a_rule_is_tuned_on_other_folds() -> None:
    """In one fold the strong beta is best, in three the weak: left out, it is judged with the number of the others."""
    judged = judge(TWO, offered(lambda fold: [0, 0.5, 0.0, 0, 0, 1.0] if fold == 0 else [0, 0.5, 1.0, 0, 0, 0.2]))
    fixed = judged[judged["rule"] == BASELINE].groupby("fold")[["value", "regret"]].mean()
    assert fixed["value"].tolist() == pytest.approx([0.1] * 4)
    assert fixed["regret"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert judged[judged["rule"] == "halfway"].groupby("fold")["regret"].mean().tolist() == [0.5, 0.5, 0.5, 0.5]
    suggested = judged[judged["rule"] == SUGGESTED].groupby("fold")[["by", "regret"]].first()
    assert suggested["by"].tolist() == [BASELINE] * 4  # it loses 0, or 1/3, on the other folds, and halfway 1/2
    assert suggested["regret"].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_a_rule_of_this_training_alone_is_never_suggested() -> None:
    known = {**TWO, "halfway": replace(TWO["halfway"], travels=False)}
    judged = judge(known, offered(lambda fold: [0, 1.0, 0.5, 0, 0, 0.25]))
    assert (judged.loc[judged["rule"] == "halfway", "regret"] == 0).all()
    assert set(judged.loc[judged["rule"] == SUGGESTED, "by"]) == {BASELINE}


def test_means_are_over_folds_and_differences_are_paired() -> None:
    judged = judge(TWO, offered(lambda fold: [0, 1.0 + 0.1 * fold, 0.5, 0, 0, 0.25]))
    means = summary(judged).set_index("rule")
    regrets = [0.5 + 0.1 * fold for fold in range(4)]
    assert means.loc[BASELINE, "regret"] == pytest.approx(np.mean(regrets))
    half = 3.182446 * np.std(regrets, ddof=1) / 2
    assert means.loc["halfway", "gain_high"] == pytest.approx(np.mean(regrets) + half, abs=1e-5)
    assert means.loc["halfway", "regret"] == 0
    assert means.loc["halfway", "surely_better"]
    assert not means.loc[BASELINE, "surely_better"]


def test_null_results_are_said() -> None:
    """Where a rule loses as often as it gains, nothing is sure."""
    choices = offered(lambda fold: [0, 0.5 + 0.3 * (-1) ** fold, 0.5, 0, 0, 0.25])
    judged = judge(TWO, choices)
    record = record_of(judged, choices, {})
    assert "surely better than that: no rule; surely worse: no rule" in "\n".join(lines_of(record))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    choices = offered(lambda fold: [0, 1.0, 0.5, 0, 0, 0.1 * fold])
    record = record_of(judge(rules(), choices), choices, {"results_source": "x"})
    (tmp_path / "record.json").write_text(text_of(record), encoding="utf-8")
    again = read_record(tmp_path / "record.json")
    assert again.numbers == record.numbers == tuned_on_all(rules(), choices)
    pd.testing.assert_frame_equal(again.means, record.means, check_dtype=False, atol=1e-9)


def test_the_record_that_ships_is_whole() -> None:
    record = read_record()
    assert set(record.numbers) == set(rules())
    assert record.about["choices"] >= 24
    assert record.about["folds"] >= 4
    assert set(record.about["differ"]) >= {"world", "gold_reward", "pairs", "label_noise", "policy_width"}
