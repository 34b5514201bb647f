"""Proxies that are trained or planted, and best-of-n against them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from simulator.api.arguments import changed, count_of, once, seed_of, values_of
from simulator.api.pairs import Pairs, counted, preferences_of
from simulator.api.proxy import Proxy, check_proxy
from simulator.api.stack import check_no_world_keys, check_world, foreign_gold, warn
from simulator.api.world import World
from simulator.common.errors import ConfigError
from simulator.engine.recorder import Recorder
from simulator.methods import METHODS
from simulator.methods.algorithms.closed_form import best_of_n_rows
from simulator.methods.best_of_n import BestOfN
from simulator.methods.method import Choices
from simulator.networks.compute_mode import one_thread
from simulator.preferences.pairs import Preferences, padded_preferences
from simulator.proxies.planted_facts import facts_of_planted
from simulator.proxies.planting import list_answers, plant
from simulator.proxies.reward_model import ensemble_of, held_out
from simulator.proxies.scores import Trained, make_proxy, plant_proxy
from simulator.proxies.training import train_members
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.storage.tables import tidy
from simulator.sweeps.grid import cells_at, check_proxies


def train_proxy(
    world: World,
    pairs: Pairs,
    *,
    seed: int = 0,
    width: int | None = None,
    layers: int | None = None,
    members: int | None = None,
    combine: str | None = None,
    loss: str | None = None,
    steps: int | None = None,
    settings: dict[str, Any] | None = None,
) -> Proxy:
    """Train a reward model on labelled pairs: E f(r(chosen) - r(rejected)).

    width, layers: sizes of the network. members: reward models of an ensemble, which differ in their first parameters
    and in the order of their batches; combine: "mean", "worst_case" or "uncertainty_weighted" (Coste et al. 2023,
    arXiv:2310.02743). loss: the name of one of the six f; "logistic" is Bradley-Terry (Gao et al. 2023,
    arXiv:2210.10760). The best of its checkpoints on held-out pairs is kept. settings: any other key, such as
    {"proxy.held_out": 0.2}. None is what the world's sweep says. Raises ConfigError.
    """
    check_world(world)
    stream = seed_of(seed)
    known = preferences_of(pairs, world.simulated, "pairs")
    warn(foreign_gold(world, pairs))
    base = (
        world.settings if pairs.drawn is None else world.settings.model_copy(update={"data": pairs.drawn.settings.data})
    )
    check_no_world_keys(settings or {}, "train_proxy")
    if base.data.population:
        raise ConfigError("pairs: a proxy learns from drawn pairs, and these are the whole population")
    named = {"width": width, "layers": layers, "members": members, "combine": combine, "loss": loss, "steps": steps}
    changes = once({f"proxy.{key}": value for key, value in named.items()}, settings, "train_proxy")
    trained = {"proxy.kind": "trained", **counted(pairs, base.data, "pairs")}
    ours = changed(base, {**trained, **changes}, "train_proxy")
    if known.responses.shape[1] != 2:
        raise ConfigError(f"pairs: a proxy learns from pairs of two responses, not of {known.responses.shape[1]}")
    try:
        held_out(ours)
        check_proxies(ours)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    with one_thread(), torch.no_grad():
        of_seed = pairs.drawn is not None and known is pairs.drawn.preferences and pairs.drawn.is_of(stream)
        return replace(fit(world, known, ours, stream), learned_from_seed=of_seed)


def fit(world: World, pairs: Preferences, settings: Settings, seed: int) -> Proxy:
    """The proxy of these settings, trained."""
    ensemble, place = ensemble_of(settings, seed, {}), world.simulated
    learned = train_members(ensemble, place, Recorder(), padded_preferences([pairs] * len(ensemble)))
    members = [as_kept(trained) for trained, _ in learned]
    asked = settings.proxy
    return Proxy(
        settings=settings,
        seed=seed,
        facts=pd.DataFrame([facts for _, facts in learned]),
        ensemble=make_proxy(members, place.listing, combine=asked.combine, uncertainty=asked.uncertainty),
        simulated=place,
    )


def planted_proxy(
    world: World,
    *,
    error: str | None = None,
    noise: float | None = None,
    seed: int = 0,
    degrees: float | None = None,
    correlation: float | None = None,
    growth: float | None = None,
    members: int | None = None,
    combine: str | None = None,
    settings: dict[str, Any] | None = None,
) -> Proxy:
    """A proxy that is gold with an error of a known law, in gold's unit: nothing is trained.

    error: "gaussian", "student" with `degrees` of freedom, "correlated" with gold by `correlation`, "thin", growing by
    `growth` where the reference is thin, "length" or "blind_spot"; a module of simulator/planted/laws/ describes each.
    noise: its deviation, in those of gold under the reference. members: independent errors; combine: "mean",
    "worst_case" or "uncertainty_weighted". settings: any other key, such as {"proxy.uncertainty": 1.0}. None is what
    the world's sweep says. The same error for a response wherever it is asked for. Raises ConfigError.
    """
    check_world(world)
    stream = seed_of(seed)
    check_no_world_keys(settings or {}, "planted_proxy")
    named = {"kind": "planted", "error": error, "noise": noise, "members": members, "combine": combine}
    named |= {"degrees": degrees, "correlation": correlation, "growth": growth}
    changes = once({f"proxy.{key}": value for key, value in named.items()}, settings, "planted_proxy")
    ours = changed(world.settings, changes, "planted_proxy")
    try:
        check_proxies(ours)
    except ValueError as error_of_law:
        raise ConfigError(str(error_of_law)) from None
    place, asked = world.simulated, ours.proxy
    with one_thread(), torch.no_grad():
        listed = list_answers(place)
        members_of_it = ensemble_of(ours, stream, {})
        planted = [plant(member, place, listed) for member in members_of_it]
        facts = [facts_of_planted(*pair, place, listed) for pair in zip(members_of_it, planted, strict=True)]
    return Proxy(
        settings=ours,
        seed=stream,
        facts=pd.DataFrame(facts),
        ensemble=plant_proxy(planted, place.listing, combine=asked.combine, uncertainty=asked.uncertainty),
        simulated=place,
    )


def as_kept(trained: Trained) -> Trained:
    """A member as a sweep reads it from its folder, where scores are float32."""
    scores = trained.scores.astype(np.float32).astype(np.float64)
    return Trained(architecture=trained.architecture, parameters=trained.parameters, scores=scores)


def best_of_n(world: World, proxy: Proxy, n: Any, *, pool: int | None = None) -> pd.DataFrame:
    """What the best of n responses of the reference is, by a proxy's score; a row for each n.

    n: a number or several. Where every response is listed, the law of best-of-n is known, and everything is exact; in a
    sampled world it is estimated from `pool` responses to each prompt, and `kl` is the bound log n - (n - 1)/n. Columns
    are those of `curves.parquet`. Raises ConfigError.
    """
    check_world(world)
    check_proxy(proxy, world.simulated, "proxy")
    rungs = sorted({count_of(each, "n") for each in values_of(n, "n")})
    settings = changed(proxy.settings, {"best_of_n.largest": rungs[-1], "best_of_n.pool": pool}, "best_of_n")
    (cell,) = cells_at("best_of_n", {}, settings, Choices(loss=(), beta=(), penalty=()))
    run = Run(cell=cell, beta=None, kappa=None, seed=proxy.seed)
    size = settings.of(BestOfN).pool
    with one_thread(), torch.no_grad():
        rows = best_of_n_rows([run], world.simulated, [proxy.ensemble], Recorder(), rungs=rungs, pool=size)
    assert METHODS[run.method].card.along == "n"
    return tidy(rows).dropna(axis="columns", how="all")
