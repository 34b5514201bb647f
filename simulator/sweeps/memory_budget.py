"""What a sweep holds in memory, and how its stacks are sized to a budget before anything is trained.

A process holds the interpreter with its libraries, one world, and then what making the world takes, or one measurement
and one stack; the last grows with the number of its runs, so the budget decides that number, and where even one run is
too much for all processes at once, how many processes there are. The model counts the tensors that live at the same
time, each a little too large; what one run gives does not depend on how many are stacked, so neither do records on
the budget.

Shapes: d width, H heads, S places of a packed pair, V vocabulary, T response length.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from simulator.common.errors import ConfigError, short
from simulator.engine.footprint import FLOAT, SLACK, order_bytes, pairs_bytes, step_bytes
from simulator.methods.method import Footprint
from simulator.preferences.online import DRAWN_TOGETHER
from simulator.proxies.footprint import kept_bytes, later_bytes, proxy_bytes, scoring_bytes
from simulator.proxies.reward_model import Member, members_needed
from simulator.settings.run import Run, objective_key
from simulator.settings.tables import Settings
from simulator.sweeps.stacking import (
    cells,
    footprint_of,
    proxy_stack_size,
    proxy_work,
    runs_with_proxies,
    stack_size,
    stack_work,
)
from simulator.sweeps.sweep import RUN_LIMIT
from simulator.worlds.footprint import (
    drawn_bytes,
    making_bytes,
    measuring_bytes,
    pool_reading_bytes,
    pooled_bytes,
    tree_bytes,
    world_bytes,
)
from simulator.worlds.policy_classes.sizes import is_tilted, policy_row, tilted_step_bytes

PROCESS_BYTES = 350 * 2**20  # Python with torch and pandas
DRAWING_BYTES = 180 * 2**20  # a process that waits to draw the figures
TERM_PASSES = 4.0  # what the terms of a loss hold at most, in gradients of its pairs
CONTAINER = Path("/sys/fs/cgroup")
MOST_MEMORY = 2**60  # bytes
UNITS = {"": 1, "B": 1} | {
    f"{letter}{ending}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for ending, base in (("", 1024), ("iB", 1024), ("B", 1000))
}
REMEDY = (
    "lower policy.width, policy.layers, proxy.width, train.batch, data.pairs, online.pairs, or sizes in [world], "
    "[measure], [reference], [proxy], [rl] or [best_of_n]"
)


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """How a sweep fits into memory: processes, how many runs a stack of each kind has, and bytes over all processes.

    sizes: by what the runs, or the proxies, of a stack share; most: how many of them would fit. budget: what all of it
    is kept under. in_each: how many processes each machine has.
    """

    processes: int
    sizes: dict[str, int]
    most: dict[str, int]
    bytes: int
    budget: int
    in_each: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What one machine has for a sweep: bytes, and processes at most. asked: how the bytes came to be, in messages."""

    budget: int
    processes: int
    asked: str


def parse_bytes(text: str) -> int:
    """The bytes that a size such as 500MB or 2.5GiB means. Raises ConfigError."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    units = {name.lower(): size for name, size in UNITS.items()}
    if not found or found[2].lower() not in units:
        raise ConfigError(f"--memory {short(text)}: must be a size such as 500MB or 2GiB")
    size = float(found[1]) * units[found[2].lower()]
    if not 1 <= size <= MOST_MEMORY:
        raise ConfigError(f"--memory {short(text)}: must be at least 1 byte and at most 1,048,576 TiB")
    return int(size)


def shown_bytes(count: int) -> str:
    """A size for people."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def free_bytes(device: torch.device) -> int:
    """How much memory is free where tensors will lie."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = int(psutil.virtual_memory().available)
    try:
        most, taken = (int((CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no container, or one without a limit
        return free
    return min(free, max(most - taken, 0))


def best_on(device: torch.device) -> int | None:
    """How many are best stacked on a device; None where what is stacked decides."""
    return None if device.type == "cpu" else RUN_LIMIT  # a GPU is filled by the stack


def machine_of(memory: str | None, free: int, processes: int, where: str = "here") -> Machine:
    """A machine with as much memory as --memory says, or half of what is free. Raises ConfigError."""
    if memory is not None:
        return Machine(budget=parse_bytes(memory), processes=processes, asked=f"--memory {memory}")
    asked = f"--memory is half of the {shown_bytes(free)} that are free {where}, unless said"
    return Machine(budget=free // 2, processes=processes, asked=asked)


def run_bytes(run: Run) -> int:
    """What every run adds to its stack: its row, its pairs, its proxy's scores, and a training step's activations."""
    settings, world, taken = run.settings, run.settings.world, footprint_of(run)
    row = 8 * FLOAT * policy_row(settings.spec)
    places = -(-taken.tokens // max(taken.sequences, 1))
    tilted = is_tilted(settings.spec) and taken.tokens > 0
    passes = step_bytes(settings.policy, world.vocabulary, taken.sequences, places)
    step = tilted_step_bytes(settings.spec) if tilted else passes
    held = pool_reading_bytes(settings.spec, taken.pool)
    if taken.pairs:
        order = order_bytes(settings.train.steps, min(settings.train.batch, taken.pairs))
        held += pairs_bytes(settings, taken.pairs + taken.held_out) * taken.responses // 2
        held += order + online_round_bytes(run, taken) + drawn_bytes(settings.spec, taken.enumerated_tokens)
        step = step if taken.rounds > 1 else int(step * min(taken.gradients, TERM_PASSES))
    if run.cell.proxies:
        held += kept_bytes(settings, taken.rounds)
    step = max(step, later_bytes(settings, taken.rounds, taken.pairs))  # no policy trains meanwhile
    return int(SLACK * (row + step + held))


def online_round_bytes(run: Run, taken: Footprint) -> int:
    """What a round of fresh pairs takes while it is drawn, and, as long as it is put together, all pairs once more."""
    settings = run.settings
    if not settings.online.refresh:
        return 0
    world, policy, count = settings.world, settings.policy, DRAWN_TOGETHER * taken.responses
    drawn = FLOAT * count * world.response_length * (world.vocabulary + 2 * policy.layers * policy.width)
    return drawn + pairs_bytes(settings, taken.pairs) * taken.responses // 2


@dataclass(frozen=True, kw_only=True)
class StackFootprint:
    """What a kind of stack holds, in bytes: `per_run` for every one in it and `fixed` in any case.

    best_size: how many train together best. count: how many there are of this kind. work: what all of them take, of
    kinds that run in one phase.
    """

    settings: Settings
    per_run: int
    fixed: int
    best_size: int
    count: int
    work: float
    phase: str


def stack_footprints(runs: Sequence[Run], best: int | None = None) -> dict[str, StackFootprint]:
    """What the stacks of some runs, and of the proxies that they need, hold, by what they share.

    best: how many are best stacked, where that is not to be found for each.
    """
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        kinds.setdefault(run.stack_key, []).append(run)
    needs = {}
    for shared, group in kinds.items():
        run = group[0]
        kinds_of_it = {objective_key(one): one for one, _ in cells(group)}.values()
        needs[shared] = StackFootprint(
            settings=run.settings,
            per_run=max(run_bytes(one) for one in kinds_of_it),
            fixed=fixed_bytes(run) + max(prefix_tree_bytes(one) for one in kinds_of_it),
            best_size=best or stack_size(run),
            count=len(group),
            work=stack_work(group),
            phase="runs",
        )
    members: dict[str, list[Member]] = {}
    for member in members_needed(runs_with_proxies(runs)):
        members.setdefault(member.stack_key, []).append(member)
    for shared, some in members.items():
        largest = max(some, key=lambda member: member.pairs)
        needs[shared] = StackFootprint(
            settings=largest.settings,
            per_run=proxy_bytes(largest),
            fixed=scoring_bytes(largest.settings),
            best_size=best or proxy_stack_size(largest.settings),
            count=len(some),
            work=proxy_work(some),
            phase="proxies",
        )
    return needs


def fixed_bytes(run: Run) -> int:
    """What a measurement holds, and the scoring that it asks for, however many runs the stack has."""
    spec = run.settings.spec
    pool = pooled_bytes(spec, footprint_of(run).pool)
    return measuring_bytes(spec) + pool + (scoring_bytes(run.settings) if run.cell.proxies else 0)


def prefix_tree_bytes(run: Run) -> int:
    """What the gradient of an expectation over a tree of prefixes holds, one run at a time."""
    return tree_bytes(run.settings.spec, footprint_of(run).enumerated_tokens)


def arrange(runs: Sequence[Run], machines: Sequence[Machine], *, best: int | None = None) -> Arrangement:
    """Fit runs into the memory of some machines. Raises ConfigError where on one of them not even one run fits.

    best: how many are best stacked, unless what is stacked decides. Stacks have one size wherever they run.
    """
    needs = stack_footprints(runs, best)
    in_each, most = [], dict.fromkeys(needs, RUN_LIMIT)
    for machine in machines:
        processes = machine.processes
        while processes > 1 and min(fitting(needs, machine, processes).values(), default=1) < 1:
            processes -= 1
        fit = fitting(needs, machine, processes)
        if min(fit.values(), default=1) < 1:
            least = shown_bytes(max(process_bytes(1) + peak_bytes(need, 1) for need in needs.values()))
            raise ConfigError(
                f"{machine.asked}: one run of this sweep needs about {least}; allow more with --memory, or {REMEDY}"
            )
        in_each.append(processes)
        most = {name: min(count, fit[name]) for name, count in most.items()}
    processes = sum(in_each)
    sizes = {
        name: balanced_stack_size(need, most[name], worker_share(need, needs.values(), processes))
        for name, need in needs.items()
    }
    largest = max((peak_bytes(need, sizes[name]) for name, need in needs.items()), default=0)
    return Arrangement(
        processes=processes,
        sizes=sizes,
        most=most,
        bytes=sum(process_bytes(count) + count * largest for count in in_each),
        budget=sum(machine.budget for machine in machines),
        in_each=tuple(in_each),
    )


def fitting(needs: Mapping[str, StackFootprint], machine: Machine, processes: int) -> dict[str, int]:
    """How many of each kind fit into a stack where a machine has so many processes."""
    return {name: max_stack_size(need, machine.budget, processes) for name, need in needs.items()}


def worker_share(need: StackFootprint, needs: Iterable[StackFootprint], processes: int) -> float:
    """How many of the processes a kind would keep busy, were its phase to end for all at once."""
    return processes * need.work / max(sum(other.work for other in needs if other.phase == need.phase), 1e-9)


def balanced_stack_size(need: StackFootprint, most: int, share: float) -> int:
    """The size of stacks of at most `most`: so many stacks that the share of the processes has one each, or twice."""
    processes = max(1, math.ceil(share - 1e-6))
    stacks = -(-need.count // min(need.best_size, most))
    return -(-need.count // (-(-stacks // processes) * processes))


def process_bytes(processes: int) -> int:
    """What processes hold beside worlds and stacks, with the one that will draw.

    Of several, those that train share most of theirs with their parent, which leaves room for it.
    """
    return PROCESS_BYTES * (processes + 1) if processes > 1 else PROCESS_BYTES + DRAWING_BYTES


def peak_bytes(need: StackFootprint, count: int) -> int:
    """What one process holds at its largest with so many in a stack, in addition to what it is itself."""
    return world_bytes(need.settings.spec) + max(making_bytes(need.settings.spec), count * need.per_run + need.fixed)


def max_stack_size(need: StackFootprint, budget: int, processes: int) -> int:
    """How many fit into a stack; fewer than one where not even the world does."""
    left = (budget - process_bytes(processes)) // processes - world_bytes(need.settings.spec)
    return -1 if left < making_bytes(need.settings.spec) else (left - need.fixed) // need.per_run
