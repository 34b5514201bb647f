"""Independent of gold, with light tails: regressional Goodhart (Manheim & Garrabrant 2018, arXiv:1803.04585).

Each response has a standard normal number of its own. Were gold normal too, E[gold | proxy] would be the proxy times
Var(gold) / (Var(gold) + noise²), as Gao et al. 2023 write it (arXiv:2210.10760, App. A).
"""

from simulator.planted.draws import normal
from simulator.planted.law import ErrorLaw, Listed, Parameters, PlantedError


def plant(listed: Listed, parameters: Parameters, key: int) -> PlantedError:
    """Standard normal numbers."""
    return PlantedError(of=lambda answers: normal(key, answers.prompts, answers.tokens))


LAW = ErrorLaw(name="gaussian", plant=plant)
