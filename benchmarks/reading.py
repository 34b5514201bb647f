"""How time and memory of reading grow with the runs of a sweep: of its table, and of its report.

Records are planted: a small quickstart is run, and its seeds are repeated under new numbers, with a little noise on
gold, until there are so many runs. A process for each point reads them; its memory is that at its peak, less that of a
process which only imports.

    the table    analysis.load of the folder
    the report   run.py report: the summary, figures and the page, drawn by this process alone

The exponent between two neighbours is that of `benchmarks.growth`. Beside them stands the size of the page.

`python -m benchmarks.reading --point WHAT --folder DIR` is one such process; it prints JSON.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from analysis.records.checksums import read_checksums
from benchmarks.growth import Cost, exponents, median_cost
from benchmarks.timing.machine import machine
from benchmarks.timing.options import at_least_one, command_of, parser
from benchmarks.timing.processes import ONE_THREAD, peak_bytes, run_python
from benchmarks.timing.results import Section, Table, counted, number, tell
from benchmarks.timing.rounds import in_turns
from simulator import run_sweep
from simulator.common.terminal import say
from simulator.sweeps.grid import read_sweep

RUNS = (1000, 10_000, 100_000)
SEEDS = 4  # of the sweep whose seeds are repeated
NOISE = 0.02  # of gold, in deviations
TABLES = ("curves", "runs", "responses", "gold_law", "margins")
NOTHING = "nothing"


def loading(folder: Path) -> None:
    """Read the table."""
    from analysis import load

    load(folder)


def reporting(folder: Path) -> None:
    """Write the report."""
    from analysis.report.command import write_and_draw

    write_and_draw(folder, [], say=lambda *lines: None, warn=lambda line: None)


WAYS: dict[str, Callable[[Path], None]] = {"the table": loading, "the report": reporting}


def base(folder: Path, changed: Sequence[str] = ()) -> Path:
    """Run the sweep whose seeds are repeated."""
    sweep = read_sweep("quickstart", [f"sweep.seeds={SEEDS}", *changed])
    run_sweep(sweep, folder, device="cpu")
    return folder


def plant(source: Path, target: Path, runs: int) -> int:
    """Copy the records of a sweep with its seeds repeated until there are so many runs, or a few more; how many."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("policies", "figures", "report*", "summary.json"))
    there = pd.read_parquet(source / "runs.parquet")["run_id"].nunique()
    copies = -(-runs // there)
    seeds = int(pd.read_parquet(source / "curves.parquet")["seed"].nunique())
    for kind in TABLES:
        path = target / f"{kind}.parquet"
        repeated(pd.read_parquet(path), copies, seeds).to_parquet(path, index=False)
    sums = read_checksums(source / "SHA256SUMS") or {}
    kept = [name for name in sums if (target / name).exists()]
    lines = [f"{sha256((target / name).read_bytes()).hexdigest()}  {name}\n" for name in kept]
    (target / "SHA256SUMS").write_text("".join([*lines, f"# {len(lines)} files\n"]), encoding="utf-8")
    return copies * there


def repeated(table: pd.DataFrame, copies: int, seeds: int) -> pd.DataFrame:
    """A table with the rows of its runs so many times, each time as runs of further seeds; the oracle once."""
    best = table["method"].eq("oracle") if "method" in table else pd.Series(False, index=table.index)
    own = table[~best]
    found = own.iloc[np.tile(np.arange(len(own)), copies)].reset_index(drop=True)
    copy = np.repeat(np.arange(copies), len(own))
    found["run_id"] = found["run_id"] + np.array([f"-{i}" for i in range(copies)], dtype=object)[copy]
    if "seed" in found:
        found["seed"] = found["seed"] + seeds * copy
    if "step" in found:
        moved = NOISE * np.random.default_rng(0).standard_normal(len(found))
        found["gold"] = found["gold"] + np.where(found["step"] > 0, moved, 0.0)
    return pd.concat([found, table[best]], ignore_index=True)


def cost_here(what: str, folder: Path) -> Cost:
    """What reading costs in this process; of nothing, what it takes to be there."""
    import analysis.figures.drawing
    import analysis.report.page  # noqa: F401

    began = time.perf_counter()
    if what != NOTHING:
        WAYS[what](folder)
    return Cost(seconds=time.perf_counter() - began, bytes=peak_bytes())


def cost(what: str, folder: Path) -> Cost:
    """What reading costs in a process of its own."""
    arguments = ["-m", "benchmarks.reading", "--point", what, "--folder", str(folder)]
    return Cost(**json.loads(run_python(arguments, ONE_THREAD)))


def table_of(sizes: Sequence[int], costs: Mapping[str, Sequence[Cost]], pages: Sequence[int]) -> Table:
    """Time and memory of both ways side by side."""
    columns: list[list[str]] = [[f"{size:,}" for size in sizes]]
    for what in WAYS:
        for values, shown in (
            ([each.seconds for each in costs[what]], [number(each.seconds) for each in costs[what]]),
            ([each.bytes for each in costs[what]], [number(each.bytes / 2**20) for each in costs[what]]),
        ):
            columns += [shown, ["", *(f"{each:.2f}" for each in exponents(sizes, values))]]
    columns.append([number(size / 1e6) for size in pages])
    heads = [f"{what}, {unit}" for what in WAYS for unit in ("s", "exponent", "MiB", "exponent")]
    return Table(
        caption="Reading, along runs",
        columns=("runs", *heads, "page, MB"),
        rows=list(zip(*columns, strict=True)),
    )


def section(rounds: int, runs: Sequence[int], changed: Sequence[str] = ()) -> Section:
    """Plant records and measure how they are read."""
    with tempfile.TemporaryDirectory() as place:
        source = base(Path(place) / "base", changed)
        folders = {size: Path(place) / f"{size}" for size in runs}
        sizes = [plant(source, folders[size], size) for size in runs]
        ways = {f"{what} {size}": partial(cost, what, folder) for what in WAYS for size, folder in folders.items()}
        found = in_turns({NOTHING: partial(cost, NOTHING, source), **ways}, rounds)
        costs = {what: [median_cost(found[f"{what} {size}"], found[NOTHING]) for size in runs] for what in WAYS}
        pages = [(folder / "report.html").stat().st_size for folder in folders.values()]
    return Section(
        title="How reading grows",
        machine=machine(torch.device("cpu"), "one thread"),
        about=(
            f"Records of the quickstart whose {SEEDS} seeds are repeated under new numbers. Medians over "
            f"{counted(rounds, 'round')} with a process for each point; memory at its peak, less that of a process "
            "which only imports. The report is drawn by one process; the command has as many as there are cores."
        ),
        tables=[table_of(sizes, costs, pages)],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = parser("benchmarks.reading", __doc__, rounds=1)
    options.add_argument("--runs", type=at_least_one, nargs="+", default=RUNS, help="of the sweeps (%(default)s)")
    options.add_argument("--point", help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args(arguments)
    if asked.point:
        say(json.dumps(asdict(cost_here(asked.point, asked.folder))))
        return
    tell(section(asked.rounds, sorted(set(asked.runs))), command_of(options, arguments), record=asked.record)


if __name__ == "__main__":
    main()
