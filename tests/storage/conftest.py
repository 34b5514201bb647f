"""Edits of the code that only hashes see."""

from collections.abc import Callable, Iterator

import pytest

from simulator.storage.provenance import results_modules, results_source, source_hash, sources


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Replaces the text of a module, as far as hashes of the code know."""
    texts = dict(sources())
    cached = (source_hash, results_modules, results_source)

    def change(path: str, to: str) -> None:
        texts[path] = to
        for function in cached:
            function.cache_clear()

    monkeypatch.setattr("simulator.storage.provenance.sources", lambda: texts)
    yield change
    monkeypatch.undo()
    for function in cached:
        function.cache_clear()
