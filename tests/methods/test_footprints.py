"""What a step and a measurement of each method take, by hand."""

import simulator as sim
from simulator.methods import METHODS
from simulator.sweeps.grid import Point
from simulator.sweeps.stacking import later_proxy_tokens
from simulator.worlds.footprint import measured_places
from tests.conftest import small_sweep


def cell(name: str | None, **tables: dict[str, object]) -> Point:
    return Point(settings=small_sweep(**tables), objective=sim.OBJECTIVES[name] if name else None)


def test_places_by_hand() -> None:
    assert measured_places(small_sweep(), 48) == 3 * (2 + 4 + 16)

    def network(method: str, name: str | None, **tables: dict[str, object]) -> tuple[int, int]:
        taken = METHODS[method].footprint(cell(name, **tables))
        return taken.sequences, taken.tokens

    assert network("gpo", "logistic") == (16, 16 * (2 + 2 * 2))
    assert network("gpo", "logistic", train={"batch": 1000}) == (48, 48 * 6)
    assert network("gpo", "rpo_loo", objective={"rpo": {"responses": 5}}) == (16, 16 * (2 + 5 * 2))
    assert network("rl", None, rl={"algorithm": "exact"}) == (3, 3 * (2 + 4 + 16))
    assert network("rl", None, rl={"algorithm": "ppo", "reuse": 4}) == (3 * 8, 3 * 8 * 4)
    assert METHODS["rl"].footprint(cell(None, rl={"algorithm": "ppo", "reuse": 4})).gradients == 4.5
    assert METHODS["rl"].footprint(cell(None)).gradients == 1.5
    for algorithm in ("grpo", "dr_grpo", "reinforce_pp"):  # they read the reference at each token, too
        taken = METHODS["rl"].footprint(cell(None, rl={"algorithm": algorithm, "reuse": 4}))
        assert taken.gradients == 4.5 + 1 / 3, algorithm


def test_rounds_and_held_out_pairs_by_hand() -> None:
    once, taken = (METHODS[name].footprint(cell(None, iterated={"rounds": 3})) for name in ("rl", "iterated"))
    assert (taken.steps, taken.rounds, taken.pairs) == (3 * once.steps, 3, 3 * 48)
    assert taken.gradients == once.gradients
    settings = small_sweep(proxy={"members": 2, "steps": 20, "batch": 16})
    assert later_proxy_tokens(settings, 3) == 2 * 2 * 20 * 16 * (2 + 2 * 3)
    assert later_proxy_tokens(settings, 1) == 0
    assert METHODS["gpo"].footprint(cell("logistic", measure={"held_out": 7})).held_out == 7
