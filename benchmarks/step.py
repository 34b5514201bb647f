"""A training step of our stacked engine against TRL's DPOTrainer and against a loop written by hand for one run.

Milliseconds per run and step, one thread, at three sizes. All train the same network on the same kind of pairs by DPO
with Adam, clipped gradients and precomputed log-probabilities of the reference.

    ours           `advance` over a stack as large as the project chooses itself, and over a stack of one run; where
                   that is by the compiled engine, also by torch
    by hand        benchmarks/contenders/by_hand.py, with either way to write attention
    JAX            benchmarks/contenders/by_jax.py, a stack as large as ours, several steps in one compiled scan
    TRL, lean      benchmarks/contenders/by_trl.py, from step to step: its start-up, 5 s a run and more, is left out
"""

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.contenders import by_hand
from benchmarks.contenders.cases import CASES, Case, pairs_of, posed, reference_of
from benchmarks.contenders.planned import stack_of
from benchmarks.timing.machine import is_native, machine
from benchmarks.timing.options import timed_here
from benchmarks.timing.results import Section, Table, counted, jax_is_here, on_device, shown, trl_is_here
from benchmarks.timing.rounds import Contender, clock, for_seconds, interleaved, ratio, spread
from simulator.engine.batches import batches
from simulator.engine.gradient_steps import advance, start
from simulator.native.library import using
from simulator.networks.compute_mode import EAGER, Computing

SCANNED = 4  # steps in one call of JAX
WARM_UP = 3  # steps of a training of TRL's that are not counted
OURS, BY_TORCH, TRL = "ours", "ours by torch", "TRL, lean"
TORCH = Computing(engine="torch")

Array = np.ndarray


def of_ours(
    case: Case,
    runs: int,
    device: torch.device,
    seconds: float,
    computing: Computing = EAGER,
    instructions: str = "",
) -> Contender:
    """Ours with a stack of so many runs; instructions: another set for the compiled engine than the widest."""
    reference, problem = posed(case, runs, device)
    problem = replace(problem, computing=computing)
    state = start(reference, runs, problem)

    def work(steps: int) -> None:
        nonlocal state
        with using(instructions) if instructions else nullcontext():
            state = advance(state, problem, steps)

    return for_seconds(seconds, work, clock(device), of_each=runs)


def of_hand(case: Case, attention: by_hand.Attention, device: torch.device, seconds: float) -> Contender:
    """The loop written by hand."""
    reference, problem = posed(case, 1, device)
    network = by_hand.network_of(reference, case.architecture, attention)
    steps = by_hand.training(case, network, by_hand.data_of(problem), by_hand.epochs(case, device))
    return for_seconds(seconds, lambda count: [*itertools.islice(steps, count)], clock(device))


def of_jax(case: Case, runs: int, device: torch.device, seconds: float) -> Contender:
    """A stack of so many runs in JAX, compiled, a few steps at a time."""
    from benchmarks.contenders import by_jax

    reference, problem = posed(case, runs, device)
    advance, state = by_jax.trainer_of(case, problem), by_jax.state_of(reference.numpy(), runs)
    order = batches(problem, 0, SCANNED)
    assert order is not None
    taken = order.numpy()

    def work(times: int) -> None:
        nonlocal state
        with by_jax.one_core():
            for _ in range(times):
                state, _ = advance(state, taken)
            state[0].block_until_ready()

    return for_seconds(seconds, work, clock(device), of_each=runs * SCANNED)


def of_trl(case: Case, device: torch.device, seconds: float, folder: Path) -> Contender:
    """TRL's trainer: the median over the steps of one training."""
    from benchmarks.contenders import by_trl

    ticking = by_trl.Clock(clock(device))
    reference, pairs = reference_of(case).to(device), pairs_of(case, 0)

    def measured(steps: int) -> float:
        trainer.args.max_steps = WARM_UP + 1 + steps
        trainer.train()
        return float(np.median(np.diff(ticking.ends[WARM_UP:])))

    trainer = by_trl.trainer_of(case, pairs, reference, 1, folder, callbacks=[ticking])
    steps = max(5, round(seconds / measured(5)))
    return lambda: measured(steps)


def contenders(case: Case, device: torch.device, seconds: float, folder: Path) -> dict[str, Contender]:
    """Everyone at one size; without TRL where that is missing."""
    stack = stack_of(case, device)
    found = {f"{OURS}, {runs} in a stack": of_ours(case, runs, device, seconds) for runs in dict.fromkeys((stack, 1))}
    if is_native(device):
        found[BY_TORCH] = of_ours(case, stack, device, seconds, TORCH)
    for name, attention in by_hand.ATTENTIONS.items():
        found[f"by hand, {name}"] = of_hand(case, attention, device, seconds)
    if device.type == "cpu" and jax_is_here():
        found[f"JAX, {stack} in a stack"] = of_jax(case, stack, device, seconds)
    if trl_is_here():
        found[TRL] = of_trl(case, device, seconds, folder)
    return found


def table(case: Case, times: Mapping[str, Array]) -> Table:
    """One size, from seconds per run and step [rounds] of each contender, ours first."""
    first = next(iter(times))
    rows = [
        (name, shown(spread(seconds), 1e3), "1" if name == first else shown(ratio(times, name, first)))
        for name, seconds in times.items()
    ]
    return Table(caption=case.told, columns=("", "ms per run and step", "times ours"), rows=rows)


def section(device: torch.device, rounds: int, seconds: float, cases: Sequence[Case]) -> Section:
    """Measure everyone at these sizes."""
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            tables.append(table(case, interleaved(contenders(case, device, seconds, Path(folder)), rounds)))
    return Section(
        title=on_device("A training step", device),
        machine=machine(device, "one thread"),
        about=(
            f"Medians over {counted(rounds, 'round')} in which the contenders take turns, with quartiles; ratios are "
            "taken within rounds. By hand and for TRL, chosen and rejected each have a copy of the prompt, which ours "
            "computes once. TRL's start-up is left out, and its figure is a median over steps, where the others' are "
            "means."
        ),
        tables=tables,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    timed_here("benchmarks.step", __doc__, section, rounds=9, cases=CASES, seconds=1.0, arguments=arguments)


if __name__ == "__main__":
    main()
