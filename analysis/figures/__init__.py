"""Figures of a result directory, as PNG and SVG. To add one, write its module in a folder here; see kind.py."""

from analysis.figures.drawing import (
    KINDS,
    applicable_figures,
    draw_all,
    draw_examples,
    draw_losses,
    has_finished_run,
    kinds_showing,
    parts_of,
    save,
)

__all__ = [
    "KINDS",
    "applicable_figures",
    "draw_all",
    "draw_examples",
    "draw_losses",
    "has_finished_run",
    "kinds_showing",
    "parts_of",
    "save",
]
