"""What the claims of Tang et al. 2024 (arXiv:2402.05749) on beta and on the trade-off are judged by."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.published.claim import Finding, Records, UnknownError
from analysis.published.measures import (
    fall,
    gold_by_seed,
    log_kl_noise,
    mean_over_seeds,
    noise_of,
    others_peak_estimate,
    without_axes,
)
from analysis.records.about import GPO_LOSSES
from analysis.records.load import final_rows, trained_rows
from analysis.records.number_format import number
from analysis.statistics.comparison import POINTS, SIMILAR, compare_curves
from analysis.statistics.frontier import Families, families_of
from analysis.statistics.intervals import Estimate
from analysis.statistics.tradeoff_curves import curves_at, reach_of

TEN = (8.0, 12.5)  # what counts as ten times


def six(records: Records) -> pd.DataFrame:
    """The rows of the six losses and the oracle.

    Raises UnknownError where one of the six is missing, or one lacks the smallest beta of the others, since its runs
    diverged or there are none.
    """
    curves = records.curves
    curves = curves[(curves["method"] == "oracle") | (curves["method"].eq("gpo") & curves["loss"].isin(GPO_LOSSES))]
    curves = curves[~curves["run_id"].isin(curves.loc[curves["status"] == "diverged", "run_id"])]
    smallest = trained_rows(curves).groupby("loss")["beta"].min()
    if lost := [loss for loss in GPO_LOSSES if loss not in smallest]:
        raise UnknownError(
            f"no runs of {', '.join(lost)} are there that did not diverge; the claim is of all six losses"
        )
    if (late := smallest[smallest > smallest.min()]).size:
        raise UnknownError(
            f"no runs of {', '.join(late.index)} at beta {smallest.min():g} are there that did not diverge"
        )
    return without_axes(curves)


def of_each_loss(records: Records, estimate: Callable[[pd.DataFrame], Estimate]) -> dict[str, Estimate]:
    """An estimate from the rows of each loss."""
    return {str(loss): estimate(rows) for loss, rows in trained_rows(six(records)).groupby("loss", sort=False)}


def weakest_regularization(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the smallest beta."""
    return rows[rows["beta"] == rows["beta"].min()]


def moved(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows after the first step."""
    return rows[rows["step"] > 0]


def kl_against_beta(records: Records) -> Finding:
    """log KL at the end of training at beta less that at ten times beta, for every loss and every such beta."""
    last = final_rows(six(records))
    last = last[(last["kl"] > 0) & last["beta"].notna()].assign(log_kl=lambda rows: np.log(rows["kl"]))
    found = {}
    for loss, rows in last.groupby("loss", sort=False):
        table = rows.pivot_table(index="seed", columns="beta", values="log_kl")
        for beta in table:
            for other in (other for other in table if TEN[0] < other / beta < TEN[1]):
                noise = log_kl_noise(*(rows[rows["beta"] == one] for one in (beta, other)))
                name = f"{loss} from {beta:g} to {other:g}"
                found[name] = mean_over_seeds((table[beta] - table[other]).dropna(), noise)
    if not found:
        raise UnknownError("there are no two betas of which one is about ten times the other")
    return Finding(estimates=found)


def rise(records: Records) -> Finding:
    """Gold at the smallest beta, where after the first step it peaks along training for the other seeds."""

    def height(rows: pd.DataFrame) -> Estimate:
        weakest = moved(weakest_regularization(rows))
        return others_peak_estimate(gold_by_seed(weakest), noise_of(weakest))

    return Finding(estimates=of_each_loss(records, height))


def overoptimized(records: Records) -> Finding:
    """The fall at the smallest beta."""
    return Finding(estimates=of_each_loss(records, lambda rows: fall(weakest_regularization(rows))))


def similar(records: Records) -> Finding:
    """The difference in gold of every two losses at ten KL, evenly up to where all of them reach."""
    estimates, note = every_two_alike(families_of(six(records), "loss"), "loss")
    return Finding(estimates=estimates, note=note)


def every_two_alike(families: Families, what: str) -> tuple[dict[str, Estimate], str]:
    """The difference in gold of every two families at ten KL, evenly up to where all of them reach, and a note.

    what: a family is, as a word. Raises UnknownError where one never leaves the reference.
    """
    upto = min(reach_of(points, families.distinguishing) for _, points in families.each)
    if not upto > 0:
        raise UnknownError(f"some {what} never leaves the reference")
    grid = np.linspace(0.0, upto, POINTS)
    found = {str(value[0]): curves_at(points, families.distinguishing, grid) for value, points in families.each}
    comparisons = [compare_curves(a, b, found[a], found[b], margin=SIMILAR) for a, b in combinations(found, 2)]
    estimates = {
        f"{each.a} and {each.b} at {(place + 1) * upto / 10:.2g} nats": estimate
        for each in comparisons
        for place, estimate in enumerate(each.at_tenths)
    }
    everywhere = max(each.smallest_everywhere for each in comparisons)
    average = max(each.smallest_margin for each in comparisons)
    alike = sum(each.equivalent for each in comparisons)
    plural = "losses" if what == "loss" else "proxies"
    note = (
        f"compared from 0 up to {number(upto, 2)} nats, as far as all seeds of all {plural} go; {alike} of "
        f"{len(comparisons)} pairs are similar at every KL; the smallest margin at which all would be is "
        f"{number(everywhere, 2)}, and {number(average, 2)} on average over KL"
    )
    return estimates, note
