"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from simulator.files import write_whole


def test_the_file_is_there_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "table"
    with write_whole(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(b"old")

    def fail() -> None:
        with write_whole(path) as file:
            file.write(b"new")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_it_as_any_file(tmp_path: Path) -> None:
    ordinary, whole = tmp_path / "ordinary", tmp_path / "whole"
    ordinary.write_bytes(b"")
    with write_whole(whole) as file:
        file.write(b"")
    assert whole.stat().st_mode == ordinary.stat().st_mode
