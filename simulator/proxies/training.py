"""Proxy reward models: what learns from gold's labels, and is optimized against in gold's place.

Shapes: M proxies of a stack, N pairs of one, D parameters, P prompts, G responses of the world's listing to each.

A proxy is a causal transformer that reads a prompt and a whole response and gives one number at the last token. It is
trained as a classifier of pairs with any f of simulator/objectives/losses/gpo.py, by E f(r(chosen) - r(rejected))
(Tang et al. 2024, arXiv:2402.05749, Sec. 2; with the logistic f this is the Bradley-Terry likelihood of Gao et al.
2023, arXiv:2210.10760). The last share of its pairs is held out, and of all checkpoints the one with the least loss
there is kept; what is recorded of held-out pairs is therefore a little too good, and what is recorded of fresh ones is
not. Proxies of one architecture train as one stack over data size, label noise, seed, f and member of an ensemble, by
the engine that trains policies.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.engine.checkpoints import checkpoint_steps
from simulator.engine.gradient_steps import PAIRS_READ, advance, start
from simulator.engine.loop import train_and_measure
from simulator.engine.problem import Schedule, TrainingProblem, TrainState, state_from, state_tensors
from simulator.engine.recorder import Recorder
from simulator.engine.snapshots import named, part_of, scalar
from simulator.networks.packing import whole_packing
from simulator.networks.parameters import initial_parameters
from simulator.networks.transformer import sequence_scores
from simulator.objectives import OBJECTIVES
from simulator.objectives.stacked_losses import ObjectiveSlice, StackedPairs, pair_losses
from simulator.preferences.draw import draw_labelled
from simulator.preferences.pairs import Preferences, padded_preferences
from simulator.proxies.agreement import against_gold
from simulator.proxies.reward_model import CHECKPOINTS, Member, proxy_architecture
from simulator.proxies.scores import Trained
from simulator.settings.run import axis_column
from simulator.worlds.protocol import World

Array = np.ndarray


READ = 4096  # training pairs that the loss is measured on when all is done


def make_problem(members: Sequence[Member], world: World, pairs: Preferences) -> TrainingProblem:
    """What a stack of proxies trains on; members of one loss must be neighbours."""
    settings, device = members[0].settings, world.prompts.device
    proxy = settings.proxy

    def per_row(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device).unsqueeze(1)

    losses = itertools.groupby(member.settings.proxy.loss for member in members)
    return TrainingProblem(
        architecture=proxy_architecture(settings),
        packing=whole_packing(
            prompt_length=settings.world.prompt_length,
            response_length=settings.world.response_length,
            responses=2,
            device=device,
        ),
        prompts=world.prompts[pairs.prompt],
        responses=pairs.responses,
        reference_log_probs=torch.zeros_like(pairs.reference, dtype=torch.float32),
        parts=tuple(
            ObjectiveSlice(objective=OBJECTIVES[name], rows=len(list(group)), hyperparameters={})
            for name, group in losses
        ),
        beta=per_row([1.0] * len(members)),
        learning_rate=per_row([member.settings.proxy.rate for member in members]),
        clip=per_row([1.0] * len(members)),
        weight_decay=proxy.weight_decay,
        schedule=Schedule(steps=proxy.steps, warmup=proxy.steps // 20, kind="cosine"),
        batch=proxy.batch,
        batch_seeds=tuple(batch_seed(member) for member in members),
        counts=tuple(member.pairs - member.held_out for member in members),
        weights=pairs.weights,
        value=sequence_scores,
    )


def batch_seed(member: Member) -> int:
    """What names the order of a member's batches: the same for equal seeds and members, whatever else differs."""
    return int(random_stream(member.seed, "proxy", "order", member.member).integers(2**62))


def values_of(parameters: Tensor, problem: TrainingProblem, places: Tensor) -> Tensor:
    """What the proxies with `parameters` [M, D] say of their pairs at `places` [M, n], float64 [M, n, 2]."""
    row = torch.arange(len(places), device=places.device).unsqueeze(1)
    count = places.shape[1]
    whole = torch.cat([places, places[:, :1].expand(-1, -count % PAIRS_READ)], dim=1)
    found = problem.reference_log_probs.new_empty((*whole.shape, 2), dtype=torch.float64)
    for first in range(0, whole.shape[1], PAIRS_READ):
        some = whole[:, first : first + PAIRS_READ]
        found[:, first : first + PAIRS_READ] = problem.value(
            parameters, problem.architecture, problem.packing, problem.prompts[row, some], problem.responses[row, some]
        )
    return found[:, :count]


def loss_and_accuracy(
    parameters: Tensor, problem: TrainingProblem, first: Sequence[int], count: Sequence[int]
) -> Array:
    """Loss and accuracy against labels of each proxy, on `count` pairs from its `first` on, [2, M]; ties half.

    The loss is a mean over pairs; accuracy is over both orders of pairs with weights, with the weight of each.
    """
    most = max(count)
    places = [start + torch.arange(most) % number for start, number in zip(first, count, strict=True)]
    where = torch.stack(places).to(parameters.device)
    values = values_of(parameters, problem, where)
    nothing = torch.zeros_like(values)
    row = torch.arange(len(where), device=where.device).unsqueeze(1)
    weights = None if problem.weights is None else problem.weights[row, where]
    given = StackedPairs(policy=values, reference=nothing, lengths=nothing + 1, beta=problem.beta, weights=weights)
    losses = pair_losses(given, problem.parts).cpu().numpy()
    gaps = (values[..., 0] - values[..., 1]).cpu().numpy()
    responses = problem.responses[row, where]
    alike = (responses[:, :, 0] == responses[:, :, 1]).all(dim=-1).cpu().numpy()  # scores of the same may round apart
    right = np.where(alike, 0.5, (np.sign(gaps) + 1) / 2)
    if weights is None:
        return np.array([[row[:n].mean() for row, n in zip(table, count, strict=True)] for table in (losses, right)])
    orders, both = weights.cpu().numpy(), np.stack([right, 1 - right], axis=2)
    share = [np.average(right[:n], weights=some[:n]) for right, some, n in zip(both, orders, count, strict=True)]
    return np.array([[row[:n].mean() for row, n in zip(losses, count, strict=True)], share])


@dataclass
class ProxyLearner:
    """A stack of proxies in training, and what each was at the checkpoint with the least loss on held-out pairs.

    best: parameters [M, D], loss and step [M], and row, the number of checkpoints.
    """

    members: Sequence[Member]
    problem: TrainingProblem
    state: TrainState
    best: dict[str, Tensor]

    @property
    def step(self) -> int:
        """How many steps it has taken."""
        return self.state.step

    @property
    def measured(self) -> int:
        """At how many checkpoints it was measured."""
        return int(self.best["row"])

    @property
    def unseen(self) -> tuple[list[int], list[int]]:
        """Where the held-out pairs of each member begin, and how many there are."""
        return [m.pairs - m.held_out for m in self.members], [m.held_out for m in self.members]

    def next_stop(self, checkpoint: int) -> int:
        """The checkpoint."""
        return checkpoint

    def advance(self, steps: int) -> None:
        """Take steps."""
        with torch.enable_grad():
            self.state = advance(self.state, self.problem, steps)

    def measure(self) -> None:
        """Keep what is better on held-out pairs than before."""
        losses, _ = loss_and_accuracy(self.state.parameters, self.problem, *self.unseen)
        loss, best = torch.from_numpy(losses), self.best
        better = loss < best["loss"]
        best["loss"][better], best["step"][better] = loss[better], self.step
        best["parameters"][better] = self.state.parameters[better]
        best["row"] += 1

    def tensors(self) -> dict[str, Tensor]:
        """Its state."""
        return {**state_tensors(self.state), **named("best", self.best)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Stand where `tensors` were saved."""
        self.best = {name: value.to(self.best[name].device) for name, value in part_of(tensors, "best").items()}
        self.state = state_from(tensors, self.state)


def draw_pairs(members: Sequence[Member], world: World) -> Preferences:
    """The pairs of every member, [M, N, …], drawn and labelled as its settings and seed say."""
    data = {(member.settings.data, member.seed): None for member in members}
    drawn = {key: draw_labelled(world, *key) for key in data}
    return padded_preferences([drawn[member.settings.data, member.seed] for member in members])


def new_learner(members: Sequence[Member], world: World, pairs: Preferences) -> ProxyLearner:
    """A stack of proxies before its first step, with its pairs [M, N, …]."""
    problem = make_problem(members, world, pairs)
    state = start(torch.zeros(problem.architecture.row, device=world.prompts.device), len(members))
    for row, member in enumerate(members):
        rng = random_stream(member.seed, "proxy", "init", member.member)
        state.parameters[row] = initial_parameters(problem.architecture, rng)
    best = {
        "parameters": state.parameters.clone(),
        "loss": torch.full((len(members),), torch.inf, dtype=torch.float64),
        "step": torch.zeros(len(members), dtype=torch.int64),
        "row": scalar(1),
    }
    return ProxyLearner(members=members, problem=problem, state=state, best=best)


def train_members(
    members: Sequence[Member], world: World, recorder: Recorder, pairs: Preferences | None = None
) -> list[tuple[Trained, dict[str, Any]]]:
    """Train a stack of proxies; each with the facts that `proxies.parquet` says of it.

    pairs [M, N, …]: drawn as the members say, unless given.

    A proxy whose loss stopped being finite keeps what it was before. The recorder is told of steps, and has the state
    to go on from.
    """
    learner = new_learner(members, world, pairs or draw_pairs(members, world))
    problem = learner.problem
    train_and_measure(learner, checkpoint_steps(problem.schedule.steps, CHECKPOINTS), recorder)
    kept, firsts = learner.best["parameters"], [0] * len(members)
    train = loss_and_accuracy(kept, problem, firsts, [min(READ, m.pairs - m.held_out) for m in members])
    held = loss_and_accuracy(kept, problem, *learner.unseen)
    scores = world.score_listed(kept, problem.architecture).cpu().numpy()
    return [
        (
            Trained(architecture=problem.architecture, parameters=kept[i].cpu(), scores=scores[i].astype(np.float64)),
            {
                **facts_of(member),
                "parameters": problem.architecture.parameters,
                "best_step": int(learner.best["step"][i]),
                "train_loss": train[0, i],
                "train_accuracy": train[1, i],
                "held_out_loss": held[0, i],
                "held_out_accuracy": held[1, i],
                **against_gold(world.listing, scores[i]),
            },
        )
        for i, member in enumerate(members)
    ]


def facts_of(member: Member) -> dict[str, Any]:
    """What `proxies.parquet` says of a proxy before it is trained."""
    return {
        "proxy": member.name,
        "loss": member.settings.proxy.loss,
        "seed": member.seed,
        "member": member.member,
        "pairs": member.settings.data.pairs,
        "label_noise": member.settings.data.label_noise,
        **{axis_column(name): value for name, value in member.axes.items()},
    }
