"""Where a sweep trains: the device, and how many processes."""

import os

import torch

from simulator.common.errors import ConfigError, shown

MOST_WORKERS = 1_024


def choose_device(name: str) -> torch.device:
    """The device that "auto", "cpu" or "cuda" names. Raises ConfigError where there is none such."""
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {name}: must be one of auto, cpu, cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("--device cuda: torch finds no CUDA device here; use cpu or auto")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def processes_on(device: str, workers: int | None) -> int:
    """How many processes train: as asked, or one for each core of a CPU, one on a GPU. Raises ConfigError."""
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise ConfigError(f"--workers {shown(workers)}: must be at least 1 and at most {MOST_WORKERS:,}")
    if choose_device(device).type == "cuda":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return workers or cores
