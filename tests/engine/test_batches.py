"""Which pairs each step takes."""

import numpy as np

from simulator.engine.batches import batch_order


def test_batches_are_epochs_in_new_orders() -> None:
    order = batch_order(3, pairs=10, batch=4, first=0, steps=10)
    epochs = order.reshape(-1, 10)
    assert (np.sort(epochs, axis=1) == np.arange(10)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_any_stretch_of_batches_is_known_without_those_before() -> None:
    whole = batch_order(3, pairs=10, batch=4, first=0, steps=20)
    for first, steps in ((0, 1), (3, 5), (7, 13), (19, 1)):
        assert (batch_order(3, pairs=10, batch=4, first=first, steps=steps) == whole[first : first + steps]).all()
