"""Proxy reward models: which ones a sweep needs, and their network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from simulator.common.identity import digest, leave_out
from simulator.networks.architecture import Architecture
from simulator.planted import ERROR_LAWS
from simulator.settings.labels import labels_per_row
from simulator.settings.relevant_keys import read_tables
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.settings.world_spec import WORLD_TABLES

CHECKPOINTS = 24


def reads(settings: Settings) -> Sequence[str]:
    """The tables that a proxy follows from; no data where it is planted."""
    return (*WORLD_TABLES, *(() if settings.proxy.planted else ("data",)), "proxy")


OPTIMIZED = {  # say nothing of a member
    "proxy": ("members", "combine", "uncertainty"),
    "data": ("labeller", "pool"),
    "policy": ("kind", "features"),
    "measure": ("displacement", "held_out"),
}


PER_ROW = ("loss", "learning_rate")  # of [proxy], may differ within a stack


@dataclass(frozen=True, kw_only=True)
class Member:
    """One proxy that a sweep needs, trained or planted: those of an ensemble are numbered by `member`.

    name: shared by two only if they are the same. stack_key: what those have in common that train together.
    """

    settings: Settings
    seed: int
    member: int
    axes: dict[str, Any]
    name: str
    stack_key: str

    @property
    def planted(self) -> bool:
        """Whether it is gold with an error, and nothing is trained."""
        return self.settings.proxy.planted

    @property
    def pairs(self) -> int:
        """Comparisons, held-out ones included."""
        return 0 if self.planted else self.settings.data.kept(self.settings.data.pairs)

    @property
    def steps(self) -> int:
        """Of its training."""
        return 0 if self.planted else self.settings.proxy.steps

    @property
    def held_out(self) -> int:
        """Comparisons that are held out."""
        return held_out(self.settings)


def held_out(settings: Settings) -> int:
    """How many comparisons are held out. Raises ValueError where that leaves nothing on one side."""
    pairs, share = settings.data.kept(settings.data.pairs), settings.proxy.held_out
    count = round(share * pairs)
    if count < 1 or count >= pairs:
        side = "no held-out pair to choose the best checkpoint by" if count < 1 else "no pair to train the proxy on"
        raise ValueError(f"proxy.held_out (={share:g}) of data.pairs (={settings.data.pairs}) leaves {side}")
    return count


def check_error(settings: Settings) -> None:
    """Raises ValueError where a proxy is to be planted with an error that this world has not."""
    world, proxy = settings.world, settings.proxy
    if why := ERROR_LAWS[proxy.error].refuses(world.language.ends, world.response_length):
        raise ValueError(f'proxy.error (="{proxy.error}") {why}')


@lru_cache(maxsize=4096)
def identity(settings: Settings) -> tuple[str, str]:
    """What is equal for settings with the same proxies but for seed and member, and for those that train together."""
    tables = leave_out(read_tables(settings, reads(settings)), OPTIMIZED)
    per_row = {"data": ("pairs", *labels_per_row(settings.data)), "proxy": PER_ROW}
    return digest(tables), digest(leave_out(tables, per_row))


def members_of(run: Run) -> tuple[Member, ...]:
    """The proxies that a run needs, in the order of their ensemble; none where it needs none."""
    if not run.cell.proxies:
        return ()
    dropped = {f"{table}.{key}" for table, keys in OPTIMIZED.items() for key in keys}
    tables = reads(run.settings)
    axes = {key: value for key, value in run.cell.axes.items() if key.split(".")[0] in tables and key not in dropped}
    return ensemble_of(run.settings, run.seed, axes)


def ensemble_of(settings: Settings, seed: int, axes: Mapping[str, Any]) -> tuple[Member, ...]:
    """The members of the proxy of these settings and this seed; axes: those of their values that vary in the sweep."""
    named, shared = identity(settings)
    proxy = settings.proxy
    kind = proxy.error if proxy.planted else proxy.width
    return tuple(
        Member(
            settings=settings,
            seed=seed,
            member=member,
            axes=dict(axes),
            name=f"{kind}-{seed}-{member}-{digest([named, seed, member])}",
            stack_key=shared,
        )
        for member in range(proxy.members)
    )


def members_needed(runs: Sequence[Run]) -> list[Member]:
    """Every proxy that some run needs, once."""
    return list({member.name: member for run in runs for member in members_of(run)}.values())


def proxy_architecture(settings: Settings) -> Architecture:
    """The network of the proxies; where responses may end early, one more token stands for what comes after."""
    world, proxy = settings.world, settings.proxy
    return Architecture(
        vocabulary=world.vocabulary + world.language.ends,
        context=world.prompt_length + world.response_length,
        layers=proxy.layers,
        width=proxy.width,
        heads=proxy.heads,
        outputs=1,
    )
