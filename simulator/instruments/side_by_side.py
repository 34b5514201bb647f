"""Work that several processes share. What they are given travels between them, so it must be plain."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any

Each = Callable[[Callable[[Any, Any], Any], Iterable[Any]], Iterable[Any]]
_prepared: list[Any] = []  # of a process that works for another


@contextmanager
def spread(prepare: Callable[[], Any], workers: int) -> Iterator[Each]:
    """Gives `each(function, tasks)`: function(prepared, task) of each task, in their order.

    Each worker prepares once. Where there is one alone, it is this process.
    """
    if workers < 2:
        prepared = prepare()
        yield lambda function, tasks: (function(prepared, task) for task in tasks)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=begin, initargs=(prepare,)) as pool:
        yield lambda function, tasks: pool.map(partial(applied, function), tasks)


def begin(prepare: Callable[[], Any]) -> None:
    """Prepare, in a process that begins."""
    _prepared[:] = [prepare()]


def applied(function: Callable[[Any, Any], Any], task: Any) -> Any:
    """The function of what is prepared and the task."""
    return function(_prepared[0], task)
