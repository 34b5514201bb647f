"""Python source without what does not run: comments, docstrings, blank lines and blanks at the ends of lines.

Two texts with the same plain source do the same. The plain source is for hashing, and need not be valid Python: it is
cut out of the text by positions, so that it does not depend on the version of Python that reads it.
"""

import ast
import io
import tokenize
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

Position = tuple[int, int]  # line from 1, and character of it from 0
STRING_STARTS = ("STRING", "FSTRING_START", "TSTRING_START")
STRING_ENDS = ("STRING", "FSTRING_END", "TSTRING_END")


@dataclass(frozen=True, kw_only=True)
class Span:
    """A piece of a text, from its first character to before its last."""

    start: Position
    end: Position


def plain_source(text: str) -> str:
    """What of a module's text runs. Raises SyntaxError where it is no Python."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")  # as Python reads it
    lines = io.StringIO(text).readlines()
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    comments = [Span(start=token.start, end=token.end) for token in tokens if token.type == tokenize.COMMENT]
    documents = list(docstrings(ast.parse(text), lines))
    strings = set(rows_of_strings(tokens, [span.start for span in documents]))
    for span in sorted([*comments, *documents], key=lambda span: span.start, reverse=True):
        cut(lines, span)
    kept = []
    for row, line in enumerate(lines, start=1):
        inside = row in strings and row + 1 in strings
        plain = line.rstrip("\n") if inside else line.rstrip()
        if plain or row in strings:
            kept.append(plain)
    return "\n".join(kept)


def rows_of_strings(tokens: Iterable[tokenize.TokenInfo], but: Collection[Position]) -> Iterator[int]:
    """The lines of every string that has several, whose blanks are part of it; not of those that start at `but`."""
    starts: list[Position] = []
    for token in tokens:
        name = tokenize.tok_name[token.type]
        if name in STRING_STARTS:
            starts.append(token.start)
        if name in STRING_ENDS and (first := starts.pop()) not in but and first[0] < token.end[0]:
            yield from range(first[0], token.end[0] + 1)


def docstrings(tree: ast.Module, lines: list[str]) -> Iterator[Span]:
    """The docstrings of a module, of its classes and functions and of their attributes: strings that are statements."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            yield Span(
                start=(node.lineno, characters(lines[node.lineno - 1], node.col_offset)),
                end=(node.end_lineno, characters(lines[node.end_lineno - 1], node.end_col_offset)),
            )


def characters(line: str, count: int) -> int:
    """How many characters the first `count` bytes of a line are."""
    return len(line.encode()[:count].decode())


def cut(lines: list[str], span: Span) -> None:
    """Take a span out of the lines, whose number stays."""
    (first, start), (last, end) = span.start, span.end
    rest = lines[last - 1][end:]
    lines[first - 1] = lines[first - 1][:start] + (rest if first == last else "\n")
    if first != last:
        lines[first : last - 1] = [""] * (last - 1 - first)
        lines[last - 1] = rest
