"""From the table to knowledge: frontiers, scaling laws, intervals, claims, figures, the page.

    from analysis import load, frontier, fit_scaling_law, claims
    frontier(load("results/quickstart"), by="loss")
    claims("results/quickstart")

Nothing here trains, and nothing imports torch: all that is known of a sweep stands in its tables.
"""

from analysis.collapse import Collapse, kappa_collapse
from analysis.comparison import Comparison, compare, compare_all
from analysis.counterexample import descend
from analysis.frontier import frontier
from analysis.intervals import Estimate
from analysis.laws import ScalingLaw, fit_scaling_law
from analysis.papers import PAPERS
from analysis.paths import fit_laws, trends
from analysis.results import ResultsError, load_beside, load_losses, load_proxies, variants
from analysis.several import load
from analysis.summary import best, peaks, training_curves
from analysis.theory import LINKS, gradient_weights, margins_by_gap
from analysis.tradeoffs import pareto_front, tradeoffs
from analysis.verdicts import claims

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
    "load_beside",
    "load_losses",
    "load_proxies",
    "margins_by_gap",
    "pareto_front",
    "peaks",
    "tradeoffs",
    "training_curves",
    "trends",
    "variants",
]
