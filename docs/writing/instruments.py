"""What the instruments found, written into pages between two marks, with the code that made it.

<!-- instrument: regret -->
…
<!-- end -->
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.instruments import influence, regret, search
from analysis.instruments.stopping import record

Found = Mapping[str, Any]
BLOCK = re.compile(r"<!-- instrument: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One of them: the commands that make its folder, with {folder} for it; what it found, in a few sentences and in
    more lines of Markdown; and its picture there.
    """

    commands: tuple[tuple[str, ...], ...]
    findings: Callable[[Path], Sequence[str]]
    picture: str
    more: Callable[[Path], Sequence[str]] | None = None


def regret_findings(folder: Path) -> list[str]:
    """What the ledger of a folder says; it is made where it is not there."""
    return regret.findings(regret.regret(folder))


def rules_findings(folder: Path) -> list[str]:
    """What the study of a folder says."""
    return record.findings(record.read_record(folder / record.NAME))


INSTRUMENTS = {
    "regret": Instrument(
        commands=(("sweep", "--out", "{folder}"),),
        findings=regret_findings,
        picture="figures/regret.png",
    ),
    "rules": Instrument(
        commands=(("rules", "--out", "{folder}"),), findings=rules_findings, picture="figures/rules.png"
    ),
    "influence": Instrument(
        commands=(("influence", "--out", "{folder}"),),
        findings=influence.brief,
        more=influence.findings,
        picture="figures/influence.png",
    ),
    "search": Instrument(
        commands=(("search", "--out", "{folder}"),),
        findings=lambda folder: search.findings(folder)[:3],
        more=search.findings,
        picture="figures/search.png",
    ),
}


def block(name: str, found: Found) -> str:
    """The block of an instrument; that of NAME_more has all that it found."""
    instrument, _, more = name.partition("_")
    one = found[instrument]
    lines = one["more"] if more else [f"- {sentence}" for sentence in one["findings"]]
    made = (
        f"*Written by `python docs/instruments.py` on {one['date']} (results `{one['results_source']}`, "
        f"instruments `{one['instruments_source']}`).*"
    )
    return "\n".join([f"<!-- instrument: {name} -->", *lines, "", made, "<!-- end -->"])


def with_instruments(text: str, found: Found) -> str:
    """A page with what instruments found in its blocks. Raises KeyError for one that is not there."""
    return BLOCK.sub(lambda match: block(match[1], found), text)


def read_found(path: Path) -> dict[str, Any]:
    """What was found before; nothing where there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
