"""What a sweep holds in memory, and how its stacks are sized to a budget before anything is trained.

A process holds the interpreter with its libraries, one world, one measurement, and one stack; the last grows with the
number of its runs, so the budget decides that number, and where even one run is too much for all processes at once, how
many processes there are. The model counts the tensors that live at the same time, each a little too large; what one
run gives does not depend on how many are stacked, so neither do records on the budget.

Shapes: d width, H heads, S places of a packed pair, V vocabulary, T response length.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from simulator import along
from simulator.complaints import ConfigError
from simulator.config import Settings
from simulator.enumerable import MEASURE_FLOATS
from simulator.grid import Run, stack_size
from simulator.ground import architecture_of
from simulator.sampling import Lots
from simulator.training import STRETCH

PROCESS_BYTES = 440 * 2**20  # Python with torch and pandas, and at the end with matplotlib
SLACK = 1.3  # what an allocator loses between tensors
FLOAT, WIDE = 4, 8
UNITS = {"": 1, "B": 1} | {
    f"{letter}{ending}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for ending, base in (("", 1024), ("iB", 1024), ("B", 1000))
}
REMEDY = "lower policy.width, policy.layers, train.batch, data.pairs, or the sizes of the world"


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """How a sweep fits into memory: processes, the most runs in one stack of each kind, and bytes over all processes.

    sizes: by the settings that the runs of a stack share, `Point.shared`.
    """

    processes: int
    sizes: dict[str, int]
    bytes: int


def parse_bytes(text: str) -> int:
    """The bytes that a size such as 500MB or 2.5GiB means. Raises ConfigError."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    units = {name.lower(): size for name, size in UNITS.items()}
    if not found or found[2].lower() not in units:
        raise ConfigError(f"--memory {text}: must be a size such as 500MB or 2GiB")
    return int(float(found[1]) * units[found[2].lower()])


def shown_bytes(count: int) -> str:
    """A size for people."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def free_bytes(device: torch.device) -> int:
    """How much memory is free where tensors will lie."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


def budget_of(memory: str | None, device: torch.device) -> dict[str, Any]:
    """`budget` and `asked` for `arrange`: what --memory says, or half of what is free. Raises ConfigError."""
    if memory is not None:
        return {"budget": parse_bytes(memory), "asked": f"--memory {memory}"}
    free = free_bytes(device)
    return {"budget": free // 2, "asked": f"half of the {shown_bytes(free)} of memory that are free"}


def run_bytes(settings: Settings) -> int:
    """What every run adds to its stack: its row, its pairs, and the activations of a training step."""
    world, policy, train = settings.world, settings.policy, settings.train
    architecture = architecture_of(settings)
    batch = min(train.batch, settings.data.pairs)
    places = world.prompt_length + 2 * (world.response_length - 1)
    kept = policy.layers * (16 * policy.width + 2 * policy.heads * places)
    passing = 12 * policy.width + 4 * policy.heads * places + 4 * world.vocabulary
    pairs = settings.data.pairs * (world.prompt_length + 4 * world.response_length + 12)
    return int(
        SLACK
        * (
            FLOAT * (8 * architecture.row + batch * places * (kept + passing))
            + WIDE * (pairs + min(STRETCH, train.steps) * batch)
        )
    )


def measuring_bytes(settings: Settings) -> int:
    """What a measurement holds, however many runs the stack has."""
    world, policy = settings.world, settings.policy
    if world.kind == "enumerable":
        responses = world.prompts * world.vocabulary**world.response_length
        inner = world.prompts * sum(world.vocabulary**t for t in range(world.response_length))
        runs = max(1, min(stack_size(settings), MEASURE_FLOATS // responses))
        return int(SLACK * runs * (FLOAT * inner * (22 * policy.width + 6 * world.vocabulary) + 8 * WIDE * responses))
    architecture = architecture_of(settings)
    lots = Lots(prompts=settings.measured_prompts, responses=settings.measure.samples)
    each = along.numbers_for_one(architecture, world.prompt_length)
    runs = min(stack_size(settings), along.runs_at_once(architecture, world.prompt_length, lots))
    drawn = runs * lots.count * lots.places
    reading = max(lots.places * each, min(drawn * each, along.AT_ONCE))
    at_once = reading // each
    return int(
        SLACK * (FLOAT * 1.5 * reading + WIDE * (at_once * 6 * world.vocabulary + drawn * (world.response_length + 24)))
    )


def world_bytes(settings: Settings) -> int:
    """What a world holds, and what making it takes."""
    world = settings.world
    if world.kind == "enumerable":
        return 14 * WIDE * world.prompts * world.vocabulary**world.response_length
    baseline = settings.measured_prompts * settings.measure.baseline * (world.response_length + 4) * WIDE
    return 4 * baseline + (2**27 if world.language.text else 2**24)


def arrange(runs: Sequence[Run], *, budget: int, processes: int, asked: str) -> Arrangement:
    """Fit runs into `budget` bytes on at most `processes` processes. Raises ConfigError where not even one fits.

    asked: how the budget came to be, for the message.
    """
    kinds = {run.point.shared: run.settings for run in runs}
    fixed = max((world_bytes(settings) + measuring_bytes(settings) for settings in kinds.values()), default=0)
    largest = max(map(run_bytes, kinds.values()), default=0)
    while processes > 1 and room(budget, fixed, processes) < largest:
        processes -= 1
    left = room(budget, fixed, processes)
    if left < largest:
        needed = PROCESS_BYTES + fixed + largest
        raise ConfigError(
            f"{asked}: one run of this sweep needs about {shown_bytes(needed)}; allow more with --memory, or {REMEDY}"
        )
    sizes = {name: max(1, min(stack_size(settings), left // run_bytes(settings))) for name, settings in kinds.items()}
    stack = max((sizes[name] * run_bytes(settings) for name, settings in kinds.items()), default=0)
    return Arrangement(processes=processes, sizes=sizes, bytes=budget - processes * (left - stack))


def room(budget: int, fixed: int, processes: int) -> int:
    """What `budget` leaves each of the processes for its stack. More than one have a parent that trains nothing."""
    resident = PROCESS_BYTES * (processes + (processes > 1))
    return (budget - resident - processes * fixed) // processes
