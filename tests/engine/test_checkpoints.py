"""When checkpoints come."""

import numpy as np
import pytest

from simulator.engine.checkpoints import checkpoint_steps


def test_checkpoints_are_evenly_spaced_in_the_logarithm() -> None:
    steps = checkpoint_steps(10_000, 12)
    assert steps[:2] == [0, 1]
    assert steps[-1] == 10_000
    assert len(steps) == 12
    ratio = np.diff(np.log(steps[3:]))
    assert ratio.max() / ratio.min() < 1.2


@pytest.mark.parametrize(
    ("steps", "count"), [(1, 2), (30, 2), (600, 2), (5, 24), (10, 11), (10, 10), (600, 24), (30, 29)]
)
def test_checkpoints_are_as_many_as_asked_where_there_are_steps(steps: int, count: int) -> None:
    chosen = checkpoint_steps(steps, count)
    assert len(chosen) == min(count, steps + 1)
    assert chosen[0] == 0
    assert chosen[-1] == steps
    assert (np.diff(chosen) > 0).all()
