"""Pairwise objectives: GPO's six, and what users compare with them.

To add one, write it in a module of losses/, and name it in the OBJECTIVES of that module. Its parameters become a table
of the sweep file, `[objective.TABLE]`.
"""

from simulator.common.discovery import modules_in
from simulator.objectives.objective import Objective

OBJECTIVES: dict[str, Objective] = {
    name: objective
    for module in modules_in("simulator.objectives.losses", first="gpo")
    for name, objective in module.OBJECTIVES.items()
}
"""Every pairwise objective, by the name that `sweep.loss` and `train(loss=…)` take: the six f and all others."""

KNOWN_AS = {name: objective.name for objective in OBJECTIVES.values() for name in objective.convention.names}
DIAGNOSTICS = {one.column.name: one.column for objective in OBJECTIVES.values() for one in objective.diagnostics}

__all__ = ["DIAGNOSTICS", "KNOWN_AS", "OBJECTIVES"]
