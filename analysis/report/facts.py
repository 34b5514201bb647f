"""What was run, in a few lines: the runs, the settings that vary, the world, and the machine."""

import re
from collections.abc import Iterable
from string import ascii_lowercase
from typing import Any

import pandas as pd

from analysis.records.about import runs_of_sweep, settings_of, trained_elsewhere
from analysis.records.load import further_axes
from analysis.records.proxy_settings import label_of
from analysis.report.explorer.json_numbers import json_value

Fact = tuple[str, str]
SPEAK_OF_TOKENS = ("motif", "additive")  # rewards whose rules name tokens by number
VERSIONS = {
    "simulator_version": "simulator",
    "simulator_source": "its source",
    "results_source": "of that, what determines numbers",
    "python_version": "Python",
    "torch_version": "torch",
    "numpy_version": "NumPy",
}


def sweep_facts(curves: pd.DataFrame, ended: bool, failed: pd.DataFrame) -> list[Fact]:
    """How many runs there are and how they ended, and what varies over them. failed: as `results.failures` has them."""
    curves = curves[["run_id", "status", *settings_of(curves)]]
    runs, elsewhere = runs_of_sweep(curves), trained_elsewhere(curves)
    count = runs["run_id"].nunique()
    diverged = runs.loc[runs["status"] == "diverged"].drop_duplicates("run_id")
    ending = f"{len(diverged)} diverged, and left out of everything below" if len(diverged) else "none diverged"
    facts = [("runs", f"{count:,}{'' if ended else ' so far, and the sweep still runs'}; {ending}")]
    if len(failed):
        why = failed["reason"].value_counts()
        facts.append(("failed", _few([f"{count} more: {reason}" for reason, count in why.items()])))
    if len(diverged):
        where = diverged.groupby(["method", "loss", "beta"], dropna=False, sort=False).size()
        facts.append(("diverged", _few([_setting(curves, at, number) for at, number in where.items()])))
    facts.append(("methods", _few(label_of(curves, name) for name in runs["method"].unique())))
    losses = runs["loss"].dropna().unique().tolist()
    facts += [("losses", _few(losses))] if losses else []
    facts += [("trained elsewhere", _few(elsewhere["loss"].unique().tolist()))] if len(elsewhere) else []
    betas = [
        ("β", runs["method"] == "gpo"),
        ("penalty on KL", runs["method"] == "rl"),
        ("seeds", runs["run_id"].notna()),
    ]
    for label, which in betas:
        values = runs.loc[which, "seed" if label == "seeds" else "beta"].dropna().unique().tolist()
        facts += [(label, _few(json_value(value) for value in sorted(values)))] if values else []
    for name in further_axes(curves):
        facts.append((json_value(name), _few(json_value(value) for value in runs[name].dropna().unique().tolist())))
    return facts


def _setting(curves: pd.DataFrame, at: Any, number: int) -> str:
    method, loss, beta = at
    parts = [label_of(curves, method) if pd.isna(loss) else loss, "" if pd.isna(beta) else f"β = {beta:g}"]
    return f"{' at '.join(part for part in parts if part)} ({number})"


def _few(values: Iterable[str], most: int = 24) -> str:
    listed = list(values)
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest} more" if rest > 0 else "")


def world_facts(world: dict[str, Any]) -> list[Fact]:
    """The world: its size, the reference, and gold."""
    if not world:
        return []
    responses = f", {world['responses']:,} responses to each" if isinstance(world.get("responses"), int) else ""
    size = [
        f"{json_value(world.get('kind', ''))}: {_shown(world, 'prompts')} prompts{responses}",
        f"{_shown(world, 'vocabulary')} tokens, responses of {_shown(world, 'response_length')}",
    ]
    facts = [("world", "; ".join(size)), ("gold reward", _gold(world))]
    told_of = {
        "policy_parameters": ("parameters of a policy", ""),
        "reference_entropy": ("entropy of the reference", " nats"),
        "gold_best": ("most gold that any policy can have", " sd"),
    }
    for name, (label, unit) in told_of.items():
        if isinstance(world.get(name), int | float):
            facts.append((label, f"{_shown(world, name)}{unit}"))
    if isinstance(share := world.get("identical_pairs"), int | float):
        facts.append(("pairs of two identical responses", f"{100 * share:.2g} % of those that the reference draws"))
    return facts


def _gold(world: dict[str, Any]) -> str:
    rules = world.get("gold_rules")
    rules = rules if isinstance(rules, list) else []
    name = json_value(world.get("gold_reward", "unknown"))
    return "; ".join([name, *(spelled(str(rule), name, world.get("vocabulary")) for rule in rules)])


def spelled(rule: str, reward: str, vocabulary: object) -> str:
    """A rule of a reward that speaks of tokens, with letters where responses are shown in letters."""
    if reward not in SPEAK_OF_TOKENS or not isinstance(vocabulary, int) or vocabulary > len(ascii_lowercase):
        return rule
    tokens, colon, worth = rule.partition(":")
    return re.sub(r"\d+", lambda found: ascii_lowercase[int(found[0]) % len(ascii_lowercase)], tokens) + colon + worth


def _shown(world: dict[str, Any], name: str) -> str:
    value = world.get(name, "?")
    return (
        f"{value:,}"
        if isinstance(value, int)
        else json_value(value)
        if not isinstance(value, float)
        else f"{value:.4g}"
    )


def training_facts(runs: pd.DataFrame) -> list[Fact]:
    """What runs were trained on and how: data, steps, learning rates."""
    told_of = {
        "data.pairs": "pairs",
        "data.labels": "labels",
        "data.label_noise": "share of labels that are flipped",
        "train.steps": "training steps",
        "train.batch": "batch",
        "train.learning_rate": "learning rate",
    }
    there = {name: label for name, label in told_of.items() if name in runs and runs[name].notna().any()}
    return [
        (
            label,
            _few(
                f"{value:,}" if isinstance(value, int) else json_value(value) for value in runs[name].unique().tolist()
            ),
        )
        for name, label in there.items()
    ]


def source_facts(mixed: str) -> list[Fact]:
    """That different code made the runs, where it did; mixed: as `results.sources` has it."""
    return [("code", mixed)] if mixed else []


def machine_facts(runs: pd.DataFrame) -> list[Fact]:
    """The time that runs took, and on what."""
    facts = []
    if "wall_seconds" in runs and len(runs):
        seconds = float(runs["wall_seconds"].sum())
        facts.append(("time of all runs", f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"))
    versions = [
        f"{label} {_few(map(str, runs[name].dropna().unique()), 3)}" for name, label in VERSIONS.items() if name in runs
    ]
    if "device" in runs:
        versions.append(f"on {_few(map(str, runs['device'].dropna().unique()), 3)}")
    if "engine" in runs:
        versions.append(f"by {_few(map(str, runs['engine'].dropna().unique()), 3)}")
    return [*facts, ("with", ", ".join(versions))] if versions and len(runs) else facts
