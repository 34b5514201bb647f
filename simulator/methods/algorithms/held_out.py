"""Pairs that nothing learns from, on which policies are measured as they train: `measure.held_out` of each seed.

They are drawn and labelled as the pairs of [data] are, so the loss and the accuracy on them are what someone without
gold could look at. Shapes: R runs, N held-out pairs of each, K responses of a pair.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simulator.engine.gradient_steps import PAIRS_READ, losses_on_pairs
from simulator.engine.problem import TrainingProblem, TrainState
from simulator.measurement.exact import Columns, measure_pairs
from simulator.methods.algorithms.moving_reference import Moved, with_reference
from simulator.preferences.labelling import arrange_pairs
from simulator.preferences.pairs import Preferences
from simulator.settings.run import Run, responses_compared
from simulator.worlds.listing import Scorer
from simulator.worlds.protocol import World


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Held-out pairs [R, N, …] of a stack, and what their loss is computed from."""

    pairs: Preferences
    problem: TrainingProblem

    def columns(self, state: TrainState, moved: Moved | None) -> Columns:
        """The loss and the accuracy of each run on them, [R] each; the loss with a reference that moved, if one did."""
        ratios = self._log_ratios(state.parameters)
        losses, _ = losses_on_pairs(state, with_reference(self.problem, moved), ratios)
        found = measure_pairs(ratios, losses, self.pairs.weights)
        return {"held_out_loss": losses, "held_out_accuracy": found["train_accuracy"]}

    def _log_ratios(self, parameters: Tensor) -> Tensor:
        """log pi - log pi_ref of all responses, nats, [R, N, K]."""
        problem, found = self.problem, []
        for first in range(0, problem.pairs, PAIRS_READ):
            some = slice(first, first + PAIRS_READ)
            asked, responses = problem.prompts[:, some], problem.responses[:, some]
            found.append(problem.value(parameters, problem.architecture, problem.packing, asked, responses))
        return torch.cat(found, dim=1).double() - self.pairs.reference


def held_out(
    runs: Sequence[Run],
    world: World,
    scorer: Scorer | None,
    problem_on: Callable[[Preferences], TrainingProblem],
) -> HeldOut | None:
    """The held-out pairs of a stack, labelled as its pairs are; None where there are none."""
    settings = runs[0].settings
    count = settings.measure.held_out
    if not count:
        return None
    seeds = dict.fromkeys(run.seed for run in runs)
    responses = responses_compared(runs[0])
    drawn = {seed: world.candidates(settings.data, seed, count, "held out", responses) for seed in seeds}
    pairs = arrange_pairs([drawn[run.seed] for run in runs], runs, world, scorer, settings.data.labeller)
    return HeldOut(pairs=pairs, problem=problem_on(pairs))
