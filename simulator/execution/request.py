"""What a sweep is asked for, examined as far as that takes no work: its runs, and the folder that is to have them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from simulator.common.errors import ConfigError
from simulator.execution.prepare import check_code_is_elsewhere
from simulator.joining.growing import Growth, growth_in
from simulator.joining.part import parse_part
from simulator.proxies.reward_model import Member, members_needed
from simulator.settings.run import Run
from simulator.storage.compatibility import examine_folder
from simulator.storage.inventory import finished_runs, is_complete
from simulator.storage.layout import ResultFolder
from simulator.storage.origins import check_source, origins_in
from simulator.sweeps.grid import check_room, expand
from simulator.sweeps.hashes import with_hashes
from simulator.sweeps.stacking import runs_with_proxies
from simulator.sweeps.sweep import Sweep

ROW_BYTES = 1024  # that a row takes when all tables are joined at the end, side tables included
TABLES = "joining their tables takes"


@dataclass(frozen=True, kw_only=True)
class Request:
    """A sweep with all its runs and proxies, and those that are wanted now, in a folder.

    growth: what is added to the sweep that the folder holds. fresh: what the folder holds is removed.
    """

    sweep: Sweep
    runs: list[Run]
    wanted: list[Run]
    members: list[Member]
    wanted_members: list[Member]
    folder: ResultFolder
    growth: Growth
    fresh: bool

    @cached_property
    def ids(self) -> frozenset[str]:
        """The run_id of every run."""
        return frozenset(run.run_id for run in self.runs)

    @cached_property
    def wanted_ids(self) -> frozenset[str]:
        """The run_id of every wanted run."""
        return self.ids if self.wanted is self.runs else frozenset(run.run_id for run in self.wanted)

    @property
    def shown(self) -> list[Run]:
        """The runs that the folder will have: those that are wanted, and others that are there."""
        if self.wanted is self.runs:
            return self.runs
        there = self.wanted_ids | (frozenset() if self.fresh else finished_runs(self.folder))
        return [run for run in self.runs if run.run_id in there]

    @property
    def steps(self) -> int:
        """Steps of training of what is wanted, summed."""
        return sum(run.steps for run in self.wanted) + sum(member.steps for member in self.wanted_members)

    def examine_folder(self, path: Path) -> ResultFolder:
        """The folder at a place. Raises ConfigError where it cannot be used for the sweep; changes nothing."""
        names = self.ids | {member.name for member in self.members}
        return examine_folder(path, self.sweep, names, fresh=self.fresh, grown_from=self.growth.held)

    def is_complete(self) -> bool:
        """Whether all that is wanted is there. Raises StorageError."""
        grows = self.growth.adds
        return not (self.fresh or grows) and is_complete(self.folder, self.ids, self.wanted_ids)

    def check_source(self) -> None:
        """Raises ConfigError where other code made the records that are there."""
        check_source(self.folder, origins_in(self.folder))


def make_request(sweep: Sweep, out: Path, *, part: str | None = None, grow: bool = False, fresh: bool) -> Request:
    """Examine what is asked for. Raises ConfigError where the sweep, the part or the folder is wrong, StorageError.

    part: such as 3/8, of the runs. grow: the sweep in the folder gains what `sweep` lists.
    """
    if grow and fresh:
        raise ConfigError("--grow: keeps what is there, and --fresh removes it; give one of them")
    growth = growth_in(ResultFolder(path=out), sweep) if grow else Growth(sweep=sweep, held=None, asked=sweep)
    runs = expand(growth.sweep)
    wanted = parse_part(part).runs(runs) if part else runs
    check_room(len(wanted), ROW_BYTES * max(run.settings.train.checkpoints for run in wanted), TABLES)
    members = members_needed(runs_with_proxies(runs))
    needed = members if wanted is runs else members_needed(runs_with_proxies(wanted))
    sweep = with_hashes(growth.sweep, [run.settings.world.language.text for run in runs])
    check_code_is_elsewhere(sweep, out)
    request = Request(
        sweep=sweep,
        runs=runs,
        wanted=wanted,
        members=members,
        wanted_members=needed,
        folder=ResultFolder(path=out),
        growth=growth,
        fresh=fresh,
    )
    request.examine_folder(out)
    return request
