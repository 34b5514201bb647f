"""A budget is kept, seen from outside of the process, and what cannot fit is refused with the number."""

import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from simulator import ConfigError, Sweep
from simulator.sweeps.grid import expand
from simulator.sweeps.memory_budget import (
    DRAWING_BYTES,
    PROCESS_BYTES,
    Machine,
    StackFootprint,
    arrange,
    parse_bytes,
    run_bytes,
    stack_footprints,
)
from simulator.sweeps.stacking import stack_size, stacks
from simulator.worlds.footprint import making_bytes, measuring_bytes, world_bytes
from tests.conftest import small_sweep

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024", 1024), ("500MB", 5 * 10**8), ("2GiB", 2**31), ("1.5g", 3 * 2**29), ("64 kib", 2**16), ("1TB", 10**12)],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "lots", "-1GB", "1.2.3G", "5 bananas", "inf", "nan"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--memory .*must be a size such as"):
        parse_bytes(text)


def large(**more: dict[str, object]) -> Sweep:
    return small_sweep(
        **{"policy": {"width": 64, "layers": 2}, "sweep": {"loss": ["hinge"], "beta": [0.1], "seeds": 40}, **more}
    )


def test_stacks_are_sized_to_the_budget() -> None:
    runs = expand(large())
    spec, one = runs[0].settings.spec, run_bytes(runs[0])
    fixed = PROCESS_BYTES + DRAWING_BYTES + world_bytes(spec) + measuring_bytes(spec)
    assert making_bytes(spec) < measuring_bytes(spec) + one
    best = stack_size(runs[0])
    assert 1 < best < len(runs)
    for count in (1, best - 1, best, 10 * best):
        found = arrange(runs, [Machine(budget=fixed + count * one, processes=1, asked="a test")])
        (size,) = found.sizes.values()
        stacks_needed = -(-len(runs) // min(count, best))
        assert size == -(-len(runs) // stacks_needed)
        assert found.bytes <= fixed + count * one
        assert max(map(len, stacks(runs, found.sizes))) == size


def test_where_not_all_processes_fit_there_are_fewer() -> None:
    runs = expand(large())
    assert arrange(runs, [Machine(budget=2**33, processes=4, asked="a test")]).processes == 4
    assert arrange(runs, [Machine(budget=4 * PROCESS_BYTES, processes=4, asked="a test")]).processes == 2
    assert arrange(runs, [Machine(budget=2 * PROCESS_BYTES, processes=4, asked="a test")]).processes == 1


def test_what_cannot_fit_is_refused_with_the_number() -> None:
    runs = expand(large(policy={"width": 4096, "layers": 40, "heads": 32}))
    with pytest.raises(ConfigError, match=r"--memory 2GB: one run of this sweep needs about \d+\.\d GiB; allow more"):
        arrange(runs, [Machine(budget=2 * 10**9, processes=2, asked="--memory 2GB")])


@pytest.mark.parametrize(
    "more",
    [
        {"policy": {"width": 128}},
        {"train": {"batch": 48}},
        {"data": {"pairs": 4800}},
        {"world": {"response_length": 5}},
    ],
)
def test_larger_runs_need_more(more: dict[str, dict[str, object]]) -> None:
    assert run_bytes(expand(large(**more))[0]) > run_bytes(expand(large())[0])
    if "world" in more:
        assert world_bytes(large(**more).spec) > world_bytes(large().spec)
        assert measuring_bytes(large(**more).spec) > measuring_bytes(large().spec)


AGAINST = ['sweep.method=["best_of_n","rl"]', "proxy.width=64", "proxy.steps=3", "proxy.members=2", "data.pairs=2000"]


def against(**more: dict[str, object]) -> Sweep:
    grid = {"method": ["rl"], "seeds": 2}
    return small_sweep(**{"sweep": grid, "rl": {"algorithm": "ppo"}, **more})


def test_what_methods_and_proxies_add() -> None:
    def bytes_of(sweep: Sweep) -> int:
        return run_bytes(expand(sweep)[0])

    one = bytes_of(against())
    assert bytes_of(against(rl={"algorithm": "ppo", "reuse": 1000})) == one  # the same responses again and again
    assert bytes_of(against(rl={"algorithm": "ppo", "responses": 64})) > 1.5 * one
    many = bytes_of(against(proxy={"members": 9}))
    scores = 8 * 3 * 4**3
    assert many - one > 8 * scores


def test_what_held_out_pairs_and_later_proxies_add() -> None:
    """Rows of pairs, scores of the listing and networks, each counted by hand from their sizes."""

    def rounds(count: int, **proxy: object) -> int:
        grid = {"method": ["iterated"], "seeds": 1}
        return run_bytes(expand(against(sweep=grid, iterated={"rounds": count}, proxy=proxy))[0])

    tokens = 8 * (2 * 3 + 2 + 2)  # of two responses, log pi_ref of each, the prompt's row and the token asked
    assert run_bytes(expand(large(measure={"held_out": 10**5}))[0]) - run_bytes(expand(large())[0]) > 10**5 * tokens
    listing = 8 * 3 * 4**3
    assert rounds(40) - rounds(20) > 20 * listing
    assert rounds(40, members=5) - rounds(20, members=5) > 5 * 20 * listing
    activations = 4 * 16 * 32 * 512  # of each layer at the least, in a batch of 32 pairs
    assert rounds(2, members=8, width=512, heads=2, batch=32) > 8 * activations


SWEEPS = {
    "enumerable, proxies": ["world.response_length=5", "world.prompts=4", *AGAINST],
    "sampled, proxies": [
        'world.kind="sampled"',
        "world.vocabulary=64",
        "world.response_length=16",
        "best_of_n.largest=64",
        "best_of_n.pool=512",
        *AGAINST,
    ],
    "enumerable": ["world.response_length=5", "policy.width=64", "train.batch=256", "data.pairs=256"],
    "sampled": ['world.kind="sampled"', "world.vocabulary=64", "world.response_length=24", "policy.width=64"],
}


@pytest.mark.long_only(but="sampled, proxies")
@pytest.mark.slow
@pytest.mark.parametrize("kind", SWEEPS)
def test_peak_memory_stays_under_the_budget(tmp_path: Path, kind: str) -> None:
    """The sum over all processes of what is resident, looked at every few milliseconds."""
    budget = 1500
    command = [
        sys.executable,
        str(ROOT / "run.py"),
        "sweep",
        "--out",
        str(tmp_path / "out"),
        "--memory",
        f"{budget}MiB",
        "--set",
    ]
    command += ["train.steps=3", "train.checkpoints=2", "sweep.seeds=4", "sweep.beta=[0.1,1.0]", "reference.steps=20"]
    command += ['sweep.loss="hinge"', *SWEEPS[kind]]
    peaks = [0]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        watcher = threading.Thread(target=watch, args=(process, peaks))
        watcher.start()
        errors = process.communicate()[1]
        watcher.join()
    assert process.returncode == 0, errors
    assert 300 < peaks[0] / 2**20 < budget


def watch(process: "subprocess.Popen[str]", peaks: list[int]) -> None:
    """The largest sum of resident memory over a process and its children."""
    root = psutil.Process(process.pid)
    while process.poll() is None:
        total = 0
        try:
            for one in (root, *root.children(recursive=True)):
                total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        peaks[0] = max(peaks[0], total)
        threading.Event().wait(0.005)


def test_what_a_stack_needs_does_not_depend_on_the_order_of_its_losses() -> None:
    def bytes_of(*losses: str) -> list[int]:
        needs = stack_footprints(expand(small_sweep(sweep={"loss": losses}, policy={"width": 64}, train={"batch": 48})))
        return [need.per_run for need in needs.values()]

    assert bytes_of("ganpo", "logistic") == bytes_of("logistic", "ganpo")
    assert bytes_of("ganpo", "logistic")[0] > bytes_of("logistic")[0]


def test_fresh_pairs_count_as_long_as_they_are_kept() -> None:
    def each(**online: object) -> int:
        (need,) = stack_footprints(expand(small_sweep(sweep={"loss": "logistic"}, online=online))).values()
        return need.per_run

    assert each(refresh=1, pairs=500) > each(refresh=1, pairs=500, keep="newest") > each()


def test_an_expectation_over_a_tree_counts_once() -> None:
    def need(loss: str, **vpo: object) -> StackFootprint:
        (found,) = stack_footprints(expand(small_sweep(sweep={"loss": loss}, objective={"vpo": vpo}))).values()
        return found

    assert need("vpo", prompts=3).fixed > need("vpo", prompts=1).fixed > need("vpo", calibration="chosen").fixed
    assert need("vpo", calibration="chosen").fixed == need("logistic").fixed
    tree, batch = 3 * (2 + 4 + 16), 16 * (2 + 2 * 2)
    assert need("vpo", prompts=3).work == pytest.approx(need("logistic").work * (1 + tree / batch))
