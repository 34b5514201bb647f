"""Intervals, frontiers, trade-offs and laws: arrays and tables in, numbers with intervals out."""
