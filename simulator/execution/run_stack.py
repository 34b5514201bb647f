"""One stack of runs from its world to its records: the main job's straight line.

    world -> proxies -> preference data -> trained runs -> measured checkpoints -> records

What lies between proxies and records is the method's; see simulator/methods/.
"""

from collections.abc import Callable, Sequence

import pandas as pd

from simulator.engine.recorder import Recorder
from simulator.methods import METHODS
from simulator.networks.compute_mode import Computing, computing
from simulator.proxies.planting import list_answers, plant
from simulator.proxies.reward_model import Member, members_of
from simulator.proxies.scores import Proxy, Trained, make_proxy, plant_proxy
from simulator.settings.run import Run
from simulator.worlds.protocol import World


def proxies_for(runs: Sequence[Run], world: World, trained: Callable[[str], Trained]) -> list[Proxy]:
    """The proxy of each run, none where they need none; `trained` gives the networks by name."""
    found: dict[tuple[object, ...], Proxy] = {}
    chosen = []
    for run in runs:
        names = tuple(member.name for member in members_of(run))
        if not names:
            continue
        asked = run.settings.proxy
        key = (names, asked.combine, asked.uncertainty)
        if key not in found:
            found[key] = proxy_of(members_of(run), world, trained)
        chosen.append(found[key])
    return chosen


def proxy_of(members: Sequence[Member], world: World, trained: Callable[[str], Trained]) -> Proxy:
    """The proxy of these members, planted or trained; `trained` gives the networks by name."""
    asked = members[0].settings.proxy
    if asked.planted:
        listed = list_answers(world)
        planted = [plant(member, world, listed) for member in members]
        return plant_proxy(planted, world.listing, combine=asked.combine, uncertainty=asked.uncertainty)
    networks = [trained(member.name) for member in members]
    return make_proxy(networks, world.listing, combine=asked.combine, uncertainty=asked.uncertainty)


def run_stack(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """Train and measure the runs of one stack; the rows of `curves.parquet` that they make.

    proxies: one for each run, or none at all. The recorder is told of steps, given the rows of further tables, which
    are named in `common.result_files.SIDE_TABLES`, and has the state to go on from.
    """
    with computing(Computing(engine=runs[0].settings.train.engine)):
        curves = METHODS[runs[0].method].run(runs, world, proxies, recorder)
    if not proxies:
        return curves
    sizes = {
        run.run_id: network.architecture.parameters
        for run, proxy in zip(runs, proxies, strict=True)
        if isinstance(network := proxy.members[0], Trained)
    }
    return curves.assign(proxy_parameters=curves["run_id"].map(sizes)) if sizes else curves
