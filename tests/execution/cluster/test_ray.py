"""A sweep on a Ray cluster: what travels, what is refused, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import run
from simulator import ConfigError, Sweep, SweepError, run_sweep
from simulator.execution.cluster import connect, handing, ray_workers
from simulator.execution.cluster.carried import user_files
from simulator.execution.cluster.node import NodeFacts
from simulator.execution.cluster.nodes import Node, choose_device_of, warn_of_engines
from simulator.execution.cluster.program import Program, differences, program_here
from simulator.execution.cluster.ray_workers import RayWorkers
from simulator.execution.planning.estimate import make_plan
from simulator.execution.workers import Where
from simulator.sweeps.grid import expand
from tests.conftest import ROOT, heard, small_sweep
from tests.helpers.plans import request_for

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
GIB = 2**30


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of one node on this machine, with two CPUs."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield made.address
    ray.shutdown()
    made.shutdown()


def facts(**more: Any) -> NodeFacts:
    given = {"name": "there", "free": 8 * GIB, "engine": "torch", "device": "cpu", "seconds": (1e-9, 1e-9)}
    return NodeFacts(program=program_here(), **given | more)


def workers(*nodes: tuple[int, int, float], device: str = "cpu", **where: Any) -> RayWorkers:
    """Workers on nodes with so many CPUs, GPUs, and GiB."""
    there = [
        Node(ray_id=str(i), cpus=cpus, gpus=gpus, facts=facts(free=int(gib * GIB), device=device))
        for i, (cpus, gpus, gib) in enumerate(nodes)
    ]
    return RayWorkers(ray=ray, where=Where(cluster="auto", **where), nodes=tuple(there), device_name=device)


TOO_FAR = "def f(z):\n    if z.abs().max() > 30:\n        raise ValueError('too far')\n    return (z - 1) ** 2\n"
OWN_LOSS = "import half\n\ndef mine(z):\n    return half.half(z - 1).square()\n"
HALF = "def half(z):\n    return z / 2\n"


@pytest.mark.slow
def test_files_of_the_users_own_travel_by_any_name(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss beside the sweep with what it imports, a text above it, and one by its whole path."""
    (sweeps := tmp_path / "work" / "sweeps").mkdir(parents=True)
    (sweeps / "loss.py").write_text(OWN_LOSS)
    (sweeps / "half.py").write_text(HALF)
    (sweeps / "gold.py").write_text("def reward(prompts, responses):\n    return (responses % 3).sum(axis=1)\n")
    (tmp_path / "text.txt").write_bytes((ROOT / "README.md").read_bytes())
    whole = str(tmp_path / "text.txt")
    text = small_sweep(
        world={"kind": "sampled", "language": {"text": whole}, "vocabulary": 256, "prompts": 4},
        measure={"samples": 8, "baseline": 16, "pairs": 32},
        gold={"reward": "gold.py:reward"},
        reference={"steps": 20},
        train={"steps": 6},
        sweep={"loss": ["loss.py:mine"], "beta": [0.1], "seeds": 2, "world.language.text": [whole, "../text.txt"]},
    ).to_toml()
    (sweeps / "mine.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "work")
    sweep = Sweep.from_toml("sweeps/mine.toml")
    here = run_sweep(sweep, tmp_path / "here", workers=1)
    for name in ("half.py", "loss.py", "gold.py"):  # what travels is what was there when the sweep began
        assert any(place.name == name for _, place in user_files(sweep))
    there = run_sweep(sweep, tmp_path / "there", cluster=address)
    assert (there / "curves.parquet").read_bytes() == (here / "curves.parquet").read_bytes()


@pytest.mark.long_only
@pytest.mark.slow
def test_a_failed_run_ends_as_on_one_machine(address: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(TOO_FAR)
    grid = {"loss": ["mine.py:f", "hinge"], "beta": [0.01, 1e4], "seeds": 2}
    (tmp_path / "mine.toml").write_text(small_sweep(train={"steps": 20}, sweep=grid).to_toml(), encoding="utf-8")
    sweep = Sweep.from_toml(tmp_path / "mine.toml")
    said = []
    for name, where in (("here", {"workers": 1}), ("there", {"cluster": address})):
        with heard(), pytest.raises(SweepError) as error:
            run_sweep(sweep, tmp_path / name, **where)
        said.append(str(error.value).replace(str(tmp_path / name), "DIR"))
    assert said[0] == said[1]
    assert said[0].startswith("2 of 8 runs failed; the others are kept in DIR")
    assert "too far" in said[0]


@pytest.mark.long_only
def test_ctrl_c_leaves_the_state_of_stacks_and_exit_code_130(address: str, tmp_path: Path) -> None:
    config, out = tmp_path / "long.toml", tmp_path / "out"
    config.write_text(small_sweep(train={"steps": 200_000}, sweep={"seeds": 1}).to_toml(), encoding="utf-8")
    command = [sys.executable, str(ROOT / "run.py"), "sweep", str(config), "--out", str(out), "--cluster", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "run-steps/s" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert (process.returncode, "interrupted: what is finished is kept in" in rest) == (130, True), rest
    assert list((out / "parts").glob("*.safetensors"))
    assert not (out / ".lock").exists()


@pytest.mark.slow
def test_a_node_with_another_program_is_refused_by_name_before_anything_runs(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    other = replace(program_here(), torch="1.0.0")
    monkeypatch.setattr("simulator.execution.cluster.nodes.program_here", lambda: other)
    config = tmp_path / "small.toml"
    config.write_text(small_sweep().to_toml(), encoding="utf-8")
    assert run.main(["sweep", str(config), "--out", str(tmp_path / "out"), "--cluster", address]) == 2
    said = capsys.readouterr().err
    assert f"torch {program_here().torch} (here 1.0.0); install the versions that are here on it" in said
    assert said.startswith("error: --cluster: node ")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_node_that_joins_with_another_program_gets_nothing(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one node that is there turns out to have another program; then the sweep waits, and says so."""
    said: list[str] = []

    def warn(message: str, *_: Any, **__: Any) -> None:
        said.append(message)
        if message.startswith("no node of the cluster can run a stack"):
            raise KeyboardInterrupt

    monkeypatch.setattr(ray_workers, "program_here", lambda: replace(program_here(), numpy="1.0"))
    monkeypatch.setattr(handing, "ALONE", 0.1)
    monkeypatch.setattr(handing, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(handing.warnings, "warn", warn)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(small_sweep(), tmp_path / "out", cluster=address)
    [refused] = [text for text in said if "gets no stacks" in text]
    assert f"has numpy {program_here().numpy} (here 1.0), so it gets no stacks" in refused
    assert not list((tmp_path / "out" / "parts").glob("*.sha256"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nonsense", "must be HOST:PORT, such as 10.0.0.1:6379, or auto, or local"),
        ("host:", "must be HOST:PORT"),
        ("127.0.0.1:1", "nobody answers there (Connection refused); `ray start --head` says the address"),
        ("ray://127.0.0.1:10001", "have it run by `ray job submit`"),
    ],
)
def test_addresses_that_are_none(given: str, said: str, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ConfigError) as error:
        run_sweep(small_sweep(), tmp_path / "out", cluster=given)
    assert str(error.value).startswith(f"--cluster {given}: ")
    assert said in str(error.value)
    assert time.monotonic() - began < 60


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"--cluster: needs Ray; install it with: pip install 'align"):
        run_sweep(small_sweep(), tmp_path / "out", cluster="local")


def test_stacks_fit_into_the_smallest_node() -> None:
    runs = expand(small_sweep(policy={"width": 64, "layers": 2}, sweep={"seeds": 40}))
    one = workers((4, 0, 16)).arrange(runs)
    both = workers((4, 0, 16), (2, 0, 1.5)).arrange(runs)
    assert one.in_each == (4,)
    assert both.in_each == (4, 1)  # a process takes 350 MiB, and of 1.5 GiB half is ours
    assert max(both.most.values()) < max(one.most.values())
    assert workers((4, 0, 16), (4, 0, 16)).arrange(runs).processes == 8
    with pytest.raises(ConfigError, match=r"free on node there, unless said: one run of this sweep needs about"):
        workers((4, 0, 0.1)).arrange(runs)


def test_gpu_nodes_have_a_stack_for_each_gpu() -> None:
    gpus = workers((16, 2, 40), (16, 1, 80), device="cuda")
    runs = expand(small_sweep(sweep={"seeds": 40}))
    arrangement = gpus.arrange(runs)
    assert arrangement.in_each == (1, 1, 1)
    assert gpus.place == "2 nodes with 32 CPUs and 3 GPUs"
    nodes = [{"Resources": {"CPU": 4.0}}, {"Resources": {"CPU": 4.0, "GPU": 1.0}}]
    assert [choose_device_of(device, nodes) for device in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]
    with pytest.raises(ConfigError, match="--device cuda: no node of the cluster has a GPU; use cpu or auto"):
        choose_device_of("cuda", nodes[:1])


def test_programs_differ_in_what_decides_numbers() -> None:
    one = Program(simulator="a", python="3.11", torch="2.9.0", numpy="2.0")
    assert differences(one, one) == []
    other = replace(one, torch="2.8.0", simulator="b")
    assert differences(other, one) == ["the source of the simulator b (here a)", "torch 2.8.0 (here 2.9.0)"]


def test_nodes_that_compute_by_other_instructions_are_named() -> None:
    nodes = [Node(ray_id="1", cpus=1, gpus=0, facts=facts(engine="native (avx2)"))]
    with heard() as said:
        warn_of_engines(nodes, "native (avx512)")
        warn_of_engines(nodes, "native (avx2)")
    assert len(said) == 1
    assert said[0].startswith("node there: computes by native (avx2), and this machine by native (avx512)")


@pytest.mark.slow
def test_the_plan_says_where_and_how_long(address: str, capsys: pytest.CaptureFixture) -> None:
    assert run.main(["sweep", "--cluster", address, "--dry-run"]) == 0
    lines = capsys.readouterr().out
    assert " on 1 node with 2 CPUs and no GPU" in lines


def test_more_nodes_take_less_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds(*nodes: tuple[int, int, float]) -> float:
        from contextlib import contextmanager

        @contextmanager
        def made(*_: Any, **__: Any) -> Iterator[RayWorkers]:
            yield workers(*nodes)

        monkeypatch.setattr(connect, "connected", made)
        request = request_for(small_sweep(train={"steps": 4000}, sweep={"seeds": 400}))
        return make_plan(request, Where(cluster="auto")).seconds

    assert seconds((2, 0, 16)) > 3 * seconds(*[(8, 0, 64)] * 4)
