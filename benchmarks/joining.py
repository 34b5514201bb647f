"""How time and memory of `join` grow with the runs of a sweep that was made in eight places.

Records are planted: a small quickstart is run, and its runs are repeated with other seeds, with a little noise on gold,
under the names that these seeds give them. A process for each point joins them; its memory is that at its peak, less
that of a process which only imports. Beside it stands what the joined tables take when they are read.

`python -m benchmarks.joining --point DIR` is one such process; it prints JSON.
"""

import argparse
import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.growth import exponents
from benchmarks.timing.machine import machine, one_thread
from benchmarks.timing.options import command_of, parser
from benchmarks.timing.processes import ONE_THREAD, peak_bytes, run_python
from benchmarks.timing.results import Section, Table, counted, number, tell
from simulator import Sweep, run_sweep
from simulator.common.terminal import say
from simulator.joining.join import join_folders
from simulator.settings.run import Run
from simulator.storage.layout import ResultFolder
from simulator.storage.merge import write_final_checksums
from simulator.storage.tables import write_table
from simulator.sweeps.grid import expand

RUNS = (1_000, 10_000, 100_000)
FOLDERS, SEEDS = 8, 4
NOISE = 0.02  # of gold, in deviations
TABLES = ("curves", "runs", "responses", "gold_law", "margins")

Array = np.ndarray
Found = dict[str, float]


def base(folder: Path) -> Path:
    """Run the sweep whose runs are repeated."""
    return run_sweep(Sweep.from_toml("quickstart", [f"sweep.seeds={SEEDS}"]), folder, device="cpu")


def plant(source: Path, target: Path, seeds: range) -> int:
    """Write the records that a sweep with these seeds would have left; how many runs they have."""
    sweep = Sweep.from_toml(source / "config.toml", [f"sweep.seeds={list(seeds)}"])
    runs = expand(sweep)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("policies", "figures", "report*", "summary.json"))
    (target / "config.toml").write_text(sweep.to_toml(), encoding="utf-8")
    known = {(run.loss, run.beta, run.seed): run.run_id for run in expand(Sweep.from_toml(source / "config.toml"))}
    for kind in TABLES:
        write_table(repeated(pd.read_parquet(source / f"{kind}.parquet"), runs, known), target / f"{kind}.parquet")
    write_final_checksums(ResultFolder(path=target), {})
    return len(runs)


def repeated(
    table: pd.DataFrame, runs: Sequence[Run], known: Mapping[tuple[str | None, float | None, int], str]
) -> pd.DataFrame:
    """The rows of a table for other seeds; those of the oracle as they are."""
    places = table.groupby("run_id", sort=False).indices
    rows: list[Array] = [places[known[run.loss, run.beta, run.seed % SEEDS]] for run in runs]
    counts = [len(some) for some in rows]
    made = table.iloc[np.concatenate(rows)].reset_index(drop=True)
    made["run_id"] = np.repeat([run.run_id for run in runs], counts)
    if "seed" in made:
        made["seed"] = pd.array(np.repeat([run.seed for run in runs], counts), dtype="Int64")
    if "step" in made:
        moved = NOISE * np.random.default_rng(runs[0].seed).standard_normal(len(made))
        made["gold"] = made["gold"] + np.where(made["step"] > 0, moved, 0.0)
    return pd.concat([made, table[table["run_id"].str.startswith("oracle")]], ignore_index=True)


def join_here(place: Path) -> Found:
    """Join what was planted: seconds, and bytes at the peak beside those of a process that imports."""
    folders, before, began = sorted(place.glob("part-*")), peak_bytes(), time.perf_counter()
    joined = join_folders(folders, place / "joined", lambda *_: None)
    seconds, held = time.perf_counter() - began, peak_bytes() - before
    tables = [pd.read_parquet(place / "joined" / f"{kind}.parquet") for kind in TABLES]
    size = float(sum(table.memory_usage(deep=True).sum() for table in tables))
    return {"runs": joined.runs, "rows": len(tables[0]), "seconds": seconds, "bytes": held, "tables": size}


def found_at(source: Path, count: int, rounds: int) -> Found:
    """What joining so many runs takes, the medians over rounds."""
    seeds = max(FOLDERS, count * SEEDS // len(expand(Sweep.from_toml(source / "config.toml"))))
    bounds = np.linspace(0, seeds, FOLDERS + 1).astype(int)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for part, (first, end) in enumerate(itertools.pairwise(bounds)):
            plant(source, place / f"part-{part}", range(first, end))
        some: list[Found] = []
        for _ in range(rounds):
            shutil.rmtree(place / "joined", ignore_errors=True)
            text = run_python(["-m", "benchmarks.joining", "--point", str(place)], ONE_THREAD)
            some.append(json.loads(text.splitlines()[-1]))
    return {name: float(np.median([one[name] for one in some])) for name in some[0]}


def section(rounds: int, runs: Sequence[int]) -> Section:
    """Measure at these numbers of runs."""
    with tempfile.TemporaryDirectory() as folder:
        source = base(Path(folder) / "base")
        found = [found_at(source, count, rounds) for count in runs]
    sizes = [one["runs"] for one in found]
    growth = [
        ["", *map("{:.2f}".format, exponents(sizes, [one[name] for one in found]))] for name in ("seconds", "bytes")
    ]
    rows = [
        (
            *(f"{one['runs']:,.0f}", f"{one['rows']:,.0f}", number(one["seconds"]), growth[0][i]),
            *(number(one["bytes"] / 2**20), growth[1][i], number(one["tables"] / 2**20)),
        )
        for i, one in enumerate(found)
    ]
    columns = ("runs", "rows of curves", "seconds", "exponent", "MiB", "exponent", "MiB of the tables")
    return Section(
        title="Joining sweeps",
        machine=machine(torch.device("cpu"), "one thread"),
        about=f"Eight folders as one. Medians over {counted(rounds, 'round')}, each in a process of its own.",
        tables=[Table(caption="Joining, along runs", columns=columns, rows=rows)],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = parser("benchmarks.joining", __doc__, rounds=1)
    options.add_argument("--runs", type=int, nargs="+", default=RUNS, help="of the joined sweeps (%(default)s)")
    options.add_argument("--point", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args(arguments)
    one_thread()
    if asked.point:
        say(json.dumps(join_here(asked.point)))
        return
    tell(section(asked.rounds, sorted(set(asked.runs))), command_of(options, arguments), record=asked.record)


if __name__ == "__main__":
    main()
