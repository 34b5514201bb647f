"""What the claims of Tang et al. 2024 (arXiv:2402.05749) on KL and the squared loss are judged by."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from analysis.published.claim import Finding, Records, UnknownError
from analysis.published.measures import log_kl_noise, mean_over_seeds, require_columns, without_axes
from analysis.records.about import GPO_LOSSES
from analysis.records.load import final_rows, trained_rows
from analysis.statistics.intervals import Estimate
from analysis.theory.gaussians import descend

FACTOR_OF_TWO = round(float(np.log(2)), 3)


def six(records: Records) -> pd.DataFrame:
    """The rows of the six losses and the oracle. Raises UnknownError where fewer than two of them are there."""
    curves = records.curves
    curves = curves[(curves["method"] == "oracle") | (curves["method"].eq("gpo") & curves["loss"].isin(GPO_LOSSES))]
    curves = curves[~curves["run_id"].isin(curves.loc[curves["status"] == "diverged", "run_id"])]
    if trained_rows(curves)["loss"].nunique() < 2:
        raise UnknownError("fewer than two of the six losses are there, without runs that diverged")
    return without_axes(curves)


def of_each_loss(records: Records, estimate: Callable[[pd.DataFrame], Estimate]) -> dict[str, Estimate]:
    """An estimate from the rows of each loss."""
    return {str(loss): estimate(rows) for loss, rows in trained_rows(six(records)).groupby("loss", sort=False)}


def weakest_regularization(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the smallest beta."""
    return rows[rows["beta"] == rows["beta"].min()]


def not_kl(records: Records) -> Finding:
    """log of KL over half the mu-weighted squared loss at the end of training at the smallest beta."""

    def ratio(rows: pd.DataFrame) -> Estimate:
        last = final_rows(weakest_regularization(require_columns(rows, "mu_squared")))
        last = last[(last["kl"] > 0) & (last["mu_squared"] > 0)]
        return mean_over_seeds(np.log(2 * last["kl"] / last["mu_squared"]), log_kl_noise(last))

    return Finding(estimates=of_each_loss(records, ratio))


def suppressed(records: Records) -> Finding:
    """log of what suppressed responses give of the squared loss over what raised ones do, at the end, smallest beta.

    Raises UnknownError where one of the two is 0 in some run, and has no logarithm.
    """

    def ratio(rows: pd.DataFrame) -> Estimate:
        parts = ("mu_squared_suppressed", "mu_squared_raised")
        last = final_rows(weakest_regularization(require_columns(rows, *parts)))
        without = ~(last[list(parts)] > 0).all(axis=1)
        if without.any():
            lost = f"{int(without.sum())} of {len(last)} runs of {last['loss'].iloc[0]}"
            raise UnknownError(f"in {lost} raised or suppressed responses give nothing of the squared loss")
        return mean_over_seeds(np.log(last[parts[0]] / last[parts[1]]))

    return Finding(estimates=of_each_loss(records, ratio))


def mixture(records: Records) -> Finding:
    """KL that is gained while the squared loss is minimized, where everything is known in closed form."""
    six(records)
    path = descend()
    first, last = path.path["squared"].iloc[[0, -1]]
    highest = path.path["kl"].max()
    note = f"exact, no data; squared loss from {first:.3g} to {last:.2g} nats^2; KL at most {highest:.3g} on the way"
    return Finding(estimates={"mixture": Estimate(value=path.kl_gained)}, note=note)
