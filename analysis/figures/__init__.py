"""Figures of a result directory, as PNG and SVG. To add one, write its module in a folder here; see kind.py."""
