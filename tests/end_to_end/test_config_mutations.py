"""Whatever a sweep file says, a dry run plans it or refuses it in a few lines that name the key."""

import re
import shutil
import subprocess
import sys
import time
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import date, datetime
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import run
import simulator.execution.local.local_workers
from simulator.common.errors import SHOWN, printable
from simulator.settings.config_errors import known_keys
from simulator.sweeps.sweep import Sweep
from tests.conftest import extent

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.toml"))
SMALL = "[world]\nvocabulary = 4\nresponse_length = 3\nprompts = 3\n[sweep]\nbeta = [0.1, 1]\nseeds = 2\n"
TEXTS = [path.read_text(encoding="utf-8") for path in CONFIGS] + [SMALL, ""]
KEYS = [*known_keys(Sweep), "world", "sweep", "texts", "code", "world.language"]
SECONDS = 5.0
TOOK = [0.0]  # seconds of each dry run

Tables = dict[str, Any]
Check = Callable[[Tables, list[str]], None]


@pytest.fixture
def refused(request: pytest.FixtureRequest, tmp_path: Path, capsys: Any, monkeypatch: Any) -> Callable[[str], str]:
    """A dry run of a text: what it was refused with, nothing where it was planned. Timed where --long is given."""
    long = extent(request.config) == "long"
    if not long:
        monkeypatch.setattr(simulator.execution.local.local_workers, "time_steps", lambda *_: np.array([1e-9, 1e-9]))
    path = tmp_path / "sweep.toml"
    shutil.copy(Path(__file__).parents[2] / "README.md", tmp_path)  # the text of a config
    monkeypatch.chdir(tmp_path)

    def dry_run(text: str) -> str:
        path.write_bytes(text.encode("utf-8"))
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = run.main(["sweep", str(path), "--dry-run"])
        took = time.perf_counter() - began
        TOOK.append(took)
        assert not long or took < SECONDS, text
        told = capsys.readouterr()
        lines = told.err.splitlines()
        assert code in (0, 2)
        assert (told.out == "") == bool(lines) == (code == 2)
        assert len(lines) <= SHOWN + 1
        assert all(line.isprintable() for line in lines)
        assert not lines or lines[0].startswith("error: ")
        return told.err

    return dry_run


TEXT = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="\x1b\x00\n\r\t\u202e\u2028\ud7ff😀é$_^\\\"'<>[]{}.#=:", max_size=12),
    st.sampled_from(
        ["../../etc/passwd", "/dev/zero", ".py:f", "a.py:f", "x" * 5000, "</script>", "auto", "all", "logistic", "1"]
    ),
)
NUMBERS = st.one_of(
    st.integers(-3, 40),
    st.sampled_from([10**k * sign for k in (3, 6, 9, 18, 19, 30, 60, 300) for sign in (1, -1)]),
    st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64, -(2**63) - 1]),
    st.floats(),
    st.sampled_from([-0.0, 5e-324, 1e-13, 1e-12, 1e12, 1e308, float("nan"), float("inf"), -float("inf"), 0.5, 1.0]),
)
SCALARS = st.one_of(
    st.booleans(),
    NUMBERS,
    TEXT,
    st.just(date(2020, 2, 29)),
    st.just(datetime(2020, 2, 29, 1, 2)),
    st.just(clock_time(1, 2)),
)
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def deep(levels: int) -> Any:
    """Lists inside each other."""
    return [deep(levels - 1)] if levels else 1


VALUES = st.one_of(NESTED, SCALARS, st.lists(NUMBERS, max_size=40), st.integers(1, 40).map(deep))


MEANT = st.one_of(
    st.integers(1, 8), st.floats(0.01, 0.9), st.sampled_from(["logistic", "auto", "sampled", "all", "rl"])
)


def put(tables: Tables, path: list[str], value: Any) -> None:
    """Place a value, through whatever is in its way."""
    for part in path[:-1]:
        if not isinstance(tables.get(part), dict):
            tables[part] = {}
        tables = tables[part]
    tables[path[-1]] = value


@st.composite
def mutated(
    draw: st.DrawFn, texts: Sequence[str] = TEXTS, values: st.SearchStrategy[Any] = VALUES
) -> tuple[Tables, list[str]]:
    """The tables of a valid config with one to four mutations, and the last parts of the keys that changed."""
    tables = deepcopy(tomllib.loads(draw(st.sampled_from(texts))))
    changed = []
    for _ in range(draw(st.integers(1, 4))):
        key = draw(st.sampled_from(KEYS))
        kind = draw(st.sampled_from(["value", "value", "value", "axis", "nested axis", "unknown", "beside"]))
        value = draw(values if draw(st.booleans()) else MEANT)
        if kind == "unknown":
            path = [*key.split(".")[:-1], draw(TEXT)]
        elif kind == "beside":
            path = [*key.split("."), draw(TEXT)]
        else:
            path = {"axis": ["sweep", key], "nested axis": ["sweep", *key.split(".")]}.get(kind, key.split("."))
        put(tables, path, value)
        changed += [key.rpartition(".")[2], path[-1], *path[-1].split("."), *inner_keys(value)]
    return tables, changed


def inner_keys(value: Any) -> list[str]:
    """The keys of tables in a value."""
    if isinstance(value, Mapping):
        return [*value, *(key for inner in value.values() for key in inner_keys(inner))]
    return [key for inner in value for key in inner_keys(inner)] if isinstance(value, list) else []


def named(key: str) -> str:
    """How a message names a key: printable, and the beginning of a long one."""
    return printable(key)[:20] or '""'


def examples(request: pytest.FixtureRequest, suite: int, long: int) -> Any:
    """So many examples, of no matter how long."""
    count = long if extent(request.config) == "long" else suite
    return settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        phases=[Phase.generate],  # an example that is made smaller costs as many sweeps again
    )


def tell(capsys: Any, line: str) -> None:
    """A line on the terminal that pytest runs on."""
    with capsys.disabled():
        sys.stdout.write(f"\n{line}\n")


def test_mutated_tables_are_planned_or_refused_by_key(request: Any, refused: Callable[[str], str], capsys: Any) -> None:
    ended = {"planned": 0, "refused": 0}

    @examples(request, 150, 6000)
    @given(mutated())
    def check(found: tuple[Tables, list[str]]) -> None:
        tables, changed = found
        error = refused(tomli_w.dumps(tables))
        ended["refused" if error else "planned"] += 1
        of_memory = "--memory" in error
        assert not error or of_memory or any(named(key) in error for key in changed)

    check()
    tell(capsys, f"{ended}, the slowest in {max(TOOK):.2f} s")


DEEP = """
[world]
vocabulary = 3
response_length = 2
prompts = 2
[reference]
steps = 10
[data]
pairs = 16
[train]
steps = 4
checkpoints = 2
[proxy]
steps = 4
members = 2
[sweep]
method = ["gpo", "rl", "best_of_n"]
loss = ["logistic", "vpo"]
beta = [0.1, 1]
seeds = 2
"""


@pytest.mark.long_only(but="0")
@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_mutated_sweeps_are_run_or_refused_by_the_command(request: Any, part: int, tmp_path: Path, capsys: Any) -> None:
    """In processes of their own: first the plan, then, where that is small, the sweep with its figures."""
    ended: Counter[str] = Counter()

    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        whole = [sys.executable, str(ROOT / "run.py"), "sweep", str(tmp_path / "sweep.toml"), *arguments]
        done = subprocess.run(whole, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode in (0, 1, 2), done.stderr
        assert "Traceback" not in done.stderr
        assert all(line.isprintable() for line in (done.stdout + done.stderr).splitlines())
        return done

    @seed(part)
    @examples(request, 3, 40)
    @given(mutated([SMALL, DEEP], MEANT | SCALARS))
    def check(found: tuple[Tables, list[str]]) -> None:
        (tmp_path / "sweep.toml").write_bytes(tomli_w.dumps(found[0]).encode("utf-8"))
        plan = command("--dry-run")
        ended["planned" if plan.returncode == 0 else "refused"] += 1
        small = re.search(
            r"^runs +\d{1,2}( and \d{1,2} proxies)?, .*^estimated time +about \d s", plan.stdout, re.M | re.S
        )
        if small:
            done = command("--out", str(tmp_path / f"out{sum(ended.values())}"), "--workers", "1")
            ended[f"run, with exit code {done.returncode}"] += 1

    check()
    assert ended["planned"] + ended["refused"] > 0
    tell(capsys, f"{dict(ended)}")


@st.composite
def scribbled(draw: st.DrawFn) -> str:
    """The text of a config in which characters, words or lines are changed."""
    text = draw(st.sampled_from(TEXTS))
    bits = ["[", "]", "[[", "=", '"', "'", '"""', "'''", "\n", "#", ".", ",", "{", "}", "\\", "\x00", "\x1b", "é", "😀"]
    bits += [
        "nan",
        "inf",
        "-",
        "0x" + "f" * 5000,
        "9" * 4400,
        "1e400",
        "true",
        "1979-05-27",
        "a.",
        "world.prompts = 3\n",
    ]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 6)))
        text = text[:start] + draw(st.sampled_from(bits) | st.text(max_size=4)) + text[end:]
    return text


def test_scribbled_text_is_planned_or_refused(request: Any, refused: Callable[[str], str], capsys: Any) -> None:
    ended = {"planned": 0, "refused": 0}

    @examples(request, 80, 3000)
    @given(scribbled())
    def check(text: str) -> None:
        ended["refused" if refused(text) else "planned"] += 1

    check()
    assert ended["refused"] > 0
    tell(capsys, f"{ended}, the slowest in {max(TOOK):.2f} s")


MANY = ", ".join(map(str, range(1, 1001)))
HOSTILE = {
    "key of 100,000 parts": (".".join("a" * 100_000) + " = 1", "a.a.a"),
    "quoted key of many parts": (".".join(['"a b"'] * 20_000) + " = 1", "must have at most 16 parts"),
    "long header over many keys": ("[" + ".".join("a" * 10_000) + "]\n" + "b = 1\n" * 10_000, "a.a.a"),
    "20,000 unknown keys": ("".join(f"k{i} = 1\n" for i in range(20_000)), "k0"),
    "10,000 unknown axes": ("[sweep]\n" + "".join(f'"x.k{i}" = [1, 2]\n' for i in range(10_000)), "x.k0"),
    "40,000 betas": ("[sweep]\nbeta = [" + ",".join(f"{i}" for i in range(1, 40_000)) + "]", "beta lists 39,999"),
    "60,000 words for numbers": ("[sweep]\nbeta = [" + '"",' * 60_000 + "]", "beta lists 60,000"),
    "60,000 losses": ("[sweep]\nloss = [" + '"",' * 60_000 + "]", "loss lists 60,000"),
    "60,000 estimators": ("[measure]\nkl_estimators = [" + '"",' * 60_000 + "]", "kl_estimators"),
    "deep lists": ("[data]\npairs = " + "[" * 50_000 + "]" * 50_000, "must nest at most"),
    "a number of 200,000 digits": ("[world]\nseed = " + "9" * 200_000, "seed = 999"),
    "a hexadecimal number": ("[world]\nseed = 0x" + "f" * 200_000, "world.seed = a number of more than 40 digits"),
    "a wide grid": (f"[sweep]\n'data.pairs' = [{MANY}]", "1000 data.pairs"),
    "very many runs": (f"[sweep]\nseeds = 50000\n'world.seed' = [{MANY}]", "50,000 seeds"),
    "a file that is too large": ("#" * 300_000, "at most 262,144 bytes"),
    "an unclosed string": ('"""' + '\\"""\n"' * 30_000, "is not valid TOML"),
    "a long path": ("[world]\nlanguage.text = '" + "x/" * 2040 + "'", "world.language.text"),
    "a long loss": ("[sweep]\nloss = '" + "x" * 4000 + ".py:f'", "sweep.loss"),
    "a loss with a null byte": ('[sweep]\nloss = "a\\u0000.py:f"', "sweep.loss"),
    "a device for a text": ("[world]\nlanguage.text = '/dev/zero'", "world.language.text"),
    "a key with an escape": ('[data]\n"\\u001b[31m\\nx" = 1', "data.\\x1b[31m\\nx"),
    "a key like a branch of pydantic's": ('[data]\n"literal[x" = 1', "data.literal[x"),
    "an empty axis of a table": ("[sweep]\ndata.pairs = {}", "sweep.data.pairs"),
    "one axis twice": ('[sweep]\ndata.pairs = [1]\n"data.pairs" = [2]', "data.pairs comes twice"),
    "a key that is a table elsewhere": ("[sweep]\n'world.language' = 3\n'world.language.text' = 'x'", "world.language"),
}
PLANNED = {
    "as many runs as there may be": "[sweep]\nseeds = 1041",
    "as many cells as there may be": "[sweep]\nloss = 'vpo'\n'objective.vpo.alpha' = ["
    + ", ".join(f"{i / 100}" for i in range(1, 501))
    + "]\nseeds = 12",
    "as many worlds as there may be": "[sweep]\nloss = 'vpo'\n'world.seed' = ["
    + ", ".join(map(str, range(500)))
    + "]\nseeds = 12",
    "as many proxies as there may be": "[data]\nlabeller = 'proxy'\n[proxy]\nmembers = 100\n[sweep]\nseeds = 50\n",
    "many checkpoints": "[train]\nsteps = 1000000000\ncheckpoints = 10000\n[sweep]\nloss = 'vpo'\n'data.pairs' = ["
    + ", ".join(map(str, range(1, 501)))
    + "]",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_would_take_long_or_break_a_message_is_refused(what: str, refused: Callable[[str], str]) -> None:
    text, named = HOSTILE[what]
    assert named in refused(text)


@pytest.mark.slow(but=("as many runs as there may be", "many checkpoints"))
@pytest.mark.parametrize("what", PLANNED)
def test_the_largest_grids_are_planned(what: str, refused: Callable[[str], str]) -> None:
    assert not refused(PLANNED[what])
