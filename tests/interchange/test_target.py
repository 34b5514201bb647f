"""Where an export goes: never over what is somebody else's, and whole or not at all."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.common.atomic_files import StorageError
from simulator.common.errors import ConfigError
from simulator.interchange.target import SUMS, TITLE, check_target, new_folder, not_ours


def export(place: Path, text: str = "1") -> None:
    with new_folder(place) as written:
        written.write("README.md", f"{TITLE}\n".encode())
        written.write("inner/number.txt", text.encode())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "sweep" / "figures").mkdir(parents=True)
    return tmp_path / "sweep"


def test_a_new_folder_has_what_was_written_with_checksums(tmp_path: Path) -> None:
    export(tmp_path / "a" / "out")
    assert (tmp_path / "a" / "out" / "inner" / "number.txt").read_text() == "1"
    checked = subprocess.run(["sha256sum", "-c", SUMS], cwd=tmp_path / "a" / "out", capture_output=True, check=False)
    assert checked.returncode == 0
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["out"]


def test_an_earlier_export_is_replaced_with_all_that_it_had(tmp_path: Path, source: Path) -> None:
    with new_folder(tmp_path / "out") as written:
        written.write("README.md", f"{TITLE}\n".encode())
        written.write("before.txt", b"")
    assert check_target(tmp_path / "out", source) == tmp_path / "out"
    export(tmp_path / "out", "2")
    assert (tmp_path / "out" / "inner" / "number.txt").read_text() == "2"
    assert not (tmp_path / "out" / "before.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "sweep"]


def test_an_empty_folder_may_be_filled(tmp_path: Path, source: Path) -> None:
    (tmp_path / "out").mkdir()
    check_target(tmp_path / "out", source)
    export(tmp_path / "out")
    assert not_ours(tmp_path / "out") == ""


def add(name: str) -> Callable[[Path], object]:
    return lambda out: (out / name).write_text("mine")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add("notes.txt"), "holds notes.txt, which no export wrote"),
        (add("inner/trained.bin"), "holds inner/trained.bin, which no export wrote"),
        (add("inner/number.txt"), "holds inner/number.txt, which was changed"),
        (add("README.md"), "holds what no export wrote"),
        (add(SUMS), "holds what no export wrote"),
        (lambda out: (out / SUMS).unlink(), "holds what no export wrote"),
        (lambda out: (out / "link").symlink_to(out.parent), "holds link, which no export wrote"),
        (add("a\x1b[2Jb"), r"holds a\\x1b\[2Jb, which"),
    ],
)
def test_what_is_somebody_elses_is_refused(
    change: Callable[[Path], object], message: str, tmp_path: Path, source: Path
) -> None:
    export(tmp_path / "out")
    change(tmp_path / "out")
    with pytest.raises(ConfigError, match=message):
        check_target(tmp_path / "out", source)


def test_places_that_no_export_may_take(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "here").mkdir()
    for out, message in (
        (source, "lies in"),
        (source / "figures" / "out", "lies in"),
        (source / ".." / "sweep" / "x", "lies in"),
        (tmp_path / "link" / "x", "lies in"),
        (tmp_path, "holds what no export wrote"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "inner", "cannot be written"),
        (Path("."), "a folder of its own"),
        (Path(""), "a folder of its own"),
        (tmp_path / "here", "a folder of its own"),
        (tmp_path / ("x" * 300), "cannot be written"),
    ):
        monkeypatch.chdir(tmp_path / "here")
        with pytest.raises(ConfigError, match=message):
            check_target(out, source)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["figures", "file", "here", "link", "sweep"]


def test_what_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(tmp_path / "out")

    def stopped() -> None:
        with new_folder(tmp_path / "out") as written:
            written.write("README.md", b"")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with monkeypatch.context() as patch:
        rename = os.rename
        patch.setattr(os, "rename", lambda old, new: rename(old, new) if ".partial" not in str(old) else fail(new))
        with pytest.raises(StorageError, match="cannot be written"):
            export(tmp_path / "out", "2")
    assert (tmp_path / "out" / "inner" / "number.txt").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def fail(place: object) -> None:
    raise PermissionError(13, "Permission denied", str(place))


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_a_kill_leaves_no_half_of_an_export(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from simulator.interchange.target import new_folder\n"
        "with new_folder(Path(sys.argv[1])) as written:\n"
        "    written.write('README.md', b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "out")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.")
    assert left.name.endswith(".partial")
