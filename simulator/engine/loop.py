"""Train, measure, save, and go on from what was saved: one loop for policies on pairs, for RL and for proxies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from simulator.engine.checkpoints import Track
from simulator.engine.problem import TrainState
from simulator.engine.recorder import Recorder
from simulator.engine.snapshots import stretches


class Learner(Protocol):
    """A stack in training; a saved state is all that it needs to go on."""

    @property
    def step(self) -> int:
        """How many steps it has taken."""
        ...

    @property
    def measured(self) -> int:
        """At how many checkpoints it was measured."""
        ...

    def advance(self, steps: int) -> None:
        """Take steps."""
        ...

    def next_stop(self, checkpoint: int) -> int:
        """The step, at most that of the checkpoint, up to which steps can be taken at once."""
        ...

    def measure(self) -> None:
        """Measure the stack as it stands."""
        ...

    def tensors(self) -> Mapping[str, Tensor]:
        """Its state, to be saved."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Stand where `tensors` were saved."""
        ...


class PolicyLearner(Learner, Protocol):
    """A stack of policies in training, with what was measured of them along it."""

    @property
    def state(self) -> TrainState:
        """Where the policies stand."""
        ...

    @property
    def track(self) -> Track:
        """What was measured at the checkpoints so far."""
        ...


def train_and_measure(learner: Learner, checkpoints: Sequence[int], recorder: Recorder) -> None:
    """Train to every checkpoint and measure there, from the saved state on, if there is one."""
    for _ in measured_checkpoints(learner, checkpoints, recorder):
        pass


def measured_checkpoints(learner: Learner, checkpoints: Sequence[int], recorder: Recorder) -> Iterator[int]:
    """Train to every checkpoint and measure there; each step at which the stack was measured, as soon as it was."""
    if saved := recorder.saver.load():
        learner.restore(saved)
        recorder.resumed(learner.step)
    for checkpoint in checkpoints[learner.measured :]:
        while learner.step < checkpoint:
            for steps in stretches(learner.next_stop(checkpoint) - learner.step, recorder.saver):
                learner.advance(steps)
                recorder.progress(steps)
                recorder.saver.save_if_due(learner.tensors)
        learner.measure()
        recorder.measured(checkpoint, learner)
        recorder.saver.save_if_due(learner.tensors)
        yield checkpoint
