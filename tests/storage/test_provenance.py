"""Which modules determine numbers, and hashes of their code."""

import re
from collections.abc import Callable, Iterator
from importlib.metadata import version

import pytest

from simulator.storage.provenance import (
    INSIDE,
    OUTSIDE,
    SHOWING,
    determines_numbers,
    results_modules,
    results_source,
    source_hash,
    sources,
    verdicts_source,
)
from simulator.storage.version import installed_version
from tests.conftest import ROOT
from tests.helpers.fault_injection import failing

ENGINE = "simulator/native/source/network.hpp"
GOLD = "gold_rewards/rewards/transformer.py"


def edited(path: str, before: str, after: str) -> tuple[str, str]:
    text = sources()[path]
    assert before in text
    return path, text.replace(before, after, 1)


def test_what_determines_numbers_is_in_the_hash_and_what_does_not_is_not(edit: Callable[[str, str], None]) -> None:
    before = results_source(), source_hash()
    for path in (
        "simulator/execution/local/worker_pool.py",
        "simulator/storage/inventory.py",
        "simulator/execution/progress.py",
    ):
        edit(path, "x = 1\n")
    assert results_source() == before[0]
    assert source_hash() != before[1]
    for path in (
        GOLD,
        "simulator/engine/gradient_steps.py",
        "simulator/objectives/losses/rpo.py",
        "simulator/measurement/exact.py",
    ):
        now = results_source()
        edit(path, "x = 1\n")
        assert results_source() != now
    edit("simulator/brand_new.py", "x = 1\n")
    assert "simulator/brand_new.py" in results_modules()


def test_comments_and_docstrings_are_not_in_the_hash(edit: Callable[[str, str], None]) -> None:
    before = results_source()
    edit(*edited(GOLD, '"""', '"""Better said. '))
    edit(*edited("simulator/engine/gradient_steps.py", "BATCHES_DRAWN = 512", "# why\n\nBATCHES_DRAWN = 512  # how"))
    edit(*edited(ENGINE, "#pragma once", "// Better said.\n\n#pragma once  // as always"))
    assert results_source() == before
    edit(*edited(ENGINE, "EPSILON = 1e-5f", "EPSILON = 1e-6f"))
    assert results_source() != before
    before = results_source()
    edit(*edited("simulator/engine/gradient_steps.py", "BATCHES_DRAWN = 512", "BATCHES_DRAWN = 511"))
    assert results_source() != before


def test_what_determines_numbers_uses_nothing_from_outside_but_messages_and_files() -> None:
    """Or else a module outside of the hash could determine them."""
    harmless = {"common/errors", "common/atomic_files", "common/signals", "common/terminal", "user_code/loading"}
    harmless |= {"common/user_files"}
    for path in results_modules():
        text = sources()[path]
        used = re.findall(r"^\s*from simulator\.([\w.]+) import", text, re.MULTILINE)
        outside = {
            name.replace(".", "/") for name in used if not determines_numbers(f"simulator/{name.replace('.', '/')}.py")
        }
        assert outside <= harmless, path


def test_the_modules_outside_are_there() -> None:
    names = {path.removeprefix("simulator/").removesuffix(".py") for path in sources()}
    assert names | {f"{name.partition('/')[0]}/" for name in names} >= OUTSIDE
    assert names >= set(INSIDE)


def test_what_only_shows_verdicts_is_named_and_there() -> None:
    root = ROOT / "analysis"
    names = {path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.py")}
    names |= {f"{path.name}/" for path in root.iterdir() if (path / "__init__.py").exists()}
    assert names >= SHOWING
    assert len(verdicts_source()) == 10


@pytest.fixture
def not_read_yet() -> Iterator[None]:
    installed_version.cache_clear()
    yield
    installed_version.cache_clear()


@pytest.mark.usefixtures("not_read_yet")
def test_a_version_that_cannot_be_read_is_a_label_and_is_tried_once() -> None:
    with failing("read EIO", 1) as calls:
        assert [installed_version(), installed_version()] == ["unreadable"] * 2
    assert len(calls) == 1


@pytest.mark.usefixtures("not_read_yet")
def test_a_version_without_permission_is_read_elsewhere_or_is_a_label() -> None:
    seen = set()
    for number in (0, 1, 2):  # none fails; METADATA does; PKG-INFO does, where that is what there is
        installed_version.cache_clear()
        with failing("read EACCES", number):
            seen.add(installed_version())
    assert seen == {version("alignment-simulator"), "unreadable"}
