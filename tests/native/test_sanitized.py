"""The engine's tests once more, with a build that watches memory and undefined behaviour."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.helpers.engines import needs_engine

FLAGS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O1")
TESTS = ("tests/native/test_passes.py", "tests/native/test_judging.py", "tests/native/test_library.py")
TESTS += ("tests/engine/test_fused_steps.py",)
RUN = """
import sys
from pathlib import Path
import pytest
from simulator.native import library
library.FOLDER = Path(sys.argv[1])
library.find.cache_clear()
assert library.find().library is not None, library.find().why
sys.exit(pytest.main(["-q", "-n", "0", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""


@needs_engine
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the sanitizers' library is preloaded")
def test_nothing_is_read_or_written_past_an_array(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--long"):
        pytest.skip("takes minutes: --long")
    build = pytest.importorskip("simulator.native.build")
    compiler = build.usual_compiler()
    build.compile_engine(compiler, tmp_path / "_engine.so", FLAGS)
    # The second, since the first intercepts C++ exceptions, which matplotlib throws.
    asked = ([*compiler, f"-print-file-name={name}"] for name in ("libasan.so", "libstdc++.so.6"))
    found = [subprocess.run(each, capture_output=True, text=True, check=True).stdout.strip() for each in asked]
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(found),
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", RUN, str(tmp_path), *TESTS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "passed" in done.stdout
