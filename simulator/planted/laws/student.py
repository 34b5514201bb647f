"""Independent of gold, with heavy tails: Student's law, whose tail index is its degrees of freedom.

With an error of heavy tails a policy that a penalty on KL holds gains proxy and, in the limit, no gold (Kwa, Thomas &
Garriga-Alonso 2024, "Catastrophic Goodhart", arXiv:2407.14503). With 2 degrees of freedom or fewer the variance of the
law is infinite; the deviation that makes its unit is always the one under the reference of the numbers that were drawn,
which is finite.
"""

from simulator.planted.draws import student
from simulator.planted.law import ErrorLaw, Listed, Parameters, PlantedError


def plant(listed: Listed, parameters: Parameters, key: int) -> PlantedError:
    """Numbers of Student's law."""
    degrees = parameters["degrees"]
    return PlantedError(of=lambda answers: student(key, answers.prompts, answers.tokens, degrees))


LAW = ErrorLaw(name="student", reads=("degrees",), plant=plant)
