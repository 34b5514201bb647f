"""From what users ask for to a stack before its first step: the runs that a sweep would have, with their data.

Shapes: R runs, N pairs of one run, K responses to a prompt.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from simulator.api.arguments import changed, choice_of, values_of
from simulator.api.pairs import Pairs, counted, preferences_of
from simulator.api.proxy import Proxy, check_first_pairs, check_proxies_of
from simulator.api.world import World
from simulator.common.errors import ConfigError, shown
from simulator.common.identity import digest
from simulator.engine.loop import PolicyLearner
from simulator.engine.snapshots import fingerprint
from simulator.methods import METHODS
from simulator.methods.method import Choices
from simulator.objectives import KNOWN_AS, OBJECTIVES
from simulator.objectives.custom import caution, examine, objective_of
from simulator.objectives.mixtures import is_mixture, objective_called
from simulator.objectives.objective import Objective
from simulator.preferences.pairs import Preferences, stack_preferences
from simulator.proxies.scores import Proxy as Ensemble
from simulator.proxies.scores import scorer_of
from simulator.settings import run as settings_run
from simulator.settings.run import GridCell, Run, hyperparameters_of, responses_compared
from simulator.settings.tables import Settings
from simulator.settings.world_spec import WORLD_TABLES
from simulator.sweeps.grid import cells_at, check_computing, kappa_of
from simulator.sweeps.sweep import METHOD_KNOWN_AS
from simulator.user_code.loading import given_function, is_own
from simulator.worlds.listing import Scorer
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
    """The objective of this name, a sum of several, or that in a file of the user's. Raises ConfigError."""
    if isinstance(name, str) and (is_own(name) or is_mixture(name)):
        return objective_called(name, beside, "loss = ")
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
) -> tuple[list[Run], PolicyLearner, list[str]]:
    """The runs of each loss, strength and seed, the stack of them before its first step, and what to warn of.

    Raises ConfigError.
    """
    trained = {name: one.learner for name, one in METHODS.items() if one.learner is not None}
    new_learner = trained[choice_of(method, "method", list(trained), METHOD_KNOWN_AS)]
    against_proxy = METHODS[method].card.against_proxy
    each = matched(data, len(seeds), Proxy if against_proxy else Pairs)
    check_proxies_of(world.simulated, each, proxy)
    if method == "iterated":
        check_first_pairs(each, seeds)
    settings = {id(datum): settings_of(world, datum, proxy, changes) for datum in each}
    known = {id(datum): preferences_of(datum, world.simulated, "data") for datum in each if isinstance(datum, Pairs)}
    runs, given = runs_of(method, choices, seeds, each, settings, known)
    check_names(runs)
    check_computing(runs, world.prompts.device)
    ensembles = [ensemble for datum in given if (ensemble := ensemble_of(datum, proxy)) is not None]
    if len(ensembles) < len(runs) and any(run.cell.proxies for run in runs):
        raise ConfigError(
            "proxy: these settings need a proxy for all of the data, such as proxy=train_proxy(world, pairs, seed=0)"
        )
    pairs = None
    if not against_proxy:
        pairs = stacked_pairs(runs, [known[id(datum)] for datum in given], ensembles, world.simulated)
    used = ensembles if any(run.cell.proxies for run in runs) else []
    cautions = [*cautions_of(choices.loss, settings.values()), *(foreign_gold(world, datum) for datum in each)]
    return runs, new_learner(runs, world.simulated, used, pairs), cautions


def runs_of(
    method: str,
    choices: Choices,
    seeds: Sequence[int],
    each: Sequence[Datum],
    settings: Mapping[int, Settings],
    known: Mapping[int, Preferences],
) -> tuple[list[Run], list[Datum]]:
    """The runs, and what each learns from; settings and known pairs by the identity of the data. Raises ConfigError."""
    cells = [list(cells_at(method, {}, settings[id(datum)], choices)) for datum in each]
    kappas: dict[tuple[Any, ...], float | None] = {}
    runs, given = [], []
    for columns in zip(*cells, strict=True):  # one objective, with each of the data
        if len({len(pairs.prompt) for pairs in known.values()}) > 1:
            sizes = sorted({len(pairs.prompt) for pairs in known.values()})
            raise ConfigError(f"data: all must have as many pairs, not {' and '.join(map(str, sizes))}")
        if len({cell.stack_key for cell in columns}) > 1:
            raise ConfigError("data: were drawn by other settings of [data] each; train them in calls of their own")
        for place in range(len(columns[0].betas)):
            for cell, seed, datum in zip(columns, seeds, each, strict=True):
                named = replace(cell, settings_digest=digest_of(cell, datum, seed, known.get(id(datum))))
                runs.append(Run(cell=named, beta=cell.betas[place], kappa=kappa_of(cell, kappas), seed=seed))
                given.append(datum)
    return runs, given


def digest_of(cell: GridCell, datum: Datum, seed: int, known: Preferences | None) -> str:
    """What names the runs of a cell: as in a sweep, and with the data where a sweep of this seed has others."""
    if isinstance(datum, Proxy):
        return cell.settings_digest if datum.seed == seed else digest([cell.settings_digest, "proxy", datum.seed])
    if datum.drawn is not None and known is datum.drawn.preferences and datum.drawn.is_of(seed):
        return cell.settings_digest
    names = ("prompts", "chosen", "rejected", *(() if datum.weights is None else ("weights",)))
    tensors = {name: getattr(datum, name).cpu() for name in names}
    return digest([cell.settings_digest, fingerprint(tensors)])


def cautions_of(losses: Sequence[Objective], settings: Iterable[Settings]) -> list[str]:
    """What to say of losses that do not start by pushing margins up."""
    each = [(loss, one.objective.of(loss)) for one in settings for loss in losses]
    return list(dict.fromkeys(caution(loss, own) for loss, own in each))


def check_world(world: object) -> None:
    """Raises ConfigError where something else is given for a world."""
    if not isinstance(world, World):
        raise ConfigError(f'world: must be a World, such as make_world("quickstart"), not {type(world).__name__}')


def check_no_world_keys(changes: Mapping[str, Any], function: str) -> None:
    """Raises ConfigError for settings that the world, or its pairs, have had already."""
    for key in changes:
        table = str(key).partition(".")[0]
        if table in (*WORLD_TABLES, "data"):
            where = "world.preferences(…)" if table == "data" else "make_world(…)"
            raise ConfigError(f"{function}: settings: {key} cannot change here any more; give it to {where}")


def foreign_gold(world: World, datum: Datum) -> str:
    """What to say of data that another gold than this world's has labelled; nothing where it is its own, or unknown."""
    settings = datum.settings if isinstance(datum, Proxy) else datum.drawn and datum.drawn.settings
    ours = world.settings.gold.model_dump()
    theirs = settings.gold.model_dump() if settings else ours
    other = [f"gold.{key} = {shown(value)}" for key, value in theirs.items() if value != ours[key]]
    return f"data: was labelled by another gold ({', '.join(other)}) than that of the world it is in" if other else ""


def warn(*texts: str) -> None:
    """Warn the user of what there is to say, at the line of theirs that called us."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and Path(frame.f_code.co_filename).parent == Path(__file__).parent:
        level, frame = level + 1, frame.f_back
    for text in dict.fromkeys(filter(None, texts)):
        warnings.warn(text, UserWarning, stacklevel=level)


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
    else:
        theirs = base.model_copy(
            update={"data": base.data.model_copy(update={"labeller": "gold", "population": False})}
        )
        theirs = theirs if datum.drawn is None else datum.drawn.settings
        base = base.model_copy(update={"data": theirs.data, "proxy": theirs.proxy})
        own = counted(datum, theirs.data, "pairs" if theirs.data.labeller == "gold" else "pool")
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
    runs: Sequence[Run], given: Sequence[Preferences], ensembles: Sequence[Ensemble], world: SimulatedWorld
) -> Preferences:
    """The pairs that each run is given, as its objective wants them, [R, N, K, …]. Raises ConfigError."""
    scored = any(settings_run.objective_of(run).scored for run in runs)
    rows = []
    for number, (run, pairs) in enumerate(zip(runs, given, strict=True)):
        count = responses_compared(run)
        if pairs.responses.shape[1] != count:
            raise ConfigError(
                f"loss = {run.loss}: compares {count} responses to a prompt, and the data has "
                f"{pairs.responses.shape[1]}; draw world.preferences(…, responses={count}), and train it in a "
                "call of its own"
            )
        check_weights(run, pairs, given[0])
        if run.settings.data.population and pairs.weights is None:
            raise ConfigError("data: was changed, and has no weights any more, which data.population = true needs")
        arranged = rewarded(pairs, run, partial(scorer_of, world, ensembles[number : number + 1]))
        rows.append(arranged if scored else arranged.without_scores())
    return stack_preferences(rows)


def check_weights(run: Run, pairs: Preferences, first: Preferences) -> None:
    """Raises ConfigError where the pairs of a run have weights that it cannot have."""
    if (pairs.weights is None) != (first.weights is None):
        raise ConfigError("data: some have weights of pairs, and some have none; train them in calls of their own")
    objective = settings_run.objective_of(run)
    if pairs.weights is not None and (objective.ranked or not objective.weighable):
        raise ConfigError(f"loss = {run.loss}: takes no weights of pairs, and the data has some; take another loss")


def rewarded(pairs: Preferences, run: Run, scorer: Callable[[], Scorer]) -> Preferences:
    """Pairs with the rewards that the objective of a run reads, and by falling reward where it ranks them."""
    objective, labeller = settings_run.objective_of(run), run.settings.data.labeller
    reward = hyperparameters_of(run).get("reward", labeller) if objective.scored else labeller
    if not (objective.scored or objective.ranked):
        return pairs
    if reward == "proxy":
        pairs = replace(pairs, scores=scorer().of(pairs.prompt[None], pairs.responses[None])[0])
    if not objective.ranked:
        return pairs
    assert pairs.scores is not None
    order = (-pairs.scores).argsort(dim=1, stable=True)
    return Preferences(
        prompt=pairs.prompt,
        responses=pairs.responses.gather(1, order.unsqueeze(2).expand_as(pairs.responses)),
        reference=pairs.reference.gather(1, order),
        scores=pairs.scores.gather(1, order),
    )
