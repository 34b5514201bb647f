"""What is searched on what, and judged on what: worlds, seeds and sizes, fixed before anything is seen."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from simulator.common.errors import ConfigError, shown
from simulator.common.identity import digest
from simulator.settings.run import Run
from simulator.sweeps.grid import expand
from simulator.sweeps.sweep import Sweep
from simulator.user_code.plain_source import plain_source

HELD_OUT = 20_000  # the first world and seed of the judging; the search uses smaller ones
SEARCHING = ("family", "fitness", "evolution")  # modules that regret and candidates follow from
MOST = 1_000  # worlds, seeds, candidates of a generation
RATE = 12_000  # steps of training in a second, on one core
QUICK = {"train.steps": 100, "data.pairs": 256, "sweep.seeds": 1}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of everything.

    worlds: that are searched in. held_out: that are judged in. draws: of pairs, in each world of the judging.
    """

    generations: int
    population: int
    worlds: int
    held_out: int
    draws: int


FULL = Sizes(generations=60, population=16, worlds=8, held_out=20, draws=4)
SMALL = Sizes(generations=4, population=8, worlds=2, held_out=2, draws=2)  # of --quick


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A search: the sweep that its worlds, losses and ladder of beta are of, and how it goes."""

    sweep: Sweep
    sizes: Sizes
    convex: bool
    seed: int

    @property
    def rivals(self) -> tuple[str, ...]:
        """The losses that are there to be beaten."""
        return self.sweep.sweep.loss

    @property
    def worlds(self) -> range:
        """The seeds, of language and gold, of worlds that are searched in."""
        return range(self.sizes.worlds)

    @property
    def held_out(self) -> range:
        """The seeds of worlds that are judged in."""
        return range(HELD_OUT, HELD_OUT + self.sizes.held_out)

    @property
    def held_out_draws(self) -> range:
        """The seeds of pairs and batches of the judging."""
        return range(HELD_OUT, HELD_OUT + self.sizes.draws)

    def runs_at(self, world: int) -> list[Run]:
        """The runs of all rivals in one world of the search, loss by loss."""
        settings = {"world.seed": world, "gold.seed": world}
        return expand(self.sweep.model_copy(update=self.changed(settings)))

    def changed(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The tables of the sweep with some keys changed."""
        found = self.sweep.settings_at(settings)
        return {name: getattr(found, name) for name in type(found).model_fields}

    @property
    def steps(self) -> int:
        """Of training, of one candidate in all worlds."""
        grid = self.sweep.sweep
        return self.sizes.worlds * len(grid.seed_values) * len(grid.beta) * self.sweep.train.steps

    @property
    def judged_betas(self) -> list[float]:
        """The ladder of the judging: that of the search, and a value between each two, with 3 digits."""
        ladder = sorted(self.sweep.sweep.beta)
        between = [float(f"{(low * high) ** 0.5:.3g}") for low, high in pairwise(ladder)]
        return sorted({*ladder, *between})

    @property
    def judged_runs(self) -> int:
        """How many runs the judging has."""
        return self.sizes.held_out * self.sizes.draws * len(self.judged_betas) * (len(self.rivals) + 1)

    def lines(self) -> Sequence[str]:
        """What it would take, for people."""
        sizes, grid = self.sizes, self.sweep.sweep
        candidates = sizes.generations * sizes.population
        searched = (candidates + len(self.rivals) + 1) * self.steps / RATE
        judged = 1.5 * self.judged_runs * self.sweep.train.steps / RATE + 3 * sizes.held_out
        return [
            f"search over {'convex' if self.convex else 'all'} losses: {counted(sizes.generations, 'generation')} of "
            f"{sizes.population}, each in {counted(sizes.worlds, 'world')} with "
            f"{counted(len(grid.seed_values), 'draw')} of pairs and {len(grid.beta)} values of beta; "
            f"{self.sweep.train.steps} steps a policy",
            f"judged in {sizes.held_out} other worlds with {counted(sizes.draws, 'draw')}: {self.judged_runs:,} runs",
            f"about {minutes(searched)} for the search and {minutes(judged)} for the judging, on one core",
        ]

    def key(self, source: str) -> str:
        """What two histories share that can be continued by one another. source: the hash of the code of results."""
        told = self.sweep.model_dump(mode="json", exclude={"keep"})
        sizes = asdict(self.sizes)
        sizes = {name: sizes[name] for name in ("population", "worlds")}
        return digest([told, sizes, self.convex, self.seed, source, search_source()])


def search_source() -> str:
    """The hash of the code that regret and candidates follow from."""
    texts = [Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8") for name in SEARCHING]
    return digest([plain_source(text) for text in texts])


def counted(count: int, noun: str) -> str:
    """How many, for people."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def minutes(seconds: float) -> str:
    """A time for people."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def check(protocol: Protocol) -> None:
    """Raises ConfigError where losses cannot be searched, or judged, so."""
    sweep, sizes = protocol.sweep, protocol.sizes
    for name, value, least in (
        ("--generations", sizes.generations, 1),
        ("--population", sizes.population, 4),
        ("--worlds", sizes.worlds, 1),
        ("--held-out", sizes.held_out, 2),
        ("--draws", sizes.draws, 1),
    ):
        if not least <= value <= MOST:
            raise ConfigError(f"{name} {value}: must be from {least} to {MOST:,}")
    if not 0 <= protocol.seed < 2**31:
        raise ConfigError(f"--seed {protocol.seed}: must be from 0 to {2**31 - 1:,}")
    if sweep.sweep.axes:
        raise ConfigError(f"search: {next(iter(sweep.sweep.axes))} is an axis of the sweep; give it one value")
    if sweep.sweep.method != ("gpo",):
        raise ConfigError(f'search: sweep.method must be "gpo" alone, not {", ".join(map(shown, sweep.sweep.method))}')
    found = sweep.settings_at({})
    if not found.spec.lists_responses:
        raise ConfigError('search: needs world.kind = "enumerable", where every response is listed')
    reasons = {
        "online.refresh": found.online.rounds(found.train.steps) > 0,
        "train.reference_sync": found.train.moves_reference,
        "data.population": found.data.population,
        "data.file": bool(found.data.file),
        "data.labeller": found.data.labeller != "gold",
    }
    for key, holds in reasons.items():
        if holds:
            raise ConfigError(f"search: {key} must be as it is unless said; pairs are drawn once, and labelled by gold")
    if "logistic" not in protocol.rivals:
        raise ConfigError("sweep.loss: must have logistic, which sets the levels of KL")
    if max(sweep.sweep.seed_values) >= HELD_OUT:
        raise ConfigError(f"sweep.seeds: must be below {HELD_OUT:,}, where seeds of the judging begin")


def check_rivals(runs: Sequence[Run]) -> None:
    """Raises ConfigError where a rival is no function of beta rho."""
    for run in runs:
        if ":" in str(run.loss):
            raise ConfigError(f"sweep.loss = {run.loss}: is of your own; rivals are losses that ship; see `losses`")
        if run.objective is None or run.objective.f is None:
            raise ConfigError(f"sweep.loss = {run.loss}: must be a function of beta rho alone; see `losses`")
