"""What the pages tell to run can be run: commands are planned, Python imports what there is, sweeps are valid.

A block of code whose file is named on a line of its own before it, as `mine.py`, lies in that file for the commands of
its page.
"""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import run
from simulator import Sweep, run_sweep
from tests.conftest import heard

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}
FILE = re.compile(r"^`([\w./-]+)`:?\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OURS = ("simulator", "analysis", "gold_rewards", "run", "benchmarks")
STARTS = (["python", "run.py"], ["alignment-simulator"])


def blocks(text: str, *kinds: str) -> list[str]:
    """The blocks of code of these kinds."""
    found = re.findall(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```$", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", inner, flags=re.MULTILINE) for indent, kind, inner in found if kind in kinds]


def commands(text: str) -> Iterator[list[str]]:
    """What follows the name of our command in every call of it in a block of shell."""
    for block in blocks(text, "bash", "sh", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            if not line.lstrip().startswith("#"):
                yield from calls(shlex.split(line.removeprefix("$ "), comments=True))


def calls(words: list[str]) -> Iterator[list[str]]:
    """The calls of our command among the words of a line."""
    parts: list[list[str]] = [[]]
    for word in words:
        parts = [*parts, []] if word in ("&&", "||", "|", ";") else [*parts[:-1], [*parts[-1], word]]
    for part in parts:
        for start in STARTS:
            if part[: len(start)] == start:
                told = part[len(start) :]
                yield told[: told.index(">")] if ">" in told else told


COMMANDS = [(name, words) for name, text in TEXTS.items() for words in commands(text)]
PLANNED = [(name, words) for name, words in COMMANDS if words[:1] in (["sweep"], ["reproduce"])]
PYTHON = [(name, block) for name, text in TEXTS.items() for block in blocks(text, "python", "py")]
TOML = [(name, block) for name, text in TEXTS.items() for block in blocks(text, "toml")]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The text that a page makes, made as it says."""
    (command,) = {found for page in TEXTS.values() for found in re.findall(r"^(python -c .+) > docs\.txt$", page, re.M)}
    path = tmp_path_factory.mktemp("text") / "docs.txt"
    with open(path, "wb") as file:
        subprocess.run([sys.executable, *shlex.split(command)[1:]], stdout=file, check=True)
    return path


def test_the_text_of_the_pages_is_about_a_megabyte(text: Path) -> None:
    assert 1e6 < text.stat().st_size < 2e6


def test_there_are_commands_and_programs() -> None:
    assert len(PLANNED) > 10
    assert {words[0] for _, words in COMMANDS} >= {"sweep", "reproduce", "report", "losses"}
    assert len(PYTHON) > 5
    assert TOML


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_every_command_is_one_that_there_is(page: str, words: list[str]) -> None:
    command, *_ = run.app.parse_args(words, exit_on_error=False, print_error=False)
    assert callable(command)


@pytest.mark.parametrize(
    ("page", "words"), PLANNED, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_every_sweep_can_be_planned(
    page: str,
    words: list[str],
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for name, content in FILE.findall(TEXTS[page]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    words = ["cpu" if word == "cuda" else word for word in words]
    if "--cluster" in words:  # of which a test elsewhere has one
        del words[words.index("--cluster") : words.index("--cluster") + 2]
    for name in set(re.findall(r"[\w.-]+\.txt", " ".join(words))):
        shutil.copy(text, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with heard():
        assert run.main([*words, *([] if "--dry-run" in words else ["--dry-run"])]) == 0
    assert "runs" in capsys.readouterr().out


@pytest.mark.parametrize(("page", "block"), PYTHON, ids=[f"{name}-{place}" for place, (name, _) in enumerate(PYTHON)])
def test_every_program_compiles_and_takes_what_there_is(page: str, block: str) -> None:
    tree = ast.parse(block)
    compile(tree, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    theirs = {Path(name).stem for name, _ in FILE.findall(TEXTS[page])}
    assert list(missing(tree, theirs)) == []


def missing(tree: ast.Module, theirs: Collection[str] = ()) -> Iterator[str]:
    """What a program takes from a package and is not there: names that it imports, and those behind a dot.

    theirs: modules that the page itself has.
    """
    packages: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module not in theirs:
            names = [(f"{node.module}", alias.name) for alias in node.names]
            yield from (f"{module}.{name}" for module, name in names if not has(module, name))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if find_spec(alias.name) is None)
            packages |= {alias.asname or alias.name: alias.name for alias in node.names if alias.name in OURS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in packages:
            module = packages[node.value.id]
            yield from [] if has(module, node.attr) else [f"{module}.{node.attr}"]


def has(module: str, name: str) -> bool:
    """Whether a name can be imported from a module."""
    found = import_module(module)
    return hasattr(found, name) or (hasattr(found, "__path__") and find_spec(f"{module}.{name}") is not None)


@pytest.mark.parametrize(("page", "block"), TOML, ids=[f"{name}-{place}" for place, (name, _) in enumerate(TOML)])
def test_every_sweep_file_is_valid(page: str, block: str) -> None:
    assert Sweep.model_validate(tomllib.loads(block)).sweep.runs > 0


def test_what_is_wrong_is_found() -> None:
    program = "import simulator as sim\nfrom analysis import frontier, nothing\nimport nowhere\nsim.Sweep, sim.swep"
    assert sorted(missing(ast.parse(program))) == ["analysis.nothing", "nowhere", "simulator.swep"]
    shell = "$ pip install x && python run.py sweep a  # b\nalignment-simulator schema > s.json\n# python run.py\n"
    assert list(commands(f"```bash\n{shell}```\n")) == [["sweep", "a"], ["schema"]]
    assert list(commands("- one:\n\n    ```bash\n    python run.py sweep \\\n      --fresh\n    ```\n")) == [
        ["sweep", "--fresh"]
    ]
    assert FILE.findall("In\n\n`mine.py`\n\n```python\nx = 1\n```\n") == [("mine.py", "x = 1\n")]


SMALL = """
[world]
prompts = 3
response_length = 3
vocabulary = 6
[data]
pairs = 64
[train]
steps = 30
[sweep]
loss = {loss}
beta = [0.03, 0.1, 0.3]
seeds = 3
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    ["README.md", "docs/tutorials/python.md"]
    + [
        f"docs/howto/{name}.md"
        for name in (
            "own_loss",
            "own_gold",
            "own_features",
            "own_pairs",
            "labels",
            "own_training_loop",
            "kept_policies",
        )
    ],
)
def test_programs_of_a_page_run_one_after_the_other(page: str, tmp_path: Path) -> None:
    """As they stand, in a folder with the files of the page and with the records that it reads, of small sweeps."""
    for name, content in FILE.findall(TEXTS[page]):
        (tmp_path / name).write_text(content, encoding="utf-8")
    losses = {"quickstart": ["logistic", "hinge"]}
    losses |= {"own": ["logistic", "mine.py:half"]} if "own_loss" in page else {}
    losses |= {"every": ["logistic"]} if "kept_policies" in page else {}
    for name, own in losses.items():
        file = tmp_path / "configs" / f"{name}.toml"
        file.parent.mkdir(exist_ok=True)
        kept = '[keep]\npolicies = "checkpoints"\n' if name == "every" else ""
        file.write_text(SMALL.format(loss=own) + kept, encoding="utf-8")
        run_sweep(Sweep.from_toml(file, beside=tmp_path), tmp_path / "results" / name, workers=1)
    program = tmp_path / "page.py"
    program.write_text("\n\n".join(block for name, block in PYTHON if name == page), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
