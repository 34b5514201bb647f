"""Proxy reward models: what learns from gold's labels, and is optimized against in gold's place.

Shapes: M proxies of a stack, N pairs of one, D parameters, P prompts, G responses of the world's listing to each.

A proxy is a causal transformer that reads a prompt and a whole response and gives one number at the last token. It is
trained as a classifier of pairs with any f of simulator/objectives/gpo.py, by E f(r(chosen) - r(rejected)) (Tang et
al. 2024, arXiv:2402.05749, Sec. 2; with the logistic f this is the Bradley-Terry likelihood of Gao et al. 2023,
arXiv:2210.10760). The last share of its pairs is held out, and of all checkpoints the one with the least loss there is
kept; what is recorded of held-out pairs is therefore a little too good, and what is recorded of fresh ones is not.
Proxies of one architecture train as one stack over data size, label noise, seed, f and member of an ensemble, by the
engine that trains policies.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulator.common.random_streams import stream
from simulator.networks.packing import whole_packing
from simulator.networks.parameters import initial_parameters, unstack
from simulator.networks.transformer import sequence_scores
from simulator.objectives import OBJECTIVES
from simulator.objectives.objective import OfParts, Part, pair_losses
from simulator.preferences.draw import draw_labelled
from simulator.preferences.pairs import Preferences, padded_preferences
from simulator.proxies.agreement import against_gold
from simulator.proxies.reward_model import CHECKPOINTS, Member, proxy_architecture
from simulator.proxies.scores import Trained
from simulator.settings.run import axis_column
from simulator.training.checkpoints import checkpoint_steps
from simulator.training.engine import BLOCK, advance, start
from simulator.training.problem import Problem, Schedule, state_from, state_tensors
from simulator.training.recorder import Recorder
from simulator.training.snapshots import named, part_of, scalar, stretches
from simulator.worlds.protocol import World

Array = np.ndarray


READ = 4096  # training pairs that the loss is measured on when all is done


def pose(members: Sequence[Member], world: World, pairs: Preferences) -> Problem:
    """What a stack of proxies trains on; members of one loss must be neighbours."""
    settings, device = members[0].settings, world.prompts.device
    proxy = settings.proxy

    def per_row(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device).unsqueeze(1)

    losses = itertools.groupby(member.settings.proxy.loss for member in members)
    return Problem(
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
        parts=tuple(Part(objective=OBJECTIVES[name], rows=len(list(group)), own={}) for name, group in losses),
        beta=per_row([1.0] * len(members)),
        learning_rate=per_row([member.settings.proxy.rate for member in members]),
        clip=per_row([1.0] * len(members)),
        weight_decay=proxy.weight_decay,
        schedule=Schedule(steps=proxy.steps, warmup=proxy.steps // 20, kind="cosine"),
        batch=proxy.batch,
        batch_seeds=tuple(batch_seed(member) for member in members),
        counts=tuple(member.pairs - member.held_out for member in members),
        value=sequence_scores,
    )


def batch_seed(member: Member) -> int:
    """What names the order of a member's batches: the same for equal seeds and members, whatever else differs."""
    return int(stream(member.seed, "proxy", "order", member.member).integers(2**62))


def values_of(parameters: Tensor, problem: Problem, places: Tensor) -> Tensor:
    """What the proxies with `parameters` [M, D] say of their pairs at `places` [M, n], float64 [M, n, 2]."""
    row = torch.arange(len(places), device=places.device).unsqueeze(1)
    blocks, count = unstack(parameters, problem.architecture), places.shape[1]
    whole = torch.cat([places, places[:, :1].expand(-1, -count % BLOCK)], dim=1)
    found = problem.reference_log_probs.new_empty((*whole.shape, 2), dtype=torch.float64)
    for first in range(0, whole.shape[1], BLOCK):
        some = whole[:, first : first + BLOCK]
        found[:, first : first + BLOCK] = problem.value(
            blocks, problem.architecture, problem.packing, problem.prompts[row, some], problem.responses[row, some]
        )
    return found[:, :count]


def loss_and_accuracy(parameters: Tensor, problem: Problem, first: Sequence[int], count: Sequence[int]) -> Array:
    """Loss and accuracy against labels of each proxy, on `count` pairs from its `first` on, [2, M]."""
    most = max(count)
    places = [start + torch.arange(most) % number for start, number in zip(first, count, strict=True)]
    values = values_of(parameters, problem, torch.stack(places).to(parameters.device))
    nothing = torch.zeros_like(values)
    given = OfParts(policy=values, reference=nothing, lengths=nothing + 1, beta=problem.beta)
    losses = pair_losses(given, problem.parts).cpu().numpy()
    gaps = (values[..., 0] - values[..., 1]).cpu().numpy()
    right = (np.sign(gaps) + 1) / 2
    return np.array(
        [[row[:number].mean() for row, number in zip(table, count, strict=True)] for table in (losses, right)]
    )


def train_members(members: Sequence[Member], world: World, recorder: Recorder) -> list[tuple[Trained, dict[str, Any]]]:
    """Train a stack of proxies; each with the facts that `proxies.parquet` says of it.

    A proxy whose loss stopped being finite keeps what it was before. The recorder is told of steps, and has the state
    to go on from.
    """
    data = {(member.settings.data, member.seed): None for member in members}
    drawn = {key: draw_labelled(world, *key) for key in data}
    pairs = padded_preferences([drawn[member.settings.data, member.seed] for member in members])
    problem = pose(members, world, pairs)
    state = start(torch.zeros(problem.architecture.row, device=world.prompts.device), len(members))
    for row, member in enumerate(members):
        rng = stream(member.seed, "proxy", "init", member.member)
        state.parameters[row] = initial_parameters(problem.architecture, rng)
    best = {
        "parameters": state.parameters.clone(),
        "loss": torch.full((len(members),), torch.inf, dtype=torch.float64),
        "step": torch.zeros(len(members), dtype=torch.int64),
        "row": scalar(1),
    }
    if found := recorder.saver.found():
        best = {name: value.to(best[name].device) for name, value in part_of(found, "best").items()}
        state = state_from(found, state)
        recorder.found(state.step)
    unseen = [m.pairs - m.held_out for m in members], [m.held_out for m in members]
    steps = checkpoint_steps(problem.schedule.steps, CHECKPOINTS)

    def tensors() -> dict[str, Tensor]:
        return {**state_tensors(state), **named("best", best)}

    for after in steps[int(best["row"]) :]:
        for some in stretches(after - state.step, recorder.saver):
            with torch.enable_grad():
                state = advance(state, problem, some)
            recorder.tick(some)
            recorder.saver.rest(tensors)
        loss = torch.from_numpy(loss_and_accuracy(state.parameters, problem, *unseen)[0])
        better = loss < best["loss"]
        best["loss"][better], best["step"][better] = loss[better], after
        best["parameters"][better] = state.parameters[better]
        best["row"] += 1
    kept = best["parameters"]
    train = loss_and_accuracy(kept, problem, [0] * len(members), [min(READ, m.pairs - m.held_out) for m in members])
    held = loss_and_accuracy(kept, problem, *unseen)
    scores = world.score_listed(kept, problem.architecture).cpu().numpy()
    return [
        (
            Trained(architecture=problem.architecture, parameters=kept[i].cpu(), scores=scores[i].astype(np.float64)),
            {
                "proxy": member.name,
                "loss": member.settings.proxy.loss,
                "seed": member.seed,
                "member": member.member,
                "pairs": member.pairs,
                "label_noise": member.settings.data.label_noise,
                **{axis_column(name): value for name, value in member.axes.items()},
                "parameters": problem.architecture.parameters,
                "best_step": int(best["step"][i]),
                "train_loss": train[0, i],
                "train_accuracy": train[1, i],
                "held_out_loss": held[0, i],
                "held_out_accuracy": held[1, i],
                **against_gold(world.listing, scores[i]),
            },
        )
        for i, member in enumerate(members)
    ]
