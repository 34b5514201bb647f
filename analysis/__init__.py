"""From the table to knowledge: frontiers, intervals, figures.

    from analysis import load, frontier
    frontier(load("results/quickstart"), by="loss")

Nothing here trains, and nothing imports torch: all that is known of a sweep stands in its tables.
"""

from analysis.frontier import frontier
from analysis.results import ResultsError, load, load_losses
from analysis.summary import peaks, training_curves

__all__ = ["ResultsError", "frontier", "load", "load_losses", "peaks", "training_curves"]
