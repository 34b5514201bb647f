"""Pairwise objectives: GPO's six, and what users compare with them.

To add one, write it in one of these modules, or in one of its own that is named here, and name it in its OBJECTIVES.
Its parameters become a table of the sweep file, `[objective.TABLE]`.
"""

from simulator.objectives import ganpo, margin, pairwise, reference_free, rpo, vpo
from simulator.objectives.gpo import LOSSES
from simulator.objectives.objective import Objective, of_z

OBJECTIVES: dict[str, Objective] = {
    **{name: of_z(f) for name, f in LOSSES.items()},
    **margin.OBJECTIVES,
    **pairwise.OBJECTIVES,
    **reference_free.OBJECTIVES,
    **vpo.OBJECTIVES,
    **rpo.OBJECTIVES,
    **ganpo.OBJECTIVES,
}

WATCHED = tuple(dict.fromkeys(name for objective in OBJECTIVES.values() for name in objective.watched))

__all__ = ["OBJECTIVES", "WATCHED"]
