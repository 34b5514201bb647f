"""The share of the machine's matrix-product peak that a training step reaches, at three sizes.

The peak is the fastest of a few square products in float32, measured in turns with the steps, on the same thread. What
a step multiplies is counted in contenders/arithmetic.py, twice: what each contender computes itself, and the least that
is needed, with a prompt computed once for both responses and nothing that is not read. Where the compiled engine has
other instruction sets for the machine, they are measured too.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from benchmarks.contenders.arithmetic import Layout, apart, packed, step_operations
from benchmarks.contenders.by_hand import ATTENTIONS
from benchmarks.contenders.cases import CASES, Case
from benchmarks.contenders.planned import stack_of
from benchmarks.step import BY_TORCH, TORCH, of_hand, of_ours
from benchmarks.timing.machine import is_native, machine
from benchmarks.timing.options import timed_here
from benchmarks.timing.results import Section, Table, counted, number, on_device, percent
from benchmarks.timing.rounds import Contender, clock, for_seconds, interleaved, spread
from simulator.native.library import instructions, using

SIZES = {"cpu": (256, 512, 1024, 2048), "cuda": (2048, 4096, 8192)}  # of square matrices

WIDEST = instructions()

Array = np.ndarray


def of_product(size: int, device: torch.device, seconds: float) -> Contender:
    """Seconds for one operation of a product of two square matrices."""
    left, right = torch.randn(2, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    out = torch.empty_like(left)

    def work(times: int) -> None:
        for _ in range(times):
            torch.mm(left, right, out=out)

    return for_seconds(seconds, work, clock(device), of_each=2 * size**3)


def narrower() -> list[str]:
    """The other instruction sets that the compiled engine has for this machine, wide ones first."""
    found = []
    for name in ("avx512", "avx2", "neon", "sse2"):
        with using(name) as there:
            if there and name != WIDEST:
                found.append(name)
    return found


def contenders(case: Case, device: torch.device, seconds: float) -> dict[str, tuple[Contender, Layout]]:
    """Who trains at one size, and what of it is computed."""
    runs = stack_of(case, device)
    found = {f"ours, {runs} in a stack": (of_ours(case, runs, device, seconds), packed(case))}
    if is_native(device):
        found[BY_TORCH] = of_ours(case, runs, device, seconds, TORCH), packed(case)
        for name in narrower():
            found[f"ours with {name}"] = of_ours(case, runs, device, seconds, instructions=name), packed(case)
    for name, attention in ATTENTIONS.items():
        found[f"by hand, {name}"] = of_hand(case, attention, device, seconds), apart(case)
    return found


def row(case: Case, name: str, layout: Layout, seconds: Array, peak: Array) -> Sequence[str]:
    """What one contender reaches, from seconds a step and operations a second at the peak, [rounds] each."""
    own, least = (step_operations(case.architecture, each) for each in (layout, packed(case)))
    return (
        name,
        number(spread(seconds).median * 1e3),
        number(own / 1e6),
        number(spread(own / seconds).median / 1e9),
        percent(spread(own / seconds / peak)),
        percent(spread(least / seconds / peak)),
    )


def table(case: Case, times: Mapping[str, Array], layouts: Mapping[str, Layout], products: Sequence[str]) -> Table:
    """One size; `products` are those of the names in `times` that are of the peak."""
    peak = 1 / np.min([times[name] for name in products], axis=0)
    reached = number(spread(peak).median / 1e9)
    least = number(step_operations(case.architecture, packed(case)) / 1e6)
    return Table(
        caption=f"{case.told}; the peak is {reached} Gop/s, and a step needs {least} Mop",
        columns=("", "ms per run and step", "Mop", "Gop/s", "share of the peak", "counting what is needed"),
        rows=[row(case, name, layout, times[name], peak) for name, layout in layouts.items()],
    )


def measured(case: Case, device: torch.device, rounds: int, seconds: float) -> Table:
    """Measure one size."""
    products = {f"product {size}": of_product(size, device, seconds) for size in SIZES[device.type]}
    found = contenders(case, device, seconds)
    times = interleaved({name: one for name, (one, _) in found.items()} | products, rounds)
    return table(case, times, {name: layout for name, (_, layout) in found.items()}, [*products])


def section(device: torch.device, rounds: int, seconds: float, cases: Sequence[Case]) -> Section:
    """Measure everyone at these sizes."""
    return Section(
        title=on_device("The share of the peak", device),
        machine=machine(device, "one thread"),
        about=(
            f"The peak is the best of square products of {', '.join(map(str, SIZES[device.type]))} in float32. Medians "
            f"over {counted(rounds, 'round')} in which all take turns, shares with quartiles; a multiplication with "
            "its addition counts as two operations."
        ),
        tables=[measured(case, device, rounds, seconds) for case in cases],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    timed_here("benchmarks.peak", __doc__, section, rounds=9, cases=CASES, seconds=0.5, arguments=arguments)


if __name__ == "__main__":
    main()
