"""Entries of claims.json of every kind, of three papers, written by hand."""

import json
from pathlib import Path
from typing import Any

from analysis import PAPERS
from analysis.published.what_would_change import QUICK
from tests.helpers.report_fixture import CLAIM

KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gpo", {"verdict": "holds", "estimate": 0.4, "interval": [0.3, 0.5], "seeds": 10, "p": 1e-7, "p_holm": 2e-6}),
    ("gpo", {"verdict": "fails", "estimate": -2.0, "interval": [-3.0, -1.0], "seeds": 10, "p": 0.01, "p_holm": 0.2}),
    ("gpo", {"verdict": "holds", "estimate": 0.7, "interval": [0.7, 0.7], "seeds": None, "p": 0.0, "p_holm": 0.0}),
    (
        "gao",
        {
            "verdict": "undecided",
            "estimate": 0.1,
            "interval": [-0.1, 0.3],
            "seeds": 3,
            "p": 0.3,
            "p_holm": 0.9,
            "needed": 24,
            "note": f"{QUICK}; would take about 24 seeds, and then hold; least for hinge, of 3",
            "quick": True,
        },
    ),
    ("gao", {"verdict": "undecided", "estimate": 12.0, "interval": None, "note": "one seed: no interval"}),
    ("wolf", {"verdict": "undecided", "estimate": None, "interval": None, "note": "there is no table of proxies"}),
    (
        "wolf",
        {
            "verdict": "undecided",
            "estimate": -0.001,
            "interval": [-1.0, 1.0],
            "seeds": 4,
            "p": 0.99,
            "p_holm": 1.0,
            "note": "would take more than 1,000 seeds",
        },
    ),
)


def entries_of_all_kinds() -> list[dict[str, Any]]:
    """One entry of each kind, each with a claim of its paper."""
    blank = {"quick": False, "seeds": None, "p": None, "p_holm": None, "needed": None, "note": "", "ours": False}
    made = []
    for place, (paper, kind) in enumerate(KINDS):
        claim = PAPERS[paper].claims[place % 3]
        words = {"statement": claim.statement, "source": claim.source, "rule": claim.rule.text, "unit": claim.unit}
        made.append(CLAIM | blank | words | {"paper": paper, "name": claim.name} | kind)
    return made


def write_entries(folder: Path, entries: list[dict[str, Any]]) -> Path:
    """Write them as claims.json; the folder."""
    (folder / "claims.json").write_text(json.dumps(entries), encoding="utf-8")
    return folder
