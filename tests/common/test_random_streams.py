"""Random streams: same name, same numbers; other name, other numbers."""

import numpy as np

from simulator.common.random_streams import random_stream


def test_a_stream_follows_from_its_name_alone() -> None:
    assert (random_stream(3, "pairs").random(8) == random_stream(3, "pairs").random(8)).all()


def test_streams_of_different_names_are_uncorrelated() -> None:
    names = [(0, "pairs"), (1, "pairs"), (0, "batches"), (0, "batches", 1), (0, "batches", 2)]
    draws = np.array([random_stream(*name).normal(size=20_000) for name in names])
    apart = np.corrcoef(draws)[~np.eye(len(names), dtype=bool)]
    assert np.abs(apart).max() < 4 / np.sqrt(20_000)
