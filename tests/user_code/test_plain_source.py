"""The plain source of a module stays when only words change, and changes with whatever runs."""

import io
import tokenize
from pathlib import Path

import pytest

from simulator.user_code.plain_source import plain_source

ROOT = Path(__file__).parents[2]
SOURCE = '''"""What it is."""
import torch  # heavy


@torch.no_grad()  # a decorator
def f(z, scale=1.0):
    """f(z)."""
    text = """kept

  # not a comment
"""
    def inner():
        "One line."
        return 1
    return (z * scale - \\
            inner()); x = 1


class Only:
    """Nothing else."""


class Two:
    """Doc"""; y = f"{SOURCE!r} # {1}"

    def g(self): return '# no comment'

    width: int = 16
    """How wide it is."""
'''
WORDS = [
    ('"""What it is."""', '"""é, and more.\n\nOf two lines."""'),
    ("  # heavy", ""),
    ("  # heavy", "      # other words; x = 2"),
    ("# a decorator", "#"),
    ('    """f(z)."""\n', ""),
    ('    """f(z)."""\n', '    """f(z).\n\n    More.\n    """\n\n\n'),
    ('        "One line."\n', "        # one line\n"),
    ("\n\nclass Two", "\n   \n\n\n\nclass Two"),
    ("return 1\n", "return 1   \n"),
    ('    """Nothing else."""', '    """Something else."""'),
    ('    """How wide it is."""\n', ""),
    ('    """How wide it is."""', '    "In channels."'),
]
CODE = [
    ("import torch", "import numpy"),
    ("@torch.no_grad()", "@torch.enable_grad()"),
    ("scale=1.0", "scale=1.5"),
    ("kept\n\n", "kept\n"),
    ("kept\n\n", "kept \n\n"),
    ("# not a comment", "# no comment"),
    ("x = 1", "x = 2"),
    ("return 1", "return 2"),
    ("inner());", "inner() );"),
    ("'# no comment'", "'# a comment'"),
    ("# {1}", "# {2}"),
    ("width: int = 16", "width: int = 32"),
    ("    def inner():", "    async def inner():"),
]


@pytest.mark.parametrize(("before", "after"), WORDS)
def test_words_and_blanks_do_not_count(before: str, after: str) -> None:
    assert SOURCE.count(before) >= 1
    assert plain_source(SOURCE.replace(before, after, 1)) == plain_source(SOURCE)


@pytest.mark.parametrize(("before", "after"), CODE)
def test_whatever_runs_counts(before: str, after: str) -> None:
    changed = SOURCE.replace(before, after, 1)
    assert changed != SOURCE
    assert plain_source(changed) != plain_source(SOURCE)


def test_line_ends_and_a_byte_order_mark_do_not_count() -> None:
    assert plain_source("\ufeff" + SOURCE.replace("\n", "\r\n")) == plain_source(SOURCE)


@pytest.mark.parametrize("path", sorted((ROOT / "simulator").rglob("*.py"))[::6], ids=lambda path: path.name)
def test_our_own_modules_lose_their_words_and_nothing_else(path: Path) -> None:
    """Every comment put in and every docstring changed leaves the plain source; and no two modules share it."""
    text = path.read_text(encoding="utf-8")
    plain = plain_source(text)
    commented = "\n".join(line if inside else f"{line}  # word" for line, inside in lines_of(text))
    assert plain_source(commented) == plain
    assert "# word" not in plain
    tokens = [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline)]
    assert all(token not in plain for token in tokens if token.startswith("#"))


def lines_of(text: str) -> list[tuple[str, bool]]:
    """The lines of a text, and whether a comment cannot stand at the end of each."""
    inside = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.start[0] < token.end[0]:
            inside |= set(range(token.start[0], token.end[0]))
    return [(line, row in inside or line.endswith("\\")) for row, line in enumerate(text.split("\n"), start=1)]
