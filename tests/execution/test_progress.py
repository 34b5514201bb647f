"""What a waiting user sees."""

import io

import pytest

from simulator.execution.progress import ProgressCounts, clock, progress_on
from tests.conftest import small_sweep
from tests.helpers.plans import request_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 s"), (89, "89 s"), (120, "2 min"), (5300, "88 min"), (9000, "2.5 h")]
)
def test_time_spans(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_line_counts_runs_speed_and_time_left() -> None:
    tally = ProgressCounts(runs=10, run_steps=1000)
    assert tally.line() == "0 of 10 runs"
    tally.start_time -= 10
    tally.add(10, 0, worked=True)
    assert tally.line() == "0 of 10 runs, 1 run-steps/s"
    tally.add(490, 5, worked=True)
    assert tally.line() == "5 of 10 runs, 50 run-steps/s, 10 s left"


def test_the_line_says_that_proxies_come_first() -> None:
    tally = ProgressCounts(runs=10, run_steps=900, proxies=4, proxy_steps=400)
    tally.start_time -= 10
    tally.add(100, 0, worked=True)
    assert tally.line() == "training 4 proxies, 10 run-steps/s, 80 s left"
    tally.add(300, 0, worked=True)
    assert tally.line().startswith("0 of 10 runs, ")
    tally.add(100, 2, worked=True)
    assert tally.line().startswith("2 of 10 runs, ")


def test_what_was_found_finished_does_not_count_as_speed() -> None:
    tally = ProgressCounts(runs=10, run_steps=1000)
    tally.start_time -= 10
    tally.add(500, 5, worked=False)
    assert tally.line() == "5 of 10 runs"
    tally.add(250, 2, worked=True)
    assert tally.line() == "7 of 10 runs, 25 run-steps/s, 10 s left"


def test_plain_lines_now_and_then_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    times = iter(range(0, 1000, 4))
    monkeypatch.setattr("simulator.execution.progress.time.monotonic", lambda: float(next(times)))
    with progress_on(stream, request_for(small_sweep()), "by native (avx2)") as watch:
        assert stream.getvalue() == ""
        for _ in range(12):
            watch(100, 1, True)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "54 runs, 2,160 run-steps by native (avx2)"
    assert 2 <= len(lines) - 1 < 12
    assert "\r" not in stream.getvalue()


def test_a_live_line_on_a_terminal() -> None:
    stream = Terminal()
    with progress_on(stream, request_for(small_sweep()), "by native (avx2)") as watch:
        watch(2160, 54, True)
    assert "54 of 54 runs" in stream.getvalue()
