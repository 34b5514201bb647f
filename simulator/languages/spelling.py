"""Tokens as people read them, and back.

A world of text has bytes; others have letters where these suffice, or else numbers with spaces between.
"""

from collections.abc import Sequence
from string import ascii_lowercase

LETTERS = ascii_lowercase
PRIVATE = 0xE000


def spell(tokens: Sequence[int], *, vocabulary: int, is_text: bool) -> str:
    """Token ids as text; what is negative, behind the end of a response, is left out."""
    tokens = [token for token in tokens if token >= 0]
    if is_text:
        return bytes(tokens).decode("utf-8", "backslashreplace")
    if vocabulary <= len(LETTERS):
        return "".join(LETTERS[token] for token in tokens)
    return " ".join(map(str, tokens))


def bytes_of(sign: str) -> bytes:
    """The bytes of a sign; one from U+E000 to U+E0FF stands for a byte that is no UTF-8, as exports write it."""
    number = ord(sign) - PRIVATE
    return bytes([number]) if 0 <= number < 256 else sign.encode("utf-8", "surrogatepass")


def tokens_in(text: str, *, vocabulary: int, is_text: bool) -> list[int]:
    """Text as token ids; -1 for what is no token."""
    if is_text:
        return [byte for sign in text for byte in bytes_of(sign)]
    if vocabulary <= len(LETTERS):
        known = {letter: token for token, letter in enumerate(LETTERS[:vocabulary])}
        return [known.get(sign, -1) for sign in text if not sign.isspace()]
    numbers = [int(word) if word.isascii() and word.isdigit() and len(word) < 6 else -1 for word in text.split()]
    return [number if number < vocabulary else -1 for number in numbers]
