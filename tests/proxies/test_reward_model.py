"""Which reward models a sweep needs, and how large they are."""

import numpy as np

from simulator.proxies.reward_model import members_needed, members_of, proxy_architecture
from simulator.sweeps.grid import expand
from tests.conftest import small_sweep


def test_sizes_are_a_factor_of_four_apart_from_hundreds_to_a_million() -> None:
    sizes = []
    for width in (4, 8, 16, 32, 64, 128, 256):
        architecture = proxy_architecture(
            small_sweep(world={"vocabulary": 8, "response_length": 4}, proxy={"width": width})
        )
        sizes.append(architecture.parameters)
    ratios = np.array(sizes[1:]) / np.array(sizes[:-1])
    assert 200 < sizes[0] < 400
    assert 5e5 < sizes[-1] < 2e6
    assert ((ratios > 3) & (ratios < 5)).all()


def test_a_proxy_is_trained_once_for_all_who_need_it() -> None:
    grid = {"method": ["best_of_n", "gibbs", "rl", "gpo"], "penalty": [0.0, 0.1], "proxy.members": [1, 3]}
    grid |= {"proxy.combine": ["mean", "worst_case"], "data.labeller": ["proxy"]}
    proxy = {"width": 8, "steps": 60, "batch": 16}
    runs = expand(small_sweep(proxy=proxy, sweep={"seeds": 2, "loss": ["hinge"], "beta": [0.1], **grid}))
    assert len(members_needed(runs)) == 2 * 3
    assert all(len(members_of(run)) == run.settings.proxy.members for run in runs)


def test_a_proxy_alone_is_the_first_of_an_ensemble() -> None:
    proxy = {"members": 3, "combine": "worst_case"}
    sweeps = [small_sweep(proxy=each, sweep={"method": "best_of_n", "seeds": 1}) for each in (proxy, {})]
    some, (single,) = (members_needed(expand(sweep)) for sweep in sweeps)
    assert [member.member for member in some] == [0, 1, 2]
    assert single.name == some[0].name
