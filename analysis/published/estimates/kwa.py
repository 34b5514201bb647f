"""What the claims of Kwa et al. 2024 (arXiv:2407.14503) and Laidlaw et al. 2024 (arXiv:2403.03185) are judged by.

Gold along tau, from the reference to the smallest tau, of the policies that are best against planted proxies under a
divergence. Errors of heavy tails are Student's with the fewest degrees of freedom, those of light tails are Gaussian.
Peaks are cross-fitted over seeds, and differences between them are paired, as in
analysis/statistics/proxy_errors/phase_diagram.py. Shapes: S seeds, K values of tau.
"""

import numpy as np
import pandas as pd

from analysis.published.claim import Finding, Records, UnknownError
from analysis.published.measures import in_steps, mean_over_seeds, without_axes
from analysis.published.path_measures import rank_step
from analysis.records.load import without_diverged
from analysis.records.number_format import number
from analysis.statistics.intervals import CORRELATION
from analysis.statistics.peaks import by_seed, smooth_peak_golds
from analysis.statistics.proxy_errors.phase_diagram import DIVERGENCE, KL, LAW, difference, from_reference

DEGREES = "proxy_degrees"
HEAVY, LIGHT = "student", "gaussian"
CALLED = {"kl": "KL", "chi2": "χ²", "chi2_kl": "χ² + KL"}


def planted(records: Records) -> pd.DataFrame:
    """The rows of closed-form policies against planted proxies. Raises UnknownError where there are none."""
    rows = without_diverged(records.curves)
    rows = rows[rows["method"] == "gibbs"]
    if rows.empty or LAW not in rows or DIVERGENCE not in rows:
        raise UnknownError('there are no runs of "gibbs" over laws of errors and divergences')
    return without_axes(rows, LAW, DIVERGENCE, DEGREES)


def degrees_of(rows: pd.DataFrame) -> pd.Series:
    """The degrees of freedom of each row; where they do not vary, 0 for all."""
    return rows[DEGREES].astype(float) if DEGREES in rows else pd.Series(0.0, index=rows.index)


def cell(records: Records, law: str, divergence: str) -> pd.DataFrame:
    """The rows of one law under one divergence; of Student's the one of the heaviest tails. Raises UnknownError."""
    rows = planted(records)
    rows = rows[(rows[LAW] == law) & (rows[DIVERGENCE] == divergence)]
    if rows.empty:
        raise UnknownError(f"there are no policies under {divergence} against proxies with {law} errors")
    degrees = degrees_of(rows)
    return rows if degrees.isna().all() else rows[degrees == degrees.min()]


def pair_of(first: pd.DataFrame, second: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Gold along tau of two cells from the reference on, [S, K + 1] each, of the seeds of both. Raises UnknownError."""
    tables = by_seed(first), by_seed(second)
    seeds = tables[0].index.intersection(tables[1].index)
    if seeds.empty:
        raise UnknownError("no seed is in both")
    return from_reference(tables[0].loc[seeds]), from_reference(tables[1].loc[seeds])


def last_of(rows: pd.DataFrame, column: str) -> pd.Series:
    """A column at the smallest tau, by seed."""
    return rows[rows["step"] == rows["step"].max()].groupby("seed")[column].mean()


def end(records: Records, law: str) -> Finding:
    """Gold at the smallest tau under KL, by seed."""
    rows = cell(records, law, KL)
    told = f"KL {number(last_of(rows, 'kl').mean(), 2)} nats, proxy {number(last_of(rows, 'proxy').mean(), 2)} there"
    peaks = smooth_peak_golds(from_reference(by_seed(rows))).mean()
    return Finding(
        estimates={law: mean_over_seeds(last_of(rows, "gold"))}, note=f"{told}; the peak of gold is {number(peaks, 2)}"
    )


def lower_peak(records: Records) -> Finding:
    """The peak of gold under KL with light tails less that with heavy ones, by seed."""
    light, heavy = pair_of(cell(records, LIGHT, KL), cell(records, HEAVY, KL))
    return Finding(estimates={"KL": difference(light, heavy)}, note=peaks_note({"light": light, "heavy": heavy}))


def keeps_more(records: Records, law: str, better: tuple[str, ...], worse: str) -> Finding:
    """The peak of gold under each of some divergences less that under another one, by seed."""
    estimates, shown = {}, dict[str, np.ndarray]()
    for name in better:
        first, second = pair_of(cell(records, law, name), cell(records, law, worse))
        estimates[f"{CALLED[name]} and {CALLED[worse]}"] = difference(first, second)
        shown |= {CALLED[name]: first, CALLED[worse]: second}
    return Finding(estimates=estimates, note=peaks_note(shown))


def peaks_note(paths: dict[str, np.ndarray]) -> str:
    """The peaks of gold, means over seeds."""
    told = ", ".join(f"{name} {number(float(smooth_peak_golds(path).mean()))}" for name, path in paths.items())
    return f"peaks of gold: {told}"


def tails(records: Records) -> Finding:
    """Spearman's correlation over proxies of the tail index of the error and the peak of gold under KL, by seed."""
    rows = planted(records)
    rows = rows[(rows[DIVERGENCE] == KL) & rows[LAW].isin((HEAVY, LIGHT))]
    rows = rows.assign(degrees=degrees_of(rows).fillna(np.inf))
    proxies = records.proxies
    missing = [name for name in ("error", "seed", "tail_index") if name not in proxies]
    if missing:
        raise UnknownError(f"the table of proxies lacks {missing[0]}")
    degrees = proxies["error_degrees"].astype(float) if DEGREES in rows else 0.0
    known = proxies.assign(degrees=degrees).fillna({"degrees": np.inf}).set_index(["error", "degrees", "seed"])
    found = []
    for (law, freedom), table in rows.groupby([LAW, "degrees"]):
        gold = by_seed(table)
        peaks = smooth_peak_golds(from_reference(gold))
        for seed, peak in zip(gold.index, peaks, strict=True):
            index = known["tail_index"].get((law, freedom, seed), np.nan)
            found.append((seed, float(np.mean(index)), float(peak)))
    each = pd.DataFrame(found, columns=["seed", "index", "peak"]).dropna()
    each = each.groupby("seed").filter(lambda some: len(some) > 2)
    ranked = [some["index"].rank().corr(some["peak"].rank()) for _, some in each.groupby("seed")]
    if not ranked:
        raise UnknownError("there are fewer than three proxies for a seed with a tail index")
    step = rank_step(int(each.groupby("seed").size().min()))
    return Finding(estimates={"KL": in_steps(mean_over_seeds(ranked, bounds=CORRELATION), step)})
