"""What a user is told: one class for wrong input, one for a sweep that could not be finished, and how values are
shown.
"""

import difflib
from collections.abc import Iterable
from datetime import date, time


def printable(text: str) -> str:
    r"""Text as one line that does nothing to a terminal: what is not printable is spelled, such as \n and \u202e."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


SHOWN = 5


EMPTY = '""'  # a key without a sign


LONGEST = 80  # signs of a key or a value in a message


class ConfigError(ValueError):
    """The user's input is wrong; its lines say how, and do nothing to a terminal."""

    exit_code = 2  # of the command line

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(map(printable, lines)))


def short(text: str) -> str:
    """Text with what is beyond LONGEST signs cut off, printable."""
    text = printable(text[: 2 * LONGEST])
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}…"


def nearest(word: str, choices: Iterable[str]) -> str:
    """A closing clause that names the choice most like `word`, or nothing where none is."""
    found = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def shown(value: object) -> str:
    """A value as it may stand in a message: as written in TOML, printable, and short."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return "a number of more than 40 digits"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return short(f'"{value}"')
    return short(str(value) if isinstance(value, date | time) else repr(value))


class SweepError(RuntimeError):
    """Some runs could not be finished; its lines say which and why, and all others are kept."""

    exit_code = 1

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(map(printable, lines)))
