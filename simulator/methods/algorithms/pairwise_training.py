"""Training a stack on labelled pairs. Shapes: R runs, N pairs of one run, K responses of each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.divergences import divergence_of
from simulator.engine.checkpoints import Track, checkpoints_of, curve_rows, save_ledger
from simulator.engine.computing import computing_of
from simulator.engine.gradient_steps import advance, losses_on_pairs, start
from simulator.engine.loop import train_and_measure
from simulator.engine.problem import Schedule, TrainingProblem, TrainState, mark_diverged, state_from, state_tensors
from simulator.engine.recorder import Keep, Recorder
from simulator.engine.snapshots import named, part_of, scalar
from simulator.measurement.exact import Columns, measure_pairs
from simulator.methods.algorithms.final_tables import finite, margin_rows, save_summary
from simulator.methods.algorithms.held_out import HeldOut, held_out
from simulator.methods.algorithms.moving_reference import followed, moved_from, moved_of, moved_tensors, with_reference
from simulator.methods.algorithms.pair_table import save_pairs
from simulator.methods.algorithms.replayed import batch_seeds, drawn_by, online_runs, replayed
from simulator.networks.compute_mode import computing
from simulator.networks.packing import packing
from simulator.objectives.linked import linked
from simulator.objectives.objective import UnderReference
from simulator.objectives.stacked_losses import ObjectiveSlice
from simulator.preferences.labelling import preferences, refresh
from simulator.preferences.online import segments
from simulator.preferences.pairs import Preferences, more_preferences
from simulator.proxies.scores import Proxy, scorer_of
from simulator.settings.labels import has_ties
from simulator.settings.run import Run, hyperparameters_of, objective_key, objective_of
from simulator.settings.tables import Settings
from simulator.worlds.listing import Scorer
from simulator.worlds.protocol import World


def parts_of(runs: Sequence[Run], device: torch.device) -> tuple[ObjectiveSlice, ...]:
    """Neighbouring runs of one objective, and of the same words and whole numbers among its parameters."""
    parts = []
    for _, group in groupby(runs, key=objective_key):
        some = list(group)
        numbers: dict[str, Any] = {**hyperparameters_of(some[0])}
        for name, value in numbers.items():
            if isinstance(value, float):
                values = [hyperparameters_of(run)[name] for run in some]
                numbers[name] = torch.tensor(values, dtype=torch.float32, device=device).unsqueeze(1)
        train = some[0].settings.train
        objective = linked(objective_of(some[0]), divergence_of(train.divergence, train.alpha))
        parts.append(ObjectiveSlice(objective=objective, rows=len(some), hyperparameters=numbers))
    return tuple(parts)


def make_problem(
    runs: Sequence[Run],
    world: World,
    pairs: Preferences,
    *,
    turn: int = 0,
    began: int = 0,
    under_reference: UnderReference | None = None,
) -> TrainingProblem:
    """What the stack trains on: `pairs` [R, N, …] of its runs, or those of a `turn` that began after a step."""
    train, online = runs[0].settings.train, runs[0].settings.online
    device, policies = world.prompts.device, world.policy_class
    whole, seeds = runs[0].settings.data.population, tuple(run.seed for run in runs)
    parts = parts_of(runs, device)
    calibrated = any(part.objective.calibrates(part.hyperparameters) for part in parts)

    def per_run(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device).unsqueeze(1)

    return TrainingProblem(
        architecture=world.architecture,
        packing=packing(
            prompt_length=world.prompts.shape[1],
            response_length=pairs.responses.shape[3],
            responses=pairs.responses.shape[2],
            device=device,
        ),
        prompts=pairs.prompt.unsqueeze(-1) if whole else policies.asked(pairs.prompt),
        responses=pairs.responses,
        reference_log_probs=pairs.reference.to(torch.float64 if whole else policies.dtype),
        parts=parts,
        beta=per_run([1.0 if run.beta is None else run.beta for run in runs]),
        learning_rate=per_run([run.settings.train.learning_rate for run in runs]),
        clip=per_run([run.settings.train.clip or math.inf for run in runs]),
        weight_decay=train.weight_decay if train.optimizer == "adamw" else 0.0,
        schedule=Schedule(steps=train.steps, warmup=train.warmup, kind=train.schedule),
        batch=pairs.prompt.shape[1] if whole else min(train.batch, pairs.prompt.shape[1]),
        batch_seeds=batch_seeds(runs),
        value=policies.listed_value if whole else policies.value,
        tokens=policies.tokens,
        scores=pairs.scores,
        weights=pairs.weights,
        reference=policies.start,
        under_reference=under_reference or (world.under_reference(seeds) if calibrated else None),
        online=online.rounds(train.steps) > 0 and online.replay == "none",
        computing=computing_of(runs[0].settings, device),
        online_round=turn,
        round_start_step=began,
    )


def measure(
    state: TrainState,
    problem: TrainingProblem,
    pairs: Preferences,
    world: World,
    settings: Settings,
    scorer: Scorer | None,
) -> tuple[Columns, Tensor]:
    """Every measured column of the stack as it stands, [R] each; and log-ratios of the first pairs, [R, n, K]."""
    columns, log_ratios = world.measure(state.parameters, pairs, settings.data, scorer)
    losses, inside = losses_on_pairs(state, problem, log_ratios)
    weights = None if pairs.weights is None else pairs.weights[:, : log_ratios.shape[1]]
    if has_ties(settings.data) and not settings.data.population:
        columns["tied"] = losses * 0.0 if weights is None else (weights[..., 0] == weights[..., 1]).double().mean(dim=1)
    return columns | measure_pairs(log_ratios, losses, weights) | inside, log_ratios


def save_margins(
    runs: Sequence[Run], world: World, pairs: Preferences, log_ratios: Tensor, alive: np.ndarray, keep: Keep
) -> None:
    """Keep the margins that log-ratios [R, n, K] of the first pairs have, by the gap of gold; none of a population."""
    if runs[0].settings.data.population:
        return  # its pairs do not count alike
    shown = pairs.first(log_ratios.shape[1])
    gold = world.gold_of(shown.prompt, shown.responses[..., [0, -1], :])
    margins, gaps = (values[..., 0] - values[..., -1] for values in (log_ratios, gold))
    keep("margins", margin_rows(runs, margins, gaps, alive))


@dataclass
class PairwiseLearner:
    """A stack of policies in training on pairs.

    log_ratios: of the first pairs, where they were measured last, [R, n, K]. stream: all fresh pairs [R, …] of those
    that draw for runs that replay, once they are known.
    """

    runs: Sequence[Run]
    world: World
    scorer: Scorer | None
    pairs: Preferences
    problem: TrainingProblem
    state: TrainState
    track: Track
    log_ratios: Tensor | None = None
    stream: Preferences | None = None
    held_out: HeldOut | None = None

    @property
    def settings(self) -> Settings:
        """Those of all runs, but for what may differ within a stack."""
        return self.runs[0].settings

    @property
    def step(self) -> int:
        """How many steps it has taken."""
        return self.state.step

    @property
    def measured(self) -> int:
        """At how many checkpoints it was measured."""
        return self.track.row

    def next_stop(self, checkpoint: int) -> int:
        """The next step after which fresh pairs are drawn or the reference follows the policy, or the checkpoint."""
        cuts = self.settings.online.refresh, self.settings.train.reference_sync
        return min(segments(self.step, checkpoint, cut)[0][1] for cut in cuts)

    def advance(self, steps: int) -> None:
        """Take steps, on fresh pairs first where a round of them begins, and once the reference has followed."""
        self.begin_round()
        with torch.enable_grad():
            self.state = advance(self.state, self.problem, steps)

    def begin_round(self) -> None:
        """Let the reference follow where it should, and take fresh pairs where a round begins; once for a step."""
        moved = followed(self.problem, self.state, self.runs)
        turn = self.settings.online.round_at(self.step, self.settings.train.steps)
        if turn and turn != self.problem.online_round:
            with computing(self.problem.computing.eager):
                self.pairs = self._fresh_pairs(turn)
            self.problem = self._problem(turn, self.step)
        self.problem = with_reference(self.problem, moved)

    def measure(self) -> None:
        """Every measured column of the stack as it stands, at the next checkpoint."""
        self.state = mark_diverged(self.state)
        with computing(self.problem.computing.eager):
            columns, self.log_ratios = measure(
                self.state, self.problem, self.pairs, self.world, self.settings, self.scorer
            )
            columns |= self.held_out.columns(self.state, moved_of(self.problem)) if self.held_out else {}
        self.track.record(columns)

    def tensors(self) -> dict[str, Tensor]:
        """Its state; pairs as they were drawn at the beginning are not part of it."""
        drawn = self.pairs.tensors() if self.settings.online.refresh else {}
        known = named("stream", self.stream.tensors()) if self.stream else {}
        turn = scalar(self.problem.online_round)
        moved = named("moved", moved_tensors(self.problem))
        return {
            **state_tensors(self.state),
            **self.track.tensors(),
            **named("pairs", drawn),
            **known,
            **moved,
            "turn": turn,
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Stand where `tensors` were saved."""
        turn = int(tensors["turn"])
        self.state, self.pairs = state_from(tensors, self.state), pairs_from(tensors, self.pairs)
        moved = moved_from(part_of(tensors, "moved"), self.state)
        self.problem = with_reference(self._problem(turn, turn * self.settings.online.refresh), moved)
        self.stream = pairs_from(tensors, self.pairs, "stream") if part_of(tensors, "stream") else None
        self.track.restore(tensors)

    def _fresh_pairs(self, turn: int) -> Preferences:
        """The pairs of every run once a round of fresh ones is there: drawn by its policy, or replayed."""
        online = self.settings.online
        if online.replay == "none":
            return refresh(self.state, self.pairs, self.runs, self.world, self.scorer, turn)
        if self.stream is None:
            drawing = learner_on(online_runs(self.runs), self.world, self.scorer, self.pairs)
            drawn = drawn_by(drawing, online, self.settings.train.steps)
            self.stream = replayed(drawn, [run.seed for run in self.runs], online)
        fresh = self.stream.between((turn - 1) * online.pairs, turn * online.pairs)
        return fresh if online.keep == "newest" else more_preferences(self.pairs, fresh)

    def _problem(self, turn: int, began: int) -> TrainingProblem:
        """What the stack trains on from a turn on."""
        if turn == self.problem.online_round:
            return self.problem
        known = self.problem.under_reference
        return make_problem(self.runs, self.world, self.pairs, turn=turn, began=began, under_reference=known)


def new_learner(
    runs: Sequence[Run], world: World, proxies: Sequence[Proxy], pairs: Preferences | None = None
) -> PairwiseLearner:
    """A stack of policies before its first step. pairs [R, N, …]: drawn and labelled as the runs say, unless given."""
    scorer = scorer_of(world, proxies) if proxies else None
    return learner_on(runs, world, scorer, pairs or preferences(runs, world, scorer))


def learner_on(runs: Sequence[Run], world: World, scorer: Scorer | None, pairs: Preferences) -> PairwiseLearner:
    """A stack of policies before its first step, on pairs [R, N, …]."""
    problem = make_problem(runs, world, pairs)
    with computing(problem.computing.eager):
        state = start(world.policy_class.start, len(runs), problem)

    def problem_on(held: Preferences) -> TrainingProblem:
        return make_problem(runs, world, held, under_reference=problem.under_reference)

    return PairwiseLearner(
        runs=runs,
        world=world,
        scorer=scorer,
        pairs=pairs,
        problem=problem,
        state=state,
        track=Track(rows=len(checkpoints_of(runs))),
        held_out=held_out(runs, world, scorer, problem_on),
    )


def train(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """World, preference data, trained runs, measured checkpoints, records."""
    settings, keep, steps = runs[0].settings, recorder.save_table, checkpoints_of(runs)
    with torch.no_grad():
        learner = new_learner(runs, world, proxies)
        train_and_measure(learner, steps, recorder)
        state, log_ratios, scorer = learner.state, learner.log_ratios, learner.scorer
        if log_ratios is None:  # the state was saved after the last measurement
            log_ratios = world.measure(state.parameters, learner.pairs, settings.data, scorer)[1]
        save_summary(runs, world, state.parameters, state.diverged_at, scorer, keep)
        alive = finite(state.parameters, state.diverged_at)
        save_margins(runs, world, learner.pairs, log_ratios, alive, keep)
        save_pairs(runs, world, learner.pairs, log_ratios, alive, keep)
    diverged_at = state.diverged_at.cpu().numpy()
    save_ledger(runs, steps, learner.track.measured, keep)
    return curve_rows(runs, steps, learner.track.measured, diverged_at, kl_source=world.kl_source)


def pairs_from(state: Mapping[str, Tensor], pairs: Preferences, name: str = "pairs") -> Preferences:
    """The pairs of this name in a saved state, or those of the beginning where it has none."""
    drawn = part_of(state, name)
    device = pairs.prompt.device
    return Preferences(**{name: value.to(device) for name, value in drawn.items()}) if drawn else pairs
