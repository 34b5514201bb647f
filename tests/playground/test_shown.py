"""Where probability is and what a policy says, against counts that are done by hand."""

import numpy as np
import pytest
import torch

from simulator import World, make_world
from simulator.common.errors import ConfigError
from simulator.playground.drawn_loss import drawn_loss
from simulator.playground.shown import all_log_probs, masses, responses_shown, seen_in
from simulator.playground.world_data import breaks_of, packed
from tests.conftest import small_sweep


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(small_sweep())


def test_parts_of_responses_are_counted(world: World) -> None:
    pairs, breaks = world.preferences(seed=2), breaks_of(world)
    seen, responses = seen_in(world, [pairs], breaks), [tuple(each) for each in world.responses.tolist()]
    prompts = [tuple(each) for each in world.prompts.tolist()]
    chosen, rejected = np.zeros_like(breaks, dtype=int), np.zeros_like(breaks, dtype=int)
    for prompt, one, two in zip(pairs.prompts.tolist(), pairs.chosen.tolist(), pairs.rejected.tolist(), strict=True):
        chosen[prompts.index(tuple(prompt)), responses.index(tuple(one))] += 1
        rejected[prompts.index(tuple(prompt)), responses.index(tuple(two))] += 1
    assert (seen.chosen == chosen).all()
    assert (seen.rejected == rejected).all()
    for place in np.ndindex(*breaks.shape):
        met = chosen[place] + rejected[place] > 0
        part = (0 if chosen[place] > rejected[place] else 1) if met else (3 if breaks[place] else 2)
        assert seen.part[place] == part
    law = np.exp(all_log_probs(world, world.reference.parameters)[0])
    wanted = [law[seen.part == part].sum() / len(prompts) for part in range(4)]
    assert masses(np.log(law), seen) == pytest.approx(wanted)
    assert sum(wanted) == pytest.approx(1)


def test_the_likeliest_responses_are_shown(world: World) -> None:
    breaks, logs = breaks_of(world), all_log_probs(world, world.reference.parameters)[0]
    rows = responses_shown(world, logs, seen_in(world, [world.preferences(seed=0)], breaks), breaks)
    for prompt, shown in enumerate(rows):
        top = np.sort(np.exp(logs[prompt]))[::-1][:4]
        assert [row["policy"] for row in shown[:4]] == pytest.approx(top)
        assert all(row["policy"] == pytest.approx(row["reference"]) for row in shown)


def test_bits_of_tokens_are_packed() -> None:
    bits = np.zeros((2, 10), dtype=bool)
    bits[0, [0, 3]] = bits[1, 9] = True
    assert packed(bits).tolist() == [0b1001, 0b10000000]


@pytest.mark.parametrize(
    "shape", [None, [1, 2, 3], [0.0] * 200, [1, 2, 3, 1, "x"], [1, 2, 3, 1, float("inf")], [True] * 6]
)
def test_what_is_no_shape_is_refused(shape: object) -> None:
    with pytest.raises(ConfigError, match="shape: must be"):
        drawn_loss(shape)


def test_a_shape_bends_where_it_says() -> None:
    f = drawn_loss([2.0, -1.0, 0.0, 1.0, 0.5, 0.0])
    z = torch.tensor([-3.0, 0.0, 1.0, 2.0, 10.0], dtype=torch.float64)
    assert f(z).tolist() == pytest.approx([5.0, 2.0, 1.25, 0.75, -3.25])
