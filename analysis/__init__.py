"""From the table to knowledge: frontiers, scaling laws, intervals, claims, figures, the page.

    from analysis import load, frontier, fit_scaling_law, claims
    frontier(load("results/quickstart"), by="loss")
    claims("results/quickstart")

Nothing here trains, and nothing imports torch: all that is known of a sweep stands in its tables.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.figures.film import film_mass
    from analysis.generations.measure import BestOfN, best_of_n
    from analysis.generations.read import Generations, read_generations
    from analysis.instruments.influence import label_values
    from analysis.instruments.regret import regret
    from analysis.instruments.stopping.suggest import suggestions
    from analysis.published.papers import PAPERS
    from analysis.published.verdicts import claims
    from analysis.records.load import ResultsError, load_losses, load_proxies, load_table, variants
    from analysis.records.many import load
    from analysis.statistics.comparison import Comparison, compare, compare_all
    from analysis.statistics.frontier import frontier
    from analysis.statistics.intervals import Estimate
    from analysis.statistics.law_fits import fit_laws, trends
    from analysis.statistics.laws import ScalingLaw, fit_scaling_law
    from analysis.statistics.peaks import best, peaks, training_curves
    from analysis.statistics.tradeoffs import pareto_front, tradeoffs
    from analysis.theory.gaussians import descend
    from analysis.theory.kappa_collapse import Collapse, kappa_collapse
    from analysis.theory.population_links import LINKS, gradient_weights, margins_by_gap

_HOME = {
    "BestOfN": "generations.measure",
    "Collapse": "theory.kappa_collapse",
    "Comparison": "statistics.comparison",
    "Estimate": "statistics.intervals",
    "Generations": "generations.read",
    "LINKS": "theory.population_links",
    "PAPERS": "published.papers",
    "ResultsError": "records.load",
    "ScalingLaw": "statistics.laws",
    "best": "statistics.peaks",
    "best_of_n": "generations.measure",
    "claims": "published.verdicts",
    "compare": "statistics.comparison",
    "compare_all": "statistics.comparison",
    "descend": "theory.gaussians",
    "film_mass": "figures.film",
    "fit_laws": "statistics.law_fits",
    "fit_scaling_law": "statistics.laws",
    "frontier": "statistics.frontier",
    "gradient_weights": "theory.population_links",
    "kappa_collapse": "theory.kappa_collapse",
    "label_values": "instruments.influence",
    "load": "records.many",
    "load_losses": "records.load",
    "load_proxies": "records.load",
    "load_table": "records.load",
    "margins_by_gap": "theory.population_links",
    "pareto_front": "statistics.tradeoffs",
    "peaks": "statistics.peaks",
    "read_generations": "generations.read",
    "regret": "instruments.regret",
    "suggestions": "instruments.stopping.suggest",
    "tradeoffs": "statistics.tradeoffs",
    "training_curves": "statistics.peaks",
    "trends": "statistics.law_fits",
    "variants": "records.load",
}

__all__ = [
    "LINKS",
    "PAPERS",
    "BestOfN",
    "Collapse",
    "Comparison",
    "Estimate",
    "Generations",
    "ResultsError",
    "ScalingLaw",
    "best",
    "best_of_n",
    "claims",
    "compare",
    "compare_all",
    "descend",
    "film_mass",
    "fit_laws",
    "fit_scaling_law",
    "frontier",
    "gradient_weights",
    "kappa_collapse",
    "label_values",
    "load",
    "load_losses",
    "load_proxies",
    "load_table",
    "margins_by_gap",
    "pareto_front",
    "peaks",
    "read_generations",
    "regret",
    "suggestions",
    "tradeoffs",
    "training_curves",
    "trends",
    "variants",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: a process that draws, or reads one table, needs little of the rest."""
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"analysis.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
