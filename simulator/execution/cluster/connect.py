"""Joining a Ray cluster, or starting one on this machine, for as long as a sweep runs."""

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from simulator.common.errors import ConfigError, short
from simulator.common.signals import SIGNALS, in_main_thread
from simulator.execution.cluster.carried import runtime_env
from simulator.execution.cluster.nodes import alive_nodes, choose_device_of, examine_nodes, pinned_to, warn_of_engines
from simulator.execution.cluster.ray_workers import RayWorkers
from simulator.execution.cluster.ticks import TickBox
from simulator.execution.devices import processes_on
from simulator.execution.workers import Where
from simulator.sweeps.grid import engine_of_worlds
from simulator.sweeps.sweep import Sweep

LOCAL, AUTO, CLIENT = "local", "auto", "ray://"
INSTALL = "needs Ray; install it with: pip install 'alignment-simulator[cluster]'"
REACHED = 5.0  # seconds
STORE = 2**28  # bytes of Ray's object store on this machine
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_prestart_worker_first_driver": "0",
}


def import_ray() -> ModuleType:
    """Ray. Raises ConfigError where it is not installed."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise ConfigError(f"--cluster: {INSTALL}") from None
    module: ModuleType = ray
    return module


def check_address(address: str) -> None:
    """Raises ConfigError where an address is none, or nobody answers there."""
    key = f"--cluster {short(address)}"
    if address.startswith(CLIENT):
        raise ConfigError(
            f"{key}: stacks are handed out from a machine of the cluster; run the command there, with auto or its "
            "HOST:PORT as the address, or have it run by `ray job submit`"
        )
    if address in (LOCAL, AUTO):
        return
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 2**16):
        raise ConfigError(f"{key}: must be HOST:PORT, such as 10.0.0.1:6379, or {AUTO}, or {LOCAL}")
    try:
        socket.create_connection((host, int(port)), REACHED).close()
    except OSError as error:
        raise ConfigError(
            f"{key}: nobody answers there ({error.strerror or error}); `ray start --head` says the address"
        ) from None


@contextmanager
def signals_kept() -> Iterator[None]:
    """What signals do here is afterwards as before: Ray sets handlers of its own."""
    if not in_main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def join(ray: ModuleType, address: str, env: dict[str, Any], workers: int | None) -> None:
    """Join a cluster, or start one. Raises ConfigError where that does not work."""
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "runtime_env": env}
    if address == LOCAL:
        count = processes_on("cpu", workers)
        options |= {"num_cpus": count, "include_dashboard": False, "object_store_memory": STORE}
    try:
        with signals_kept():
            ray.init(address=address, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())[:400]
        raise ConfigError(f"--cluster {short(address)}: {text}") from None


@contextmanager
def connected(where: Where, sweep: Sweep, folder: Path, *, timed: bool = False) -> Iterator[RayWorkers]:
    """The workers of a cluster while the block runs. Raises ConfigError before anything runs there.

    folder: the result directory. timed: how fast nodes train is found out, too.
    """
    assert where.cluster is not None
    check_address(where.cluster)
    ray = import_ray()
    if ray.is_initialized():
        raise ConfigError("--cluster: Ray is connected in this process already; call ray.shutdown() first")
    with tempfile.TemporaryDirectory(prefix="alignment-simulator-") as staged:
        env = runtime_env(sweep, folder, Path(staged))
        try:
            join(ray, where.cluster, env, where.workers)
            here = pinned_to(ray.get_runtime_context().get_node_id())
            box = ray.remote(num_cpus=0)(TickBox).options(scheduling_strategy=here).remote()  # starts meanwhile
            device = choose_device_of(where.device, alive_nodes())
            nodes = examine_nodes(device, timed=timed)
            if device == "cpu":
                warn_of_engines(nodes, engine_of_worlds())
            yield RayWorkers(ray=ray, where=where, nodes=tuple(nodes), device_name=device, box=box)
        finally:
            with suppress(Exception), signals_kept():  # what ends a cluster that is gone
                ray.shutdown()
