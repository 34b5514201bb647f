"""Figures of training on pairs."""
