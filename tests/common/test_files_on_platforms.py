"""Files where other systems than Linux treat them otherwise."""

import errno
import os
from pathlib import Path

import pytest

import simulator.common.atomic_files
import simulator.common.terminal
from simulator.common.atomic_files import StorageError, remedy, write_atomically
from tests.helpers.other_systems import as_windows


def test_a_file_that_a_reader_holds_open_is_replaced_when_it_lets_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = as_windows(monkeypatch, simulator.common.atomic_files)
    tries: list[Path] = []

    def refuse(path: Path, place: Path) -> None:
        tries.append(place)
        if len(tries) < 3:
            raise PermissionError(errno.EACCES, "in use", str(path))
        os.replace(path, place)

    system.replace = refuse
    monkeypatch.setattr(simulator.common.atomic_files, "PAUSES", (0.0, 0.0))
    write_atomically(tmp_path / "table", b"new")
    assert (tmp_path / "table").read_bytes() == b"new"
    assert len(tries) == 3
    monkeypatch.setattr(simulator.common.atomic_files, "PAUSES", (0.0,))
    tries.clear()
    with pytest.raises(StorageError, match="in use"):
        write_atomically(tmp_path / "table", b"newer")
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
    held = PermissionError(errno.EACCES, "held")
    held.winerror = 32
    assert remedy(held) == "close the program that holds it open"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_flushes_no_folders_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    whole, calls = os.fsync, []

    def only_files(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(code, os.strerror(code))
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    write_atomically(tmp_path / "table", b"content")
    assert (tmp_path / "table").read_bytes() == b"content"
    assert len(calls) == 2
