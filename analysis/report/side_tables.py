"""What lies beside the curves in a result directory: tables, facts and claims. What is missing is empty, what is
broken raises ResultsError with the name of the file.
"""

import json
from pathlib import Path
from typing import Any

from analysis.published.claim import VERDICTS
from analysis.records.load import ResultsError

TEXTS = ("paper", "name", "statement", "source", "unit", "rule", "note", "date", "version")


def load_world(folder: str | Path) -> dict[str, Any]:
    """The facts of world.json."""
    path = Path(folder) / "world.json"
    facts = _json(path) if path.exists() else {}
    if not isinstance(facts, dict):
        raise ResultsError(f"{path}: must be a JSON object of facts, not {type(facts).__name__}")
    return facts


def load_config(folder: str | Path) -> str:
    """The text of config.toml."""
    path = Path(folder) / "config.toml"
    return _text(path) if path.exists() else ""


def load_claims(folder: str | Path) -> list[dict[str, Any]]:
    """The entries of claims.json, each with all of its fields."""
    path = Path(folder) / "claims.json"
    entries = _json(path) if path.exists() else []
    if not isinstance(entries, list):
        raise ResultsError(f"{path}: must be a JSON list of claims, not {type(entries).__name__}")
    return [_claim(entry, f"{path}: claim {number}") for number, entry in enumerate(entries, start=1)]


def _claim(entry: Any, where: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ResultsError(f"{where}: must be an object, not {entry!r}")
    if not isinstance(entry.get("statement"), str):
        raise ResultsError(f"{where}: lacks its statement")
    if entry.get("verdict") not in VERDICTS:
        raise ResultsError(f"{where}: verdict is {entry.get('verdict')!r}; must be one of {', '.join(VERDICTS)}")
    interval = entry.get("interval")
    pair = isinstance(interval, list) and len(interval) == 2
    if interval is not None and not (pair and all(_number(end) for end in interval)):
        raise ResultsError(f"{where}: interval is {interval!r}; must be null or two numbers")
    if entry.get("estimate") is not None and not _number(entry["estimate"]):
        raise ResultsError(f"{where}: estimate is {entry['estimate']!r}; must be null or a number")
    texts = {name: "" if entry.get(name) is None else str(entry[name]) for name in TEXTS}
    numbers = {"verdict": entry["verdict"], "estimate": entry.get("estimate"), "interval": interval}
    for name in ("p", "p_holm", "seeds", "needed"):
        if entry.get(name) is not None and not _number(entry[name]):
            raise ResultsError(f"{where}: {name} is {entry[name]!r}; must be null or a number")
        numbers[name] = entry.get(name)
    return texts | numbers | {"quick": bool(entry.get("quick")), "ours": bool(entry.get("ours"))}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise ResultsError(f"{path}: is no JSON ({error})") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path}: cannot be read ({error})") from None
