"""What our code never does: unpickle, evaluate text, run a shell, open a connection."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("simulator", "analysis", "gold_rewards")
SOURCES = [ROOT / "run.py", *sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))]
MODULES = {
    *("pickle", "cPickle", "_pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle", "yaml", "jsonpickle"),
    *("urllib", "requests", "socket", "http", "httpx", "aiohttp", "ftplib", "smtplib", "xmlrpc", "webbrowser"),
}
CALLS = {
    *("torch.load", "torch.hub.load", "pd.read_pickle", "pandas.read_pickle", "numpy.core.multiarray.load"),
    *("os.system", "os.popen", "eval", "exec", "compile", "__import__", "tarfile.open", "shutil.unpack_archive"),
}
USERS_OWN = {
    ("simulator/user_code/loading.py", "load_function")
}  # runs the user's own file, after `find` refused results directories
ANSWERS = {("simulator/playground/server.py", name) for name in ("http.server", "urllib.parse")}
# answers on the loopback to who has the token (tests/playground/test_server.py), and connects to nobody
KNOCKS = {("simulator/execution/cluster/connect.py", "socket")}  # asks whether the cluster that a user names is there


def faults(source: str, where: str = "") -> list[str]:
    """What a source does that it must not, each with its line."""
    found = []
    for node, function in walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            banned = [name for name in names if name.split(".")[0] in MODULES and (where, name) not in ANSWERS | KNOCKS]
            found += [f"{node.lineno}: imports {name}" for name in banned]
        if isinstance(node, ast.Call) and (told := of_call(node)) and (where, function) not in USERS_OWN:
            found.append(f"{node.lineno}: {told}")
    return [f"{where}:{fault}" for fault in found]


def of_call(node: ast.Call) -> str:
    """What is wrong with a call; nothing where nothing is."""
    name = ast.unparse(node.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if name in CALLS:
        return f"calls {name}"
    if name in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
        return f"{name} without allow_pickle=False"
    if given.get("allow_pickle", "False") != "False" or given.get("weights_only", "True") != "True":
        return f"{name} unpickles"
    return f"{name} runs a shell" if given.get("shell", "False") != "False" else ""


def walk(tree: ast.AST, function: str = "") -> Iterator[tuple[ast.AST, str]]:
    """Every node with the name of the function that it stands in."""
    for node in ast.iter_child_nodes(tree):
        yield node, function
        yield from walk(node, node.name if isinstance(node, ast.FunctionDef) else function)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_unpickles_evaluates_or_connects(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()) == []


@pytest.mark.parametrize(
    "source",
    [
        *("import pickle", "from pickle import loads", "import urllib.request", "from socket import socket"),
        *("torch.load(path)", "np.load(path)", "np.load(path, allow_pickle=True)", "pd.read_pickle(path)"),
        *("eval(text)", "def f():\n    exec(text)", "subprocess.run(text, shell=True)", "os.system(text)"),
        *("np.save(path, array, allow_pickle=True)", "load(path, weights_only=False)"),
    ],
)
def test_what_must_not_be_is_found(source: str) -> None:
    assert len(faults(source)) == 1


def test_one_function_runs_code_and_it_is_found_where_it_is() -> None:
    [(where, function)] = USERS_OWN
    source = (ROOT / where).read_text(encoding="utf-8")
    assert len(faults(source, "elsewhere")) == 2  # exec and compile, both in one line of it
    assert f"def {function}(" in source


def test_one_module_answers_and_it_is_found_where_it_is() -> None:
    ((where, _), _) = sorted(ANSWERS)
    assert len(faults((ROOT / where).read_text(encoding="utf-8"), "elsewhere")) == len(ANSWERS)


def test_what_is_harmless_is_not_found() -> None:
    assert not faults("import json\nnetwork.eval()\nre.compile(text)\nnp.load(path, allow_pickle=False)\nopen(path)")
