"""What would change a verdict, on entries whose distances are known in closed form."""

from typing import Any

import pytest

from analysis import PAPERS, Estimate
from analysis.published.claim import Finding, Rule, above, below, outside, within
from analysis.published.judging import judge
from analysis.published.what_would_change import QUICK, reopened, rule_of, what_would_change

ENTRY: dict[str, Any] = {
    "paper": "gpo",
    "name": "none of ours",
    "rule": "",
    "verdict": "holds",
    "interval": [1.0, 2.0],
    "seeds": 10,
    "needed": None,
    "p_holm": 0.001,
    "note": "",
}


@pytest.mark.parametrize(
    ("rule", "interval", "verdict", "away"),
    [
        (above(0), [1.0, 2.0], "holds", 2.0),
        (above(3), [1.0, 2.0], "fails", 2.0),
        (below(3.5), [1.0, 2.0], "holds", 3.0),
        (below(0.5), [1.0, 2.0], "fails", 1.0),
        (within(3), [1.0, 2.0], "holds", 2.0),
        (within(3), [-2.0, -1.0], "holds", 2.0),
        (within(0.5), [-2.0, -1.0], "fails", 1.0),
        (outside(0.5), [-2.0, -1.0], "holds", 1.0),
        (outside(3), [1.0, 2.0], "fails", 2.0),
        (above(-9), [1.0, 2.0], "holds", 20.0),
    ],
)
def test_a_decided_claim_has_the_distance_of_its_bound(
    rule: Rule, interval: list[float], verdict: str, away: float
) -> None:
    change = what_would_change(ENTRY | {"interval": interval, "verdict": verdict}, rule)
    assert change.order == pytest.approx(away)
    assert change.text == f"The bound is {away:.3g} half-widths away."


def test_an_interval_so_much_wider_touches_the_bound() -> None:
    """The verdict of an estimate stays up to the error at which the distance says that it goes."""
    estimate = Estimate(value=1.0, error=0.1, degrees_of_freedom=9)
    found = judge(above(0.5), Finding(estimates={"x": estimate}))
    assert found.interval is not None
    away = what_would_change(ENTRY | {"interval": [*found.interval]}, above(0.5)).order
    assert away is not None
    for factor, verdict in ((0.99, "holds"), (1.01, "undecided")):
        wider = Estimate(value=1.0, error=0.1 * (1 + away) * factor, degrees_of_freedom=9)
        assert judge(above(0.5), Finding(estimates={"x": wider})).verdict == verdict


@pytest.mark.parametrize("paper", PAPERS)
def test_the_rule_of_a_claim_is_found(paper: str) -> None:
    for claim in PAPERS[paper].claims:
        entry = ENTRY | {"paper": paper, "name": claim.name, "rule": claim.rule.text}
        found = rule_of(entry)
        assert found is not None
        assert found.text == claim.rule.text
        assert rule_of(entry | {"rule": "another rule than today's"}) is None
    assert what_would_change(ENTRY).text == "Not known: its rule is not at hand."


def test_a_claim_without_scatter_says_so() -> None:
    same = what_would_change(ENTRY | {"interval": [1.0, 1.0]}, above(0))
    assert (same.text, same.order) == ("All 10 seeds give the same number.", None)
    assert what_would_change(ENTRY | {"interval": [1, 1], "seeds": None}, above(0)).text == "No seed: it is exact."


def test_a_claim_that_holm_reopens_says_so() -> None:
    entry = ENTRY | {"p_holm": 0.0712}
    assert reopened(entry)
    assert not reopened(ENTRY)
    assert not reopened(entry | {"verdict": "undecided"})
    assert what_would_change(entry, above(0)).text == (
        "Holm's correction reopens it: p is then 0.071, which is not below 0.05. The bound is 2 half-widths away."
    )


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(
    ("note", "needed", "seeds", "told"),
    [
        (
            "would take about 24 seeds, and then hold; least for hinge, of 3: all have to hold",
            24,
            10,
            "It would take about 24 seeds, and then hold; there are 10.",
        ),
        ("would take more than 1,000 seeds", None, 3, "It would take more than 1,000 seeds; there are 3."),
        ("one seed: no interval", None, None, "More than one seed: one has no interval."),
        ("no interval for b; gold 0.3", None, None, "No interval for b."),
        ("k2 was not recorded; measure.k2 does so", None, None, "K2 was not recorded; measure.k2 does so."),
        ("", None, None, "Not known: its note says nothing."),
    ],
)
def test_an_undecided_claim_says_what_is_missing(
    note: str, needed: int | None, seeds: int | None, told: str, *, quick: bool
) -> None:
    """The quick version stands before all else in a note, and is no reason."""
    whole = "; ".join(filter(None, [QUICK, note])) if quick else note
    change = what_would_change(
        ENTRY | {"verdict": "undecided", "note": whole, "needed": needed, "seeds": seeds, "p_holm": None}
    )
    assert change.text == told


def test_what_takes_least_comes_first() -> None:
    undecided = ENTRY | {"verdict": "undecided", "p_holm": None}
    easy, hard = (undecided | {"needed": needed, "note": f"would take about {needed} seeds"} for needed in (12, 900))
    never = undecided | {"note": "would take more than 1,000 seeds"}
    close, far = ENTRY | {"interval": [0.0, 1.0]}, ENTRY
    orders = [what_would_change(entry, above(0)).order for entry in (easy, hard, never, close, far)]
    assert orders == sorted(orders, key=lambda order: float(order or 0))
    assert len(set(orders)) == len(orders)


def test_the_words_of_the_judge_are_understood() -> None:
    """An undecided claim as it is judged, with a number of seeds."""
    found = judge(above(0), Finding(estimates={"x": Estimate(value=0.1, error=0.06, degrees_of_freedom=9)}))
    entry = ENTRY | {"verdict": found.verdict, "note": found.note, "needed": found.needed, "p_holm": None}
    assert what_would_change(entry).text == f"It would take about {found.needed} seeds, and then hold; there are 10."
