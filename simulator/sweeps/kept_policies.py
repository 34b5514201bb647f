"""Which policies a sweep keeps, and how much room they take on disk."""

from collections.abc import Sequence
from typing import Literal

from simulator.methods import METHODS
from simulator.settings.run import Run
from simulator.sweeps.memory_budget import shown_bytes
from simulator.sweeps.stacking import cells
from simulator.sweeps.sweep import Sweep
from simulator.worlds.policy_classes.sizes import policy_row

FLOAT = 4  # bytes of a parameter
MOST_UNASKED = 2**28  # bytes that are taken without being asked for
Kept = Literal["none", "end", "checkpoints"]


def is_trained(run: Run) -> bool:
    """Whether a run has a policy that was trained."""
    return METHODS[run.method].learner is not None


def policy_bytes(run: Run, kept: Kept) -> int:
    """What the policies of a run take on disk."""
    if kept == "none" or not is_trained(run):
        return 0
    policies = min(run.settings.train.checkpoints, run.steps + 1) if kept == "checkpoints" else 1
    return FLOAT * policy_row(run.settings.spec) * policies


def all_bytes(runs: Sequence[Run], kept: Kept) -> int:
    """What the policies of some runs take on disk."""
    return sum(count * policy_bytes(run, kept) for run, count in cells(runs))


def kept_of(sweep: Sweep, runs: Sequence[Run]) -> Kept:
    """Which policies of a sweep with these runs are kept."""
    asked = sweep.keep.policies
    if asked != "auto":
        return asked
    return "end" if all_bytes(runs, "end") <= MOST_UNASKED else "none"


def described(sweep: Sweep, runs: Sequence[Run]) -> str:
    """Which policies are kept, and what they take, for people."""
    kept = kept_of(sweep, runs)
    trained = sum(map(is_trained, runs))
    if not trained:
        return "none, since no run trains one"
    if kept == "none":
        size = shown_bytes(all_bytes(runs, "end"))
        return f'none are kept; [keep] policies = "end" keeps them, {size}' if sweep.keep.policies == "auto" else "none"
    size = shown_bytes(all_bytes(runs, kept))
    where = "at the end of each run" if kept == "end" else "at every checkpoint"
    return f"of {trained:,} runs are kept {where}, {size}"
