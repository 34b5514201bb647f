"""How far stacks on other nodes are: an actor beside the sweep, which nodes send their steps to."""

import time
from dataclasses import dataclass, field
from typing import Any

Ticks = list[tuple[int, int, bool]]  # the number of a job, steps, and whether by work or found in a saved state


class TickBox:
    """Steps that were sent and not yet taken."""

    def __init__(self) -> None:
        self.steps: dict[tuple[int, bool], int] = {}

    def add(self, job: int, steps: int, worked: bool) -> None:
        """A job has taken steps, or found them taken."""
        self.steps[job, worked] = self.steps.get((job, worked), 0) + steps

    def take(self) -> Ticks:
        """What was sent since the last time."""
        taken = [(job, steps, worked) for (job, worked), steps in self.steps.items()]
        self.steps.clear()
        return taken


@dataclass(kw_only=True)
class Sender:
    """Sends the steps of a job now and then."""

    box: Any  # the actor
    job: int
    every: float  # seconds
    waiting: dict[bool, int] = field(default_factory=dict)
    sent: float = field(default_factory=time.monotonic)

    def worked(self, steps: int) -> None:
        """Steps were taken."""
        self.add(steps, worked=True)

    def found(self, steps: int) -> None:
        """Steps were found in a saved state."""
        self.add(steps, worked=False)

    def add(self, steps: int, *, worked: bool) -> None:
        """Steps to send."""
        self.waiting[worked] = self.waiting.get(worked, 0) + steps
        if time.monotonic() - self.sent >= self.every:
            self.send()

    def send(self) -> None:
        """Send what waits."""
        for worked, steps in self.waiting.items():
            self.box.add.remote(self.job, steps, worked)
        self.waiting.clear()
        self.sent = time.monotonic()
