"""Tang et al. 2024, Generalized Preference Optimization (arXiv:2402.05749): the six losses over a ladder of beta."""

from itertools import combinations

import numpy as np
import pandas as pd

from analysis.published.claim import (
    LEAST,
    LEAST_RATIO,
    Claim,
    Finding,
    Paper,
    Part,
    Records,
    UnknownError,
    above,
    outside,
    within,
)
from analysis.published.gpo_measures import (
    FACTOR_OF_TWO,
    mixture,
    not_kl,
    of_each_loss,
    six,
    suppressed,
    weakest_regularization,
)
from analysis.published.measures import (
    fall,
    gold_at_others_peak,
    gold_by_seed,
    log_kl_noise,
    loss_with_settings,
    mean_over_seeds,
    noise_of,
    without_axes,
)
from analysis.records.load import final_rows, variants
from analysis.records.number_format import number
from analysis.statistics.comparison import POINTS, SIMILAR, compare_curves
from analysis.statistics.frontier import families_of
from analysis.statistics.intervals import Estimate
from analysis.statistics.tradeoff_curves import curves_at, reach_of
from analysis.theory.kappa_collapse import Collapse, kappa_collapse

TEN = (8.0, 12.5)  # what counts as ten times


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
        return mean_over_seeds(gold_at_others_peak(gold_by_seed(weakest)), noise_of(weakest))

    return Finding(estimates=of_each_loss(records, height))


def overoptimized(records: Records) -> Finding:
    """The fall at the smallest beta."""
    return Finding(estimates=of_each_loss(records, lambda rows: fall(weakest_regularization(rows))))


def similar(records: Records) -> Finding:
    """The difference in gold of every two losses at ten KL, evenly up to where all of them reach."""
    families = families_of(six(records), "loss")
    upto = min(reach_of(points, families.distinguishing) for _, points in families.each)
    if not upto > 0:
        raise UnknownError("some loss never leaves the reference")
    grid = np.linspace(0.0, upto, POINTS)
    found = {str(value[0]): curves_at(points, families.distinguishing, grid) for value, points in families.each}
    pairs = combinations(found, 2)
    comparisons = [compare_curves(a, b, found[a], found[b]) for a, b in pairs]
    estimates = {
        f"{each.a} and {each.b} at {(place + 1) * upto / 10:.2g} nats": estimate
        for each in comparisons
        for place, estimate in enumerate(each.at_tenths)
    }
    everywhere = max(each.smallest_everywhere for each in comparisons)
    average = max(each.smallest_margin for each in comparisons)
    alike = sum(each.equivalent for each in comparisons)
    note = (
        f"compared from 0 up to {number(upto, 2)} nats, as far as all seeds of all losses go; {alike} of "
        f"{len(comparisons)} pairs are similar at every KL; the smallest margin at which all would be is "
        f"{number(everywhere, 2)}, and {number(average, 2)} on average over KL"
    )
    return Finding(estimates=estimates, note=note)


def with_kappa(records: Records) -> pd.DataFrame:
    """The rows of all losses that are an f of beta rho, families with a parameter as variants. Raises UnknownError."""
    curves = variants(records.curves)
    return without_axes(curves[curves["method"].eq("gpo") & (curves["kappa"] > 0)])


def collapse(records: Records) -> Collapse:
    """What kappa removes of the spread between losses. Raises UnknownError."""
    try:
        return kappa_collapse(with_kappa(records))
    except ValueError as error:
        raise UnknownError(str(error)) from None


def kappa(records: Records, which: str) -> Finding:
    """The share of the spread between losses that kappa removes, and how much more than kappa given to other losses."""
    found = records.once(collapse)
    if found.too_few_reason:
        raise UnknownError(found.too_few_reason)
    shift = found.kl if which == "kl" else found.best
    note = (
        f"the spread goes from {number(shift.before, 2)} to {number(shift.after, 2)} in the natural logarithm, over "
        f"{', '.join(map(loss_with_settings, found.losses))}; of {found.assignments:,} ways to give these kappa to "
        f"these losses, {100 * shift.p:.2g} % remove as much"
    )
    if which == "kl":
        note += f"; over one range, {number(found.low)} to {number(found.high)}, of beta and of beta kappa"
    if which == "best" and found.at_sweep_edge:
        edge = ", ".join(map(loss_with_settings, found.at_sweep_edge))
        raise UnknownError(f"the best beta of {edge} is the smallest or largest of the sweep")
    if which == "best":
        note += "; best beta: " + ", ".join(
            f"{loss_with_settings(loss)} {number(beta, 2)} "
            f"(in {100 * found.bootstrap_share[loss]:.0f} % of bootstrap samples)"
            for loss, beta in found.best_beta.items()
        )
    estimates = {"kappa against beta": shift.removed, "kappa against other assignments of it": shift.excess}
    return Finding(estimates=estimates, note=note)


def tail(records: Records) -> Finding:
    """log KL of the truncated quadratic loss less that of the squared loss, at equal beta, by seed."""
    last = final_rows(six(records))
    last = last[last["kl"] > 0].assign(log_kl=np.log(last["kl"]))
    groups = last.groupby("loss")
    tables = {loss: rows.pivot_table(index="seed", columns="beta", values="log_kl") for loss, rows in groups}
    if not {"squared", "truncated_quadratic"} <= tables.keys():
        raise UnknownError("squared and truncated_quadratic are not both there")
    gap = (tables["truncated_quadratic"] - tables["squared"]).dropna(axis="columns").mean(axis=1)
    noise = log_kl_noise(*(last[last["loss"] == loss] for loss in ("squared", "truncated_quadratic")))
    return Finding(estimates={"tail": mean_over_seeds(gap, noise)})


PAPER = Paper(
    title="Generalized Preference Optimization (Tang et al. 2024, arXiv:2402.05749)",
    examples=("counterexample",),
    parts={"": Part(config="gpo", quick=("sweep.seeds=3", "train.steps=200", "train.checkpoints=12"))},
    claims=(
        Claim(
            name="beta",
            statement="A ten times smaller beta ends with at least 5 % more KL, with every loss and everywhere on "
            "the ladder",
            source="GPO, Sec. 5",
            unit="log of the ratio of KL",
            rule=above(LEAST_RATIO),
            estimate=kl_against_beta,
        ),
        Claim(
            name="rise",
            statement=f"At the smallest beta gold rises at first, by more than {LEAST:g}, with every loss",
            source="GPO, Sec. 5",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=rise,
        ),
        Claim(
            name="fall",
            statement=f"At the smallest beta gold falls after its peak along training, by more than {LEAST:g}, "
            "with every loss",
            source="GPO, Sec. 5; Gao et al. 2023",
            unit="deviations of gold",
            rule=above(LEAST),
            estimate=overoptimized,
        ),
        Claim(
            name="similar",
            statement=f"At equal KL every two of the six losses have the same gold within {SIMILAR:g}",
            source="GPO, abstract",
            unit="deviations of gold at equal KL",
            rule=within(SIMILAR),
            estimate=similar,
        ),
        Claim(
            name="kappa",
            statement="Losses agree better on KL at equal beta kappa than at equal beta, and than with 95 % of "
            "other ways to give these kappa to these losses",
            source="GPO, Sec. 4, from its second-order view",
            unit="share of the spread over losses that kappa removes",
            rule=above(0),
            estimate=lambda records: kappa(records, "kl"),
        ),
        Claim(
            name="best-beta",
            statement="The best beta times kappa differs less between losses than the best beta, and than with 95 "
            "% of other ways to give these kappa to these losses",
            source="GPO, abstract and Sec. 5",
            unit="share of the spread over losses that kappa removes",
            rule=above(0),
            estimate=lambda records: kappa(records, "best"),
        ),
        Claim(
            name="not-kl",
            statement="Offline regularization is not KL: weakly regularized, they differ by more than a factor of two",
            source="GPO, Sec. 4",
            unit="log of KL over half of 1/2 E_mu rho^2, 0 near the reference",
            rule=outside(FACTOR_OF_TWO),
            estimate=not_kl,
        ),
        Claim(
            name="kl-grows",
            statement="Weakly regularized, KL grows while the mu-weighted squared loss stays small: to more than "
            "twice the half of it that it is near the reference",
            source="GPO, Sec. 4",
            unit="log of KL over half of 1/2 E_mu rho^2, 0 near the reference",
            rule=above(FACTOR_OF_TWO),
            estimate=not_kl,
        ),
        Claim(
            name="suppressed",
            statement="Ours, not the paper's: weakly regularized, responses that became less likely give more than "
            "twice as much of the mu-weighted squared loss as those that became more likely",
            source="ours; why kl-grows may fail here",
            unit="log of what the first give over what the second do",
            rule=above(FACTOR_OF_TWO),
            estimate=suppressed,
        ),
        Claim(
            name="mixture",
            statement="Minimizing the mu-weighted squared loss can raise KL (mixture of two Gaussians)",
            source="GPO, Sec. 4",
            unit="nats",
            rule=above(0),
            estimate=mixture,
        ),
        Claim(
            name="tail",
            statement="A tail that turns upward regularizes more: the truncation of the squared loss ends with at "
            "least 5 % more KL",
            source="GPO, Sec. 4, on tails",
            unit="log of the ratio of KL at equal beta",
            rule=above(LEAST_RATIO),
            estimate=tail,
        ),
    ),
)
