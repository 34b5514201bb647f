"""Sweeps that are made in several places, or in several turns, and are one: grids that grow, parts, and joining."""
