"""Imports point one way, and what is heavy is imported late."""

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "gold_rewards": {"gold_rewards"},
    "simulator": {"simulator", "gold_rewards"},
    "analysis": {"analysis"},
}
OURS = {*ALLOWED, "run", "tests"}
LEAN = {
    "attention",
    "computing",
    "losses",
    "network",
    "optimizer",
    "packing",
    "streams",
    "training",
    "transformer",
    "trunk",
}


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("package", ALLOWED)
def test_arrows_point_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert imported(path) & OURS <= ALLOWED[package], path


def test_analysis_never_imports_torch() -> None:
    for path in (ROOT / "analysis").rglob("*.py"):
        assert "torch" not in imported(path)


@pytest.mark.parametrize("name", sorted(LEAN))
def test_losses_policies_and_training_need_numpy_and_torch_only(name: str) -> None:
    outside = imported(ROOT / "simulator" / f"{name}.py") - set(sys.stdlib_module_names) - OURS
    assert outside <= {"numpy", "torch"}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import run", {"torch", "pandas", "matplotlib", "scipy"}),
        ("import analysis, analysis.figures", {"torch", "simulator"}),
        ("import simulator.losses, simulator.training", {"pandas", "scipy", "pydantic", "matplotlib"}),
    ],
)
def test_what_is_heavy_comes_late(code: str, absent: set[str]) -> None:
    paths = os.environ | {"PYTHONPATH": str(ROOT)}
    program = f"import sys; {code}; print(*sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], env=paths, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    tops = {name.split(".")[0] for name in listed}
    there = {
        ".".join(path.parent.relative_to(ROOT).parts) for top in tops for path in (ROOT / top).rglob("__init__.py")
    }
    assert set(listed) == there
