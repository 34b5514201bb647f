"""What a stack in training tells: its steps, further tables, and its state to go on from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from simulator.engine.snapshots import Saver

Tick = Callable[[int], None]


Keep = Callable[[str, pd.DataFrame], None]


Measured = Callable[[int, Any], None]


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """What a method tells while it works.

    progress: how many steps each run has taken since the last time, and resumed, once, how many a saved state had
    taken. save_table: rows of further tables, by their names. measured: the step at which a stack was measured, and the
    stack, a Learner. saver: the state of a stack, to go on from.
    """

    progress: Tick = lambda steps: None
    resumed: Tick = lambda steps: None
    save_table: Keep = lambda name, table: None
    measured: Measured = lambda step, learner: None
    saver: Saver = field(default_factory=Saver)
