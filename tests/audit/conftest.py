"""A small world, and one whose responses end early, with a policy on the way."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

import simulator as sim
from simulator.audit.place import Place
from simulator.audit.policy import path
from simulator.audit.table import Law, Question, places_at
from simulator.settings.tables import Train
from simulator.worlds.protocol import as_listed
from tests.conftest import small_sweep


@dataclass(frozen=True, kw_only=True)
class Site:
    """A question, and its prompts."""

    lab: sim.World
    asked: Question
    places: list[Place]

    @property
    def laws(self) -> list[Law]:
        """Of the policy that draws, at each prompt."""
        return [(place.old_log_probs, place.log_ratio) for place in self.places]


def site_of(*, ends: bool, group: int = 4) -> Site:
    tables: dict[str, Any] = {"prompts": 2}
    lab = sim.make_world(small_sweep(world=tables | ({"language": {"stop": 0.3}} if ends else {})))
    world, train = as_listed(lab.simulated), Train(learning_rate=0.01)
    reward = torch.from_numpy(world.listing.gold)
    (theta,) = path(world, world.policy_class.start, reward, 0.3, [3], train)
    asked = Question(
        world=world,
        parameters=theta,
        reward=reward,
        penalty=0.3,
        group=group,
        clip=0.2,
        reuse=(2,),
        batches=4000,
        looked_at=1000,
        seed=5,
        train=train,
    )
    return Site(lab=lab, asked=asked, places=places_at(asked, theta, None))


@pytest.fixture(scope="session")
def ending() -> Site:
    return site_of(ends=True)


@pytest.fixture(scope="session")
def plain() -> Site:
    return site_of(ends=False)
