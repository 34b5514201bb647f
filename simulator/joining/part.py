"""A part of a sweep, such as `--part 3/8`, so that machines which know nothing of each other can share it.

The runs are put in the order world, settings, seed, so that those which share a world, pairs or proxies are neighbours,
and cut where the work is equal. Which runs a part has follows from the sweep alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simulator.common.errors import ConfigError, short
from simulator.settings.run import Run
from simulator.sweeps.stacking import cells, stack_work, world_names

MOST_PARTS = 100_000


@dataclass(frozen=True, kw_only=True)
class Part:
    """The `number`th of `of` parts, from 1 on."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def suffix(self) -> str:
        """What the name of its folder ends in."""
        return f"-part-{self.number}-of-{self.of}"

    def runs(self, runs: Sequence[Run]) -> list[Run]:
        """The runs of this part, in the order of the grid. Raises ConfigError where it has none."""
        if self.of > len(runs):
            raise ConfigError(f"--part {self}: the sweep has {len(runs):,} runs, so at most {len(runs):,} parts")
        order, work = neighbours(runs), work_of(runs)
        total, before, last = sum(work), 0.0, -1
        chosen = []
        for position, at in enumerate(order):
            share = int((before + work[at] / 2) / total * self.of)
            last = min(max(share, self.of - len(runs) + position), last + 1, self.of - 1)  # every part has a run
            before += work[at]
            if last == self.number - 1:
                chosen.append(at)
        return [runs[at] for at in sorted(chosen)]


def neighbours(runs: Sequence[Run]) -> list[int]:
    """The places of some runs, those of one world together, and in it those of one setting and seed."""
    worlds = {id(settings): name for settings, name in world_names(runs)}
    number = {name: i for i, name in enumerate(dict.fromkeys(worlds.values()))}
    settings = {key: (number[name], i) for i, (key, name) in enumerate(worlds.items())}
    return sorted(range(len(runs)), key=lambda at: (settings[id(runs[at].settings)], runs[at].seed))


def work_of(runs: Sequence[Run]) -> list[float]:
    """What each run takes, as `stack_work` has it."""
    each = {kind_of(run): stack_work([run]) for run, _ in cells(runs)}
    return [each[kind_of(run)] for run in runs]


def kind_of(run: Run) -> tuple[int, str, str | None]:
    """What is equal for runs that differ in nothing but beta and seed."""
    return id(run.settings), run.method, run.loss


def parse_part(text: str) -> Part:
    """The part that a text such as 3/8 names. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    part = Part(number=int(found[1]), of=int(found[2])) if found else None
    if part is None or not 1 <= part.number <= part.of <= MOST_PARTS:
        raise ConfigError(
            f"--part {short(text)}: must be NUMBER/OF, such as 3/8, from 1/8 to 8/8, of at most {MOST_PARTS:,} parts"
        )
    return part
