"""Settings that are legal and teach nothing: sentences for the user, before anything is trained.

Thresholds are where the quickstart's logistic loss loses half of the KL that it reaches otherwise, as measured: at a
slope of 2e-8 along the margin it has 45 % of it, at 5e-8 88 %, and at a clip of 1e-7 56 %.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from simulator.common.errors import shown
from simulator.languages.text import read_text
from simulator.methods.rl import Rl, penalty_of
from simulator.networks.optimizer import EPSILON
from simulator.objectives import KNOWN_AS, OBJECTIVES
from simulator.objectives.custom import caution, start_slopes
from simulator.objectives.objective import Hyperparameters, Objective
from simulator.preferences.draw import draw_labelled
from simulator.proxies.reward_model import held_out
from simulator.settings.config_errors import assignments
from simulator.settings.labels import is_intransitive
from simulator.settings.run import Run
from simulator.sweeps.stacking import cells, footprint_of, method_of
from simulator.sweeps.sweep import Sweep
from simulator.sweeps.unread_keys import unread_keys_of
from simulator.worlds.protocol import World

LEAST_SLOPE = 3 * EPSILON  # of the loss along a log-ratio, at the start
LEAST_CLIP = 10 * EPSILON
LEAST_WAY = 1e-3  # that all steps move a parameter, in its typical size
RESOLUTION = 2.0**-24  # of float32, relative
FEW = 4  # held-out pairs
LOOKED_AT = 256  # pairs
SILENT = 0.5  # share of pairs


def cautions_of_training(runs: Sequence[Run]) -> list[str]:
    """Sentences on what cannot be trained, or is trained to prefer the worse, with the settings of some runs."""
    found = [*of_optimizer(runs), *of_slopes(runs), *of_lengths(runs), *of_labels(runs), *of_texts(runs)]
    return list(dict.fromkeys([*found, *of_held_out(runs), *of_one_prompt(runs), *of_penalty(runs)]))


def of_penalty(runs: Sequence[Run]) -> Iterator[str]:
    """Penalties of reinforcement learning whose gradient is 0 in the mean."""
    for run in runs:
        if run.method in ("rl", "iterated") and run.beta:
            own = run.settings.of(Rl)
            if own.algorithm != "exact" and penalty_of(own) == ("loss", "k1"):
                yield (
                    'rl.kl = "loss" with rl.kl_estimator = "k1": its gradient is 0 in the mean, so sweep.penalty holds '
                    'no policy near the reference; take "k2", or rl.kl = "reward"'
                )
                return


def of_optimizer(runs: Sequence[Run]) -> Iterator[str]:
    """Learning rates and clips that the optimizer, or float32, does not resolve."""
    for settings in {id(run.settings): run.settings for run in runs if footprint_of(run).tokens}.values():
        if settings.policy.kind != "transformer":
            continue
        train, size = settings.train, 1 / math.sqrt(settings.policy.width)
        rate, way = f"train.learning_rate = {train.learning_rate:g}", train.learning_rate * train.steps
        if train.learning_rate < RESOLUTION * size:
            yield f"{rate}: a step is less than float32 resolves of a parameter of size {size:.2g}, so nothing moves"
        elif way < LEAST_WAY * size:
            yield (
                f"{rate}: all {train.steps:,} steps together move a parameter of size {size:.2g} by at most {way:.1g}, "
                "so policies stay at the reference"
            )
        if 0 < train.clip < LEAST_CLIP:
            yield (
                f"train.clip = {train.clip:g}: gradients clipped to that are near Adam's epsilon, {EPSILON:g}, so "
                "training hardly moves; 0 turns clipping off"
            )


def of_slopes(runs: Sequence[Run]) -> Iterator[str]:
    """Losses whose gradient, where training starts, is below what the optimizer resolves."""
    cells = {
        (run.loss, run.beta, *own_of_run(run).items()): run for run in runs if run.objective is not None and run.beta
    }
    for run in cells.values():
        assert run.objective is not None
        slope = steepest(run.objective, run.beta or 1.0, own_of_run(run))
        if 0 < slope < LEAST_SLOPE:
            yield (
                f"sweep.beta = {run.beta:g} with loss {run.loss}: a log-ratio has a gradient of {slope:.1g} where "
                f"training starts, below what Adam resolves, {LEAST_SLOPE:g}, so training hardly moves"
            )


def own_of_run(run: Run) -> Mapping[str, Any]:
    """The parameters of the objective of a run."""
    assert run.objective is not None
    return run.settings.objective.of(run.objective)


def steepest(objective: Objective, beta: float, own: Mapping[str, Any]) -> float:
    """The largest slope of a loss along one of the two log-ratios, where the policy is the reference."""
    return max(abs(slope) for slope in start_slopes(objective, beta, own))


def of_lengths(runs: Sequence[Run]) -> Iterator[str]:
    """Losses that divide by a length that is the same for all responses."""
    if any(run.settings.world.language.ends for run in runs):
        return
    names = dict.fromkeys(run.loss for run in runs if run.objective is not None and run.objective.length_normalized)
    if names:
        which, verb = ", ".join(map(str, names)), "divide" if len(names) > 1 else "divides"
        yield f"loss {which} {verb} by the number of tokens, which is the same for all responses of these worlds"


def of_one_prompt(runs: Sequence[Run]) -> Iterator[str]:
    """Losses that take responses to other prompts, in a world that has no other prompt."""
    for run in runs:
        if run.objective is not None and run.objective.mismatched and run.settings.world.prompts == 1:
            yield (
                f"loss {run.loss} compares with responses to other prompts, and world.prompts = 1: every response is "
                "to the one prompt, so its reference point is that of matched pairs"
            )


def of_labels(runs: Sequence[Run]) -> Iterator[str]:
    """Labels of which more than half are flipped."""
    for noise in dict.fromkeys(run.settings.data.label_noise for run in runs if not run.settings.data.file):
        if noise > 0.5:
            yield f"data.label_noise = {noise:g}: most labels are flipped, so the worse response is preferred"


def of_texts(runs: Sequence[Run]) -> Iterator[str]:
    """Bytes that should end a response and are not in the text."""
    for language in dict.fromkeys(run.settings.world.language for run in runs):
        if language.text and language.end and language.end.encode() not in read_text(language.text):
            end = f"world.language.end = {shown(language.end)}"
            yield f"{end}: never occurs in {shown(language.text)}, so responses have no end to learn"


def of_held_out(runs: Sequence[Run]) -> Iterator[str]:
    """Proxies whose best checkpoint is chosen by very few pairs."""
    for settings in {id(run.settings): run.settings for run in runs if run.cell.proxies}.values():
        if settings.proxy.planted:
            continue
        count, share = held_out(settings), f"proxy.held_out = {settings.proxy.held_out:g}"
        if count < FEW:
            yield (
                f"{share} of data.pairs = {settings.data.pairs}: the best checkpoint of a proxy is chosen by {count} "
                f"held-out pair{'s' * (count > 1)}, which is chance"
            )


def uninformative_pairs(world: World, run: Run) -> str:
    """A sentence where half of the pairs of a run, or more, say nothing of gold; empty where fewer do."""
    data = run.settings.data
    if run.settings.proxy.planted and method_of(run).card.against_proxy:  # nothing learns from pairs
        return ""
    few = data.model_copy(update={"pairs": min(data.pairs, LOOKED_AT), "filter": "none"})
    pairs = draw_labelled(world, few, 0) if data.file else world.candidates(data, 0, few.pairs, "pairs")
    gold = world.gold_of(pairs.prompt[None], pairs.responses[None])[0]
    same = (pairs.responses[:, 0] == pairs.responses[:, 1]).all(dim=-1)
    tied = ~same & torch.isclose(gold[:, 0], gold[:, 1], rtol=0, atol=1e-9)
    alike, equal = (float(which.double().mean()) for which in (same, tied))
    if is_intransitive(data) or data.length_bias:  # labels of equal gold say something
        equal = 0.0
    if alike + equal < SILENT:
        return ""
    where = f"at {assignments(run.cell.axes)}: " if run.cell.axes else ""
    return (
        f"{where}of the pairs, {alike:.0%} are two identical responses and {equal:.0%} have equal gold, so that their "
        "labels say nothing; take longer responses, or a gold reward with fewer ties"
    )


def cautions(sweep: Sweep, runs: Sequence[Run]) -> list[str]:
    """What a user should know before the runs are trained: objectives that start badly, axes that say nothing."""
    own: dict[tuple[Any, ...], tuple[Objective, Hyperparameters]] = {}
    for run, _ in cells(runs):
        if run.objective and run.kappa is None:  # or else it starts by pushing margins up
            numbers = run.settings.objective.of(run.objective)
            own[run.loss, *numbers.items()] = run.objective, numbers
    sentences = [*map(convention, sweep.aliases_used), *(caution(*pair) for pair in own.values())]
    return list(dict.fromkeys(filter(None, [*sentences, *cautions_of_training(runs), *unread_keys_of(sweep, runs)])))


def convention(name: str) -> str:
    """What is said of a name of a loss that stands for one of ours."""
    relation = OBJECTIVES[KNOWN_AS[name]].convention.relation
    return f"sweep.loss = {name}: is recorded as {KNOWN_AS[name]}{f', which is {relation}' if relation else ''}"
