"""A process that runs stacks: `python -m simulator.worker DIR DEVICE [BESIDE]`.

It reads the sweep from DIR/config.toml, whose code of the user's own is looked up in BESIDE, and never in DIR; then one
stack after another from standard input, each as a line of JSON, {"runs": places} or {"proxies": places}: of its runs in
the grid, or of the proxies among those that the grid needs. It answers with lines of JSON: {"steps": n} after every
checkpoint, then {"done": true} once the stack's records are on disk, or {"error": text}. It ends when its input does.

One thread: on a CPU two such processes finish sooner than one with two threads, and their sums do not
depend on how many cores the machine has.
"""

import json
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from simulator.complaints import ConfigError
from simulator.config import Sweep, check_text, code_of
from simulator.experiment import proxies_for, run_stack
from simulator.grid import expand
from simulator.proxies import Member, members_of, needed, train_members
from simulator.proxy_files import load_proxy, save_proxy
from simulator.records import Folder, run_rows, tidy, write_table
from simulator.runs import Run
from simulator.settings import Settings
from simulator.world import World, build_world, world_name


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, and as it was afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def world_in(worlds: dict[str, World], sweep: Sweep, settings: Settings, device: torch.device) -> World:
    """The world of `settings`, made unless it is the one that `worlds` holds; it holds one at a time.

    Raises ConfigError where it is made of another text than the sweep says.
    """
    name = world_name(settings)
    if name not in worlds:
        worlds.clear()
        world = build_world(settings, device)
        if settings.world.language.text:
            check_text(sweep, settings.world.language.text, world.facts["text_sha256"])
        worlds[name] = world
    return worlds[name]


def finish_stack(
    stack: Sequence[Run], world: World, folder: Folder, device: torch.device, tick: Callable[[int], None]
) -> None:
    """Run one stack and leave its records in the folder, where the proxies that it needs must be."""
    began = time.perf_counter()
    members = {member.name: member for run in stack for member in members_of(run)}

    proxies = proxies_for(stack, world, lambda name: load_proxy(folder, members[name]))
    beside: dict[str, pd.DataFrame] = {}
    curves = run_stack(stack, world, proxies, tick, beside.__setitem__)
    facts = {
        "wall_seconds": (time.perf_counter() - began) / len(stack),
        "device": str(device),
        "python_version": platform.python_version(),
        "torch_version": torch.__version__,
        "numpy_version": np.__version__,
    }
    for kind, table in beside.items():
        write_table(table, folder.part(stack, kind))
    write_table(tidy(curves), folder.part(stack, "curves"))
    write_table(run_rows(stack, curves, facts), folder.part(stack, "runs"))


def finish_proxies(stack: Sequence[Member], world: World, folder: Folder, tick: Callable[[int], None]) -> None:
    """Train one stack of proxies and leave them, and what is said of them, in the folder."""
    began = time.perf_counter()
    with torch.no_grad():
        found = train_members(stack, world, tick)
    seconds = (time.perf_counter() - began) / len(stack)
    for member, (trained, _) in zip(stack, found, strict=True):
        save_proxy(trained, folder.network(member.name))
    write_table(pd.DataFrame([facts | {"wall_seconds": seconds} for _, facts in found]), folder.proxy_part(stack))


def reason(error: Exception) -> str:
    """Why a stack failed: a message for the user, or the traceback of what nobody foresaw."""
    return str(error) if isinstance(error, ConfigError) else "".join(traceback.format_exception(error))


def serve(folder: Folder, device: torch.device, beside: Path | None) -> None:
    """Answer standard input until it ends."""
    channel = sys.stdout

    def say(**answer: object) -> None:
        print(json.dumps(answer), file=channel, flush=True)

    with redirect_stdout(sys.stderr):  # code of the user's own may print
        sweep = Sweep.from_toml(folder.config, beside=beside)
        code_of(sweep)
        runs = expand(sweep)
        proxies = needed(runs)
        worlds: dict[str, World] = {}
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                if "proxies" in asked:
                    members = [proxies[place] for place in asked["proxies"]]
                    world = world_in(worlds, sweep, members[0].settings, device)
                    finish_proxies(members, world, folder, lambda n: say(steps=n))
                else:
                    stack = [runs[place] for place in asked["runs"]]
                    world = world_in(worlds, sweep, stack[0].settings, device)
                    finish_stack(stack, world, folder, device, lambda n: say(steps=n))
            except Exception as error:
                say(error=reason(error))
                continue
            say(done=True)


if __name__ == "__main__":
    with one_thread():
        serve(Folder(path=Path(sys.argv[1])), torch.device(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3:] else None)
