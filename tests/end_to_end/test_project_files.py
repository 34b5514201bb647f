"""What the files beside the code say of the project agrees with each other."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from analysis.published.papers import PAPERS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GATE = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
HOLDER = "the alignment-simulator authors"


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_citation_is_of_this_version_and_license() -> None:
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "MIT"
    assert [author["name"] for author in citation["authors"]] == [HOLDER]


@pytest.mark.parametrize("name", ["gao", "gpo"])
def test_a_cited_paper_is_the_one_that_is_reproduced(name: str) -> None:
    """`reproduce` names its paper by title, first author, year and number."""
    cited = yaml.safe_load(text_of("CITATION.cff"))["references"]
    number = re.findall(r"arXiv:[\d.]+", PAPERS[name].title)
    (paper,) = [each for each in cited if [identifier["value"] for identifier in each["identifiers"]] == number]
    title, names = PAPERS[name].title.rstrip(")").split(" (")
    assert paper["title"].lower().startswith(title.lower())
    assert names.startswith(paper["authors"][0]["family-names"])
    assert f" {paper['year']}, " in names
    assert paper["url"] == f"https://arxiv.org/abs/{number[0].removeprefix('arXiv:')}"


def test_the_license_is_packed_and_names_its_holder() -> None:
    assert PROJECT["license-files"] == ["LICENSE"]
    assert text_of("LICENSE").startswith(f"MIT License\n\nCopyright (c) 2026 {HOLDER}\n")


def test_the_changelog_has_this_version_first_and_unreleased_before_it() -> None:
    unreleased, *released = re.findall(r"^## \[(.+?)\](?: - (.+))?$", text_of("CHANGELOG.md"), flags=re.MULTILINE)
    assert unreleased == ("Unreleased", "")
    versions = [tuple(map(int, version.split("."))) for version, _ in released]
    assert versions == sorted(set(versions), reverse=True)
    assert ".".join(map(str, versions[0])) == PROJECT["version"]
    dates = [date for _, date in released]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for date in dates)
    assert dates == sorted(dates, reverse=True)


def lint_part() -> list[str]:
    """The commands at the end of the gate, behind the comment that names the hooks."""
    return GATE.split("# The hooks of .pre-commit-config.yaml are these commands", 1)[1].splitlines()[1:]


def test_the_hooks_are_the_lint_part_of_the_gate_and_download_nothing() -> None:
    (repository,) = yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"]
    assert repository["repo"] == "local"
    hooks = repository["hooks"]
    assert [hook["entry"] for hook in hooks] == lint_part()
    assert {"ruff", "mypy"} < {hook["entry"].split()[0] for hook in hooks}
    for hook in hooks:
        assert (hook["language"], hook["pass_filenames"], hook["always_run"]) == ("system", False, True)


def test_what_contributors_are_told_to_run_is_there() -> None:
    text = text_of("CONTRIBUTING.md")
    setup, gate, hooks, engine = re.findall(r"```bash\n(.+?)\n```", text, flags=re.DOTALL)
    assert setup == "pip install -e '.[dev]' && pre-commit install"
    extras = PROJECT["optional-dependencies"]
    assert f"{PROJECT['name']}[test]" in extras["dev"]
    assert {"build", "pre-commit"} <= {re.split(r"\W{2}", each)[0] for each in extras["dev"]}
    assert gate == "bash .ci/run"
    assert engine == "python setup.py build_ext --inplace"
    assert hooks == " && ".join(lint_part())


def test_every_kind_of_addition_is_told_of() -> None:
    sections = re.findall(r"^## (.+)$", text_of("docs/extending.md"), flags=re.MULTILINE)
    assert re.findall(r"^- \[(.+?)\]\(docs/extending\.md#", text_of("CONTRIBUTING.md"), flags=re.MULTILINE) == sections


def test_the_gate_says_which_versions_of_python_are_not_at_hand(tmp_path: Path) -> None:
    """Every version that is classified is tried but the oldest, on which all else is tested. One that is there is used,
    one that is only a name that fails is not; both are stand-ins that write down what they are asked for."""
    (loop,) = re.findall(r"^for version in .+?^done$", GATE, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "python3.12").write_text("#!/bin/bash\nexit 127\n")
    (tmp_path / "python3.13").write_text(
        '#!/bin/bash\necho "asked: $*"\n[ "$2" = venv ] && mkdir -p "$3/bin" && cp "$0" "$3/bin/python" || true\n'
    )
    for path in tmp_path.iterdir():
        path.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "environment": str(tmp_path)}
    script = f"set -euo pipefail\n{loop.replace('3.14', '3.999')}"
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    told = [line for line in done.stdout.splitlines() if line != "asked: -c "]
    tests = "tests/objectives tests/measurement tests/networks"
    assert told == [
        "+ python3.12 is not at hand: not tested with it",
        "+ python3.13: install, and test objectives, measurement and networks",
        f"asked: -m venv {tmp_path}/3.13",
        "asked: -m pip install -q -e .[test]",
        f"asked: -m pytest {tests}",
        "+ python3.999 is not at hand: not tested with it",
    ]


def test_the_gate_tries_every_version_that_is_classified() -> None:
    (tried,) = re.findall(r"^for version in (.+); do$", GATE, flags=re.MULTILINE)
    oldest = PROJECT["requires-python"].removeprefix(">=")
    classified = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert classified == [oldest, *tried.split()]
