"""From what users ask for to a stack before its first step: the runs that a sweep would have, with their data.

Shapes: R runs, N pairs of one run, K responses to a prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simulator.api.arguments import changed, choice_of, values_of
from simulator.api.checks import foreign_gold, warn
from simulator.api.pairs import Pairs, preferences_of
from simulator.api.proxy import Proxy
from simulator.api.world import World
from simulator.common.errors import ConfigError
from simulator.engine.loop import PolicyLearner
from simulator.methods import METHODS
from simulator.methods.method import Choices
from simulator.objectives import KNOWN_AS, OBJECTIVES
from simulator.objectives.custom import caution, examine, objective_of
from simulator.objectives.objective import Objective
from simulator.objectives.own_loss import own_loss
from simulator.preferences.pairs import Preferences, stack_preferences
from simulator.proxies.scores import Proxy as Ensemble
from simulator.proxies.scores import scorer_of
from simulator.settings import run as settings_run
from simulator.settings.run import Run, hyperparameters_of, responses_compared
from simulator.settings.tables import Settings
from simulator.sweeps.grid import cells_at, check_computing, kappa_of
from simulator.sweeps.sweep import METHOD_KNOWN_AS
from simulator.user_code.loading import given_function, is_own
from simulator.worlds.protocol import World as SimulatedWorld

Loss = str | Callable[..., Any] | Sequence[Any]
Datum = Pairs | Proxy


def losses_of(loss: Loss, beside: Path | None) -> list[Objective]:
    """The objectives that users name or give. Raises ConfigError."""
    found: list[Objective] = []
    for each in values_of(loss, "loss"):
        taken = [*OBJECTIVES, *(objective.name for objective in found)]
        found.append(given_loss(each, taken) if callable(each) else named_loss(each, beside))
    return found


def named_loss(name: Any, beside: Path | None) -> Objective:
    """The objective of this name, or that in a file of the user's. Raises ConfigError."""
    if isinstance(name, str) and is_own(name):
        return own_loss(name, beside, "loss = ").objective
    known = choice_of(name, "loss", [*OBJECTIVES, *KNOWN_AS])
    return OBJECTIVES[KNOWN_AS.get(known, known)]


def given_loss(function: Callable[..., Any], taken: Sequence[str]) -> Objective:
    """A function as an objective, tried; of a name that is not taken. Raises ConfigError."""
    for ours in OBJECTIVES.values():
        if ours.f is function:
            return ours
    name = getattr(function, "__name__", type(function).__name__).strip("<>")
    name = next(free for free in (name, *(f"{name}_{number}" for number in range(2, 1000))) if free not in taken)
    user = given_function(function, name, "loss = ")
    objective = replace(objective_of(user), code=user.code_hash)
    examine(objective, user)
    return objective


def new_stack(
    world: World,
    data: Datum | Sequence[Datum],
    method: str,
    choices: Choices,
    seeds: Sequence[int],
    proxy: Proxy | None,
    changes: Mapping[str, Any],
) -> tuple[list[Run], PolicyLearner]:
    """The runs of each loss, strength and seed, and the stack of them before its first step. Raises ConfigError."""
    trained = {name: one.learner for name, one in METHODS.items() if one.learner is not None}
    new_learner = trained[choice_of(method, "method", list(trained), METHOD_KNOWN_AS)]
    each = matched(data, len(seeds), Proxy if METHODS[method].card.against_proxy else Pairs)
    settings = {id(datum): settings_of(world, datum, proxy, changes) for datum in each}
    warn(*cautions_of(choices.loss, settings.values()), *(foreign_gold(world, theirs_of(datum)) for datum in each))
    cells = [list(cells_at(method, {}, settings[id(datum)], choices)) for datum in each]
    kappas: dict[tuple[Any, ...], float | None] = {}
    runs, given = [], []
    for columns in zip(*cells, strict=True):  # one objective, with each of the data
        for place in range(len(columns[0].betas)):
            for cell, seed, datum in zip(columns, seeds, each, strict=True):
                runs.append(Run(cell=cell, beta=cell.betas[place], kappa=kappa_of(cell, kappas), seed=seed))
                given.append(datum)
    check_names(runs)
    check_computing(runs, world.prompts.device)
    ensembles = [ensemble for datum in given if (ensemble := ensemble_of(datum, proxy)) is not None]
    if len(ensembles) < len(runs) and any(run.cell.proxies for run in runs):
        raise ConfigError("proxy: these settings need a proxy, such as proxy=train_proxy(world, pairs, seed=0)")
    pairs = None if METHODS[method].card.against_proxy else stacked_pairs(runs, given, ensembles, world.simulated)
    used = ensembles if any(run.cell.proxies for run in runs) else []
    return runs, new_learner(runs, world.simulated, used, pairs)


def cautions_of(losses: Sequence[Objective], settings: Iterable[Settings]) -> list[str]:
    """What to say of losses that do not start by pushing margins up."""
    each = [(loss, one.objective.hyperparameters(loss.table)) for one in settings for loss in losses]
    return list(dict.fromkeys(caution(loss, own) for loss, own in each))


def theirs_of(datum: Datum) -> Settings | None:
    """The settings that a datum was labelled by, where they are known."""
    if isinstance(datum, Proxy):
        return datum.settings
    return None if datum.drawn is None else datum.drawn.settings


def matched(data: Datum | Sequence[Datum], count: int, kind: type[Datum]) -> list[Datum]:
    """What each seed learns from: the same, or one of several. Raises ConfigError."""
    several = isinstance(data, Sequence)
    each = list(data) if isinstance(data, Sequence) else [data] * count
    what = "Pairs, such as world.preferences(1024, seed=0)" if kind is Pairs else "a Proxy, such as train_proxy(…)"
    for datum in each:
        if not isinstance(datum, kind):
            raise ConfigError(f"data: must be {what}, not {type(datum).__name__}")
        if isinstance(datum, Pairs) and not len(datum):
            raise ConfigError("data: must have at least one pair")
    if several and len(each) != count:
        raise ConfigError(f"seed: must have a value for each of the {len(each)} data, not {count}")
    return each


def settings_of(world: World, datum: Datum, proxy: Proxy | None, changes: Mapping[str, Any]) -> Settings:
    """Every setting of the runs that learn from a datum: the world's, its own, and the changes. Raises ConfigError."""
    base, own = world.settings, {}
    if isinstance(datum, Proxy):
        base = base.model_copy(update={"data": datum.settings.data, "proxy": datum.settings.proxy})
    elif datum.drawn is not None:
        base = base.model_copy(update={"data": datum.drawn.settings.data, "proxy": datum.drawn.settings.proxy})
    else:
        own = {"data.pairs": len(datum), "data.labeller": "gold"}
    if proxy is not None:
        base = base.model_copy(update={"proxy": proxy.settings.proxy})
    return changed(base, {**own, **changes}, "train")


def ensemble_of(datum: Datum, proxy: Proxy | None) -> Ensemble | None:
    """The proxy that a run is measured with, and labelled by where settings say so."""
    if isinstance(datum, Proxy):
        return datum.ensemble
    if proxy is not None:
        return proxy.ensemble
    return None if datum.drawn is None else datum.drawn.labeller


def check_names(runs: Sequence[Run]) -> None:
    """Raises ConfigError where two runs are the same."""
    names = [run.run_id for run in runs]
    for place, name in enumerate(names):
        if name in names[:place]:
            one = runs[place]
            told = [f"loss {one.loss}"] if one.loss else []
            told += [f"beta {one.beta:g}"] if one.beta is not None else []
            raise ConfigError(
                f"{', '.join([*told, f'seed {one.seed}'])}: comes twice; losses, betas and seeds must differ"
            )


def stacked_pairs(
    runs: Sequence[Run], given: Sequence[Datum], ensembles: Sequence[Ensemble], world: SimulatedWorld
) -> Preferences:
    """The pairs of every run, [R, N, K, …], with rewards where some objective reads them. Raises ConfigError."""
    known = {id(datum): preferences_of(datum, world, "data") for datum in given}
    sizes = {len(pairs.prompt) for pairs in known.values()}
    if len(sizes) > 1:
        raise ConfigError(f"data: all must have as many pairs, not {' and '.join(map(str, sorted(sizes)))}")
    scored = any(settings_run.objective_of(run).scored for run in runs)
    rows = []
    for number, (run, datum) in enumerate(zip(runs, given, strict=True)):
        pairs, count = known[id(datum)], responses_compared(run)
        if pairs.responses.shape[1] != count:
            raise ConfigError(
                f"loss = {run.loss}: compares {count} responses to a prompt, and the data has "
                f"{pairs.responses.shape[1]}; draw world.preferences(…, responses={count}), and train it in a "
                "call of its own"
            )
        by_proxy = settings_run.objective_of(run).scored and hyperparameters_of(run).get("reward") == "proxy"
        if by_proxy:
            scorer = scorer_of(world, [ensembles[number]])
            pairs = replace(pairs, scores=scorer.of(pairs.prompt[None], pairs.responses[None])[0])
        rows.append(pairs if scored else pairs.without_scores())
    return stack_preferences(rows)
