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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from simulator.common.errors import ConfigError, short
from simulator.languages.text import text_bytes
from simulator.methods import METHODS
from simulator.networks import token_log_probs as along
from simulator.networks.sampling import Lots
from simulator.preferences import online as fresh
from simulator.proxies.reward_model import Member, needed, proxy_architecture
from simulator.settings.run import Run, apart
from simulator.settings.tables import Settings
from simulator.settings.world_spec import Network
from simulator.sweeps.stacking import STACK_LIMIT, cells, proxy_stack_size, proxy_work, stack_size, with_proxies, work
from simulator.sweeps.sweep import RUN_LIMIT
from simulator.training.engine import STRETCH
from simulator.training.forward_kl import POOL
from simulator.worlds.components import architecture_of
from simulator.worlds.enumerable import MEASURE_FLOATS
from simulator.worlds.sampled import KEPT_BYTES

PROCESS_BYTES = 350 * 2**20  # Python with torch and pandas
DRAWING_BYTES = 130 * 2**20  # what matplotlib and its figures add when all is done
SLACK = 1.3  # what an allocator loses between tensors
FLOAT, WIDE = 4, 8
SPOKEN_BYTES = 300  # of a prompt in Python, while different ones are gathered
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

    sizes: by what the runs, or the proxies, of a stack share; most: how many of them would fit.
    """

    processes: int
    sizes: dict[str, int]
    most: dict[str, int]
    bytes: int


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


def budget_of(memory: str | None, device: torch.device) -> dict[str, Any]:
    """`budget`, `asked` and `best` for `arrange`: what --memory says, or half of what is free. Raises ConfigError."""
    best = None if device.type == "cpu" else RUN_LIMIT  # a GPU is filled by the stack
    if memory is not None:
        return {"budget": parse_bytes(memory), "asked": f"--memory {memory}", "best": best}
    free = free_bytes(device)
    asked = f"--memory is half of the {shown_bytes(free)} that are free here, unless said"
    return {"budget": free // 2, "asked": asked, "best": best}


def step_bytes(network: Network, vocabulary: int, sequences: int, places: int) -> int:
    """What a forward and a backward pass hold for sequences of so many places: what is kept, and what passes."""
    kept = network.layers * (16 * network.width + 2 * network.heads * places)
    passing = 12 * network.width + 4 * network.heads * places + 4 * vocabulary
    return FLOAT * sequences * places * (kept + passing)


def pairs_bytes(settings: Settings, pairs: int) -> int:
    """What labelled pairs take, as drawn and as trained on."""
    return WIDE * pairs * (settings.world.prompt_length + 4 * settings.world.response_length + 12)


def run_bytes(run: Run) -> int:
    """What every run adds to its stack: its row, its pairs, its proxy's scores, and a training step's activations."""
    settings, world = run.settings, run.settings.world
    method = METHODS[run.method]
    sequences, tokens = method.network(run)
    row = 8 * FLOAT * architecture_of(settings).row
    step = step_bytes(settings.policy, world.vocabulary, sequences, -(-tokens // max(sequences, 1)))
    held = 0
    if pairs := method.held(run):
        order = WIDE * min(STRETCH, settings.train.steps) * min(settings.train.batch, pairs)
        held = pairs_bytes(settings, pairs) * method.responses(run) // 2 + order + fresh_bytes(run)
        step = int(step * min(method.passes(run), TERM_PASSES))
        if world.kind == "sampled" and method.listed(run):
            held += 2 * WIDE * POOL * (world.response_length + world.prompt_length + 4)
    if run.proxies and world.kind == "enumerable":
        held += 2 * listed_bytes(settings)
    if run.proxies:
        held += settings.proxy.members * (listed_bytes(settings) + FLOAT * proxy_architecture(settings).row)
    if run.method == "best_of_n" and world.kind == "sampled":
        held += WIDE * settings.measured_prompts * settings.best_of_n.pool
    return int(SLACK * (row + step + held))


def tree_bytes(run: Run) -> int:
    """What the gradient of an expectation over a tree of prefixes holds, one run at a time."""
    settings, places = run.settings, METHODS[run.method].listed(run)
    if settings.world.kind == "sampled":
        return 0
    policy, length = settings.policy, settings.world.response_length
    kept = policy.layers * (24 * policy.width + 4 * policy.heads * length) + 12 * policy.width
    return int(SLACK * places * (FLOAT * kept + 6 * WIDE * settings.world.vocabulary))


def fresh_bytes(run: Run) -> int:
    """What a round of fresh pairs takes while it is drawn, and, as long as it is put together, all pairs once more."""
    settings, method = run.settings, METHODS[run.method]
    if not settings.online.refresh:
        return 0
    world, policy, count = settings.world, settings.policy, fresh.AT_ONCE * method.responses(run)
    drawn = FLOAT * count * world.response_length * (world.vocabulary + 2 * policy.layers * policy.width)
    return drawn + pairs_bytes(settings, method.held(run)) * method.responses(run) // 2


def proxy_bytes(member: Member) -> int:
    """What every proxy adds to its stack: its row and the best so far, its pairs, its scores, and a training step."""
    settings, world, proxy = member.settings, member.settings.world, member.settings.proxy
    row = 10 * FLOAT * proxy_architecture(settings).row
    step = step_bytes(proxy, world.vocabulary, proxy.batch, world.prompt_length + 2 * world.response_length)
    order = WIDE * min(STRETCH, proxy.steps) * proxy.batch
    return int(
        SLACK * (row + step + 2 * pairs_bytes(settings, settings.data.pairs) + order + 2 * listed_bytes(settings))
    )


def pool_bytes(run: Run) -> int:
    """What is said of the pool of best-of-n in a sampled world, sorted by one proxy."""
    if run.method != "best_of_n" or run.settings.world.kind == "enumerable":
        return 0
    return int(SLACK * 20 * WIDE * run.settings.measured_prompts * run.settings.best_of_n.pool)


def listed_bytes(settings: Settings) -> int:
    """What one score of the world's listing takes."""
    world = settings.world
    if world.kind == "enumerable":
        return WIDE * world.prompts * world.vocabulary**world.response_length
    return WIDE * settings.measured_prompts * settings.measure.baseline


def scoring_bytes(settings: Settings) -> int:
    """What it takes to read responses with a proxy's network, a bounded number at once."""
    world, proxy = settings.world, settings.proxy
    if world.kind == "sampled":
        return int(SLACK * FLOAT * along.AT_ONCE)
    places = sum(world.vocabulary**t for t in range(world.response_length + 1)) + world.prompt_length
    prompts = max(1, min(world.prompts, MEASURE_FLOATS // (4 * places * max(1, proxy.width // 64))))
    return int(SLACK * FLOAT * prompts * places * (14 * proxy.width + 4 * proxy.heads)) + 8 * listed_bytes(settings)


def measuring_bytes(settings: Settings) -> int:
    """What a measurement holds, however many runs the stack has."""
    world, policy = settings.world, settings.policy
    if world.kind == "enumerable":
        responses = world.prompts * world.vocabulary**world.response_length
        inner = world.prompts * sum(world.vocabulary**t for t in range(world.response_length))
        runs = max(1, min(STACK_LIMIT, MEASURE_FLOATS // responses))
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
    text = text_bytes(settings.world.language.text)
    language = 50 * text if text else 4 * WIDE * world.topics * world.vocabulary**2
    if world.kind == "enumerable":
        return language + 12 * WIDE * world.prompts * world.vocabulary**world.response_length
    baseline = WIDE * settings.measured_prompts * settings.measure.baseline * (world.response_length + 16)
    return language + baseline + KEPT_BYTES


def making_bytes(settings: Settings) -> int:
    """What is held, in addition, while a world is made: a step of the reference's training, and the scoring of gold."""
    world = settings.world
    places = world.prompt_length + world.response_length - 1
    reading = step_bytes(settings.policy, world.vocabulary, settings.reference.batch, places)
    scoring = 2**26 if world.kind == "sampled" else 10 * WIDE * world.prompts * world.vocabulary**world.response_length
    drawing = measuring_bytes(settings) if world.kind == "sampled" else 0
    asking = 2 * world.prompts * (5 * WIDE * world.prompt_length + SPOKEN_BYTES)
    return int(SLACK * (reading + scoring + asking)) + drawing + 60 * text_bytes(settings.world.language.text)


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a kind of stack holds: `each` for every one in it and `beside` in any case; `best` is how many are best.

    count: how many there are of this kind. work: what all of them take, of kinds that run in one phase.
    """

    settings: Settings
    each: int
    beside: int
    best: int
    count: int
    work: float
    phase: str


def needs_of(runs: Sequence[Run], best: int | None = None) -> dict[str, Need]:
    """What the stacks of some runs, and of the proxies that they need, hold, by what they share.

    best: how many are best stacked, where that is not to be found for each.
    """
    kinds: dict[str, list[Run]] = {}
    for run in runs:
        kinds.setdefault(run.shared, []).append(run)
    needs = {}
    for shared, group in kinds.items():
        run = group[0]
        kinds_of_it = {apart(one): one for one, _ in cells(group)}.values()
        needs[shared] = Need(
            settings=run.settings,
            each=max(run_bytes(one) for one in kinds_of_it),
            beside=measuring_bytes(run.settings)
            + pool_bytes(run)
            + scoring_bytes(run.settings) * run.proxies
            + max(tree_bytes(one) for one in kinds_of_it),
            best=best or stack_size(run),
            count=len(group),
            work=work(group),
            phase="runs",
        )
    members: dict[str, list[Member]] = {}
    for member in needed(with_proxies(runs)):
        members.setdefault(member.shared, []).append(member)
    for shared, some in members.items():
        largest = max(some, key=lambda member: member.pairs)
        needs[shared] = Need(
            settings=largest.settings,
            each=proxy_bytes(largest),
            beside=scoring_bytes(largest.settings),
            best=best or proxy_stack_size(largest.settings),
            count=len(some),
            work=proxy_work(some),
            phase="proxies",
        )
    return needs


def arrange(runs: Sequence[Run], *, budget: int, processes: int, asked: str, best: int | None = None) -> Arrangement:
    """Fit runs into `budget` bytes on at most `processes` processes. Raises ConfigError where not even one fits.

    asked: how the budget came to be, for the message. best: how many are best stacked, unless what is stacked decides.
    """
    needs = needs_of(runs, best)
    while processes > 1 and min((fitting(need, budget, processes) for need in needs.values()), default=1) < 1:
        processes -= 1
    most = {name: fitting(need, budget, processes) for name, need in needs.items()}
    if min(most.values(), default=1) < 1:
        least = shown_bytes(max(resident(1) + held_bytes(need, 1) for need in needs.values()))
        raise ConfigError(f"{asked}: one run of this sweep needs about {least}; allow more with --memory, or {REMEDY}")
    sizes = {name: even(need, most[name], share_of(need, needs.values(), processes)) for name, need in needs.items()}
    largest = max((held_bytes(need, sizes[name]) for name, need in needs.items()), default=0)
    return Arrangement(processes=processes, sizes=sizes, most=most, bytes=resident(processes) + processes * largest)


def share_of(need: Need, needs: Iterable[Need], processes: int) -> float:
    """How many of the processes a kind would keep busy, were its phase to end for all at once."""
    return processes * need.work / max(sum(other.work for other in needs if other.phase == need.phase), 1e-9)


def even(need: Need, most: int, share: float) -> int:
    """The size of stacks of at most `most`: so many stacks that the share of the processes has one each, or twice."""
    processes = max(1, math.ceil(share - 1e-6))
    stacks = -(-need.count // min(need.best, most))
    return -(-need.count // (-(-stacks // processes) * processes))


def resident(processes: int) -> int:
    """What processes hold beside worlds and stacks. One draws the figures, too; of more, the parent does so after."""
    return PROCESS_BYTES * (processes + 1) if processes > 1 else PROCESS_BYTES + DRAWING_BYTES


def held_bytes(need: Need, count: int) -> int:
    """What one process holds at its largest with so many in a stack, in addition to what it is itself."""
    return world_bytes(need.settings) + max(making_bytes(need.settings), count * need.each + need.beside)


def fitting(need: Need, budget: int, processes: int) -> int:
    """How many fit into a stack; fewer than one where not even the world does."""
    left = (budget - resident(processes)) // processes - world_bytes(need.settings)
    return -1 if left < making_bytes(need.settings) else (left - need.beside) // need.each
