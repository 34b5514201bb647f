"""Files appear whole or not at all, and a disk that does not take them is told of."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from simulator.common.atomic_files import StorageError, hash_of_file, keep_aside, write_atomically


def test_what_is_written_is_there_with_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "table"
    assert write_atomically(path, b"content") == hashlib.sha256(b"content").hexdigest() == hash_of_file(path)
    assert path.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [path]
    assert hash_of_file(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "No space left on device); make room there"),
        (errno.EROFS, "Read-only file system); allow writing there"),
        (errno.ENOENT, "bring it back"),
        (errno.EIO, "see that the disk works"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_leaves_what_was_there_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str, call: str
) -> None:
    path = tmp_path / "table"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(StorageError) as error:
            write_atomically(path, b"new")
    assert str(error.value).startswith(f"{path}: cannot be written (")
    assert advice in str(error.value)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_went_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="its folder was moved or removed while it was in use"):
        write_atomically(tmp_path / "gone" / "table", b"")


def test_others_may_read_it_as_any_file(tmp_path: Path) -> None:
    ordinary, whole = tmp_path / "ordinary", tmp_path / "whole"
    ordinary.write_bytes(b"")
    write_atomically(whole, b"")
    assert whole.stat().st_mode == ordinary.stat().st_mode


def test_what_is_set_aside_is_kept_however_often(tmp_path: Path) -> None:
    path = tmp_path / "table"
    places = []
    for content in (b"first", b"second", b"third"):
        path.write_bytes(content)
        places.append(keep_aside(path))
    assert [place.name for place in places] == ["table.damaged", "table.damaged-2", "table.damaged-3"]
    assert [place.read_bytes() for place in places] == [b"first", b"second", b"third"]
