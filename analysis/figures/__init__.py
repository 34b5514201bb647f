"""Figures of a result directory, as PNG and SVG. To add one, write its module in a folder here; see kind.py."""

from analysis.figures.drawing import (
    KINDS,
    draw_all,
    draw_worked,
    drawable,
    kinds_showing,
    parts_of,
    picture_losses,
    save,
    showing,
)

__all__ = [
    "KINDS",
    "draw_all",
    "draw_worked",
    "drawable",
    "kinds_showing",
    "parts_of",
    "picture_losses",
    "save",
    "showing",
]
