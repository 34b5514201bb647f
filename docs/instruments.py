"""Write what the instruments found into the documentation: `python docs/instruments.py [RESULTS] [NAME ...]`.

Runs what is missing in RESULTS/regret, rules, influence and search, all of them or those that are named. Their findings
go between marks into the pages, their pictures into docs/, the record of `rules` to where `suggest` reads it, and into
docs/instruments.json with which code all was made. Nothing of this is typed.
"""

import json
import shutil
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import run
from analysis.instruments.stopping.record import NAME, SHIPPED
from docs.writing.instruments import INSTRUMENTS, read_found, with_instruments
from simulator.storage.provenance import instruments_source, results_source

DOCS = ROOT / "docs"
FOUND = DOCS / "instruments.json"


def main(results: Path, names: Sequence[str]) -> int:
    """Run what is missing, and write all of it; the exit code."""
    found = read_found(FOUND)
    for name in names:
        instrument, folder = INSTRUMENTS[name], results / name
        for command in instrument.commands:
            asked = [part.format(folder=folder) for part in command]
            run.say(f"+ run.py {' '.join(asked)}")
            if code := run.main(asked):
                return code
        found[name] = {
            "findings": list(instrument.findings(folder)),
            **({"more": list(instrument.more(folder))} if instrument.more else {}),
            "date": f"{date.today():%Y-%m-%d}",
            "results_source": results_source(),
            "instruments_source": instruments_source(),
        }
        shutil.copyfile(folder / instrument.picture, DOCS / f"{name}.png")
        if name == "rules":
            shutil.copyfile(folder / NAME, SHIPPED)
    for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))):
        path.write_text(with_instruments(path.read_text(encoding="utf-8"), found), encoding="utf-8")
    FOUND.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(Path(given[0]) if given else ROOT / "results", given[1:] or list(INSTRUMENTS)))
