"""What tables of influence come to, on tables with planted truth."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from analysis.figures.instruments.influence import draw, title_of
from analysis.instruments.influence import (
    MEASURED,
    additivity,
    findings,
    interval_text,
    label_values,
    score_means,
    sentences,
    summary,
    two_sided,
)
from analysis.records.load import ResultsError
from analysis.statistics.intervals import mean_of
from tests.analysis.test_figures import check_rules

SCORES = ("truth", "influence_gold", "margin", "ches", "random")


def planted(rng: np.random.Generator, gains: dict[str, float], sets: int = 8) -> pd.DataFrame:
    """A judged table in which scores correlate and gain by what is planted, with a little noise."""
    rows = []
    for policy in ("linear", "transformer"):
        for data_set in range(sets):
            for score in SCORES:
                planted_here = {"correlation": gains[score], "gold_gained": gains[score], "regret_added": -gains[score]}
                values = dict.fromkeys(MEASURED, 0.0) | planted_here
                rows.append(
                    {"policy": policy, "data_set": data_set, "score": score, "agreement": 0.8, "ceiling": 0.94}
                    | {name: value + 0.01 * rng.normal() for name, value in values.items()}
                    | {"needs_gold": score in ("truth", "influence_gold"), "against_gold": 0.3}
                )
    return pd.DataFrame(rows)


GAINS = {"truth": 0.5, "influence_gold": 0.4, "margin": 0.2, "ches": -0.2, "random": 0.0}


@pytest.fixture
def folder(rng: np.random.Generator, tmp_path: Path) -> Path:
    planted(rng, GAINS).to_parquet(tmp_path / "judged.parquet")
    total = rng.normal(size=40)
    table = {"policy": ["linear"] * 20 + ["transformer"] * 20, "data_set": [0, 1] * 20, "sum_truth": total}
    pd.DataFrame(table | {"value": 2 * total + 5}).to_parquet(tmp_path / "groups.parquet")
    return tmp_path


def test_what_is_planted_is_found(folder: Path) -> None:
    means = score_means(pd.read_parquet(folder / "judged.parquet")).set_index(["policy", "score"])
    for policy in ("linear", "transformer"):
        for score in ("influence_gold", "margin", "ches"):
            assert means.loc[(policy, score), "correlation_p"] < 0.001
            assert means.loc[(policy, score), "gold_gained"] == pytest.approx(GAINS[score], abs=0.02)
        assert means.loc[(policy, "random"), "gold_gained_p"] > 0.05
    told = sentences(folder)
    assert "of 2 scores without gold, 1 rank pairs as their values do (margin 0.2" in told[1]
    assert "1 the other way round (CHES)" in told[1]
    assert "1 of 2 scores without gold gain some (margin +0." in told[2]
    assert "1 lose some (CHES)" in told[2]
    assert "lower with influence on gold −0." in told[3]
    assert "margin −0." in told[3].partition("; higher")[0]
    assert "higher with CHES +0." in told[3]
    assert "is 2.00 [2.00, 2.00] times the sum" in told[4]


def test_where_nothing_is_planted_nothing_is_found(rng: np.random.Generator) -> None:
    means = score_means(planted(rng, dict.fromkeys(SCORES, 0.0)))
    assert (means.loc[means["score"] != "truth", "gold_gained_p"] > 0.05).all()
    nothing = "0 gain gold and 0 lower regret"
    assert title_of(means) == f"Of 2 scores without gold, {nothing} (linear), {nothing} (transformer)"


def test_values_add_up_as_planted(folder: Path) -> None:
    table = additivity(pd.read_parquet(folder / "groups.parquet"))
    assert len(table) == 4
    np.testing.assert_allclose(table["slope"], 2)
    np.testing.assert_allclose(table["correlation"], 1)


def test_p_values_are_students(rng: np.random.Generator) -> None:
    values = rng.normal(size=9) + 0.3
    assert two_sided(mean_of(values)) == pytest.approx(ttest_1samp(values, 0).pvalue)


def test_an_interval_ends_where_correlations_do() -> None:
    values = pd.Series([0.2, 1.0, 0.9])
    assert interval_text(values, (-1, 1)) == "0.70 [−0.38, 1.00]"
    assert interval_text(values) == "0.70 [−0.38, 1.78]"


def test_the_picture_keeps_the_rules_and_shows_all_scores(folder: Path) -> None:
    figure = draw(pd.read_parquet(folder / "judged.parquet"))
    check_rules(figure)
    shown = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert shown == ["The values themselves", "Influence on gold", "Margin", "CHES", "Random"]


def test_findings_are_a_table_and_sentences(folder: Path) -> None:
    lines = findings(folder)
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 2 * len(SCORES)
    assert len({line.count("|") for line in rows}) == 1
    assert lines[-len(sentences(folder)) :] == sentences(folder) == summary(folder)[-len(sentences(folder)) :]


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"influence\.parquet: cannot be read"):
        label_values(tmp_path)
