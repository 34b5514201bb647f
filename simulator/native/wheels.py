"""Wheels with the compiled engine for several systems, made on any of them: `python -m simulator.native.wheels OUT`.

The compiler is zig's, of the package `ziglang`; `pip install -e '.[wheels]'` brings it. A wheel serves every version of
Python, since the engine holds none.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from simulator.native.build import TARGET

TARGETS = {  # the platform of a wheel, and what the compiler calls it
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "win_amd64": "x86_64-windows-gnu",
}
ROOT = Path(__file__).resolve().parents[2]


def build_wheel(platform: str, out: Path) -> None:
    """Build the wheel of one platform into a folder. Raises CalledProcessError."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out.resolve())]
    subprocess.run(
        [*command, f"--config-setting=--build-option=--plat-name={platform}", str(ROOT)],
        env={**os.environ, TARGET: TARGETS[platform], "ZIG": shlex.join([sys.executable, "-m", "ziglang"])},
        check=True,
    )


def main(arguments: Sequence[str]) -> None:
    """Build all wheels, or those of the platforms that are named behind the folder."""
    if not arguments or not set(arguments[1:]) <= set(TARGETS):
        sys.exit(f"python -m simulator.native.wheels OUT [PLATFORM ...], of {', '.join(TARGETS)}")
    for platform in arguments[1:] or TARGETS:
        build_wheel(platform, Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
