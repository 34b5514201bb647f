"""The bridge is written from claims.json alone: its total, its table, and what it says of each order."""

import json
from pathlib import Path

import pytest

from analysis.statistics.intervals import mean_of
from docs.writing.bridge import BLOCK, bridge_page, total, with_bridge

ROOT = Path(__file__).parents[2]


def entry(name: str, estimate: float | None, verdict: str, **order: object) -> dict:
    """An entry of claims.json on an order of three things, of which two are tied as published."""
    made = {"labels": ["a", "b", "c"], "published": [1.0, 0.0, 0.0], "ranks": True, "ours": [0.5, -0.25, None]}
    return {
        "paper": "coste",
        "name": f"order-{name}",
        "statement": "Ours, not the paper's: gold of three things is more often in the published order than not",
        "source": "ours; the published order: a table, read in the paper",
        "verdict": verdict,
        "estimate": estimate,
        "interval": None if estimate is None else [estimate - 0.25, min(1.0, estimate + 0.25)],
        "seeds": None if estimate is None else 8,
        "note": "there is no gold",
        "p_holm": None if estimate is None else 0.01,
        "order": made | {"mapping": "Things are things.", "why": "They are small."} | order,
    }


CLAIMS = {
    "gpo": [{"name": "beta", "order": None}, {"name": "old"}],
    "coste": [
        entry("low", -0.5, "fails"),
        entry("high", 0.75, "holds", ours=[2.0, 1.0, 0.0], published=[44.8, 20.0, -6.3], ranks=False),
        entry("none", None, "undecided", ours=None),
        entry("open", 0.0, "undecided"),
    ],
}


def test_the_total_comes_first_and_counts_every_row() -> None:
    text = bridge_page(CLAIMS)
    low, high = mean_of([-0.5, 0.75, 0.0]).interval()
    assert text.index("## In total") < text.index("| order |")
    assert "**4 published orders. Kendall's τ is 0.08 [" in text
    assert f"[−{max(low, -1.0) * -1:.2f}, {min(high, 1.0):.2f}] on average**, of at most 0.88" in text
    assert "1 are surely nearer to the published order than chance (τ above 0)" in text
    assert "1 surely nearer to its opposite, and 2 are undecided; in 1 the means over seeds have the published" in text
    assert "1 of the undecided have no number" in text


def test_an_order_that_holms_correction_reopens_counts_as_undecided() -> None:
    low, high, *others = CLAIMS["coste"]
    text = bridge_page({"coste": [low, high | {"p_holm": 0.06}, *others]})
    assert "0 are surely nearer to the published order" in text
    assert "| 1.00 | undecided; its means have the same order |" in text


def test_rows_are_sorted_by_tau_and_say_both_orders() -> None:
    text = bridge_page(CLAIMS)
    places = [text.index(f"| [coste {name}](#coste-{name}) |") for name in ("high", "open", "low", "none")]
    assert places == sorted(places)
    same = "nearer to the published order; its means have the same order"
    assert f"| [coste high](#coste-high) | 3 | 0.75 | [0.50, 1.00] | 1.00 | {same} |" in text
    assert "| [coste low](#coste-low) | 3 | −0.50 | [−0.75, −0.25] | 0.82 | nearer to its opposite |" in text
    assert "| [coste none](#coste-none) | 3 | - | - | 0.82 | no number |" in text
    assert "- Published: a (44.8) > b (20) > c (−6.3).\n- Here: a (2) > b (1) > c (0)." in text
    assert "- Published (ranks): a > b = c.\n- Here: a (0.5) > b (−0.25); without c." in text
    assert "τ: no number (there is no gold)." in text
    assert "- Here: not measured." in text
    assert "- What stands for it here: Things are things." in text
    assert "- Why they may part: They are small." in text
    assert "- Source: a table, read in the paper." in text
    for paper in ("2502.00203", "2502.00883", "2405.19320"):
        assert paper in text.split("## What is missing", 1)[1]


def test_the_total_of_nothing_and_of_one() -> None:
    assert total([]) == "No order has been judged yet."
    assert "0.75 no interval on average" in total([CLAIMS["coste"][1]])


def test_a_sentence_goes_between_the_marks() -> None:
    text = "Before.\n\n<!-- bridge -->\nold\n<!-- end -->\n\nAfter.\n"
    written = with_bridge(text, CLAIMS)
    assert written.startswith(
        "Before.\n\n<!-- bridge -->\nOf 4 published orders, 1 are surely nearer to the published order than chance "
    )
    assert written.endswith("as if they were independent: [the bridge](docs/bridge.md).\n<!-- end -->\n\nAfter.\n")
    assert with_bridge(written, CLAIMS) == written
    assert "Which published orders" in with_bridge(text, {"gpo": []})


@pytest.mark.parametrize("name", ["README.md", "docs/bridge.md"])
def test_what_is_there_follows_from_the_claims(name: str) -> None:
    claims = json.loads((ROOT / "docs" / "claims.json").read_text(encoding="utf-8"))
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == (with_bridge(text, claims) if name == "README.md" else bridge_page(claims))
    assert len(BLOCK.findall(text)) == (name == "README.md")
