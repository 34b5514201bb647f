"""Measure what a large sweep rests on, and write docs/explanation/million_runs.md: `python docs/million_runs.py`.

It takes five minutes on two cores: a quickstart, a driver of 100,000 runs whose tasks do nothing, and the joining and
reading of as many. What was measured stands in docs/million_runs.json, with which code and machine; the page follows
from it, and a test fails where the two part.
"""

import json
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import pandas as pd
import torch

from benchmarks import cluster, joining, reading
from benchmarks.timing.machine import machine
from docs.writing.million_runs import million_runs_page
from simulator import Sweep, run_sweep
from simulator.storage.provenance import results_source, source_hash

RUNS = 100_000
FACTS = ROOT / "docs" / "million_runs.json"
PAGE = ROOT / "docs" / "explanation" / "million_runs.md"


def quickstart(folder: Path) -> dict[str, float]:
    """What a run of the quickstart takes: seconds of a core, bytes on disk, and how many a stack has."""
    sweep = Sweep.from_toml("quickstart")
    out = run_sweep(sweep, folder, device="cpu")
    runs = pd.read_parquet(out / "runs.parquet")
    sizes = {path.name: path.stat().st_size for path in (*out.glob("*.parquet"), *(out / "policies").iterdir())}
    return {
        "steps": sweep.train.steps,
        "checkpoints": sweep.train.checkpoints,
        "core_seconds": float(runs["wall_seconds"].mean()),
        "bytes": sum(sizes.values()) / len(runs),
    }


def report_of(runs: int, folder: Path) -> dict[str, float]:
    """Seconds and bytes of a report of so many runs."""
    planted = folder / "planted"
    count = reading.plant(reading.base(folder / "base"), planted, runs)
    cost = reading.cost("the report", planted)
    return {"runs": count, "seconds": cost.seconds, "bytes": cost.bytes}


def measured() -> dict[str, Any]:
    """Everything that the page rests on."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        return {
            "date": f"{date.today():%Y-%m-%d}",
            "machine": machine(torch.device("cpu"), "one thread"),
            "results_source": results_source(),
            "simulator_source": source_hash(),
            "quickstart": quickstart(place / "quickstart"),
            "driver": cluster.in_process("--driver", str(RUNS)),
            "joining": joining.found_at(joining.base(place / "joining"), RUNS, 1),
            "report": report_of(RUNS, place),
        }


if __name__ == "__main__":
    facts = measured()
    FACTS.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    PAGE.write_text(million_runs_page(facts), encoding="utf-8")
