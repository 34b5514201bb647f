"""What the claims on the best beta are judged by, on a fine ladder: fitted peaks of gold and of win rate.

Tang et al. 2024 (arXiv:2402.05749, Sec. 5) show how losses perform against beta, judged side by side; where each loss
peaks there is not known to us, so claims are about how peaks lie to one another.
"""

from itertools import combinations

import numpy as np
import pandas as pd

from analysis.published.claim import Finding, Records, UnknownError
from analysis.published.estimates.gpo import six
from analysis.published.measures import noise_of, require_columns
from analysis.records.load import trained_rows
from analysis.records.number_format import number
from analysis.statistics.best_beta.fitted_peak import FittedPeak, ladder_of, peaks_over_beta
from analysis.statistics.intervals import Estimate
from analysis.statistics.peaks import fall_with_error
from analysis.theory.six_losses import SIX

STEP = round(float(np.log(2)) / 2, 3)  # a factor of sqrt(2), half of what kappa is apart, in logarithms
FINE = 1.6  # neighbours of a fine ladder are at most so far apart, as a factor


def fine_ladder(records: Records, *columns: str) -> pd.DataFrame:
    """The trained rows of the six losses. Raises UnknownError where beta is no fine ladder, or a column is missing."""
    rows = require_columns(trained_rows(six(records)), *columns)
    betas = np.sort(rows["beta"].dropna().unique())
    if len(betas) < 2 or (betas[1:] / betas[:-1]).max() > FINE:
        raise UnknownError(
            f"neighbours among the betas are more than a factor of {FINE:g} apart, too far to fit a peak"
        )
    return rows


def peaks_inside(rows: pd.DataFrame, column: str) -> dict[str, FittedPeak]:
    """The fitted peak of each loss. Raises UnknownError where one lies at an end of the ladder, or beyond."""
    found = peaks_over_beta(rows, column)
    if not found:
        raise UnknownError("no loss has enough betas to fit a peak to")
    if at_edge := [loss for loss, peak in found.items() if not peak.inside]:
        raise UnknownError(f"the peak of {column} over beta of {', '.join(at_edge)} is at an end of the ladder")
    return found


def told(peaks: dict[str, FittedPeak]) -> str:
    """The beta of each peak with its 95 % interval."""
    texts = []
    for loss, peak in peaks.items():
        low, high = np.exp(peak.estimate.interval())
        texts.append(f"{loss} {number(float(np.exp(peak.log_beta)), 2)} [{number(low, 2)}, {number(high, 2)}]")
    return ", ".join(texts)


def peak_over_beta(records: Records) -> Finding:
    """Gold at the best beta of other seeds less that at the smallest, and at the largest, of each loss.

    With the error of falls along training (analysis/statistics/peaks.py), which is not 0 where the best is an end.
    """
    found = {}
    for loss, rows in fine_ladder(records).groupby("loss", sort=False):
        table = ladder_of(rows)
        if table.shape[1] < 2 or table.empty:
            raise UnknownError(f"{loss} has no two betas that all seeds have")
        for order, name in ((-1, "smallest"), (1, "largest")):
            value, error = fall_with_error(table.to_numpy(float)[:, ::order])
            found[f"{loss} against the {name} beta"] = Estimate(
                value=value,
                error=error,
                degrees_of_freedom=len(table) - 1,
                shared_error=float(np.sqrt(2)) * noise_of(rows),
            )
    return Finding(estimates=found)


def aligned_peaks(records: Records) -> Finding:
    """The difference of log (best beta kappa) of every two losses with kappa above 0, over the seeds of both."""
    peaks = peaks_inside(fine_ladder(records), "gold")
    shift = {loss: float(np.log(SIX[loss].kappa)) for loss in peaks if SIX[loss].kappa > 0}
    if len({*shift.values()}) < 2:
        raise UnknownError("there are no two losses whose kappa differ and are above 0")
    estimates = {f"{a} and {b}": peaks[a].less(peaks[b], shift[a] - shift[b]) for a, b in combinations(shift, 2)}
    halves = [[peaks[loss] for loss in shift if SIX[loss].kappa == kappa] for kappa in (0.5, 1.0)]
    note = f"best beta: {told(peaks)}"
    if all(halves):
        between = mean_peak(halves[0]).less(mean_peak(halves[1]))
        note += (
            f"; on average it is {number(float(np.exp(between.value)), 2)} times as large where kappa is half, "
            f"{interval_text(between)}"
        )
    return Finding(estimates=estimates, note=note)


def interval_text(estimate: Estimate) -> str:
    """The 95 % interval of a logarithm, as factors."""
    low, high = np.exp(estimate.interval())
    return f"[{number(low, 2)}, {number(high, 2)}]" if estimate.known else "without an interval"


def mean_peak(peaks: list[FittedPeak]) -> FittedPeak:
    """The mean of log beta of several peaks of the same seeds."""
    return FittedPeak(
        log_beta=float(np.mean([peak.log_beta for peak in peaks])),
        height=float(np.mean([peak.height for peak in peaks])),
        draws=np.mean([peak.draws for peak in peaks], axis=0),
        seeds=peaks[0].seeds,
        inside=all(peak.inside for peak in peaks),
    )


def win_rate_peaks(records: Records) -> Finding:
    """log of the beta where the win rate peaks less that where gold does, of each loss."""
    rows = fine_ladder(records, "win_rate")
    gold, wins = (peaks_inside(rows, name) for name in ("gold", "win_rate"))
    estimates = {loss: wins[loss].less(gold[loss]) for loss in gold if loss in wins}
    return Finding(estimates=estimates, note=f"gold: {told(gold)}; win rate: {told(wins)}")
