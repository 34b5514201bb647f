"""Published experiments and their claims, one module a paper; every module here with a PAPER in it is found."""

from analysis.published.claim import Paper
from analysis.records.discovery import modules_in

PAPERS: dict[str, Paper] = {
    name: module.PAPER
    for name, module in modules_in("analysis.published.papers", first="gpo").items()
    if hasattr(module, "PAPER")
}
"""The published experiments, by the name that `reproduce` takes: their sweeps, claims and rules."""
