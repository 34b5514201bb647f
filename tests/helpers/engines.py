"""Whether the compiled engine is there: tests of it are skipped where the package was installed without a compiler."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.native import library

if os.environ.get("REQUIRE_ENGINE") and library.find().library is None:
    raise RuntimeError(f"the compiled engine is not there: {library.find().why}")
needs_engine = pytest.mark.skipif(library.find().library is None, reason=library.find().why)


@pytest.fixture(params=["avx512", "avx2", "sse2", "neon"])
def instructions(request: pytest.FixtureRequest) -> Iterator[str]:
    """An instruction set that the engine uses while the test runs; a test is skipped where the machine has it not."""
    with library.using(request.param) as there:
        if not there:
            pytest.skip(f"this machine has no {request.param}")
        assert library.instructions() == request.param
        yield request.param


@pytest.fixture
def without_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This process computes by torch alone, with references of its own."""
    monkeypatch.setenv("SIMULATOR_CACHE", str(tmp_path / "references"))
    nothing = library.Found(library=None, why="a test is without it")
    monkeypatch.setattr(library, "find", lambda: nothing)
