"""What a sweep would take, into a folder that is not there."""

from pathlib import Path

from simulator import Sweep
from simulator.execution.planning.estimate import Plan, make_plan
from simulator.execution.request import Request, make_request
from simulator.execution.workers import Where


def request_for(sweep: Sweep) -> Request:
    """A sweep as it is asked for."""
    return make_request(sweep, Path("there/is/no/such/folder"), fresh=False)


def plan_of(sweep: Sweep, workers: int, memory: str | None = None) -> Plan:
    """The plan of a sweep on the CPU."""
    return make_plan(request_for(sweep), Where(device="cpu", workers=workers, memory=memory))
