"""The compiled engine in the repository is of the source that is there."""

from pathlib import Path

import pytest

from simulator.playground.wasm import build


def test_the_built_file_is_of_this_source() -> None:
    assert build.is_of_this_source(build.built_file()), "python -m simulator.playground.wasm.build"


def test_another_source_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-DOTHER"))
    assert not build.is_of_this_source(build.built_file())
    monkeypatch.undo()
    monkeypatch.setattr(build, "source_hash", lambda *folder: "0" * 64)
    assert not build.is_of_this_source(build.built_file())


def test_the_file_holds_a_module_without_imports() -> None:
    """Of WebAssembly, version 1; it asks nothing of the page, so that it cannot reach out of it."""
    content = build.built_file()
    assert content[:8] == b"\0asm\1\0\0\0"
    assert section_numbers(content).count(2) == 0
    assert len(content) < 250_000


def section_numbers(content: bytes) -> list[int]:
    """The number of each section of a module (WebAssembly specification, 5.5.2)."""
    found, at = [], 8
    while at < len(content):
        found.append(content[at])
        size = shift = 0
        at += 1
        while True:
            size |= (content[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if content[at - 1] < 128:
                break
        at += size
    assert at == len(content)
    return found


@pytest.mark.slow
def test_it_is_compiled_again_where_zig_is_installed(tmp_path: Path) -> None:
    """To the same bytes, if it is the same compiler; at least to a module of this source."""
    if not build.zig_command():
        pytest.skip("zig is not installed (the extra wheels)")
    build.build(tmp_path / "engine.wasm")
    again = (tmp_path / "engine.wasm").read_bytes()
    assert build.is_of_this_source(again)
    assert set(section_numbers(again)) == set(section_numbers(build.built_file()))
