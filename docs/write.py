"""Write the results and pictures of the documentation: `python docs/write.py`.

Runs what is missing of the sweeps in results/ (about half an hour on two cores), and writes the claims of every paper
into docs/reference/claims.md, those on published orders into docs/bridge.md and the README, what sweeps found into the
README and the pages that explain them, the pictures into docs/, and into docs/made.json with which code all was made.
Nothing of this is typed; a test fails where the code that determines results is no longer that of docs/made.json. The
picture of the page needs Chromium. The pages of docs/reference.py, which need no results, are written, too.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import run
from analysis.figures.film import film_mass
from analysis.published.papers import PAPERS
from analysis.published.verdicts import tally
from analysis.records.number_format import number
from docs.reference import write_reference
from docs.writing.bridge import bridge_page, with_bridge
from docs.writing.found import FOUND, SWEEPS, with_found
from simulator.storage.provenance import results_source, verdicts_source

DOCS = ROOT / "docs"
PICTURES = {  # of docs/, and what they are copied from
    "tradeoff.png": "quickstart/figures/tradeoff.png",
    "neighbours.png": "neighbours/figures/neighbours-train_learning_rate-0.003.png",
    "overoptimization.png": "gao/size/figures/overoptimization.png",
    "counterexample.png": "gpo/figures/counterexample.png",
    **{f"{name}.png": f"{name}/figures/{figure}.png" for name, figure in SWEEPS.items()},
}
FILM = "mass.gif"
PAGE = "report.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MARKS = {"holds": "**holds**", "fails": "**fails**", "undecided": "undecided"}

Entry = dict[str, Any]


def claims_table(entries: Sequence[Entry]) -> str:
    """The claims of one paper as a Markdown table, and below it how many there are and what Holm would leave."""
    lines = ["| claim | verdict | estimate and interval |", "|---|---|---|", *map(row, entries)]
    return "\n".join([*lines, "", f"{tally(entries)}."])


def row(entry: Entry) -> str:
    """A claim as a row of the table."""
    told = "; ".join(part for part in entry["note"].split("; ") if part).replace("|", "\\|")
    return f"| {entry['statement']} | {MARKS[entry['verdict']]} | {estimate(entry)}{f'; {told}' if told else ''} |"


def estimate(entry: Entry) -> str:
    """The estimate of a claim with its interval and unit."""
    if entry["estimate"] is None:
        return "no number"
    value, unit = signed(entry["estimate"]), entry["unit"].replace("|", "\\|")
    if entry["interval"] is None:
        return f"{value} {unit}"
    low, high = entry["interval"]
    between = "(exact)" if low == high else f"[{signed(low)}, {signed(high)}]"
    level = "" if entry["level"] == 0.95 or low == high else f" ({100 * entry['level']:g} %)"
    return f"{value} {between}{level} {unit}"


def signed(value: float) -> str:
    """A number with a minus sign, and not a hyphen."""
    return number(value).replace("-", "−")


def made_line(made: Entry) -> str:
    """When and by which code results were made."""
    return (
        f"Written by `python docs/write.py` on {made['date']} with version {made['version']} (results "
        f"`{made['results_source']}`, verdicts `{made['verdicts_source']}`)."
    )


def claims_page(claims: dict[str, list[Entry]], made: Entry) -> str:
    """docs/reference/claims.md."""
    parts = ["# Published claims, tested", made_line(made)]
    parts.append(
        'A verdict is about these small worlds, not about the paper: "fails" says that it is not so here, in a world '
        "where it could have been. Rules are beside the claims in `analysis/published/papers/`."
    )
    for name, entries in claims.items():
        parts += [f"## `reproduce {name}`", PAPERS[name].title + ".", claims_table(entries)]
    return "\n\n".join(parts) + "\n"


def screenshot(page: Path, target: Path) -> None:
    """The first screen of a page, as a picture. Raises OSError where there is no browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise OSError(f"no browser to take {target} with; install one of {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as folder:
        options = ["--headless=new", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        size = ["--window-size=1440,900", "--force-device-scale-factor=1", "--virtual-time-budget=20000"]
        command = [browser, *options, *size, f"--screenshot={target}", page.resolve().as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=300)


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def references(entries: Sequence[Entry]) -> list[str]:
    """The SHA-256 of every reference that the records of some claims were made with."""
    return [each for entry in entries for each in entry["reference_sha256"].split(", ")]


def found_by(folder: Path, made: Entry) -> Entry:
    """The headline of a sweep, and by which code. Raises ValueError where other code made its records."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    if summary["results_source"] != made["results_source"]:
        raise ValueError(f"{folder}: was made by other code; remove it")
    kept = {name: made[name] for name in ("date", "results_source", "verdicts_source")}
    return {"headline": summary["headline"], "runs": summary["runs"]} | kept


def main(results: Path) -> int:
    """Run what is missing, and write all of it; the exit code."""
    write_reference()
    commands = [["sweep", "--out", str(results / "quickstart")]]
    commands += [["sweep", name, "--out", str(results / name)] for name in SWEEPS]
    commands += [["reproduce", name, "--out", str(results / name)] for name in PAPERS]
    for command in commands:
        run.say(f"+ run.py {' '.join(command)}")
        if code := run.main(command):
            return code
    claims: dict[str, list[Entry]] = {
        name: json.loads((results / name / "claims.json").read_text(encoding="utf-8")) for name in PAPERS
    }
    for name, entries in claims.items():
        others = {entry["results_source"] for entry in entries} - {results_source()}
        if others or any(entry["quick"] for entry in entries):
            run.say(f"error: {results / name}: was made by other code, or is the quick version; remove it")
            return 2
    for name, source in PICTURES.items():
        shutil.copyfile(results / source, DOCS / name)
    screenshot(results / "quickstart" / "report.html", DOCS / PAGE)
    film_mass(results / "mass", DOCS / FILM)
    made = {
        "date": f"{date.today():%Y-%m-%d}",
        "version": tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"],
        "results_source": results_source(),
        "verdicts_source": verdicts_source(),
        "references": sorted({each for entries in claims.values() for each in references(entries)}),
        "pictures": {name: digest(DOCS / name) for name in (*PICTURES, PAGE, FILM)},
    }
    (DOCS / "reference" / "claims.md").write_text(claims_page(claims, made), encoding="utf-8")
    (DOCS / "bridge.md").write_text(bridge_page(claims), encoding="utf-8")
    found = {name: found_by(results / name, made) for name in FOUND}
    for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        path.write_text(with_found(with_bridge(text, claims), found), encoding="utf-8")
    for name, value in (("claims.json", claims), ("found.json", found), ("made.json", made)):
        content = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        (DOCS / name).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "results"))
