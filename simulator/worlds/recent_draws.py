"""Draws that are kept for whoever asks for the same ones next: those of the stack before."""

from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Drawn = TypeVar("Drawn")


class RecentDraws(Generic[Key, Drawn]):
    """The draws that were asked for last, by a key that determines them.

    Beyond `most_bytes` the oldest are dropped, but never the newest. bytes_of: what one draw takes.
    """

    def __init__(self, most_bytes: int, bytes_of: Callable[[Drawn], int]) -> None:
        self._most_bytes, self._bytes_of = most_bytes, bytes_of
        self._kept: dict[Key, Drawn] = {}

    def of(self, key: Key, draw: Callable[[], Drawn]) -> Drawn:
        """The draw of a key: the one that is kept, or else what `draw` returns."""
        if key not in self._kept:
            self._kept[key] = draw()
            while len(self._kept) > 1 and sum(map(self._bytes_of, self._kept.values())) > self._most_bytes:
                del self._kept[next(iter(self._kept))]
        return self._kept[key]
