"""Small where the reference speaks, huge where it is silent: extremal Goodhart (arXiv:1803.04585).

error = z exp(growth (-log pi_ref) / 2), with z standard normal numbers of each response: the deviation is
pi_ref^(-growth / 2). With growth = 1 it is that of counting: a table of mean rewards learned from N responses of the
reference has at y the deviation 1 / sqrt(N pi_ref(y)), the term that pessimism subtracts in offline reinforcement
learning (Rashidinejad et al. 2021, arXiv:2103.12021, Sec. 3). With growth = 0 it is the Gaussian law.
"""

import numpy as np

from simulator.planted.draws import normal
from simulator.planted.law import Answers, Array, ErrorLaw, Listed, Parameters, PlantedError

MOST = 300.0  # of the exponent
DIGITS = 5  # of log pi_ref; networks round differently in different company


def plant(listed: Listed, parameters: Parameters, key: int) -> PlantedError:
    """Normal numbers with a deviation of each response."""
    growth = parameters["growth"]
    usual = float((listed.law * listed.answers.log_reference()).sum(axis=1).mean())  # so that exponents stay small

    def of(answers: Answers) -> Array:
        exponent = -growth * (answers.log_reference().round(DIGITS) - usual) / 2
        return normal(key, answers.prompts, answers.tokens) * np.exp(exponent.clip(-MOST, MOST))

    return PlantedError(of=of)


LAW = ErrorLaw(name="thin", reads=("growth",), plant=plant)
