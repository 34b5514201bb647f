"""Training on labelled pairs by a pairwise objective: GPO's f(beta rho), or any other of simulator/objectives/.

Generalized Preference Optimization: Tang et al. 2024, arXiv:2402.05749. Gold labels the pairs, or a proxy does: it then
calls the response with the larger score the chosen one, of `data.pool` pairs that gold never saw. Offline the pairs are
drawn once, from the behaviour policy; with `online.refresh` the policy draws more as it trains. Shapes: R runs, N pairs
of one run, K responses of each.
"""

from collections.abc import Sequence

import pandas as pd

from simulator.methods.method import LABELS, Choices, Keys, Method, proxy_keys
from simulator.objectives import OBJECTIVES
from simulator.objectives.objective import Objective
from simulator.preferences.labelling import responses
from simulator.preferences.online import rounds
from simulator.proxies.scores import Proxy
from simulator.settings.run import Cell, Run, objective_of, own_of
from simulator.settings.world_spec import MADE_OF
from simulator.training.recorder import Recorder
from simulator.worlds.protocol import World


def strengths(grid: Choices) -> Sequence[tuple[Objective, float | None]]:
    """Every objective at every beta, or once where it has none."""
    return [(objective, beta) for objective in grid.loss for beta in (grid.beta if objective.has_beta else (None,))]


def by_proxy(cell: Cell) -> bool:
    """Whether a proxy labels pairs, at the beginning or later, or has the rewards that the objective reads."""
    settings, objective = cell.settings, objective_of(cell)
    labelled_later = turns(cell) > 0 and settings.online.labeller == "proxy" and not objective.ranked
    rewarded = objective.scored and own_of(cell).get("reward") == "proxy"
    return settings.data.labeller == "proxy" or labelled_later or rewarded


def turns(cell: Cell) -> int:
    """How often fresh pairs are drawn."""
    return rounds(cell.settings.online, cell.settings.train.steps)


def reads(cell: Cell) -> Sequence[str]:
    """The tables of settings that matter."""
    own = ("objective",) if objective_of(cell).table else ()
    online = ("online",) if turns(cell) else ()
    return (*MADE_OF, "data", "train", *own, *online, *(("proxy",) if by_proxy(cell) else ()))


def ignores(cell: Cell) -> Keys:
    """What says nothing: tables of other objectives, the pool that nobody labels, and how to make no ensemble."""
    settings, objective = cell.settings, objective_of(cell)
    keys: dict[str, Sequence[str]] = {"proxy": proxy_keys(settings)} if by_proxy(cell) else {}
    unlabelled = LABELS if objective.ranked and not by_proxy(cell) else ()
    keys["data"] = (*unlabelled, *(("pool",) if settings.data.labeller == "gold" else ()))
    keys["online"] = ("labeller",) if objective.ranked else ()
    others = {other.table for other in OBJECTIVES.values()} - {objective.table, ""}
    unread = [f"{objective.table}.{name}" for name in objective.ignores(own_of(cell))]
    return keys | {"objective": (*sorted(others), *unread)}


def per_row(cell: Cell) -> Keys:
    """What may differ between the rows of a stack; pairs of the pool are as many whoever labels them."""
    train: dict[str, Sequence[str] | None] = {"train": ("learning_rate", "clip"), "objective": None}
    if not by_proxy(cell):
        return train | {"data": LABELS}
    pool = cell.settings.data.labeller == "proxy"
    return train | {"data": (*LABELS, *(("pairs",) if pool else ())), "proxy": None}


def held(cell: Cell) -> int:
    """N at most, once the last fresh pairs are there."""
    first, online = cell.settings.data.learned_from, cell.settings.online
    if online.keep == "newest" and turns(cell):
        return max(first, online.pairs)
    return first + turns(cell) * online.pairs


def network(cell: Cell) -> tuple[int, int]:
    """Sequences, and tokens of all, in one step of training."""
    world = cell.settings.world
    batch = min(cell.settings.train.batch, held(cell))
    return batch, batch * (world.prompt_length + responses(cell) * (world.response_length - 1))


def passes(cell: Cell) -> float:
    """How many gradients are taken in a step, what terms need included."""
    objective, own = objective_of(cell), own_of(cell)
    return objective.cost(own) + calibrated_places(cell) / network(cell)[1]


def calibrated_places(cell: Cell) -> int:
    """Tokens that the expectation under the reference takes a gradient of in a step."""
    world, prompts = cell.settings.world, objective_of(cell).calibrates(own_of(cell))
    if world.kind == "sampled":
        return prompts * (world.prompt_length + 2 * (world.response_length - 1))
    inner = sum(world.vocabulary**t for t in range(1, world.response_length))
    return min(prompts, world.prompts) * (world.prompt_length + inner)


def check(cell: Cell) -> None:
    """Raises ValueError where a batch has no other pair to compare with."""
    settings, objective = cell.settings, objective_of(cell)
    batch = min(settings.train.batch, settings.data.learned_from, settings.online.pairs if turns(cell) else 10**9)
    if objective.mismatched and batch < 2:
        raise ValueError(
            f'loss "{objective.name}" compares a pair with others of its batch, and batches have one pair: train.batch '
            f"(={settings.train.batch}), and the pairs that there are, must be at least 2"
        )


def trace(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """World, preference data, trained runs, measured checkpoints, records."""
    from simulator.methods.pairwise_training import train

    return train(runs, world, proxies, recorder)


GPO = Method(
    strengths=strengths,
    proxies=by_proxy,
    reads=reads,
    ignores=ignores,
    per_row=per_row,
    check=check,
    steps=lambda cell: cell.settings.train.steps,
    network=network,
    passes=passes,
    trace=trace,
    pairwise=True,
    told=("online.refresh",),
    responses=responses,
    held=held,
    listed=calibrated_places,
)
