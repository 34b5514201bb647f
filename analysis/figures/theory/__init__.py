"""Figures of what theory says, beside data."""
