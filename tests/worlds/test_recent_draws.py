"""Draws that are kept, and for how long."""

from simulator.worlds.recent_draws import RecentDraws


def test_a_draw_is_made_once_and_the_oldest_go_first() -> None:
    made: list[str] = []

    def drawn(text: str) -> str:
        made.append(text)
        return text

    draws: RecentDraws[str, str] = RecentDraws(10, len)
    for text in ("aaaa", "bbbb", "aaaa", "cccc", "bbbb", "aaaa"):
        assert draws.of(text, lambda text=text: drawn(text)) == text  # type: ignore[misc]
    assert made == ["aaaa", "bbbb", "cccc", "aaaa"]  # two fit; aaaa went when cccc came


def test_the_newest_stays_however_large_it_is() -> None:
    draws: RecentDraws[int, bytes] = RecentDraws(2, len)
    first = draws.of(1, lambda: b"12345")
    assert draws.of(1, lambda: b"another") is first
