"""What a function uses of its file: exactly the statements whose change may change it."""

from pathlib import Path

import pytest

from simulator.objectives.own_loss import own_loss
from simulator.user_code.used_code import used_code

FILES = {
    "mine.py": '''"""Losses."""
import torch
from helper import bend, unused
import tools.shapes as shapes

A = 2
B = A * 3
C = 5
torch.set_printoptions(precision=4)


def scaled(z):
    return z * B


@torch.jit.ignore
def f(z, power=A):
    """The loss."""
    return bend(scaled(z)) ** power + shapes.zero(z)  # why


def other(z):
    return C * z


if C > 7:
    D = 1

if __name__ == "__main__":
    print(f)
''',
    "helper.py": "K = 1\nL = 2\n\n\ndef bend(z):\n    return (z - K)\n\n\ndef unused(z):\n    return z - L\n",
    "tools/__init__.py": "PACKAGE = 1\n",
    "tools/shapes.py": "from .inner import nothing\ndef zero(z):\n    return nothing * z\ndef one(z):\n    return z\n",
    "tools/inner.py": "nothing = 0\nsomething = 1\n",
    "apart.py": "x = 1\n",
}
USED = [
    ("mine.py", "A = 2", "A = 4"),
    ("mine.py", "A * 3", "A * 4"),
    ("mine.py", "precision=4", "precision=5"),
    ("mine.py", "return z * B", "return z * B * 2"),
    ("mine.py", "@torch.jit.ignore", "@torch.no_grad()"),
    ("mine.py", "power=A", "power=B"),
    ("mine.py", "if C > 7:", "if C > 8:"),
    ("mine.py", "C = 5", "C = 6"),  # which the `if` mentions
    ("helper.py", "K = 1", "K = 2"),
    ("helper.py", "(z - K)", "(z + K)"),
    ("tools/__init__.py", "PACKAGE = 1", "PACKAGE = 2"),
    ("tools/shapes.py", "nothing * z", "2 * nothing * z"),
    ("tools/shapes.py", "    return z\n", "    return 2 * z\n"),  # a whole module is used that is imported whole
    ("tools/inner.py", "nothing = 0", "nothing = 1"),
]
UNUSED = [
    ("mine.py", '"""Losses."""', '"""Other words."""'),
    ("mine.py", '"""The loss."""', '"""Other words."""'),
    ("mine.py", "  # why", ""),
    ("mine.py", "return C * z", "return C + z"),
    ("mine.py", "print(f)", "print(B)"),
    ("helper.py", "L = 2", "L = 3"),
    ("helper.py", "return z - L", "return z + L"),
    ("tools/inner.py", "something = 1", "something = 2"),
    ("apart.py", "x = 1", "x = 2"),
]


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def used(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): text for path, text in used_code(folder / "mine.py", "f").items()}


@pytest.mark.parametrize(("name", "before", "after"), USED)
def test_whatever_the_function_uses_counts(tmp_path: Path, name: str, before: str, after: str) -> None:
    assert before in FILES[name]
    first = used(written(tmp_path, FILES))
    assert used(written(tmp_path, {name: FILES[name].replace(before, after, 1)})) != first


@pytest.mark.parametrize(("name", "before", "after"), UNUSED)
def test_nothing_else_counts(tmp_path: Path, name: str, before: str, after: str) -> None:
    assert before in FILES[name]
    first = used(written(tmp_path, FILES))
    assert used(written(tmp_path, {name: FILES[name].replace(before, after, 1)})) == first


@pytest.mark.parametrize(
    "body",
    [
        "def f(z):\n    return globals()['g'](z)",
        "def f(z):\n    return eval('g(z)')",
        "from helper import *\ndef f(z):\n    return bend(z)",
    ],
)
def test_where_names_cannot_be_read_off_all_of_the_file_counts(tmp_path: Path, body: str) -> None:
    written(tmp_path, FILES | {"mine.py": f"def g(z):\n    return z\n{body}\n"})
    first = used(tmp_path)
    written(tmp_path, {"mine.py": f"def g(z):\n    return 2 * z\n{body}\n"})
    assert used(tmp_path) != first
    if "helper" in body:
        again = used(tmp_path)
        written(tmp_path, {"helper.py": FILES["helper.py"].replace("L = 2", "L = 3")})
        assert used(tmp_path) != again


def test_a_function_that_is_imported_is_followed(tmp_path: Path) -> None:
    written(tmp_path, FILES | {"mine.py": "from helper import bend as f\n"})
    assert set(used(tmp_path)) == {"mine.py", "helper.py"}
    assert "def unused" not in used(tmp_path)["helper.py"]


def test_the_hash_is_the_same_wherever_the_files_lie(tmp_path: Path) -> None:
    source = "from helper import bend\ndef f(z):\n    return bend(z) ** 2\n"
    codes = set()
    for name in ("a", "b"):
        folder = written(tmp_path / name, FILES | {"mine.py": source})
        loaded = own_loss("mine.py:f", folder)
        codes.add(loaded.function.code_hash)
        assert loaded.function.copies == {"mine.py": source.encode(), "helper.py": FILES["helper.py"].encode()}
    assert len(codes) == 1
