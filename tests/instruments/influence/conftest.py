"""Small sites: one data set under one class of policies."""

from collections.abc import Callable, Iterator

import pytest
import torch

from simulator.instruments.influence.retraining import Site
from simulator.instruments.influence.table import sites
from simulator.sweeps.grid import expand
from simulator.sweeps.sweep import Sweep

SMALL = (
    *("world.vocabulary=3", "world.response_length=2", "world.prompts=2", "reference.steps=20", "policy.width=8"),
    *("data.pairs=40", "train.batch=40", "sweep.seeds=1", "policy.features=tokens"),
)

MakeSite = Callable[..., Site]


def small_site(*settings: str, kind: str = "linear") -> Site:
    """The first data set of a small sweep with further settings."""
    sweep = Sweep.from_toml("influence", (*SMALL, f'sweep.policy.kind=["{kind}"]', *settings))
    return next(iter(sites(expand(sweep))))


@pytest.fixture
def make_site() -> Iterator[MakeSite]:
    with torch.no_grad():
        yield small_site
