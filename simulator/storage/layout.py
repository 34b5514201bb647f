"""The result directory of one sweep: what lies where.

While a sweep runs, every finished stack has tables in `parts/` and then their checksums; its runs count as finished
once these are there and the tables agree with them (`simulator/storage/checksums.py`). When all are, they are joined
into `curves.parquet` and `runs.parquet`, in the order of the grid, `SHA256SUMS` has the checksums of all records, and
the parts go. Until then `parts/SHA256SUMS` has those of what the sweep began with, such as `config.toml`. A trained
proxy lies in `proxies/`, and stays there, as trained policies do in `policies/`; what is said of all proxies is joined
into `proxies.parquet`. The page and the figures, which are made of the records, have a list of their own,
`report.sha256`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from simulator.common.identity import digest
from simulator.common.result_files import POLICIES
from simulator.proxies.reward_model import Member
from simulator.settings.run import Run

PARTIAL = ("", "parts/", "proxies/", "policies/", "figures/")


@dataclass(frozen=True, kw_only=True)
class ResultFolder:
    """The result directory of one sweep; saved_states: where states of stacks lie, among the parts unless said."""

    path: Path
    saved_states: Path | None = None

    @property
    def config(self) -> Path:
        """The resolved sweep."""
        return self.path / "config.toml"

    @property
    def curves(self) -> Path:
        """One row per run and checkpoint."""
        return self.path / "curves.parquet"

    @property
    def runs(self) -> Path:
        """One row per run."""
        return self.path / "runs.parquet"

    @property
    def world(self) -> Path:
        """The facts of the world, or of all worlds."""
        return self.path / "world.json"

    @property
    def table_descriptions(self) -> Path:
        """What the columns and methods of the tables are."""
        return self.path / "tables.json"

    @property
    def losses(self) -> Path:
        """The losses of the sweep as functions."""
        return self.path / "losses.parquet"

    @property
    def proxies(self) -> Path:
        """One row per proxy reward model, where there are any."""
        return self.path / "proxies.parquet"

    @property
    def checksums(self) -> Path:
        """The checksums of all of these once the sweep has ended."""
        return self.path / "SHA256SUMS"

    @property
    def start_checksums(self) -> Path:
        """The checksums of what a sweep that has not ended began with."""
        return self.parts / "SHA256SUMS"

    @property
    def report_checksums(self) -> Path:
        """The checksums of the page and the figures, and of the records that they were made of."""
        return self.path / "report.sha256"

    @property
    def source(self) -> Path:
        """Which code determined the numbers of the records: the hash of each of its modules."""
        return self.path / "source.json"

    @property
    def growths(self) -> Path:
        """The sweeps whose values were added by `--grow`, by name."""
        return self.path / "grown.json"

    @property
    def code(self) -> Path:
        """Copies of the user's code that the losses of the sweep use, for readers."""
        return self.path / "code"

    @property
    def page(self) -> Path:
        """What a report makes of them."""
        return self.path / "report.html"

    @property
    def tracked(self) -> Path:
        """What MLflow calls the sweep, where it was told of it."""
        return self.path / "tracked.json"

    @property
    def running(self) -> Path:
        """The process that writes here, while one does."""
        return self.path / "running.json"

    @property
    def lock(self) -> Path:
        """The file that the process that writes here holds locked."""
        return self.path / ".lock"

    @property
    def parts(self) -> Path:
        """The records of finished stacks until the sweep ends."""
        return self.path / "parts"

    @property
    def oracle(self) -> Path:
        """The oracle's curves until the sweep ends."""
        return self.parts / "oracle.curves.parquet"

    @property
    def sizes(self) -> Path:
        """How many runs are stacked, so that a sweep that goes on has the stacks that it began with."""
        return self.parts / "sizes.json"

    def side_table(self, kind: str) -> Path:
        """One of the tables named in SIDE_TABLES."""
        return self.path / f"{kind}.parquet"

    def part(self, stack: str, kind: str) -> Path:
        """Where a stack's table of a `kind`, such as "curves" or "runs", lies until the sweep ends."""
        return self.parts / f"{stack}.{kind}.parquet"

    def part_checksums(self, stack: str) -> Path:
        """The checksums of what a stack left."""
        return self.parts / f"{stack}.sha256"

    def saved_state(self, stack: str) -> Path:
        """The state of a stack in training."""
        return (self.saved_states or self.parts) / f"{stack}.safetensors"

    def network(self, name: str) -> Path:
        """Where the proxy of this name lies."""
        return self.path / "proxies" / f"{name}.npz"

    @property
    def external(self) -> Path:
        """One row for each policy that was trained elsewhere and measured here."""
        return self.path / "external.parquet"

    @property
    def policies(self) -> Path:
        """Where trained policies lie."""
        return self.path / "policies"

    def policies_at(self, stack: str, step: int) -> Path:
        """Where the policies of a stack lie, as they were at a step."""
        return self.policies / f"{stack}-{step:09d}.safetensors"

    def policies_of(self, stack: str) -> list[Path]:
        """The files of the policies of a stack, in the order of their steps."""
        return sorted(self.policies.glob(f"{stack}-*.safetensors"))

    @property
    def has_records(self) -> bool:
        """Whether anything was measured here."""
        tables = (self.curves, self.runs, self.proxies, self.checksums)
        parts = ("parts/*.runs.parquet", "parts/*.proxies.parquet", "parts/*.safetensors", "proxies/*.npz", POLICIES)
        return any(path.exists() for path in tables) or any(any(self.path.glob(part)) for part in parts)


def stack_name(stack: Sequence[Run | Member]) -> str:
    """A name that follows from what is in a stack."""
    return digest([one.run_id if isinstance(one, Run) else one.name for one in stack])


def remove(folder: ResultFolder, patterns: Iterable[str]) -> None:
    """Remove the files of these patterns, and the inner folders that are empty without them."""
    for pattern in patterns:
        for path in folder.path.glob(pattern):
            path.unlink(missing_ok=True)
    inside = [
        path
        for name in ("parts", "proxies", "policies", "figures", "code")
        for path in (folder.path / name).glob("**/")
    ]
    for inner in sorted(inside, reverse=True):  # the innermost first
        if inner.is_dir() and not any(inner.iterdir()):
            inner.rmdir()
