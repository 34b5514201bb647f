"""From the table to knowledge: frontiers, scaling laws, intervals, claims, figures, the page.

    from analysis import load, frontier, fit_scaling_law, claims
    frontier(load("results/quickstart"), by="loss")
    claims("results/quickstart")

Nothing here trains, and nothing imports torch: all that is known of a sweep stands in its tables.
"""

from analysis.published.papers import PAPERS
from analysis.published.verdicts import claims
from analysis.records.load import ResultsError, load_losses, load_proxies, load_table, variants
from analysis.records.many import load
from analysis.statistics.comparison import Comparison, compare, compare_all
from analysis.statistics.frontier import frontier
from analysis.statistics.gaussians import descend
from analysis.statistics.intervals import Estimate
from analysis.statistics.kappa_collapse import Collapse, kappa_collapse
from analysis.statistics.law_fits import fit_laws, trends
from analysis.statistics.laws import ScalingLaw, fit_scaling_law
from analysis.statistics.peaks import best, peaks, training_curves
from analysis.statistics.population_links import LINKS, gradient_weights, margins_by_gap
from analysis.statistics.tradeoffs import pareto_front, tradeoffs

__all__ = [
    "LINKS",
    "PAPERS",
    "Collapse",
    "Comparison",
    "Estimate",
    "ResultsError",
    "ScalingLaw",
    "best",
    "claims",
    "compare",
    "compare_all",
    "descend",
    "fit_laws",
    "fit_scaling_law",
    "frontier",
    "gradient_weights",
    "kappa_collapse",
    "load",
    "load_losses",
    "load_proxies",
    "load_table",
    "margins_by_gap",
    "pareto_front",
    "peaks",
    "tradeoffs",
    "training_curves",
    "trends",
    "variants",
]
