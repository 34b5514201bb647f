"""The search itself: rivals, generations, and what is found, kept after each generation."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from simulator.common.atomic_files import write_atomically
from simulator.common.errors import ConfigError, short
from simulator.instruments.search import fitness
from simulator.instruments.search.evolution import Evolution, Generation, OtherNumbersError, generations_of
from simulator.instruments.search.family import Family
from simulator.instruments.search.fitness import Paths, Place
from simulator.instruments.search.history import FILE, History, read_history, write_history
from simulator.instruments.search.protocol import Protocol, Sizes, check_rivals, counted, minutes
from simulator.instruments.side_by_side import Each, spread
from simulator.settings.run import Run
from simulator.sweeps.sweep import Sweep

SWEEP = "search.toml"  # that of the search, in its folder

Array = np.ndarray
Say = Callable[[str], None]


class Places:
    """The worlds of a search, each built when it is first asked for."""

    def __init__(self, protocol: Protocol) -> None:
        """protocol: of the search."""
        self.protocol, self._known = protocol, dict[int, Place]()

    def at(self, world: int) -> Place:
        """The world of this seed."""
        if world not in self._known:
            self._known[world] = fitness.place_of(world, runs_of_one_loss(self.protocol, world))
        return self._known[world]


def runs_of_one_loss(protocol: Protocol, world: int) -> list[Run]:
    """The runs of the first of the rivals; those of the others have the same beta and seeds, in the same order."""
    every = protocol.runs_at(world)
    return every[: len(every) // len(protocol.rivals)]


def rivals_at(places: Places, world: int) -> list[Paths]:
    """The policies of each of the rivals in a world."""
    return fitness.points_of_runs(places.at(world), places.protocol.runs_at(world))


def oracle_in(places: Places, task: tuple[int, Array]) -> Array:
    """The most gold in a world at each level of KL."""
    world, levels = task
    return fitness.oracle_at(places.at(world), levels)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Losses with masses [n, K] that are tried in a world; oracle [L]: the most gold there at each level of KL [L]."""

    world: int
    convex: bool
    masses: Array
    levels: Array
    oracle: Array


def tried(places: Places, task: Task) -> list[float]:
    """The regret of each of the losses."""
    place = places.at(task.world)
    found = fitness.points_of_masses(place, Family(convex=task.convex), task.masses)
    return [fitness.regret(points, place.runs, task.levels, task.oracle) for points in found]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where losses are tried: worlds, and the most gold at each level of KL there, [W, L]. each: does the tasks."""

    worlds: Sequence[int]
    levels: Array
    oracle: Array
    each: Each

    def regret(self, family: Family, parameters: Array) -> Array:
        """Regret [n, W] of candidates [n, K]."""
        masses = family.masses(parameters)
        tasks = [
            Task(world=world, convex=family.convex, masses=masses, levels=self.levels, oracle=oracle)
            for world, oracle in zip(self.worlds, self.oracle, strict=True)
        ]
        return np.array(list(self.each(tried, tasks))).T


def search(protocol: Protocol, out: Path, source: str, say: Say, workers: int = 1) -> tuple[History, Generation]:
    """Search, and keep the history in a folder; all candidates, and what was found. Raises ConfigError, StorageError.

    source: the hash of the code of results. What the folder holds of the same search is not computed again.
    """
    check_rivals(protocol.runs_at(protocol.worlds[0]))
    write_atomically(out / SWEEP, protocol.sweep.to_toml().encode())
    beside = protocol.sweep.source.base_folder
    prepare = partial(places_in, out / SWEEP, beside, protocol.sizes, protocol.seed, convex=protocol.convex)
    with spread(prepare, min(workers, len(protocol.worlds))) as each:
        return searched(protocol, out, source, say, each)


def places_in(path: Path, beside: Path | None, sizes: Sizes, seed: int, *, convex: bool) -> Places:
    """The worlds of a search, whose sweep is in a file."""
    return Places(Protocol(sweep=Sweep.from_toml(path, beside=beside), sizes=sizes, convex=convex, seed=seed))


def searched(protocol: Protocol, out: Path, source: str, say: Say, each: Each) -> tuple[History, Generation]:
    """The same, with what does the tasks."""
    family, key, held_out = Family(convex=protocol.convex), protocol.key(source), protocol.held_out
    known = read_history(out, key)
    if known is not None and len(known.generations) > protocol.sizes.generations:
        raise ConfigError(
            f"--generations {protocol.sizes.generations}: {short(str(out / FILE))} has {len(known.generations)}; "
            "ask for as many or more, or name another folder with --out"
        )
    ground, history = prepared(protocol, known, say, each)
    write_history(out, history, family, key, held_out)
    best = min(history.rivals, key=lambda name: float(history.rivals[name].mean()))
    say(f"levels of KL: {', '.join(f'{level:.2f}' for level in ground.levels)} nats")
    say(f"regret of the best rival, {best}: {history.rivals[best].mean():.4f} deviations of gold")
    evolution = Evolution(family, population=protocol.sizes.population, seed=protocol.seed)
    clock = Clock(count=protocol.sizes.generations, known=len(history.generations))
    try:
        for generation in generations_of(
            evolution,
            lambda parameters: ground.regret(family, parameters),
            protocol.sizes.generations,
            history.generations,
        ):
            if generation.number >= len(history.generations):
                history = replace(history, generations=(*history.generations, generation))
                write_history(out, history, family, key, held_out)
                say(clock.line(generation))
    except OtherNumbersError as error:
        raise ConfigError(
            f"{short(str(out / FILE))}: {error} has other candidates than this machine and version of cma would ask "
            "for; name another folder with --out, or remove it"
        ) from None
    mean = evolution.mean[None]
    found = Generation(number=protocol.sizes.generations, parameters=mean, regret=ground.regret(family, mean))
    write_history(out, history, family, key, held_out, found)
    return history, found


def prepared(protocol: Protocol, known: History | None, say: Say, each: Each) -> tuple[Ground, History]:
    """The worlds of a search, and its history so far, with rivals."""
    worlds = protocol.worlds
    if known is None:
        runs = [runs_of_one_loss(protocol, world) for world in worlds]
        points = list(each(rivals_at, worlds))
        number = protocol.rivals.index("logistic")
        levels = fitness.levels_of([(found[number], some) for found, some in zip(points, runs, strict=True)])
    else:
        levels = known.levels
        say(f"there already: {counted(len(known.generations), 'generation')}")
    oracle = np.array(list(each(oracle_in, [(world, levels) for world in worlds])))
    ground = Ground(worlds=worlds, levels=levels, oracle=oracle, each=each)
    if known is not None:
        return ground, known
    rivals = {}
    for number, name in enumerate(protocol.rivals):
        regrets = [
            fitness.regret(found[number], some, levels, best)
            for found, some, best in zip(points, runs, oracle, strict=True)
        ]
        rivals[name] = np.array(regrets)
    return ground, History(levels=levels, rivals=rivals)


class Clock:
    """What is said after each generation."""

    def __init__(self, *, count: int, known: int) -> None:
        """known: generations that are not computed again."""
        self._count, self._known, self._began = count, known, time.monotonic()

    def line(self, generation: Generation) -> str:
        """Its regret, and how long the rest will take."""
        mean = generation.regret.mean(axis=1)
        done = generation.number + 1
        rate = (time.monotonic() - self._began) / (done - self._known)
        left = f"; about {minutes(rate * (self._count - done))} left" if done < self._count else ""
        return f"generation {done} of {self._count}: best {mean.min():.4f}, mean {mean.mean():.4f}{left}"
