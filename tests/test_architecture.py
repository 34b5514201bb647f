"""The architecture as a test: which folder may import which, how large they are, and what is heavy comes late."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {  # each may import itself and these
    "gold_rewards": set(),
    "simulator": {"gold_rewards"},
    "analysis": set(),
}
ROOMS = {  # the folders of a package; each may import itself and those before it
    "simulator": [
        *(
            "common",
            "user_code",
            "native",
            "networks",
            "divergences",
            "measurement",
            "pair_scores",
            "languages",
            "own_rewards",
            "objectives",
            "planted",
            "settings",
            "engine",
        ),
        *("worlds", "preferences", "proxies", "methods", "sweeps", "storage", "joining", "tracking", "execution"),
        *("api", "audit", "instruments", "interchange", "playground"),
    ],
    "analysis": [
        *(
            "records",
            "statistics",
            "theory",
            "headline",
            "published",
            "instruments",
            "figures",
            "report",
            "generations",
            "playground",
        ),
    ],
}
APART = {  # folders before a folder that it must not import all the same
    "native": {"user_code"},
    "networks": {"user_code"},
    "divergences": {"networks", "native", "user_code"},
    "measurement": {"networks", "user_code"},
    "languages": {"measurement", "user_code"},
    "objectives": {"languages", "measurement"},
    "planted": {"objectives", "own_rewards", "languages", "measurement", "networks", "native", "user_code"},
}
OURS = {*PACKAGES, "run", "tests", "benchmarks"}
MOST_MODULES, MOST_LINES, MOST_OF_A_FUNCTION = 12, 300, 50
LEAN = (
    "simulator/networks",
    "simulator/objectives/losses/gpo.py",
    "simulator/engine/gradient_steps.py",
    "simulator/engine/problem.py",
)


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def room_of(name: str) -> str:
    return name.split(".")[1] if name.count(".") else ""


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package: str) -> None:
    for path in modules(package):
        used = {name.split(".")[0] for name in imported(path)}
        assert used & OURS <= PACKAGES[package] | {package}, path


@pytest.mark.parametrize("package", ROOMS)
def test_folders_import_one_way(package: str) -> None:
    order = ROOMS[package]
    there = {path.relative_to(ROOT / package).parts[0] for path in modules(package)} - {"__init__.py"}
    assert there == set(order)
    for path in modules(package):
        room = path.relative_to(ROOT / package).parts[0]
        if room == "__init__.py":
            continue
        allowed = {*order[: order.index(room) + 1]} - APART.get(room, set())
        used = {room_of(name) for name in imported(path) if name.split(".")[0] == package}
        assert used <= allowed, path


def test_benchmarks_import_one_way() -> None:
    """Commands stand on how things are timed, and that on what is timed."""
    allowed = {"contenders": {"contenders"}, "timing": {"contenders", "timing"}}
    for path in modules("benchmarks"):
        room = path.parent.name
        if room in allowed:
            used = {room_of(name) or name for name in imported(path) if name.split(".")[0] == "benchmarks"}
            assert used <= allowed[room], path


def test_analysis_never_imports_torch() -> None:
    for path in modules("analysis"):
        assert "torch" not in {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("package", [*PACKAGES, "benchmarks"])
def test_folders_modules_and_functions_are_small(package: str) -> None:
    for folder in {path.parent for path in modules(package)}:
        names = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(names) <= MOST_MODULES, folder
    for path in [*modules(package), ROOT / "run.py"]:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= MOST_LINES, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert length_of(node) <= MOST_OF_A_FUNCTION, f"{path}: {node.name}"


def length_of(node: ast.FunctionDef) -> int:
    """Lines of a function but those of its docstring."""
    assert node.end_lineno
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return node.end_lineno - node.lineno + 1 - (first.end_lineno - first.lineno + 1 if documented else 0)


@pytest.mark.parametrize("package", ROOMS)
def test_the_documentation_has_the_folders_in_their_order(package: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.split(f"| `{package}/` | |\n", 1)[1].split("\n\n", 1)[0]
    assert [line.split("`")[1] for line in table.splitlines()[1:]] == ROOMS[package]


def test_tests_mirror_the_folders() -> None:
    there = {path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").exists()}
    assert there == {*ROOMS["simulator"], "gold_rewards", "analysis", "end_to_end", "faults", "helpers"}


@pytest.mark.parametrize("place", LEAN)
def test_losses_policies_and_training_need_numpy_and_torch_only(place: str) -> None:
    paths = [ROOT / place] if place.endswith(".py") else modules(place)
    for path in paths:
        outside = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names) - OURS
        assert outside <= {"numpy", "torch"}, path


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import run", {"torch", "pandas", "matplotlib", "scipy"}),
        ("import analysis, analysis.figures", {"torch", "simulator"}),
        (
            "import simulator.objectives.losses.gpo, simulator.engine.gradient_steps",
            {"pandas", "scipy", "pydantic", "matplotlib"},
        ),
    ],
)
def test_what_is_heavy_comes_late(code: str, absent: set[str]) -> None:
    paths = os.environ | {"PYTHONPATH": str(ROOT)}
    program = f"import sys; {code}; print(*sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], env=paths, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


WRONG = [
    ["sweep", "--set", "data.paires=3"],
    ["sweep", "--set", "sweep.loss=logistc"],
    ["sweep", "--set", "gold.reward=motive"],
    ["sweep", "nowhere.toml"],
    ["sweep", "neighbors"],
    ["sweep", "--set", "policy.heads=3"],
    ["sweep", "--set", "world.kind=sampled", "sweep.method=gibbs"],
    ["sweep", "--set", "sweep.method=best_of_n", "proxy.held_out=0.0"],
    ["sweep", "--set", "sweep.loss=kto", "train.batch=1"],
    ["sweep", "--sett", "data.pairs=3"],
    ["export", "nowhere", "--to", "out"],
    ["audit", "--set", "world.kind=sampled"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=lambda arguments: " ".join(arguments[1:]))
def test_wrong_input_is_answered_without_what_is_heavy(arguments: list[str], tmp_path: Path) -> None:
    paths = os.environ | {"PYTHONPATH": str(ROOT)}
    heavy = {"torch", "scipy", "pandas", "matplotlib"}
    program = f"import sys, run; code = run.main({arguments!r}); print(code, *sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], env=paths, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["2"], done.stdout + done.stderr
