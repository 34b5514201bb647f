"""Longer is better: the number of tokens, its end token included.

Length bias is the best-known flaw of learned reward models (Singhal et al. 2023, "A Long Way to Go", arXiv:2310.03716):
a correlate of what is good that the proxy takes for it, which comes nearest to causal Goodhart (arXiv:1803.04585).
"""

from simulator.planted.law import ErrorLaw, Listed, Parameters, PlantedError


def plant(listed: Listed, parameters: Parameters, key: int) -> PlantedError:
    """Lengths."""
    return PlantedError(of=lambda answers: (answers.tokens >= 0).sum(axis=2).astype(float))


def refuses(ends: bool, response_length: int) -> str:
    """Where no response ends early."""
    return "" if ends else "needs responses that may end early (world.language.stop, world.language.end)"


LAW = ErrorLaw(name="length", plant=plant, refuses=refuses)
