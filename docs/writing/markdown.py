"""Pieces of Markdown."""

from collections.abc import Iterable, Sequence


def cell(text: str) -> str:
    """A text on one line, with nothing in it that would end a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """A text as code."""
    return f"`{text}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [head, ["---"] * len(head), *([cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def fenced(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def page(*parts: str) -> str:
    """A page of these parts."""
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def sentence(text: str) -> str:
    """A text as one that begins and ends like a sentence; a letter that is a symbol stays as it is."""
    text = " ".join(text.split())
    told = text[0].upper() + text[1:] if text[:2].isascii() and text[:2].isalpha() else text
    return told if told.endswith(".") else f"{told}."


def bound(value: float) -> str:
    """A bound of a number, for people."""
    if value == 2**63:
        return "2^63"
    return f"{int(value):,}" if value == int(value) and value < 1e10 else f"{value:g}".replace("e+", "e")
