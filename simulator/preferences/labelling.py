"""The pairs that the runs of a stack are trained on: drawn, and labelled or ranked as each objective wants them.

Shapes: R runs, N pairs of one run, K responses of each.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gold_rewards import Judged
from simulator.engine.problem import TrainState
from simulator.preferences.comparisons import judge
from simulator.preferences.filtering import kept_of_all
from simulator.preferences.online import draw_fresh
from simulator.preferences.pairs import (
    Preferences,
    labelled,
    labelled_by_proxy,
    more_preferences,
    ranked,
    stack_preferences,
)
from simulator.preferences.pairs_file import file_preferences
from simulator.preferences.population import population_of
from simulator.settings.labels import rule_of
from simulator.settings.run import Run, hyperparameters_of, objective_of, responses_compared
from simulator.worlds.behaviour import Candidates
from simulator.worlds.listing import Scorer
from simulator.worlds.protocol import World


def arrange_pairs(
    drawn: Sequence[Candidates], runs: Sequence[Run], world: World, scorer: Scorer | None, labeller: str
) -> Preferences:
    """The responses of every run as its objective wants them, [R, N, K, …]: labelled by gold or the proxy, or ranked.

    scores: the rewards that the objective of some run reads, from where it says.
    """
    scored = any(objective_of(run).scored for run in runs)
    gold: dict[int, np.ndarray] = {}  # runs of one seed share their pairs
    judged: dict[tuple[int, int, float], Judged] = {}
    rows = []
    for number, (run, pairs) in enumerate(zip(runs, drawn, strict=True)):
        data, objective = run.settings.data, objective_of(run)
        reward = hyperparameters_of(run).get("reward", labeller) if objective.scored else labeller
        score, asked = {}, (pairs.prompt[None], pairs.responses[None])
        needed = {reward} if objective.ranked else {labeller, reward}
        if "gold" in needed:
            if id(pairs) not in gold:
                gold[id(pairs)] = world.gold_of(*asked)[0].cpu().numpy()
            score["gold"] = gold[id(pairs)]
        if "proxy" in needed:
            assert scorer is not None
            score["proxy"] = scorer.rows(slice(number, number + 1)).of(*asked)[0].cpu().numpy()
        if objective.ranked:
            arranged = ranked(pairs, score[reward])
        elif labeller == "proxy":
            arranged = labelled_by_proxy(pairs, score["proxy"], score[reward])
        else:
            who = id(pairs), data.annotators, data.disagreement
            if who not in judged:
                judged[who] = judge(world, data, pairs, score["gold"])
            arranged = labelled(pairs, judged[who], score[reward], rule_of(data))
        rows.append(arranged if scored else arranged.without_scores())
    return stack_preferences(rows)


def preferences(runs: Sequence[Run], world: World, scorer: Scorer | None) -> Preferences:
    """The pairs of every run before its training, [R, N, K, …], less those that `data.filter` drops."""
    return kept_of_all(labelled_pairs(runs, world, scorer), world, runs[0].settings.data)


def labelled_pairs(runs: Sequence[Run], world: World, scorer: Scorer | None) -> Preferences:
    """The pairs of every run as they are drawn and labelled, or read from a file."""
    data, count = runs[0].settings.data, responses_compared(runs[0])
    if data.population:
        return population_of(runs, world)
    if data.file and data.labeller == "gold":
        return from_file(runs, world, scorer)
    purpose = "pool" if data.labeller == "proxy" else "pairs"
    drawn = {
        seed: world.candidates(data, seed, data.learned_from, purpose, count)
        for seed in dict.fromkeys(run.seed for run in runs)
    }
    return arrange_pairs([drawn[run.seed] for run in runs], runs, world, scorer, data.labeller)


def from_file(runs: Sequence[Run], world: World, scorer: Scorer | None) -> Preferences:
    """The pairs of a file of the user's own, the same for all runs, with the rewards that objectives read."""
    data = runs[0].settings.data
    pairs = file_preferences(data.file, data.pairs, world)
    rows = []
    for number, run in enumerate(runs):
        own = pairs if objective_of(run).scored else pairs.without_scores()
        if objective_of(run).scored and hyperparameters_of(run).get("reward", "gold") == "proxy":
            assert scorer is not None
            scores = scorer.rows(slice(number, number + 1)).of(pairs.prompt[None], pairs.responses[None])[0]
            own = replace(pairs, scores=scores)
        rows.append(own)
    scored = any(row.scores is not None for row in rows)
    return stack_preferences([row if row.scores is not None or not scored else pairs for row in rows])


def refresh(
    state: TrainState, pairs: Preferences, runs: Sequence[Run], world: World, scorer: Scorer | None, turn: int
) -> Preferences:
    """The pairs of every run once a round of fresh ones is there."""
    online = runs[0].settings.online
    drawn = draw_fresh(
        state.parameters,
        world,
        pairs=online.pairs,
        responses=pairs.responses.shape[2],
        seeds=[run.seed for run in runs],
        turn=turn,
    )
    fresh = arrange_pairs(drawn, runs, world, scorer, online.labeller)
    return fresh if online.keep == "newest" else more_preferences(pairs, fresh)
