"""Kendall's tau of published orders and ours, by count, by scipy, and on planted orders."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from analysis.published.claim import Records, UnknownError
from analysis.published.holm import holm, holm_corrected
from analysis.published.judging import decide, judge
from analysis.published.ordering import Ordering, compared, greatest, in_order, order_claim, taus
from analysis.published.verdicts import claim_row, order_entry, tally

EIGHT = {letter: float(rank) for rank, letter in enumerate("abcdefgh")}
TIED = {"a": 1.0, "b": 0.0, "c": 0.0}


def ordering(published: dict[str, float]) -> Ordering:
    return Ordering(published=published, ranks=True, mapping="Letters stand for letters.", why="They should not.")


def planted(published: dict[str, float], sign: float, noise: float, seeds: int = 6, seed: int = 0) -> pd.DataFrame:
    """Our numbers: `sign` times the published ones, and noise."""
    rng = np.random.default_rng(seed)
    values = sign * np.array(list(published.values())) + rng.normal(0, noise, size=(seeds, len(published)))
    return pd.DataFrame(values, columns=list(published))


@pytest.mark.parametrize("published", [[3, 2, 1, 0], [1, 0, 0, 1], [1, 1, 1, 0, 0, 2]])
def test_tau_is_that_of_scipy_with_ties_on_both_sides(published: list[float]) -> None:
    ours = np.random.default_rng(0).integers(0, 3, size=(40, len(published))).astype(float)
    expected = [kendalltau(published, row, variant="b").statistic for row in ours]
    assert taus(np.array(published), ours) == pytest.approx(np.nan_to_num(expected))


def test_tau_by_hand() -> None:
    """Of a=1, b=c=0 two pairs are untied; one agrees with 2, 1, 3 and one does not, and with 3, 1, 2 both do."""
    found = taus(np.array([1.0, 0.0, 0.0]), np.array([[2.0, 1.0, 3.0], [3.0, 1.0, 2.0], [5.0, 5.0, 5.0]]))
    assert found == pytest.approx([0.0, 2 / math.sqrt(2 * 3), 0.0])
    assert greatest(np.array([1.0, 0.0, 0.0])) == pytest.approx(2 / math.sqrt(6))
    assert greatest(np.array([1.0, 2.0, 3.0])) == 1.0


@pytest.mark.parametrize("published", [EIGHT, TIED])
@pytest.mark.parametrize(("sign", "verdict"), [(1.0, "holds"), (-1.0, "fails")])
def test_the_order_and_its_reverse(published: dict[str, float], sign: float, verdict: str) -> None:
    finding = compared(ordering(published), planted(published, sign, 0.1))
    claim = order_claim(
        name="x", what="it is", source="a table", ordering=ordering(published), ours=lambda records: pd.DataFrame()
    )
    found = judge(claim.rule, finding)
    most = greatest(np.array(list(published.values())))
    assert found.verdict == verdict
    assert found.estimate == pytest.approx(sign * most)
    assert found.interval is not None
    assert -1 <= found.interval[0] < found.interval[1] <= 1


@pytest.mark.parametrize("published", [EIGHT, TIED])
def test_noise_is_in_the_published_order_as_seldom_as_the_interval_says(published: dict[str, float]) -> None:
    rule = order_claim(
        name="x", what="it is", source="a table", ordering=ordering(published), ours=lambda records: pd.DataFrame()
    ).rule
    found = [
        judge(rule, compared(ordering(published), planted(published, 0.0, 1.0, seed=seed))).verdict
        for seed in range(400)
    ]
    assert found.count("holds") <= 0.05 * len(found)
    assert found.count("fails") <= 0.05 * len(found)


def test_labels_that_are_not_there_are_left_out_and_told() -> None:
    some = planted(EIGHT, 1.0, 0.01)[["a", "c", "h"]]
    finding = compared(ordering(EIGHT), some)
    assert finding.estimates["order"].value == pytest.approx(1.0)
    assert finding.note.endswith("; without b, d, e, f, g")
    with pytest.raises(UnknownError, match=r"an order takes 3 of a, b, c, .*; 2 are there"):
        compared(ordering(EIGHT), some[["a", "c"]])
    with pytest.raises(UnknownError, match="b, c, d are tied in the published order"):
        compared(ordering(TIED | {"d": 0.0}), planted(TIED | {"d": 0.0}, 1.0, 0.1).drop(columns="a"))
    with pytest.raises(UnknownError, match="no seed has all of a, c, h"):
        compared(ordering(EIGHT), some.assign(h=np.nan))


def test_seeds_that_lack_a_label_are_left_out() -> None:
    table = planted(EIGHT, 1.0, 0.01)
    table.loc[0, "d"] = np.nan
    assert compared(ordering(EIGHT), table).estimates["order"].degrees_of_freedom == len(table) - 2


def test_an_order_in_words() -> None:
    assert in_order({"a": 0.1, "b": 2.0, "c": 0.1}) == "b (2) > a (0.1) = c (0.1)"


def row_of(table: pd.DataFrame | None) -> dict:
    """A row of the claims table, for such numbers of ours; None: the records cannot tell."""

    def ours(records: Records) -> pd.DataFrame:
        if table is None:
            raise UnknownError("nothing was measured")
        return table

    claim = order_claim(name="x", what="it is", source="a table", ordering=ordering(TIED), ours=ours)
    records = Records(pd.DataFrame({"status": ["ok"], "method": ["gpo"], "run_id": ["1"]}))
    assert order_entry(claim, decide(claim, records)) == claim_row("paper", claim, records)["order"]
    return claim_row("paper", claim, records)


def test_a_row_has_the_order_with_ours_beside_it() -> None:
    row = row_of(planted(TIED, 1.0, 0.0))
    assert row["name"] == "order-x"
    assert row["order"] == {
        "labels": ["a", "b", "c"],
        "published": [1.0, 0.0, 0.0],
        "ranks": True,
        "ours": [1.0, 0.0, 0.0],
        "mapping": "Letters stand for letters.",
        "why": "They should not.",
    }
    unknown = row_of(None)
    assert (unknown["verdict"], unknown["note"], unknown["order"]["ours"]) == (
        "undecided",
        "nothing was measured",
        None,
    )


def test_orders_are_a_family_of_their_own() -> None:
    order = {"labels": []}
    rows = [
        {"paper": "gpo", "name": "a", "p": 0.01, "ours": False, "order": None},
        {"paper": "gpo", "name": "b", "p": 0.02, "ours": True, "order": None},
        {"paper": "gpo", "name": "c", "p": 0.03, "ours": True, "order": order},
        {"paper": "gpo", "name": "d", "p": 0.04, "ours": True, "order": order},
    ]
    found = {row["name"]: row["p_holm"] for row in holm_corrected(rows)}
    assert found == {"a": 0.01, "b": 0.02, "c": holm([0.03, 0.04])[0], "d": holm([0.03, 0.04])[1]}
    told = tally([row | {"verdict": "holds", "p_holm": 0.01} for row in rows])
    assert "over the 1 of the paper, and apart over 1 of ours and over 2 on orders, at 5 % these stay" in told
