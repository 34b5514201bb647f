"""The engine that setuptools compiles; all else that is to say of the package is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import Extension, setup

sys.path.insert(0, str(Path(__file__).resolve().parent))

from simulator.native.build import BuildEngine, EngineWheel

setup(
    ext_modules=[Extension("simulator.native._engine", sources=["simulator/native/source/engine.cpp"], optional=True)],
    cmdclass={"build_ext": BuildEngine, "bdist_wheel": EngineWheel},
)
