"""Tokens as people read them, and back.

A world of text has bytes; others have letters where these suffice, or else numbers with spaces between.
"""

from collections.abc import Sequence
from string import ascii_lowercase

LETTERS = ascii_lowercase


def spell(tokens: Sequence[int], *, vocabulary: int, is_text: bool) -> str:
    """Token ids as text; what is negative, behind the end of a response, is left out."""
    tokens = [token for token in tokens if token >= 0]
    if is_text:
        return bytes(tokens).decode("utf-8", "backslashreplace")
    if vocabulary <= len(LETTERS):
        return "".join(LETTERS[token] for token in tokens)
    return " ".join(map(str, tokens))


def tokens_in(text: str, *, vocabulary: int, is_text: bool) -> list[int]:
    """Text as token ids; -1 for what is no token."""
    if is_text:
        return list(text.encode("utf-8", "surrogatepass"))
    if vocabulary <= len(LETTERS):
        known = {letter: token for token, letter in enumerate(LETTERS[:vocabulary])}
        return [known.get(sign, -1) for sign in text if not sign.isspace()]
    numbers = [int(word) if word.isascii() and word.isdigit() and len(word) < 6 else -1 for word in text.split()]
    return [number if number < vocabulary else -1 for number in numbers]
