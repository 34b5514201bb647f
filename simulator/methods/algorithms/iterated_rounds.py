"""Rounds of iterated RLHF; see simulator/methods/iterated.py.

The proxies of all rounds start from the same weights, as reward models do that are tuned from one network, so that
weights may be averaged, and see batches in one order. Pairs are shuffled, so that held-out ones are of all rounds.

Shapes: R runs, N pairs of one round, K responses of each, D parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.engine.checkpoints import Track, checkpoints_of
from simulator.engine.gradient_steps import start
from simulator.engine.problem import TrainState, state_from
from simulator.engine.recorder import Recorder
from simulator.engine.snapshots import named, part_of, scalar
from simulator.methods.algorithms.policy_gradients import (
    PolicyGradientLearner,
    Task,
    climb,
    set_task,
)
from simulator.methods.algorithms.surrogates import Algorithm
from simulator.methods.iterated import Iterated
from simulator.networks.architecture import Architecture
from simulator.networks.compute_mode import EAGER, computing
from simulator.preferences.draw import draw_labelled, label_by_gold
from simulator.preferences.online import draw_fresh
from simulator.preferences.pairs import Preferences, more_preferences, stack_preferences
from simulator.proxies.reward_model import ensemble_of, proxy_architecture
from simulator.proxies.scores import Proxy, Trained, make_proxy
from simulator.proxies.training import train_members
from simulator.settings.proxy_table import Proxy as ProxySettings
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.worlds.protocol import World

Networks = tuple[Trained, ...]  # the members of one proxy


def networks_of(proxy: Proxy) -> Networks:
    """The networks that a proxy is made of. Raises TypeError where it is planted."""
    found = tuple(member for member in proxy.members if isinstance(member, Trained))
    if len(found) < len(proxy.members):
        raise TypeError("proxies of iterated RLHF are trained networks")
    return found


def places(data: str, turn: int, pairs: int, seed: int) -> np.ndarray:
    """Which of the pairs of rounds 0 to `turn`, `pairs` of each, the proxy of round `turn` learns from, in order."""
    each = [random_stream(seed, "iterated", turn, "pairs", past).permutation(pairs) for past in range(turn + 1)]
    if data == "last":
        chosen = [turn * pairs + each[turn]]
    elif data == "concatenate":
        chosen = [past * pairs + order for past, order in enumerate(each)]
    else:
        cuts = [pairs * past // (turn + 1) for past in range(turn + 2)]
        chosen = [past * pairs + order[: cuts[past + 1] - cuts[past]] for past, order in enumerate(each)]
    together = np.concatenate(chosen)
    return together[random_stream(seed, "iterated", turn, "order").permutation(len(together))]


def of_size(settings: Settings, pairs: int) -> Settings:
    """The settings of a proxy that learns from so many pairs."""
    data = settings.data.model_copy(update={"pairs": pairs})
    return settings.model_copy(update={"data": data}).found_in(settings.source)


def combined(rounds: Sequence[Networks], world: World, how: str, proxy: ProxySettings) -> Proxy:
    """The proxy that the networks of all rounds so far are, the newest last."""
    if how in ("mean", "worst_case"):
        together = [network for networks in rounds for network in networks]
        return make_proxy(together, world.listing, combine=how, uncertainty=proxy.uncertainty)
    some = rounds[-1] if how == "last" else [averaged(each, world) for each in zip(*rounds, strict=True)]
    return make_proxy(some, world.listing, combine=proxy.combine, uncertainty=proxy.uncertainty)


def averaged(networks: Sequence[Trained], world: World) -> Trained:
    """The network whose weights are the mean of theirs."""
    parameters = torch.stack([network.parameters for network in networks]).mean(dim=0)
    return scored(networks[0].architecture, parameters[None], world)[0]


def scored(architecture: Architecture, parameters: Tensor, world: World) -> Networks:
    """Networks with `parameters` [M, D], and what they say of the listing."""
    with computing(EAGER):
        scores = world.score_listed(parameters.to(world.prompts.device), architecture).cpu().numpy().astype(np.float64)
    each = zip(parameters.cpu(), scores, strict=True)
    return tuple(Trained(architecture=architecture, parameters=row, scores=says) for row, says in each)


def begin_at(state: TrainState, before: Tensor, reference: Tensor, own: Iterated) -> TrainState:
    """Where the policies of a round start, from where they started [R, D] and stand at the end of the one before."""
    began = start(reference, len(state.parameters))
    if own.start != "reference":
        share = 1.0 if own.start == "last" else own.interpolation
        began.parameters.copy_(before.lerp(state.parameters, share))
    began.diverged_at.copy_(state.diverged_at)
    return began


@dataclass
class IteratedLearner(PolicyGradientLearner):
    """A stack of policies that climb the proxies of one round after another.

    task and state: of the round. pairs: of all rounds so far, [R, N (turn + 1), …], which are drawn when they are
    needed. networks: the proxies of these rounds, a list over runs each. began: where the round started, [R, D].
    """

    own: Iterated
    turn: int
    pairs: Preferences | None
    networks: list[list[Networks]]
    began: Tensor

    @property
    def round_steps(self) -> int:
        """The steps of one round."""
        return self.runs[0].settings.train.steps

    @property
    def step(self) -> int:
        """How many steps it has taken, in all rounds."""
        return self.turn * self.round_steps + self.state.step

    def next_stop(self, checkpoint: int) -> int:
        """The checkpoint, or the end of the round."""
        ended = self.state.step == self.round_steps
        return min(checkpoint, (self.turn + 1 + ended) * self.round_steps)

    def advance(self, steps: int) -> None:
        """Take steps, of the next round where one has ended."""
        with computing(self.task.computing.eager):
            if self.state.step == self.round_steps:
                self._begin_round()
            self.state = climb(self.state, self.task, steps)

    def tensors(self) -> dict[str, Tensor]:
        """Its state."""
        later = [
            torch.stack([network.parameters for networks in of_runs for network in networks])
            for of_runs in self.networks[1:]
        ]
        return {
            **super().tensors(),
            **named("pairs", self.pairs.tensors() if self.pairs else {}),
            **named("networks", {str(number): parameters for number, parameters in enumerate(later)}),
            "turn": scalar(self.turn),
            "began": self.began,
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Stand where `tensors` were saved."""
        world = self.task.world
        self.turn = int(tensors["turn"])
        self.began = tensors["began"].to(self.began.device)
        self.state = state_from(tensors, self.state)
        self.track.restore(tensors)
        if drawn := part_of(tensors, "pairs"):
            self.pairs = Preferences(**{name: value.to(world.prompts.device) for name, value in drawn.items()})
        architecture = proxy_architecture(self.runs[0].settings)
        for number in range(self.turn):
            self.networks.append(self._by_run(scored(architecture, tensors[f"networks.{number}"], world)))
        if self.turn:
            self.task = self._task()

    def _begin_round(self) -> None:
        """Draw pairs from the policies, train the next proxies, and start to climb them."""
        self.turn += 1
        fresh = self._fresh_pairs()
        known = self._first_pairs() if self.pairs is None else self.pairs
        self.pairs = more_preferences(known, fresh)
        self.networks.append(self._train_proxies(self.pairs))
        self.task = self._task()
        self.state = begin_at(self.state, self.began, self.task.world.policy_class.start, self.own)
        self.began = self.state.parameters.clone()

    def _first_pairs(self) -> Preferences:
        """What the proxies of the first round have learned from."""
        data = {(run.settings.data, run.seed): None for run in self.runs}
        drawn = {key: draw_labelled(self.task.world, *key) for key in data}
        return stack_preferences([drawn[run.settings.data, run.seed] for run in self.runs])

    def _fresh_pairs(self) -> Preferences:
        """Pairs of each policy as it stands, labelled by gold."""
        world, seeds = self.task.world, [run.seed for run in self.runs]
        drawn = draw_fresh(
            self.state.parameters,
            world,
            pairs=self.runs[0].settings.data.pairs,
            responses=2,
            seeds=seeds,
            turn=self.turn,
        )
        rows = [label_by_gold(pairs, world, run.settings.data) for pairs, run in zip(drawn, self.runs, strict=True)]
        return stack_preferences(rows)

    def _train_proxies(self, pairs: Preferences) -> list[Networks]:
        """The proxies of the round, that learn from some of the pairs [R, N (turn + 1), …]."""
        count, device = self.runs[0].settings.data.pairs, pairs.prompt.device
        some = np.stack([places(self.own.data, self.turn, count, run.seed) for run in self.runs])
        members = [
            member for run in self.runs for member in ensemble_of(of_size(run.settings, some.shape[1]), run.seed, {})
        ]
        each = torch.arange(len(self.runs), device=device).repeat_interleave(len(members) // len(self.runs))
        chosen = pairs.ordered(torch.from_numpy(some).to(device)).at(each)
        with computing(EAGER):
            trained = train_members(members, self.task.world, Recorder(), chosen)
        return self._by_run([network for network, _ in trained])

    def _by_run(self, networks: Sequence[Trained]) -> list[Networks]:
        """The members of each run's proxy, of the networks of all runs in their order."""
        each = len(networks) // len(self.runs)
        return [tuple(networks[first : first + each]) for first in range(0, len(networks), each)]

    def _task(self) -> Task:
        """What the policies climb in this round."""
        world = self.task.world
        proxies = [
            combined(rounds, world, self.own.proxies, run.settings.proxy)
            for run, rounds in zip(self.runs, zip(*self.networks, strict=True), strict=True)
        ]
        return set_task(self.runs, world, proxies, self.task.algorithm, self.turn * self.round_steps)


def new_learner(
    runs: Sequence[Run], world: World, proxies: Sequence[Proxy], algorithm: Algorithm, own: Iterated
) -> IteratedLearner:
    """A stack of policies before its first step, with the proxies of the first round."""
    state = start(world.policy_class.start, len(runs))
    return IteratedLearner(
        runs=runs,
        task=set_task(runs, world, proxies, algorithm),
        state=state,
        began=state.parameters.clone(),
        track=Track(rows=len(checkpoints_of(runs))),
        own=own,
        turn=0,
        pairs=None,
        networks=[[networks_of(proxy) for proxy in proxies]],
    )
