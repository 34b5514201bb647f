"""A folder in any state that a kill, another process or somebody's hand may leave it in."""

import hashlib
import shutil
from pathlib import Path

import pandas as pd
import pytest

import run
from analysis import load
from simulator import ConfigError, Sweep, SweepError, run_sweep
from simulator.execution.jobs.stack_job import finish_stack
from simulator.storage.checksums import read_checksums, write_checksums
from simulator.storage.inventory import describe_unfinished, finished_runs, is_complete
from simulator.storage.layout import ResultFolder
from tests.conftest import SMALL, heard, small_sweep

GRID = {"loss": ["logistic", "hinge"], "beta": [0.1], "seeds": 2, "data.pairs": [16, 32]}
SHORT = {"steps": 6, "checkpoints": 3}


def sweep_of(**grid: object) -> Sweep:
    return small_sweep(sweep=GRID | grid, train=SHORT)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_sweep(sweep_of(), tmp_path_factory.mktemp("whole") / "out", workers=1)


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be harmed."""
    return Path(shutil.copytree(whole, tmp_path / "out"))


@pytest.fixture(scope="module")
def ids(whole: Path) -> set[str]:
    return set(pd.read_parquet(whole / "runs.parquet")["run_id"])


def worked(sweep: Sweep, out: Path, **how: object) -> tuple[int, int]:
    """How many runs are worked on, and how many found, when the sweep is run again."""
    counts = {True: 0, False: 0}

    def watch(run_steps: int, runs: int, by_work: bool) -> None:
        counts[by_work] += runs

    run_sweep(sweep, out, **{"workers": 1, **how}, watch=watch)
    return counts[True], counts[False]


def same(out: Path, whole: Path) -> bool:
    names = ("curves", "responses", "gold_law", "margins", "ledger")
    return all((out / f"{name}.parquet").read_bytes() == (whole / f"{name}.parquet").read_bytes() for name in names)


@pytest.mark.slow(but="1")
@pytest.mark.parametrize("workers", [1, 2])
def test_axes_in_another_order_are_the_same_sweep(tmp_path: Path, workers: int) -> None:
    axes = {"data.pairs": [16, 32], "train.batch": [8, 16]}
    one = small_sweep(sweep={"loss": ["hinge"], "beta": [0.1], "seeds": 2} | axes, train=SHORT)
    other = small_sweep(
        sweep={"loss": ["hinge"], "beta": [0.1], "seeds": 2} | dict(reversed(axes.items())), train=SHORT
    )
    out, calls = tmp_path / "out", iter(range(100))

    def some(*arguments: object) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt
        finish_stack(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulator.execution.jobs.stack_job.finish_stack", some)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(one, out, workers=1)
    begun = len(finished_runs(ResultFolder(path=out)))
    assert worked(other, out, workers=workers) == (8 - begun, begun)
    run_sweep(other, tmp_path / "whole", workers=1)
    assert (out / "curves.parquet").read_bytes() == (tmp_path / "whole" / "curves.parquet").read_bytes()


@pytest.mark.parametrize("kept", [0, 2, 5])
def test_a_kill_while_parts_go_costs_nothing(out: Path, whole: Path, ids: set[str], kept: int) -> None:
    """The tables are sealed, and some parts are there still, not all of any stack."""
    folder = ResultFolder(path=out)
    folder.parts.mkdir()
    for number in range(kept):
        part = folder.part(f"stack{number}", "runs")
        part.write_bytes(b"")
        write_checksums(folder.part_checksums(f"stack{number}"), out, {part: "0" * 64})
    folder.running.write_text("{}")
    assert not is_complete(folder, ids, ids)
    assert worked(sweep_of(), out) == (0, 8)
    assert same(out, whole)
    assert is_complete(folder, ids, ids)
    assert not folder.parts.exists()


def test_a_finished_folder_of_an_earlier_version_is_taken_as_it_is(out: Path, ids: set[str]) -> None:
    (out / "SHA256SUMS").unlink()
    table = pd.read_parquet(out / "losses.parquet")
    table.to_parquet(out / "losses.parquet", compression="gzip")
    with heard() as told:
        assert worked(sweep_of(), out) == (0, 8)
    assert told == [f"{out / 'SHA256SUMS'}: is gone; all tables can be read and agree, and it is made again"]
    assert is_complete(ResultFolder(path=out), ids, ids)


def test_tables_that_nothing_vouches_for_are_read_before_they_are_believed(out: Path, whole: Path) -> None:
    (out / "SHA256SUMS").write_bytes(b"no seal at all")
    content = bytearray((out / "curves.parquet").read_bytes())
    for place in range(len(content) // 3, len(content) // 3 + 64):  # more than a header, which has no checksum
        content[place] ^= 4
    (out / "curves.parquet").write_bytes(content)
    with heard() as told:
        assert worked(sweep_of(), out) == (8, 0)
    assert any("SHA256SUMS: is not as it was written; it is kept as SHA256SUMS.damaged" in said for said in told)
    assert any("curves.parquet: is not as it was written" in said for said in told)
    assert same(out, whole)
    assert (out / "curves.parquet.damaged").read_bytes() == content


@pytest.mark.parametrize("name", ["curves", "runs", "margins"])
def test_a_damaged_table_is_made_again_and_kept(out: Path, whole: Path, name: str) -> None:
    (out / f"{name}.parquet").write_bytes(b"PAR1, not really")
    with heard() as told:
        assert worked(sweep_of(), out) == (8, 0)
    assert f"{out / name}.parquet: is not as it was written; it is kept as {name}.parquet.damaged" in told[0]
    assert same(out, whole)
    assert (out / f"{name}.parquet.damaged").read_bytes() == b"PAR1, not really"
    other = "runs" if name == "curves" else "curves"
    assert (out / f"{other}.parquet.before").read_bytes() == (whole / f"{other}.parquet").read_bytes()


def test_a_seal_names_nothing_outside_and_is_not_cut_off(out: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    seal = out / "SHA256SUMS"
    lines = seal.read_text().splitlines(keepends=True)
    assert read_checksums(seal, out) is not None
    for name in ("../precious.txt", str(precious), "a/../../precious.txt"):
        seal.write_text(f"{'0' * 64}  {name}\n# 1 files\n")
        assert read_checksums(seal, out) is None
    for count in range(len(lines)):
        seal.write_text("".join(lines[:count]))
        assert read_checksums(seal, out) is None
    with heard():
        worked(sweep_of(), out)
    assert precious.read_text() == "mine"


def test_a_seal_is_what_sha256sum_reads(out: Path) -> None:
    for line in (out / "SHA256SUMS").read_text().splitlines():
        if not line.startswith("#"):
            digest, name = line.split("  ")
            assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    "grid",
    [
        {"loss": ["logistic", "vpo"], "beta": [0.1], "seeds": 1, "objective.vpo.alpha": [0.1, 0.2]},
        {"method": ["gpo", "best_of_n"], "loss": ["hinge"], "beta": [0.1], "seeds": 1, "proxy.width": [4, 8]},
        {"loss": ["hinge"], "beta": [0.1], "seeds": 1, "measure.prompts": ["all", 2]},
        {"loss": ["hinge"], "beta": [0.1, 1.0], "seeds": 1},
    ],
)
@pytest.mark.usefixtures("undrawn")
def test_whatever_fails_is_told_in_the_tables(
    grid: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All runs that have some axis fail, or all that there are."""
    world = {"kind": "sampled"} if "measure.prompts" in grid else {}
    sweep = small_sweep(sweep=grid, world=world, train=SHORT, proxy={"steps": 4}, best_of_n={"largest": 4})
    several = len(grid) > 3

    def some(stack: list, *more: object) -> None:
        if not several or any(
            one.loss == "vpo" or one.method == "best_of_n" or one.cell.axes.get("measure.prompts") == "all"
            for one in stack
        ):
            raise ArithmeticError("no")
        finish_stack(stack, *more)

    with pytest.MonkeyPatch.context() as patch, heard():
        patch.setattr("simulator.execution.jobs.stack_job.finish_stack", some)
        with pytest.raises(SweepError, match=r"runs? failed"):
            run_sweep(sweep, tmp_path / "out", workers=1)
    runs = pd.read_parquet(tmp_path / "out" / "runs.parquet")
    assert run.main(["report", str(tmp_path / "out")]) == (0 if several else 2)  # nothing is left to draw
    assert f"{(runs['status'] == 'failed').sum()} more failed" in capsys.readouterr().out
    assert runs.loc[runs["status"] == "failed", "reason"].str.startswith("ArithmeticError: no").all()
    left = {"gpo"} if several else set()
    assert set(load(tmp_path / "out")["method"]) == (left if world else left | {"oracle"})  # where it can be listed
    with heard():
        run_sweep(sweep, tmp_path / "out", workers=1)
        whole = run_sweep(sweep, tmp_path / "whole", workers=1)
    assert (tmp_path / "out" / "curves.parquet").read_bytes() == (whole / "curves.parquet").read_bytes()
    assert (pd.read_parquet(tmp_path / "out" / "runs.parquet")["status"] == "finished").all()


def test_what_is_kept_can_be_told_of_a_folder_that_is_damaged(tmp_path: Path) -> None:
    folder = ResultFolder(path=tmp_path)
    folder.parts.mkdir()
    part = folder.part("stack", "runs")
    part.write_bytes(b"nothing")
    write_checksums(folder.part_checksums("stack"), tmp_path, {part: "0" * 64})
    assert describe_unfinished(folder) == f"what is finished is kept in {tmp_path}: 0 runs"
    assert finished_runs(folder) == frozenset()


def test_fresh_removes_no_file_that_may_be_anybodys(tmp_path: Path) -> None:
    (tmp_path / "curves.parquet").write_bytes(b"not ours")
    for fresh in (False, True):
        with pytest.raises(ConfigError, match=r"choose another --out"):
            run_sweep(sweep_of(), tmp_path, workers=1, fresh=fresh)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"not ours"]


def test_fresh_removes_nothing_where_no_sweep_was(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "thesis.png").write_bytes(b"mine")
    (tmp_path / "claims.json").write_text("mine")
    run_sweep(sweep_of(), tmp_path, workers=1, fresh=True)
    assert (tmp_path / "figures" / "thesis.png").read_bytes() == b"mine"


def test_the_small_sweep_is_what_the_copies_are_of(whole: Path) -> None:
    assert len(pd.read_parquet(whole / "runs.parquet")) == 8
    assert SMALL["world"]["prompts"] == 3
