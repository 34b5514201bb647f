"""The machine that figures come from, and how a process is kept to one thread of it."""

import os
import platform
from pathlib import Path

import psutil
import torch

from benchmarks.timing.processes import ONE_THREAD
from simulator.native.library import instructions

CPU_FACTS, CACHES = Path("/proc/cpuinfo"), Path("/sys/devices/system/cpu/cpu0/cache")


def one_thread() -> None:
    """Keep this process, and those that it starts, to one thread each."""
    os.environ |= ONE_THREAD
    torch.set_num_threads(1)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model() -> str:
    """What the CPU calls itself."""
    try:
        lines = CPU_FACTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def caches() -> list[str]:
    """The caches that the first core reads data from, such as "L2 2048K"."""
    found = []
    for folder in sorted(CACHES.glob("index*")):
        try:
            level, kind, size = (
                (folder / name).read_text(encoding="utf-8").strip() for name in ("level", "type", "size")
            )
        except OSError:
            continue
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return found


def is_native(device: torch.device) -> bool:
    """Whether the project computes by its compiled engine there."""
    return device.type == "cpu" and bool(instructions())


def machine(device: torch.device, threads: str) -> str:
    """One line about the machine and the versions, without a name of its own; `threads` says how many are used."""
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB of memory"
    vectors = torch.backends.cpu.get_cpu_capability()
    engine = f"the compiled engine with {instructions()}" if is_native(device) else "no compiled engine"
    hardware = [cpu_model(), f"{cores()} cores", *caches(), vectors, memory]
    if device.type == "cuda":
        hardware.append(torch.cuda.get_device_name(device))
    return f"{', '.join(hardware)}; {engine}; torch {torch.__version__}, {threads}, Python {platform.python_version()}"
