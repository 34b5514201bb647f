"""Whatever happens to a file of a result directory, the same sweep gives the same tables; a report says what is wrong.

In the suite every other file meets one damage, and figures are not drawn; `--long` has every damage of every file, and
the figures of damaged tables.
"""

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

import run
from simulator import Sweep, run_sweep
from simulator.storage.checksums import read_checksums
from simulator.storage.layout import ResultFolder
from tests.conftest import extent, heard
from tests.helpers.fault_injection import leftovers, unreadable

pytestmark = pytest.mark.long_form
TABLES = ("curves", "responses", "gold_law", "margins", "ledger")
TIMED = ("runs", "proxies")  # these say how long each took, too
SWEEP = """
[world]
vocabulary = 3
response_length = 2
prompts = 2
[reference]
steps = 20
[data]
pairs = 16
[policy]
layers = 1
width = 8
[train]
steps = 4
batch = 8
checkpoints = 2
[proxy]
steps = 4
width = 8
members = 2
[sweep]
method = ["gpo", "rl"]
loss = ["logistic", "mine.py:gentle"]
beta = 0.5
seeds = 2
"""
LOSS = "from beside import half\n\n\ndef gentle(z):\n    return (half * z - 1).square()\n"


def flipped(content: bytes) -> bytes:
    """One bit of the middle is another."""
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 0b100
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "gone": lambda _: None,
    "empty": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "flipped": flipped,
    "last byte": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "garbage": lambda content: random.Random(len(content)).randbytes(len(content)),
    "longer": lambda content: content + b"\nmore\n",
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep whose loss is the user's own, in a folder with the files that it uses."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "mine.py").write_text(LOSS)
    (folder / "beside.py").write_text("half = 0.5\n")
    (folder / "mine.toml").write_text(SWEEP)
    return folder / "mine.toml"


@pytest.fixture(scope="module")
def finished(config: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep that ended; with its figures in the long form."""
    out = tmp_path_factory.mktemp("finished") / "out"
    with heard():
        run_sweep(Sweep.from_toml(config), out, workers=1)
        if extent(request.config) != "suite":
            assert run.main(["report", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def half(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep of which one stack is finished, and the state of another is saved."""
    out = tmp_path_factory.mktemp("half") / "out"

    def stop_once_one_is_done() -> None:
        if any(out.glob("parts/*.runs.parquet")):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, heard(), suppress(KeyboardInterrupt):
        patch.setattr("simulator.engine.snapshots.stop_if_requested", stop_once_one_is_done)
        run_sweep(Sweep.from_toml(config), out, workers=1, save_every=0.0)
    return out


def files_of(folder: Path) -> list[Path]:
    """Every file in a folder, by its path from there."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def tables_of(folder: Path) -> dict[str, bytes | str]:
    """The content of every table, but for how long it took to make."""
    timed = {name: pd.read_parquet(folder / f"{name}.parquet").drop(columns="wall_seconds") for name in TIMED}
    whole: dict[str, bytes | str] = {name: (folder / f"{name}.parquet").read_bytes() for name in TABLES}
    return whole | {name: table.to_csv() for name, table in timed.items()}


def cases(folder: Path, request: pytest.FixtureRequest, shift: int) -> list[tuple[Path, str]]:
    """Files and damages: all in the long form, a share of them, or in the suite every fourth file with one."""
    files, kinds, much = files_of(folder), list(DAMAGES), extent(request.config)
    if much != "suite":
        every = [(path, kind) for path in files for kind in kinds]
        return every if much == "long" else every[::48]
    one_each = [(path, kinds[(place + shift) % len(kinds)]) for place, path in enumerate(files)]
    return one_each[shift % 4 :: 4]


def damage(path: Path, kind: str) -> None:
    content = DAMAGES[kind](path.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


def part_of(some: list[tuple[Path, str]], part: int) -> list[tuple[Path, str]]:
    return some[part::PARTS]


PARTS = 4  # so that several processes share them


@pytest.mark.long_only(but=("finished-0", "finished-3", "half-2"))
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("which", ["finished", "half"])
def test_the_same_sweep_gives_the_same_tables(
    which: str,
    part: int,
    config: Path,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    record_property: Callable[..., None],
) -> None:
    folder, whole = request.getfixturevalue(which), tables_of(request.getfixturevalue("finished"))
    some = part_of(cases(folder, request, shift=0), part)
    for path, kind in some:
        out = Path(shutil.copytree(folder, tmp_path / "out"))
        damage(out / path, kind)
        with heard() as told:
            run_sweep(Sweep.from_toml(config), out, workers=1)
        assert tables_of(out) == whole, (path, kind)
        assert unreadable(out) == []
        assert leftovers(out) == [], (path, kind)
        seal = read_checksums(ResultFolder(path=out).checksums, out)
        assert seal is not None
        assert seal.intact, (path, kind)
        assert not listed(folder, path) or any(str(out / path) in line for line in told), (path, kind)
        shutil.rmtree(out)
    record_property("cases", len(some))
    assert some


@pytest.mark.long_only(but=("finished-1", "half-0", "half-3"))
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("which", ["finished", "half"])
def test_a_report_names_what_is_damaged(
    which: str,
    part: int,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[..., None],
) -> None:
    folder = request.getfixturevalue(which)
    some = part_of(cases(folder, request, shift=3), part)
    for path, kind in some:
        out = Path(shutil.copytree(folder, tmp_path / "out"))
        damage(out / path, kind)
        with pytest.MonkeyPatch.context() as patch:
            if extent(request.config) == "suite" or path.suffix != ".parquet":  # which is not drawn
                patch.setattr("analysis.figures.drawing.draw_all", lambda *_, **options: [])
            code = run.main(["report", str(out)])
        said = capsys.readouterr()
        assert code in (0, 2), (path, kind)
        assert code == 0 or said.err.splitlines()[-1].startswith(("error: ", "it cannot be shown")), (path, kind)
        if listed(folder, path):
            assert str(out / path) in said.err, (path, kind)
        shutil.rmtree(out)
    record_property("cases", len(some))
    assert some


def listed(folder: Path, path: Path) -> bool:
    """Whether a seal of records lists a file."""
    seals = [folder / "SHA256SUMS", *sorted((folder / "parts").glob("*.sha256")), folder / "parts/SHA256SUMS"]
    return any(f"  {path.as_posix()}\n" in seal.read_text() for seal in seals if seal.exists())


@pytest.mark.parametrize("which", ["finished", "half"])
def test_every_file_is_in_a_seal(which: str, request: pytest.FixtureRequest) -> None:
    """A state of a stack in training has its checksum inside; what tells who writes is not relied on."""
    folder = request.getfixturevalue(which)
    own = {"SHA256SUMS", "report.sha256"}
    loose = [
        path
        for path in files_of(folder)
        if path.name not in own and path.suffix not in (".sha256", ".safetensors") and not listed(folder, path)
    ]
    reported = (folder / "report.sha256").read_text() if (folder / "report.sha256").exists() else ""
    assert [path for path in loose if path.as_posix() not in reported] == []


def test_the_folders_hold_every_kind_of_file(finished: Path, half: Path) -> None:
    assert {"config.toml", "curves.parquet", "mine.py", "beside.py", "source.json"} <= {
        p.name for p in files_of(finished)
    }
    assert {".npz", ".parquet", ".json", ".toml", ".py"} <= {path.suffix for path in files_of(finished)}
    assert {".safetensors", ".sha256", ".npz", ".py", ".json"} <= {path.suffix for path in files_of(half)}
