"""What a sweep holds in memory, and how its stacks are sized to a budget before anything is trained.

A process holds the interpreter with its libraries, one world, and then what making the world takes, or one measurement
and one stack; the last grows with the number of its runs, so the budget decides that number, and where even one run is
too much for all processes at once, how many processes there are. The model counts the tensors that live at the same
time, each a little too large; what one run gives does not depend on how many are stacked, so neither do records on
the budget.

Shapes: d width, H heads, S places of a packed pair, V vocabulary, T response length.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from simulator import along
from simulator.complaints import ConfigError
from simulator.config import RUN_LIMIT
from simulator.enumerable import MEASURE_FLOATS
from simulator.grid import Run, stack_size
from simulator.ground import architecture_of
from simulator.sampled import KEPT_BYTES
from simulator.sampling import Lots
from simulator.settings import Settings
from simulator.training import STRETCH

PROCESS_BYTES = 350 * 2**20  # Python with torch and pandas
DRAWING_BYTES = 130 * 2**20  # what matplotlib and its figures add when all is done
SLACK = 1.3  # what an allocator loses between tensors
FLOAT, WIDE = 4, 8
CONTAINER = Path("/sys/fs/cgroup")
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
    free = int(psutil.virtual_memory().available)
    try:
        most, taken = (int((CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no container, or one without a limit
        return free
    return min(free, max(most - taken, 0))


def budget_of(memory: str | None, device: torch.device) -> dict[str, Any]:
    """`budget`, `asked` and `best` for `arrange`: what --memory says, or half of what is free. Raises ConfigError."""
    best = stack_size if device.type == "cpu" else lambda _: RUN_LIMIT  # a GPU is filled by the stack
    if memory is not None:
        return {"budget": parse_bytes(memory), "asked": f"--memory {memory}", "best": best}
    free = free_bytes(device)
    asked = f"--memory is half of the {shown_bytes(free)} that are free here, unless said"
    return {"budget": free // 2, "asked": asked, "best": best}


def step_bytes(settings: Settings, sequences: int, places: int) -> int:
    """What a forward and a backward pass hold for sequences of so many places: what is kept, and what passes."""
    policy = settings.policy
    kept = policy.layers * (16 * policy.width + 2 * policy.heads * places)
    passing = 12 * policy.width + 4 * policy.heads * places + 4 * settings.world.vocabulary
    return FLOAT * sequences * places * (kept + passing)


def run_bytes(settings: Settings) -> int:
    """What every run adds to its stack: its row, its pairs, and the activations of a training step."""
    world, train = settings.world, settings.train
    batch = min(train.batch, settings.data.pairs)
    row = 8 * FLOAT * architecture_of(settings).row
    step = step_bytes(settings, batch, world.prompt_length + 2 * (world.response_length - 1))
    pairs = WIDE * settings.data.pairs * (world.prompt_length + 4 * world.response_length + 12)
    order = WIDE * min(STRETCH, train.steps) * batch
    return int(SLACK * (row + step + pairs + order))


def measuring_bytes(settings: Settings) -> int:
    """What a measurement holds, however many runs the stack has."""
    world, policy = settings.world, settings.policy
    if world.kind == "enumerable":
        responses = world.prompts * world.vocabulary**world.response_length
        inner = world.prompts * sum(world.vocabulary**t for t in range(world.response_length))
        runs = max(1, min(stack_size(settings), MEASURE_FLOATS // responses))
        return int(SLACK * runs * (FLOAT * inner * (24 * policy.width + 8 * world.vocabulary) + 7 * WIDE * responses))
    architecture = architecture_of(settings)
    lots = Lots(prompts=settings.measured_prompts, responses=settings.measure.samples)
    each = along.numbers_for_one(architecture, world.prompt_length)
    drawn = along.runs_at_once(architecture, world.prompt_length, lots) * lots.count * lots.places
    together = max(lots.places, along.AT_ONCE // each)
    judged = WIDE * drawn * (2 * world.response_length + 24)
    return int(SLACK * (FLOAT * together * each + WIDE * together * 5 * world.vocabulary + judged))


def world_bytes(settings: Settings) -> int:
    """What a world holds while policies are trained in it."""
    world = settings.world
    text = text_bytes(settings)
    language = 50 * text if text else 4 * WIDE * world.topics * world.vocabulary**2
    if world.kind == "enumerable":
        return language + 8 * WIDE * world.prompts * world.vocabulary**world.response_length
    baseline = WIDE * settings.measured_prompts * settings.measure.baseline * (world.response_length + 16)
    return language + baseline + KEPT_BYTES


def making_bytes(settings: Settings) -> int:
    """What is held, in addition, while a world is made: a step of the reference's training, and the scoring of gold."""
    world = settings.world
    reading = step_bytes(settings, settings.reference.batch, world.prompt_length + world.response_length - 1)
    scoring = 2**26 if world.kind == "sampled" else 10 * WIDE * world.prompts * world.vocabulary**world.response_length
    drawing = measuring_bytes(settings) if world.kind == "sampled" else 0
    return int(SLACK * (reading + scoring)) + drawing + 60 * text_bytes(settings)


def text_bytes(settings: Settings) -> int:
    """The size of the text that is the language, 0 for a synthetic one."""
    name = settings.world.language.text
    return Path(name).stat().st_size if name and Path(name).is_file() else 0


def arrange(
    runs: Sequence[Run], *, budget: int, processes: int, asked: str, best: Callable[[Settings], int] = stack_size
) -> Arrangement:
    """Fit runs into `budget` bytes on at most `processes` processes. Raises ConfigError where not even one fits.

    asked: how the budget came to be, for the message. best: how many runs of given settings are best stacked.
    """
    kinds = {run.point.shared: run.settings for run in runs}
    while processes > 1 and min(map(fitting_in(budget, processes), kinds.values()), default=1) < 1:
        processes -= 1
    fitting = {name: fitting_in(budget, processes)(settings) for name, settings in kinds.items()}
    if min(fitting.values(), default=1) < 1:
        needed = max(resident(1) + held_bytes(settings, 1) for settings in kinds.values())
        raise ConfigError(
            f"{asked}: one run of this sweep needs about {shown_bytes(needed)}; allow more with --memory, or {REMEDY}"
        )
    sizes = {name: min(best(settings), fitting[name]) for name, settings in kinds.items()}
    largest = max((held_bytes(settings, sizes[name]) for name, settings in kinds.items()), default=0)
    return Arrangement(processes=processes, sizes=sizes, bytes=resident(processes) + processes * largest)


def resident(processes: int) -> int:
    """What processes hold beside worlds and stacks. One draws the figures, too; of more, the parent does so after."""
    return PROCESS_BYTES * (processes + 1) if processes > 1 else PROCESS_BYTES + DRAWING_BYTES


def held_bytes(settings: Settings, runs: int) -> int:
    """What one process holds at its largest with a stack of so many runs, in addition to what it is itself."""
    training = runs * run_bytes(settings) + measuring_bytes(settings)
    return world_bytes(settings) + max(making_bytes(settings), training)


def fitting_in(budget: int, processes: int) -> Callable[[Settings], int]:
    """How many runs of given settings fit into a stack; fewer than one where not even the world does."""
    room = (budget - resident(processes)) // processes

    def count(settings: Settings) -> int:
        left = room - world_bytes(settings)
        return -1 if left < making_bytes(settings) else (left - measuring_bytes(settings)) // run_bytes(settings)

    return count
