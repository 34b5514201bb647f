"""Every example of docs/extending.md is one new file, and works."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from simulator.storage.provenance import results_source

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"^`([\w/]+\.py)`\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = dict(EXAMPLE.findall((ROOT / "docs" / "extending.md").read_text(encoding="utf-8")))
SWEEP = """
[world]
vocabulary = 4
response_length = 3
prompts = 4
language.kind = "sticky"

[reference]
steps = 100

[gold]
reward = "staircase"

[data]
pairs = 64

[train]
steps = 12
checkpoints = 3

[proxy]
steps = 10

[sweep]
method = ["gpo", "half_gibbs"]
loss = ["lorentzian", "lopsided", "logistic"]
beta = [0.1, 1.0]
seeds = 2
"objective.lopsided.weight" = [0.5, 1.0]
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with every example in it."""
    root = tmp_path_factory.mktemp("extended")
    for name in ("simulator", "gold_rewards", "analysis"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "run.py", root)
    for place, text in EXAMPLES.items():
        assert not (root / place).exists(), place
        (root / place).write_text(text, encoding="utf-8")
    (root / "mine.toml").write_text(SWEEP)
    return root


def command(source: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run(
        [sys.executable, "run.py", *arguments], cwd=source, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_there_is_an_example_of_each_thing() -> None:
    assert {str(Path(place).parent) for place in EXAMPLES} == {
        "simulator/objectives/losses",
        "gold_rewards/rewards",
        "simulator/languages",
        "simulator/methods",
        "simulator/measurement/quantities",
        "analysis/figures/offline",
        "analysis/published/papers",
    }
    assert len(EXAMPLES) == 8


@pytest.mark.slow
def test_a_sweep_with_all_of_them_runs_and_is_analysed(source: Path) -> None:
    told = command(source, "sweep", "mine.toml", "--out", "out", "--workers", "1")
    assert "sweep.loss = lorentzian: is recorded as cauchy" in told
    out = source / "out"
    curves = pd.read_parquet(out / "curves.parquet")
    assert set(curves["method"]) == {"gpo", "half_gibbs", "oracle"}
    assert set(curves["loss"].dropna()) == {"cauchy", "lopsided", "logistic"}
    rows = curves[curves["method"] != "oracle"]
    assert (rows["renyi2"] + 1e-12 >= rows["kl"]).all()  # rises with its order, and KL is that of order 1
    assert (rows.loc[rows["step"] > 0, "renyi2"] > 0).all()
    assert rows.loc[rows["loss"] == "lopsided", "lopsided_rejected"].notna().all()
    assert rows.loc[rows["loss"] != "lopsided", "lopsided_rejected"].isna().all()
    assert len(rows[rows["method"] == "half_gibbs"]) == 2 * 3
    facts = json.loads((out / "world.json").read_text())
    assert (facts["gold_reward"], facts["stay"]) == ("staircase", 0.6)
    assert json.loads((out / "tables.json").read_text())["methods"]["half_gibbs"]["label"] == "half Gibbs"
    drawn = {path.stem.split("-")[0] for path in (out / "figures").glob("*.png")}
    assert {"entropy", "tradeoff", "overoptimization"} <= drawn
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "How undecided are policies at the end?" in page
    assert "half Gibbs" in page


@pytest.mark.slow
def test_what_is_measured_is_no_axis(source: Path) -> None:
    program = (
        "from analysis import load; from analysis.records.load import further_axes; print(further_axes(load('out')))"
    )
    if not (source / "out").exists():
        command(source, "sweep", "mine.toml", "--out", "out", "--workers", "1")
    done = subprocess.run([sys.executable, "-c", program], cwd=source, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['lopsided_weight']"


@pytest.mark.slow
def test_the_claim_is_judged(source: Path) -> None:
    command(source, "reproduce", "undecided", "--quick", "--workers", "1", "--out", "judged")
    (entry,) = json.loads((source / "judged" / "claims.json").read_text())
    assert (entry["name"], entry["paper"], entry["unit"]) == ("less-undecided", "undecided", "nats")
    assert entry["verdict"] in ("holds", "fails", "undecided")
    assert entry["estimate"] is not None


def test_code_with_them_is_other_code(source: Path) -> None:
    program = "from simulator.storage.provenance import results_source; print(results_source())"
    done = subprocess.run([sys.executable, "-c", program], cwd=source, capture_output=True, text=True, check=True)
    assert len(done.stdout.strip()) == len(results_source())
    assert done.stdout.strip() != results_source()
