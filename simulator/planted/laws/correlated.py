"""Correlated with gold under the reference, at a given r.

error = r gold + sqrt(1 - r²) z, with gold in its deviations and z standard normal numbers less what gold explains of
them, in theirs. Under the reference the correlation is r exactly, where the listing has all responses.
"""

import math

from simulator.planted.draws import normal
from simulator.planted.law import Answers, Array, ErrorLaw, Listed, Parameters, PlantedError


def plant(listed: Listed, parameters: Parameters, key: int) -> PlantedError:
    """Gold and what has nothing to do with it, mixed."""
    r, known = parameters["correlation"], listed.answers
    drawn = normal(key, known.prompts, known.tokens)
    slope = listed.covariance(drawn, known.gold) / listed.covariance(known.gold, known.gold)
    gold_part = r / listed.deviation(known.gold)
    own = math.sqrt(1 - r**2) / listed.spread(drawn - slope * known.gold)

    def of(answers: Answers) -> Array:
        z = normal(key, answers.prompts, answers.tokens) - slope * answers.gold
        return gold_part * answers.gold + own * z

    return PlantedError(of=of)


LAW = ErrorLaw(name="correlated", reads=("correlation",), plant=plant)
