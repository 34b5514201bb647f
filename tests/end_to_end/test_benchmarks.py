"""The benchmarks compare what is the same, count right, and write what they found; nothing here looks at a clock."""

import importlib
import math
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from analysis import load
from analysis.records.checksums import find_damage
from benchmarks import computing, evaluation, growth, peak, reading, startup, step, sweep
from benchmarks.contenders import arithmetic, by_hand, cases, naive, ways, worker
from benchmarks.contenders.cases import V16, V32, V64, Case, Pairs
from benchmarks.timing import machine, options, processes, results, rounds
from simulator.engine.batches import batch_order, batches
from simulator.engine.gradient_steps import advance, start
from simulator.sweeps.grid import expand, read_sweep
from simulator.worlds.enumerable import EnumerableWorld
from simulator.worlds.sampled import SampledWorld
from tests.end_to_end.test_user_input_safety import faults

CPU = torch.device("cpu")
SMALL = Case(name="small", vocabulary=7, layers=2, width=32, prompt_length=3, response_length=4, batch=8, pairs=48)
STEPS = 9
NATIVE = int(machine.is_native(CPU))  # rows by torch, beside those by the compiled engine
SOURCES = sorted(Path(step.__file__).parent.rglob("*.py"))
COMMANDS = ("step", "computing", "sweep", "evaluation", "growth", "reading", "peak", "startup")


@pytest.fixture
def results_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "RESULTS.md"
    monkeypatch.setattr(results, "RESULTS", path)
    return path


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the commands set in the environment is taken back."""
    for name in processes.ONE_THREAD:
        monkeypatch.setenv(name, os.environ.get(name, "1"))


def by_our_engine(case: Case) -> tuple[Tensor, Tensor]:
    """The parameters that a run begins and ends with, in a stack of three."""
    reference, problem = cases.posed(case, 3)
    return reference, advance(start(reference, 3, problem), problem, STEPS).parameters[0]


def assert_same_end(begin: Tensor, ours: Tensor, theirs: Tensor) -> None:
    """Both went far, and the same way; Adam makes much of the rounding of a gradient that is next to nothing."""
    assert (ours - begin).abs().max() > 5 * cases.LEARNING_RATE
    assert (ours - theirs).norm() < 0.01 * (ours - begin).norm()
    assert ((ours - theirs).abs() < 2e-6).double().mean() > 0.95


def order_of(case: Case) -> np.ndarray:
    return batch_order(0, case.pairs, case.batch, 0, STEPS)


def test_the_stack_in_jax_ends_where_our_engine_does() -> None:
    pytest.importorskip("jax")
    by_jax = importlib.import_module("benchmarks.contenders.by_jax")
    reference, ours = by_our_engine(SMALL)
    _, problem = cases.posed(SMALL, 3)
    order = batches(problem, 0, STEPS)
    assert order is not None
    (rows, *_), _ = by_jax.trainer_of(SMALL, problem)(by_jax.state_of(reference.numpy(), 3), order.numpy())
    assert_same_end(reference, ours, torch.from_numpy(np.array(rows[0])))


@pytest.mark.parametrize("name", by_hand.ATTENTIONS)
def test_the_loop_by_hand_ends_where_our_engine_does(name: str) -> None:
    reference, ours = by_our_engine(SMALL)
    network = by_hand.network_of(reference, SMALL.architecture, by_hand.ATTENTIONS[name])
    _, problem = cases.posed(SMALL, 1)
    data = by_hand.data_of(problem)
    assert len([*by_hand.training(SMALL, network, data, torch.from_numpy(order_of(SMALL)))]) == STEPS
    assert_same_end(reference, ours, by_hand.row_of(network, SMALL.architecture))


def trl() -> object:
    pytest.importorskip("trl", reason="the extras `test` and `bench` install TRL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("benchmarks.contenders.by_trl")


@pytest.mark.filterwarnings("ignore")
def test_the_trainer_of_trl_ends_where_our_engine_does(tmp_path: Path) -> None:
    by_trl = trl()
    reference, ours = by_our_engine(SMALL)
    pairs, order = cases.pairs_of(SMALL, 0), order_of(SMALL).flatten()
    given = Pairs(prompts=pairs.prompts[order], responses=pairs.responses[order])
    ticking = by_trl.Clock(lambda: 0.0)
    trainer = by_trl.trainer_of(SMALL, given, reference, STEPS, tmp_path, order="sequential", callbacks=[ticking])
    theirs = by_trl.trained(trainer, SMALL)
    assert len(ticking.ends) == STEPS
    assert_same_end(reference, ours, theirs)


@pytest.mark.filterwarnings("ignore")
def test_one_run_of_trl_is_one_of_those_that_were_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_trl = trl()
    monkeypatch.setitem(cases.CASES, SMALL.name, SMALL)
    save_file(cases.kept(SMALL, 2), tmp_path / "data")
    by_trl.main("small", "2", "1", str(tmp_path / "data"), str(tmp_path / "out"))
    found = load_file(tmp_path / "out")["parameters"]
    moved = (found - cases.reference_of(SMALL)).abs()
    assert found.shape == (1, SMALL.architecture.row)
    assert cases.LEARNING_RATE < moved.max() < 2.5 * cases.LEARNING_RATE  # Adam moves by its rate at first


def test_a_worker_trains_its_share_of_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cases.CASES, SMALL.name, SMALL)
    save_file(cases.kept(SMALL, 5), tmp_path / "data")
    worker.main("small", str(STEPS), "1", "4", "3", str(tmp_path / "data"), str(tmp_path / "out"))
    reference, problem = cases.posed(SMALL, 5)
    expected = advance(start(reference, 5, problem), problem, STEPS).parameters[1:]
    assert load_file(tmp_path / "out")["parameters"].numpy() == pytest.approx(expected.numpy(), abs=2e-6)


def test_epochs_are_permutations() -> None:
    stream = by_hand.epochs(SMALL, CPU)
    for _ in range(2):
        epoch = torch.cat([next(stream) for _ in range(SMALL.pairs // SMALL.batch)])
        assert epoch.sort().values.tolist() == [*range(SMALL.pairs)]


@pytest.mark.parametrize("case", [SMALL, V64, V32, V16], ids=lambda case: case.name)
def test_the_arithmetic_of_a_loop_by_hand_is_what_torch_counts(case: Case) -> None:
    case = replace(case, pairs=case.batch)
    _, problem = cases.posed(case, 1)
    network = by_hand.network_of(cases.reference_of(case), case.architecture, by_hand.written_out)
    with FlopCounterMode(display=False) as counter:
        [*by_hand.training(case, network, by_hand.data_of(problem), [torch.arange(case.batch)])]
    assert counter.get_total_flops() == arithmetic.step_operations(case.architecture, arithmetic.apart(case))


def test_packing_saves_what_is_said_to_be_needless() -> None:
    """Counted place by place: every place of a packed sequence, and what each has in the last block."""
    case = replace(SMALL, layers=1)
    prompt, inner, width = case.prompt_length, 2 * (case.response_length - 1), case.width
    places, last = prompt + inner, 1 + inner
    products = [(places, width, 3 * width), (last, width, width), (last, width, 4 * width), (last, 4 * width, width)]
    products += [(last, width, places), (last, places, width), (last, width, case.vocabulary)]
    expected = case.batch * sum(3 * 2 * math.prod(sizes) for sizes in products)
    assert arithmetic.step_operations(case.architecture, arithmetic.packed(case)) == expected
    least, own = (arithmetic.step_operations(V64.architecture, layout(V64)) for layout in LAYOUTS)
    assert 1.2 < own / least < 2


LAYOUTS = (arithmetic.packed, arithmetic.apart)


def test_sampling_naively_says_and_measures_the_same() -> None:
    scene = ways.scene_of(SMALL, "sampled", 2, CPU)
    assert isinstance(scene.world, SampledWorld)
    networks = [by_hand.network_of(row, SMALL.architecture) for row in (scene.policies[0], scene.world.reference)]
    with torch.no_grad():
        ours = ways.followed(scene.world, scene.policies)
        theirs = ways.naively_followed(scene.world, *networks)
    alike = (ours["responses"][0] == theirs["responses"][0]).all(dim=-1)
    assert alike.double().mean() > 0.99  # a tie may be broken otherwise
    for name in ("kl", "entropy", "ratio"):
        assert theirs[name][0][alike].numpy() == pytest.approx(ours[name][0][alike].numpy(), abs=1e-4)
    assert ours["kl"].mean() > 0.01


def test_reading_all_responses_naively_measures_the_same() -> None:
    scene = ways.scene_of(replace(SMALL, vocabulary=5, response_length=3), "enumerable", 2, CPU)
    world = scene.world
    assert isinstance(world, EnumerableWorld)
    with torch.no_grad():
        network = by_hand.network_of(scene.policies[0], world.architecture)
        theirs = world.measure_distribution(naive.listed(network, world.prompts, world.responses), scene.settings.data)
        ours, _ = world.measure(scene.policies, None, scene.settings.data)
    for name, value in theirs.items():
        assert value[0].item() == pytest.approx(ours[name][0].item(), abs=1e-4, nan_ok=True), name


def test_medians_and_ratios_of_planted_times() -> None:
    times = {"slow": np.array([2.0, 40.0, 8.0, 10.0, 12.0]), "fast": np.array([1.0, 10.0, 4.0, 2.0, 3.0])}
    assert rounds.spread(times["fast"]) == rounds.Spread(low=2.0, median=3.0, high=4.0)
    assert rounds.ratio(times, "slow", "fast") == rounds.Spread(low=2.0, median=4.0, high=4.0)


def test_contenders_take_turns_forth_and_back() -> None:
    called: list[str] = []

    def contender(name: str) -> rounds.Contender:
        def measure() -> float:
            called.append(name)
            return float(len(called))

        return measure

    times = rounds.interleaved({name: contender(name) for name in "abc"}, 3)
    assert "".join(called) == "abccbaabc"
    assert {name: seconds.tolist() for name, seconds in times.items()} == {
        "a": [1, 6, 7],
        "b": [2, 5, 8],
        "c": [3, 4, 9],
    }


def test_a_contender_works_for_as_long_as_it_is_asked_to() -> None:
    """On a clock that only work moves, by a second a unit."""
    time = SimpleNamespace(now=0.0)

    def work(units: int) -> None:
        time.now += units

    assert rounds.units_for(40.0, work, lambda: time.now) == 40
    assert rounds.for_seconds(40.0, work, lambda: time.now, of_each=4)() == 0.25


def section_of(title: str, value: str) -> results.Section:
    table = results.Table(caption="what it is", columns=("", "ms"), rows=[("ours", value), ("theirs, longer", "20")])
    return results.Section(title=title, machine="a machine", about="How.", tables=[table])


def test_a_section_leaves_the_others_alone(results_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = results_file
    for title, value in (("One", "1.5"), ("Two", "2.5"), ("One", "7.5")):
        results.tell(section_of(title, value), "python -m x", record=True)
    first, one, two = path.read_text().split("\n## ")
    assert first == results.TITLE
    assert "7.5" in one
    assert "1.5" not in one
    text = section_of("Two", "2.5").text("python -m x")
    assert two.strip() == f"Two\n\n{text}"
    assert text in capsys.readouterr().out
    results.tell(section_of("Two", "9"), "python -m x", record=False)
    assert "2.5" in path.read_text()
    before = path.read_text()
    results.tell(section_of("One", "7.5"), "python -m x", record=True)
    assert path.read_text() == before


def test_a_section_tells_how_it_came_about() -> None:
    found = options.parser("benchmarks.step", "", rounds=1, cases=cases.CASES, seconds=1.0)
    told = options.command_of(found, ["--rounds", "3", "--record", "--case", "V16"])
    assert told == "python -m benchmarks.step --rounds 3 --case V16"
    assert found.parse_args(told.split()[3:]).case == ["V16"]


def test_a_gpu_has_a_section_of_its_own() -> None:
    assert len({results.on_device("A step", torch.device(name)) for name in ("cpu", "cuda")}) == 2


def test_a_table_is_markdown_in_columns() -> None:
    assert section_of("One", "1.5").tables[0].text.splitlines() == [
        "what it is",
        "",
        "|                |  ms |",
        "|:---------------|----:|",
        "| ours           | 1.5 |",
        "| theirs, longer |  20 |",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0412, "0.0412"),
        (1.0, "1.00"),
        (73.66, "73.7"),
        (1999.6, "2,000"),
        (0.0, "0"),
        (500.0, "500"),
        (2e-5, "2.00e-05"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert results.number(value) == text


def test_exponents_of_planted_powers() -> None:
    sizes = [4, 8, 16]
    assert growth.exponents(sizes, [size**1.5 for size in sizes]) == pytest.approx([1.5, 1.5])
    assert math.isnan(growth.exponents([1, 2], [-1.0, 3.0])[0])


def test_points_of_growth_differ_in_what_their_axis_says() -> None:
    assert growth.read("{}") is None
    for what, axes in growth.GROWN.items():
        begin = growth.middle(what)
        for name in axes:
            same, point = growth.points_along(what, name, (1.0, 2.0))
            assert same == begin
            assert growth.read(growth.written(point)) == point
            assert {other for other, size in growth.SIZE.items() if size(point) == 2 * size(begin)} == {name}
            assert growth.work(point) > growth.work(begin)


def test_runs_grow_from_ten_to_ten_thousand() -> None:
    for what in growth.WAYS:
        assert [point.runs for point in growth.points_along(what, "runs", growth.FACTORS)] == [10, 100, 1000, 10_000]


def test_memory_at_its_peak_is_that_of_the_program() -> None:
    ballast = (
        "import benchmarks.timing.processes as p; a = p.peak_bytes(); b = bytearray({}); print(p.peak_bytes() - a)"
    )
    none, some = (int(processes.run_python(["-c", ballast.format(size)])) for size in (1, 2**26))
    assert none < 2**22
    assert abs(some - 2**26) < 2**22


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        processes.seconds_of([["-c", "raise SystemExit('no such thing')"]], 1)


def test_shares_are_even() -> None:
    assert sweep.shares(7, 3) == [range(0, 2), range(2, 4), range(4, 7)]
    assert sweep.shares(2, 8) == [range(0, 1), range(1, 2)]
    assert sweep.even(32, 24) == 16
    assert sweep.even(5, 24) == 5


def test_the_machine_is_told_without_its_name() -> None:
    import platform

    told = machine.machine(CPU, "one thread")
    assert torch.__version__ in told
    assert "one thread" in told
    assert platform.node() not in told


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_benchmark_unpickles_evaluates_or_connects(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("command", "given", "told"),
    [
        (step, ["--rounds", "0"], "--rounds: must be a whole number from 1 to 1,000,000, not 0"),
        (step, ["--rounds", "9" * 5000], "--rounds: must be a whole number from 1 to 1,000,000, not 999"),
        (step, ["--seconds", "nan"], "--seconds: must be a number above 0 and at most 1,000,000, not nan"),
        (growth, ["--factors", "-1"], "--factors: must be a number above 0 and at most 1,000,000, not -1"),
        (growth, ["--axis", "width", "--factors", "0.001", "1"], "--factors: along width they give the sizes [0, "),
        (growth, ["--axis", "runs", "--factors", "1", "1.01"], "which must be different and at least 1"),
        (growth, ["--of", "a sweep", "--axis", "width"], "--axis width: a sweep is not measured along it"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    command: ModuleType, given: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(given)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = importlib.import_module(f"benchmarks.{name}")
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    assert f"python -m benchmarks.{name}" in capsys.readouterr().out


def recorded(path: Path, printed: str) -> list[str]:
    """The rows of tables in a results file, which were printed, too."""
    rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert rows
    assert all(row in printed for row in rows)
    return rows


@pytest.mark.filterwarnings("ignore")
def test_a_step_is_measured(results_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step.main(["--case", "V16", "--rounds", "1", "--seconds", "0.001", "--record"])
    assert len(recorded(results_file, capsys.readouterr().out)) == 1 + 5 + NATIVE + results.jax_is_here()


def test_without_trl_the_rest_is_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    results.trl_is_here.cache_clear()
    monkeypatch.setattr(results, "find_spec", lambda name: None)
    step.main(["--case", "V16", "--rounds", "1", "--seconds", "0.001"])
    results.trl_is_here.cache_clear()
    told = capsys.readouterr()
    assert told.err.splitlines() == [results.NEEDS_EXTRA]
    assert "pip install -e '.[bench]'" in told.err
    assert "ours" in told.out
    assert step.TRL not in told.out


@pytest.mark.slow
def test_ways_to_compute_a_step_are_measured(
    results_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "can_compile", lambda device: False)
    computing.main(["--case", "V16", "--rounds", "1", "--seconds", "0.001", "--record"])
    told = " ".join(recorded(results_file, capsys.readouterr().out))
    assert "bfloat16" in told
    assert "half as many" in told
    assert "compiled" not in told


def test_the_share_of_the_peak_is_measured(
    results_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(peak.SIZES, "cpu", (16, 32))
    peak.main(["--case", "V16", "--rounds", "1", "--seconds", "0.001", "--record"])
    assert len(recorded(results_file, capsys.readouterr().out)) == 1 + 3 + (1 + len(peak.narrower()) if NATIVE else 0)


def test_shares_of_a_planted_peak() -> None:
    layout, operations = arithmetic.packed(V16), arithmetic.step_operations(V16.architecture, arithmetic.packed(V16))
    times = {"ours": np.full(3, 4e-3), "small": np.full(3, 5e-9), "large": np.full(3, 1 / operations * 1e-3)}
    (cells,) = peak.table(V16, times, {"ours": layout}, ["small", "large"]).rows
    assert cells[-2:] == ("25.0 % [25.0, 25.0]", "25.0 % [25.0, 25.0]")


@pytest.mark.parametrize("world", ["V16", "8^4"])
def test_evaluation_is_measured(
    world: str, results_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "stack_of", lambda *_: 2)
    evaluation.main(["--case", world, "--rounds", "1", "--seconds", "0.001", "--record"])
    assert len(recorded(results_file, capsys.readouterr().out)) == 1 + 4 + NATIVE


@pytest.mark.slow
def test_growth_is_measured(
    results_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "SECONDS", 0.0)
    monkeypatch.setattr(growth, "cost", lambda text: growth.cost_here(growth.read(text)))
    growth.main(["--axis", "vocabulary", "--rounds", "1", "--factors", "0.5", "1", "--record"])
    assert len(recorded(results_file, capsys.readouterr().out)) == 2 * (1 + 2)
    growth.main(["--of", "a sweep", "--rounds", "1", "--factors", "0.1", "0.2", "--record"])
    assert len(recorded(results_file, capsys.readouterr().out)) == 1 + 2


@pytest.mark.slow
def test_a_point_of_growth_is_a_process_of_its_own() -> None:
    cost = growth.cost(growth.written(growth.AXES["runs"](growth.middle("training"), 0.1)))
    assert cost.seconds > 0
    assert cost.bytes > 2**26


@pytest.mark.long_only
def test_reading_is_measured_on_records_that_are_whole(
    tmp_path: Path, results_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ["sweep.loss=['logistic', 'hinge']", "train.steps=20", "world.vocabulary=4", "world.response_length=3"]
    source = reading.base(tmp_path / "base", small)
    runs = reading.plant(source, tmp_path / "planted", 50)
    assert 50 <= runs < 50 + 2 * 4 * reading.SEEDS
    assert find_damage(tmp_path / "planted") == []
    curves, own = load(tmp_path / "planted"), load(source)
    assert curves.loc[curves["method"] != "oracle", "run_id"].nunique() == runs
    assert (curves.groupby(["loss", "beta"])["seed"].nunique() == runs / 8).all()
    assert (curves["method"] == "oracle").sum() == (own["method"] == "oracle").sum()
    monkeypatch.setattr(reading, "base", lambda folder, changed=(): source)
    monkeypatch.setattr(reading, "cost", reading.cost_here)
    reading.main(["--runs", "32", "64", "--rounds", "1", "--record"])
    assert len(recorded(results_file, capsys.readouterr().out)) == 1 + 2


def test_costs_of_growth_are_medians_without_what_importing_takes() -> None:
    costs = [growth.Cost(seconds=seconds, bytes=held) for seconds, held in ((1, 500), (2, 700), (4, 600))]
    nothing = [growth.Cost(seconds=0, bytes=held) for held in (100, 150, 90)]
    assert growth.median_cost(costs, nothing) == growth.Cost(seconds=2, bytes=500)


@pytest.mark.filterwarnings("ignore")
def test_a_sweep_is_measured(
    results_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the commands done in this process, or not at all."""
    asked: list[Sequence[str]] = []
    monkeypatch.setattr(processes, "run_python", lambda command, more=None: asked.append(command))
    monkeypatch.setattr(sweep, "run_python", processes.run_python)
    sweep.main(["--case", "V16", "--seeds", "1", "--steps", "3", "--trl-runs", "2", "--record"])
    assert len(recorded(results_file, capsys.readouterr().out)) == 1 + 3
    kinds = [command[1].removeprefix("benchmarks.contenders.") for command in asked]
    assert kinds == ["worker"] * min(4, machine.cores()) + ["sweep"] + ["by_trl"] * 2


def test_how_soon_the_command_line_answers_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(startup, "COMMANDS", {name: startup.COMMANDS[name] for name in ("nothing", startup.LEAST)})
    whole: dict[str, Callable[[], float]] = {startup.IMPORTING: lambda: 2.0, "the quickstart": lambda: 30.0}
    monkeypatch.setattr(startup, "whole_commands", lambda folder: whole)
    startup.main(["--rounds", "1"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    first = [row.split("|")[1].strip() for row in rows]
    assert first == ["", "nothing", startup.LEAST, "", startup.IMPORTING, "the quickstart"]
    assert rows[-1].split("|")[3].split() == ["15.0", "[15.0,", "15.0]"]
    with pytest.raises(RuntimeError, match="ended with 0, not 2"):
        startup.took(("-c", "pass"), 2)


def test_whole_commands_are_what_they_are_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Sequence[str], str]] = []
    monkeypatch.setattr(startup, "took", lambda command, code=0, cache="", place=None: asked.append((command, cache)))
    commands = startup.whole_commands(tmp_path)
    assert [command[3] for command, _ in asked] == [str(tmp_path / name) for name in ("few", "many", "0")]
    for name, runs in (("few", 27), ("many", 1008)):
        (made,) = [command for command, _ in asked if command[3].endswith(name)]
        sweep = read_sweep(Path("quickstart"), made[5:])
        assert len(expand(sweep)) == runs
    asked.clear()
    for measure in commands.values():
        measure()
    assert len({cache for _, cache in asked if cache}) == 2  # of references that are there, and none
    assert [command[1:3] for command, _ in asked[1:]] == [
        ("sweep", "--out"),
        ("sweep", "--out"),
        ("sweep", "--out"),
        ("report", str(tmp_path / "few")),
        ("sweep", "--out"),
    ]
    assert len({command[3] for command, _ in asked if command[1] == "sweep"}) == 4
    assert [command[4:] for command, _ in asked].count(startup.TRACKED) == 1
