"""How the engine is compiled: one shared library, each instruction set in a file of its own.

It holds no Python, so one build serves every version of Python. setuptools calls this when the package is installed.
Where no compiler is at hand, or only Microsoft's, which has no vector extensions, the installation goes on without, and
torch computes. CXX names another compiler than the usual one.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from setuptools import Extension
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError

from simulator.native.identity import SOURCES, UNITS, source_hash

TARGET = "ENGINE_TARGET"  # of the environment: the system to compile for, by the compiler that ZIG runs
SUFFIXES = {"macos": ".dylib", "darwin": ".dylib", "win": ".dll"}  # of a shared library, by what names the system
FLAGS = (
    *("-std=c++17", "-O3", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
    *("-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-Wno-psabi"),
)


def usual_compiler() -> list[str]:
    """The command of a C++ compiler. Raises CCompilerError where none is found."""
    if named := os.environ.get("CXX"):
        return shlex.split(named)
    for name in ("clang++", "g++") if sys.platform == "darwin" else ("g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    raise CCompilerError("no C++ compiler is found (g++, clang++, or what CXX names)")


def compile_engine(compiler: Sequence[str], target: Path, more: Sequence[str] = ()) -> None:
    """Compile the engine as the shared library `target`. Raises CCompilerError with what the compiler says."""
    flags = [*FLAGS, f'-DENGINE_SOURCE="{source_hash()}"', *more]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        objects = [Path(folder, unit).with_suffix(".o") for unit in UNITS]
        run(
            [
                [*compiler, *flags, "-c", str(SOURCES / unit), "-o", str(to)]
                for unit, to in zip(UNITS, objects, strict=True)
            ]
        )
        run([[*compiler, *more, "-shared", *map(str, objects), "-o", str(target)]])


def run(commands: Sequence[Sequence[str]]) -> None:
    """Run commands side by side. Raises CCompilerError where one fails."""
    try:
        running = [
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") for command in commands
        ]
    except OSError as error:
        raise CCompilerError(f"{commands[0][0]}: {error.strerror or error}") from None
    said = [process.communicate()[1] for process in running]
    for command, process, text in zip(commands, running, said, strict=True):
        if process.returncode:
            raise CCompilerError(f"{shlex.join(command)} failed: {text.strip()}")


class BuildEngine(build_ext):
    """setuptools' command that builds extensions: the engine is the only one."""

    def build_extension(self, ext: Extension) -> None:
        """Compile the engine where an extension of this name belongs. Raises CCompilerError."""
        target = Path(self.get_ext_fullpath(ext.name))
        for other in target.parent.glob(f"{target.stem}.*"):  # of another system, from an earlier build in this folder
            other.unlink()
        if named := os.environ.get(TARGET):
            ext.optional = False  # a wheel for another system is made for the engine's sake
            if not os.environ.get("ZIG"):
                raise CCompilerError(f"{TARGET} needs ZIG, the command of zig, as simulator/native/wheels.py gives it")
            compile_engine([*shlex.split(os.environ["ZIG"]), "c++", "-target", named], target, ("-s",))
        else:
            compile_engine(usual_compiler(), target)

    def get_ext_filename(self, fullname: str) -> str:
        """The engine's place in the package; its name says nothing of Python."""
        system = os.environ.get(TARGET, sys.platform)
        suffix = next((end for part, end in SUFFIXES.items() if part in system), ".so")
        return f"{fullname.replace('.', os.sep)}{suffix}"


class EngineWheel(bdist_wheel):
    """setuptools' command that makes wheels: one with the engine is of a system, and of every version of Python."""

    def get_tag(self) -> tuple[str, str, str]:
        """The tags of Python, its binary interface and the system, which is any without the engine."""
        place = Path(self.get_finalized_command("build").build_lib, "simulator", "native")
        return ("py3", "none", super().get_tag()[2] if [*place.glob("_engine.*")] else "any")
