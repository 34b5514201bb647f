"""Where a sweep trains: the device, how many processes, and how a process of the command begins."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

from simulator.common.errors import ConfigError, shown
from simulator.common.lazy import torch

if TYPE_CHECKING:
    from torch import device

MOST_WORKERS = 1_024
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def begin_importing() -> None:
    """Before anything heavy is imported. Sums must not depend on how many cores there are, and nothing that is imported
    is garbage: to look for it takes a sixth of the time.
    """
    os.environ.update(ONE_THREAD)
    gc.disable()


def end_importing() -> None:
    """Look for garbage from now on, among what is made from now on."""
    gc.freeze()
    gc.enable()


def choose_device(name: str) -> device:
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
