"""Policy gradients against a proxy; see simulator/methods/rl.py.

Shapes: R runs, B prompts, K responses to each, T response length, P prompts of the world, D parameters, V vocabulary.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.engine.batches import batch_order
from simulator.engine.checkpoints import Track, checkpoints_of, curve_rows, save_ledger
from simulator.engine.computing import computing_of
from simulator.engine.gradient_steps import start
from simulator.engine.loop import train_and_measure
from simulator.engine.problem import Schedule, TrainState, state_from, state_tensors
from simulator.engine.recorder import Recorder
from simulator.measurement.probability_mass import checked_mass
from simulator.methods.algorithms.final_tables import save_summary
from simulator.methods.algorithms.surrogates import (
    SURROGATES,
    Algorithm,
    Rollout,
    returns_to_go,
    surrogate_loss,
    token_costs,
)
from simulator.networks.compute_mode import Computing, computing
from simulator.networks.optimizer import clipped_adam_step, learning_rate_factor
from simulator.preferences.rollouts import draw_responses
from simulator.proxies.scores import Proxy, scorer_of
from simulator.settings.run import Run
from simulator.worlds.listing import Scorer
from simulator.worlds.protocol import ListedWorld, World, as_listed


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a stack of runs climbs."""

    world: World
    scorer: Scorer
    algorithm: Algorithm
    penalty: Tensor  # tau of each run, [R, 1]
    learning_rate: Tensor  # [R, 1]
    clip: Tensor  # of gradients, [R, 1]
    weight_decay: float
    schedule: Schedule
    seeds: tuple[int, ...]  # of each run; they name the streams of prompts and responses
    begun: int = 0  # steps of earlier rounds, which the streams go on from
    computing: Computing  # passes for gradients

    @property
    def prompts(self) -> int:
        """B."""
        return min(self.algorithm.prompts, len(self.world.prompts))

    def rows(self, rows: slice) -> "Task":
        """The task of some of the runs."""
        return replace(
            self,
            scorer=self.scorer.rows(rows),
            penalty=self.penalty[rows],
            learning_rate=self.learning_rate[rows],
            clip=self.clip[rows],
            seeds=self.seeds[rows],
        )


def roll_out(parameters: Tensor, task: Task, step: int) -> Rollout:
    """Responses of the policies [R, D] at one step, and how good each is."""
    world, step = task.world, task.begun + step
    order = {seed: batch_order(seed, len(world.prompts), task.prompts, step - 1, 1)[0] for seed in set(task.seeds)}
    prompt = torch.from_numpy(np.stack([order[seed] for seed in task.seeds])).to(parameters.device)
    responses = draw_responses(
        parameters, world, prompt, seeds=task.seeds, responses=task.algorithm.responses, purpose=("rl", step)
    )
    policies, reference = world.policy_class, None
    old = policies.token_log_probs(parameters, prompt, responses)
    if task.algorithm.reads_reference:
        reference = policies.token_log_probs(policies.start.repeat(len(parameters), 1), prompt, responses)
    advantage = advantage_of(task, prompt, responses, old, reference)
    return Rollout(
        prompt=prompt,
        responses=responses,
        old_log_probs=old,
        advantage=advantage.float(),
        reference_log_probs=reference,
    )


def advantage_of(task: Task, prompt: Tensor, responses: Tensor, old: Tensor, reference: Tensor | None) -> Tensor:
    """How good responses [R, B, K, T] are, float64 [R, B, K], or each of their tokens, [R, B, K, T].

    old, reference [R, B, K, T]: log pi and log pi_ref of tokens.
    """
    algorithm, said = task.algorithm, responses >= 0
    scores, advantage = task.scorer.of(prompt, responses), SURROGATES[algorithm.name].advantage
    charged, tau = algorithm.kl == "reward", task.penalty.unsqueeze(2)
    if reference is None:  # k1 of whole responses
        return advantage(scores - tau * (old.double().sum(dim=-1) - task.world.log_reference(prompt, responses)))
    costs = token_costs(old.double(), reference.double(), said, algorithm.kl_estimator) * charged
    if SURROGATES[algorithm.name].of_tokens:
        return advantage(returns_to_go(scores, tau.unsqueeze(3) * costs), said)
    return advantage(scores - tau * costs.sum(dim=-1))


def objective(parameters: Tensor, world: ListedWorld, tables: Tensor, penalty: Tensor) -> Tensor:
    """E_pi r - tau KL(pi || pi_ref), [R], for scores [R, P, G] and tau [R, 1]: a sum over every response.

    parameters [R, D] are the policies'.
    """
    log_probs = world.policy_class.laws(parameters)
    gain = tables - penalty.unsqueeze(2) * (log_probs - world.reference_log_probs)
    return (checked_mass(log_probs.exp(), "a policy") * gain).sum(dim=-1).mean(dim=-1)


def gradient_of(parameters: Tensor, task: Task, rollout: Rollout | None) -> Tensor:
    """The gradient [R, D] of what is made small: the surrogate on a rollout, or minus the objective without one.

    The latter is taken run by run: a tree of prefixes is large enough alone, and its sums are the same in any stack.
    """
    if rollout is None and len(parameters) > 1:
        rows = [slice(row, row + 1) for row in range(len(parameters))]
        return torch.cat([gradient_of(parameters[row], task.rows(row), None) for row in rows])
    world = task.world
    leaf = parameters.detach().requires_grad_()
    with torch.enable_grad():
        if rollout is None:
            loss = -objective(leaf, as_listed(world), task.scorer.tables, task.penalty)
        else:
            log_probs = world.policy_class.token_log_probs(leaf, rollout.prompt, rollout.responses)
            loss = surrogate_loss(log_probs, rollout, task.algorithm, task.penalty)
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return gradient


def climb(state: TrainState, task: Task, steps: int) -> TrainState:
    """Train every run of the stack for `steps` more steps. `state`'s tensors are updated in place."""
    diverged_at = state.diverged_at
    times = task.algorithm.times
    for step in range(state.step + 1, state.step + steps + 1):
        rollout = None if task.algorithm.name == "exact" else roll_out(state.parameters, task, step)
        schedule = task.schedule
        factor = learning_rate_factor(step, steps=schedule.steps, warmup=schedule.warmup, schedule=schedule.kind)
        for again in range(times):
            with computing(task.computing):
                gradient = gradient_of(state.parameters, task, rollout)
            clipped_adam_step(
                state.parameters,
                gradient,
                state.optimizer,
                step=(step - 1) * times + again + 1,
                rate=task.learning_rate * factor,
                limit=task.clip,
                weight_decay=task.weight_decay,
            )
        broken = ~state.parameters.isfinite().all(dim=1)
        diverged_at = torch.where((diverged_at < 0) & broken, task.begun + step, diverged_at)
    return replace(state, step=state.step + steps, diverged_at=diverged_at)


def set_task(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], algorithm: Algorithm, begun: int = 0) -> Task:
    """What the runs of a stack climb, each against its proxy, after so many steps of earlier rounds."""
    train = runs[0].settings.train

    def per_run(values: Sequence[float | None]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=world.prompts.device).unsqueeze(1)

    return Task(
        world=world,
        scorer=scorer_of(world, proxies),
        algorithm=algorithm,
        penalty=per_run([run.beta for run in runs]),
        learning_rate=per_run([run.settings.train.learning_rate for run in runs]),
        clip=per_run([run.settings.train.clip or math.inf for run in runs]),
        weight_decay=train.weight_decay if train.optimizer == "adamw" else 0.0,
        schedule=Schedule(steps=train.steps, warmup=train.warmup, kind=train.schedule),
        seeds=tuple(run.seed for run in runs),
        begun=begun,
        computing=computing_of(runs[0].settings, world.prompts.device),
    )


@dataclass
class PolicyGradientLearner:
    """A stack of policies that climb."""

    runs: Sequence[Run]
    task: Task
    state: TrainState
    track: Track

    @property
    def step(self) -> int:
        """How many steps it has taken."""
        return self.state.step

    @property
    def measured(self) -> int:
        """At how many checkpoints it was measured."""
        return self.track.row

    def next_stop(self, checkpoint: int) -> int:
        """The checkpoint."""
        return checkpoint

    def advance(self, steps: int) -> None:
        """Take steps."""
        with computing(self.task.computing.eager):
            self.state = climb(self.state, self.task, steps)

    def measure(self) -> None:
        """Every measured column of the stack as it stands, at the next checkpoint."""
        data = self.runs[0].settings.data
        with computing(self.task.computing.eager):
            columns, _ = self.task.world.measure(self.state.parameters, None, data, self.task.scorer)
        self.track.record(columns)

    def tensors(self) -> dict[str, Tensor]:
        """Its state."""
        return {**state_tensors(self.state), **self.track.tensors()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Stand where `tensors` were saved."""
        self.state = state_from(tensors, self.state)
        self.track.restore(tensors)


def new_learner(
    runs: Sequence[Run], world: World, proxies: Sequence[Proxy], algorithm: Algorithm
) -> PolicyGradientLearner:
    """A stack of policies before its first step, each with its proxy to climb."""
    return PolicyGradientLearner(
        runs=runs,
        task=set_task(runs, world, proxies, algorithm),
        state=start(world.policy_class.start, len(runs)),
        track=Track(rows=len(checkpoints_of(runs))),
    )


def climb_and_measure(
    runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder, algorithm: Algorithm
) -> pd.DataFrame:
    """The records of the runs of a stack along their training."""
    with torch.no_grad():
        return measured_rows(new_learner(runs, world, proxies, algorithm), recorder)


def measured_rows(learner: PolicyGradientLearner, recorder: Recorder) -> pd.DataFrame:
    """The records of a stack along its training, from its beginning, or its saved state, to its end."""
    runs, world, steps = learner.runs, learner.task.world, checkpoints_of(learner.runs)
    with torch.no_grad():
        train_and_measure(learner, steps, recorder)
        state = learner.state
        save_summary(runs, world, state.parameters, state.diverged_at, learner.task.scorer, recorder.save_table)
    measured, diverged_at = learner.track.measured, state.diverged_at.cpu().numpy()
    save_ledger(runs, steps, measured, recorder.save_table)
    return curve_rows(runs, steps, measured, diverged_at, kl_source=world.kl_source)
