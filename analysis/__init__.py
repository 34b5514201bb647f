"""From the table to knowledge: frontiers, scaling laws, intervals, figures.

    from analysis import load, frontier, fit_scaling_law
    frontier(load("results/quickstart"), by="loss")

Nothing here trains, and nothing imports torch: all that is known of a sweep stands in its tables.
"""

from analysis.frontier import frontier
from analysis.laws import ScalingLaw, fit_scaling_law
from analysis.paths import fit_laws, trends
from analysis.results import ResultsError, load, load_losses, load_proxies, variants
from analysis.summary import peaks, training_curves

__all__ = [
    "ResultsError",
    "ScalingLaw",
    "fit_laws",
    "fit_scaling_law",
    "frontier",
    "load",
    "load_losses",
    "load_proxies",
    "peaks",
    "training_curves",
    "trends",
    "variants",
]
