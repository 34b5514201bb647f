"""What a million runs take, from measured rates."""

from collections.abc import Mapping
from typing import Any

from docs.writing.markdown import fenced, page, table

RUNS, GPUS = 1_000_000, 100
LONGER = 1000  # times the work of a quickstart's run
AS_CORES = (10, 100, 1000)  # how many cores a GPU may be worth
HOUR = 3600.0
DOES = {
    "driver": "the list of runs, their stacks, handing these out",
    "joining": "joining the tables at the end",
    "report": "the report",
}
PARTS = """
python run.py sweep gpo --part 1/10 --cluster auto --dry-run
python run.py sweep gpo --part 1/10 --cluster auto
"""

Facts = Mapping[str, Any]


def million_runs_page(facts: Facts) -> str:
    """docs/explanation/million_runs.md, from docs/million_runs.json."""
    return page(
        "# A million runs",
        f"After this page you know what a sweep of 10⁶ runs on {GPUS} GPUs takes, and what breaks first.",
        made(facts),
        "## Training",
        *training(facts["quickstart"]),
        "## What the driver does",
        *driver(facts),
        "## What breaks first",
        breaking(facts),
        "## What to do",
        "Split the sweep into ten parts, which run one after the other or on clusters of their own, and look at each:",
        fenced("bash", PARTS.strip()),
        "`join` puts them together on a machine with the memory above. For means over seeds 10⁵ runs are often enough: "
        "intervals shrink with the root of the number of seeds.",
        "## Next",
        "- [Clusters, parts and growing sweeps](../howto/cluster.md)\n- [Benchmarks](../benchmarks.md)",
    )


def made(facts: Facts) -> str:
    """What made the numbers."""
    return (
        f"Written by `python docs/million_runs.py` on {facts['date']} (results `{facts['results_source']}`, all code "
        f"`{facts['simulator_source']}`), from rates that were measured on {facts['machine']}. **No GPU was at hand**, "
        "so the speed of one is not measured: the table has a line for each speed that it may have, and "
        "`--dry-run --cluster` measures yours."
    )


def training(one: Mapping[str, float]) -> tuple[str, ...]:
    """How long training takes."""
    core_hours = RUNS * one["core_seconds"] / HOUR
    rows = [
        (
            f"{cores:,} of these cores",
            f"{one['steps'] * cores / one['core_seconds']:,.0f}",
            hours(core_hours / cores / GPUS),
            hours(LONGER * core_hours / cores / GPUS),
        )
        for cores in AS_CORES
    ]
    head = (
        f"if one of {GPUS} GPUs does as much as",
        "run-steps a second of it",
        "a million runs take",
        f"and of {LONGER} times the work",
    )
    return (
        f"The runs are those of the quickstart: {one['steps']:.0f} steps, {one['checkpoints']:.0f} exact measurements. "
        f"One takes {one['core_seconds']:.2g} s of a core, and a million {core_hours:,.0f} core-hours: "
        f"{hours(core_hours / 64)} on one machine with 64 such cores.",
        table(head, rows),
        "So training runs of this size is the smallest part: what the driver does takes longer. Small networks "
        "keep a GPU busy only where hundreds of runs are stacked, and stacks are as large as its memory allows. With "
        "few stacks for each GPU, the last ones decide when the sweep ends.",
    )


def per_run(facts: Facts, what: str, name: str) -> float:
    """A number of a measurement, for each run."""
    return float(facts[what][name] / facts[what]["runs"])


def driver(facts: Facts) -> tuple[str, ...]:
    """What the process takes that hands out stacks."""
    size = facts["quickstart"]["bytes"]
    rows = []
    for what, does in DOES.items():
        seconds, held = per_run(facts, what, "seconds"), per_run(facts, what, "bytes")
        rows.append(
            (does, f"{1e3 * seconds:.2g} ms", f"{held / 1024:.2g} KiB", minutes(seconds * RUNS), gib(held * RUNS))
        )
    return (
        f"Measured at {facts['driver']['runs']:,.0f} runs, and scaled to a million:",
        table(("", "time of a run", "memory of a run", "time of all", "memory of all"), rows),
        f"On disk a run takes {size / 1024:.2g} KiB, its policy included: {gib(size * RUNS)} in all. Above 256 MiB "
        "policies are kept only where `[keep]` says so.",
    )


def breaking(facts: Facts) -> str:
    """What breaks first, as a list."""
    join, report = (gib(per_run(facts, what, "bytes") * RUNS) for what in ("joining", "report"))
    stacks = RUNS * per_run(facts, "driver", "stacks")
    return "\n".join(
        (
            f"1. **Memory at the end.** The report of a million runs takes {report}, and joining their tables {join}. "
            "A sweep that is too large for the memory that is free is refused before it starts.",
            f"2. **Files in one folder.** On CPUs there are about {stacks:,.0f} stacks, and each leaves six files in "
            "`parts/` until the sweep ends. Shared file systems are slow with so many. On GPUs there are fewer stacks.",
            "3. **One writer.** All results pass through the driver, which writes and flushes one after the other. Put "
            "`--out` on a local disk.",
            "4. **Ray's head node.** If it ends, so does the command. What is finished is kept, and it goes on.",
        )
    )


def hours(count: float) -> str:
    """A time span."""
    if count < 0.025:
        return f"{HOUR * count:.2g} s"
    if count < 1:
        return f"{60 * count:.0f} minutes"
    return f"{count:,.0f} hours" if count >= 10 else f"{count:.1f} hours"


def minutes(seconds: float) -> str:
    """A time span."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} s"


def gib(size: float) -> str:
    """A size."""
    return f"{size / 2**30:.2g} GiB"
