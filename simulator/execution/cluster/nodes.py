"""The nodes of a cluster: which there are, what they have, and that their program is the one here."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from simulator.common.errors import SHOWN, ConfigError
from simulator.execution.cluster.node import NodeFacts, examine
from simulator.execution.cluster.program import differences, program_here

WARM = 64  # processes of a node that begin to import while it is examined
PATIENCE = 120.0  # seconds until a node has said what it is
OTHER_PROGRAM = "install the versions that are here on it, or take it out of the cluster"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node: its name in Ray, how many CPUs and GPUs it has for us, and what it says of itself."""

    ray_id: str
    cpus: int
    gpus: int
    facts: NodeFacts


def alive_nodes() -> list[Mapping[str, Any]]:
    """The nodes that Ray knows and that are there."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def pinned_to(ray_id: str) -> Any:
    """How Ray is asked for one node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id=ray_id, soft=False)


def choose_device_of(device: str, nodes: Sequence[Mapping[str, Any]]) -> str:
    """Where stacks train: on GPUs where there are any, unless said. Raises ConfigError where there are none."""
    gpus = any(node["Resources"].get("GPU", 0) >= 1 for node in nodes)
    if device == "cuda" and not gpus:
        raise ConfigError("--device cuda: no node of the cluster has a GPU; use cpu or auto")
    return "cuda" if gpus and device != "cpu" else "cpu"


def examine_nodes(device: str, *, timed: bool) -> list[Node]:
    """What every node says of itself. Raises ConfigError where one has another program, by its name, or says nothing.

    timed: how fast it trains, too.
    """
    import ray

    there = [node for node in alive_nodes() if all(count_of(node, key) >= 1 for key in resources_of(device))]
    if not there:
        raise ConfigError(f"--cluster: no node has a {'CPU' if device == 'cpu' else 'GPU'} for us")
    answers = {node["NodeID"]: ask(node, device, timed=timed) for node in there}
    for node in there:  # the processes that will train begin to import now
        for _ in range(1, min(count_of(node, resources_of(device)[-1]), WARM)):
            ask(node, device, timed=False)
    soon, late = ray.wait(list(answers.values()), num_returns=len(answers), timeout=PATIENCE)
    for answer in late:
        ray.cancel(answer)
    found, refused = [], []
    for node in there:
        name = name_of(node)
        try:
            facts = ray.get(answers[node["NodeID"]], timeout=0 if answers[node["NodeID"]] in soon else 0.1)
        except (ray.exceptions.GetTimeoutError, ray.exceptions.TaskCancelledError):
            warnings.warn(f"node {name}: is busy, and has not said what it is", UserWarning, stacklevel=2)
            continue
        except ray.exceptions.RayError as error:
            refused.append(f"node {name}: cannot run the simulator ({first_line(error)})")
            continue
        if differs := differences(facts.program, program_here()):
            refused.append(f"node {facts.name} ({name}): has {', '.join(differs)}; {OTHER_PROGRAM}")
        elif facts.device != device:
            refused.append(f"node {facts.name} ({name}): torch finds no CUDA device there; use --device cpu")
        else:
            count = {key: count_of(node, key) for key in ("CPU", "GPU")}
            found.append(Node(ray_id=node["NodeID"], cpus=count["CPU"], gpus=count["GPU"], facts=facts))
    if refused:
        more = [f"and {len(refused) - SHOWN} more"] if len(refused) > SHOWN else []
        raise ConfigError(*(f"--cluster: {line}" for line in refused[:SHOWN]), *more)
    if not found:
        raise ConfigError("--cluster: all nodes are busy; try again, or wait for what runs there")
    return found


def ask(node: Mapping[str, Any], device: str, *, timed: bool) -> Any:
    """Have a process of a node say what the node is; what Ray calls the answer."""
    import ray

    asked: Any = ray.remote(cast(Any, examine))
    options = {"num_cpus": 1} | ({"num_gpus": 1} if device == "cuda" else {})
    where = pinned_to(node["NodeID"])
    return asked.options(**options, max_retries=0, scheduling_strategy=where).remote(
        program_here(), device, timed=timed
    )


def resources_of(device: str) -> tuple[str, ...]:
    """What of Ray's resources a stack needs one of."""
    return ("CPU",) if device == "cpu" else ("CPU", "GPU")


def count_of(node: Mapping[str, Any], resource: str) -> int:
    """How many of a resource a node has."""
    return int(node["Resources"].get(resource, 0))


def name_of(node: Mapping[str, Any]) -> str:
    """The address of a node, with what sets it apart from others there."""
    return f"{node['NodeManagerAddress']}, {node['NodeID'][:8]}"


def first_line(error: BaseException) -> str:
    """What an error of Ray says, short."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if "Error" in (lines or [""])[-1] else (lines or [type(error).__name__])[0])[:300]


def warn_of_engines(nodes: Sequence[Node], here: str) -> None:
    """Say which nodes compute by other instructions than this machine, whose last digits may differ."""
    for engine in sorted({node.facts.engine for node in nodes} - {here}):
        names = sorted({node.facts.name for node in nodes if node.facts.engine == engine})
        warnings.warn(
            f"node {', '.join(names[:SHOWN])}: computes by {engine}, and this machine by {here}; the last digits of "
            "numbers may depend on that, and the column engine says it of each run",
            UserWarning,
            stacklevel=2,
        )
