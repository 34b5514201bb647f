"""Iterated RLHF: rounds of fresh pairs, a new proxy, and reinforcement learning against it.

In each of `iterated.rounds` rounds the policy draws `data.pairs` pairs, gold labels them, a proxy learns from them, and
the policy climbs it for `train.steps` steps by the algorithm of [rl]. In the first round the pairs are those of [data].
What rounds take over from those before is a choice of design, after Wolf, Kirk & Musolesi 2025 (arXiv:2505.18126): the
data that a proxy learns from, the proxies that a policy climbs, and where it starts. Rewards, penalties and KL are as
in method "rl". KL is always from the reference, also where their interpolated policies pay for KL from their start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from simulator.methods import rl
from simulator.methods.method import Card, Choices, Footprint, Method, Reads, Strength
from simulator.methods.rl import algorithm_of
from simulator.settings.labels import labels_per_row
from simulator.settings.run import Cell, Run
from simulator.settings.table import Share
from simulator.settings.tables import MethodTable

if TYPE_CHECKING:
    import pandas as pd

    from simulator.engine.recorder import Recorder
    from simulator.methods.algorithms.iterated_rounds import IteratedLearner
    from simulator.preferences.pairs import Preferences
    from simulator.proxies.scores import Proxy
    from simulator.worlds.protocol import World


class Iterated(MethodTable):
    """[iterated]. What rounds of RLHF take over from those before; see simulator/methods/iterated.py."""

    key: ClassVar = "iterated"
    rounds: Annotated[int, Field(ge=1, le=100)] = 4
    """Each of `train.steps` steps, on `data.pairs` fresh pairs."""
    data: Literal["concatenate", "last", "sample"] = "concatenate"
    """What the proxy of a round learns from: the pairs of all rounds so far; the newest; "sample": as many as one round
    has, in equal parts from each."""
    proxies: Literal["last", "mean", "worst_case", "average_weights"] = "last"
    """What the policy climbs: the proxy of the round; the mean, or the least, of those of all rounds so far, ensembles
    being taken apart; or the one whose weights are the mean of theirs."""
    start: Literal["reference", "last", "interpolated"] = "reference"
    """Where the policy of a round starts: at the reference; where it stands; or between where it stands and where the
    round before started."""
    interpolation: Share = 0.5
    """Of "interpolated": η, the share of the weights where the policy stands."""


def grid(choices: Choices) -> Sequence[Strength]:
    """Every penalty."""
    return [(None, penalty) for penalty in choices.penalty]


def reads(cell: Cell) -> Reads:
    """Raises ValueError where proxies are not trained anew in each round."""
    settings, own = cell.settings, cell.settings.of(Iterated)
    check_proxies(cell)
    check_members(cell)
    once = rl.reads(cell)
    only = ("rounds",) if own.rounds == 1 else ("rounds", "data", "proxies", "start")
    between = own.rounds > 1 and own.start == "interpolated"
    unread = {*Iterated.model_fields} - {*only, *(("interpolation",) if between else ())}
    return replace(
        once,
        tables=(*once.tables, "iterated"),
        ignores={**once.ignores, "iterated": sorted(unread)},
        per_row={**once.per_row, "data": labels_per_row(settings.data), "proxy": ("learning_rate",)},
    )


def check_proxies(cell: Cell) -> None:
    """Raises ValueError where no proxy learns from fresh pairs."""
    data, proxy = cell.settings.data, cell.settings.proxy
    if proxy.planted:
        raise ValueError(
            'proxy.kind (="planted") learns from no pairs, and method "iterated" trains a proxy each round'
        )
    for key, none in (("file", ""), ("filter", "none")):
        if (value := getattr(data, key)) != none:
            raise ValueError(f'data.{key} (="{value}") is for pairs before training, and "iterated" draws fresh ones')


def check_members(cell: Cell) -> None:
    """Raises ValueError where proxies of several rounds cannot be compared everywhere."""
    settings, own = cell.settings, cell.settings.of(Iterated)
    some = not settings.spec.lists_responses and settings.measured_prompts < settings.world.prompts
    if some and own.proxies == "worst_case" and own.rounds > 1:
        raise ValueError(
            f'iterated.proxies (="{own.proxies}") compares proxies after recentring them at each prompt, which needs '
            'measure.prompts = "all"'
        )


def footprint(cell: Cell) -> Footprint:
    """That of all rounds."""
    once, rounds = rl.footprint(cell), cell.settings.of(Iterated).rounds
    pairs = rounds * cell.settings.data.pairs
    return replace(once, steps=rounds * once.steps, pairs=pairs, responses=2, rounds=rounds)


def learner(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], pairs: Preferences | None) -> IteratedLearner:
    """The stack before its first step, with the proxies of the first round; it learns from no pairs given."""
    from simulator.methods.algorithms.iterated_rounds import new_learner

    return new_learner(runs, world, proxies, algorithm_of(runs[0].settings), runs[0].settings.of(Iterated))


def run(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """The rows of the runs of a stack."""
    from simulator.methods.algorithms.policy_gradients import measured_rows

    return measured_rows(learner(runs, world, proxies, None), recorder)


METHOD = Method(
    card=Card(name="iterated", label="iterated RLHF", varies=("penalty",), trajectory=True, line="-."),
    grid=grid,
    reads=reads,
    footprint=footprint,
    run=run,
    table=Iterated,
    learner=learner,
    read_where={
        **rl.METHOD.read_where,
        "rl": "",
        "iterated.interpolation": 'and iterated.start = "interpolated"',
        **dict.fromkeys(("iterated.data", "iterated.proxies", "iterated.start"), "and iterated.rounds from 2 on"),
    },
)
