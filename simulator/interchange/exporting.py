"""An export: the reference, policies, tokenizer and data of a finished sweep, in one folder.

Shapes: R policies, D numbers of one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, isfinite

from simulator.api.make_world import make_world
from simulator.api.policies import Policies
from simulator.api.reading import load_policies, sweep_of
from simulator.api.world import World
from simulator.common.errors import ConfigError, short
from simulator.common.terminal import print_warning
from simulator.interchange.finished_sweep import ALL, Source, read_source, recorded_reference
from simulator.interchange.gpt2 import as_json, model_files
from simulator.interchange.programs import example_run
from simulator.interchange.readme import About, readme
from simulator.interchange.spelling import Spelling, spelling_of
from simulator.interchange.tables import (
    PairsTable,
    as_parquet,
    data_settings,
    gold_table,
    pairs_table,
    prompts_table,
    varying,
)
from simulator.interchange.target import README, Written, check_target, new_folder
from simulator.settings.run import Run, axis_column
from simulator.storage.provenance import provenance_columns

MOST = 2**28  # bytes of an export with all policies that nobody asked for
LONGEST = 200  # signs of a folder's name

Say = Callable[[str], None]


def export_sweep(path: Path, to: Path, policies: Sequence[str], say: Say) -> None:
    """Export the sweep in a folder. Raises ConfigError and StorageError."""
    place = check_target(to, path)
    source = read_source(path, policies)
    check_class(source)
    world = make_world(sweep_of(source.settings))
    compare_reference(source, world)
    spelling = spelling_of(world.settings, world.simulated.end)
    pairs = pairs_table(world, spelling, data_settings(source.runs))
    beside = tokenizer_files(world, spelling)
    reference = model_of(world, world.reference.parameters[0]) | beside
    size = sum(map(len, reference.values()))
    chosen = source.asked if source.asked is not None else all_that_fit(source, size, say)
    with new_folder(place) as written:
        write_all(written, "reference", reference)
        write_all(written, "tokenizer", beside)
        exported = write_policies(written, source, world, chosen, beside)
        write_rest(written, source, world, spelling, pairs, exported)
        size = written.size
    summarize(place, pairs, spelling, len(exported), size, say)


def check_class(source: Source) -> None:
    """Raises ConfigError where policies are no networks, or data no pairs."""
    if (kind := source.settings.policy.kind) != "transformer":
        raise ConfigError(
            f'policy.kind = "{kind}": such policies are tables of one world and no networks, so there is nothing that '
            "other libraries could load; load_policies(…) has their probabilities"
        )
    if any(run.settings.data.population for run in source.runs):
        raise ConfigError("data.population: is an expectation, so there are no pairs to export")


def compare_reference(source: Source, world: World) -> None:
    """Warn where the sweep had another reference."""
    was, now = recorded_reference(source.folder, source.settings), world.facts["reference_sha256"]
    if was is not None and was != now:
        print_warning(
            "the reference was trained again, and is not the sweep's to the bit: the code or the machine is another "
            f"(SHA-256 {was[:10]}… there, {now[:10]}… here)"
        )


def all_that_fit(source: Source, size: int, say: Say) -> tuple[str, ...]:
    """All trained runs, where their models of so many bytes each are not too much."""
    count = len(source.trained)
    if (count + 1) * size <= MOST:
        return source.trained
    say(
        f"{count:,} policies would be {megabytes(count * size)}, so the reference goes alone; choose some by "
        f"--policies and names of runs, such as {source.trained[0]}, or take --policies {ALL}"
    )
    return ()


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e6:,.1f} MB"


def model_of(world: World, parameters: Tensor) -> dict[str, bytes]:
    """The files of a model with parameters [D]."""
    return model_files(
        parameters,
        world.simulated.architecture,
        response_length=world.response_length,
        end=world.simulated.end,
    )


def tokenizer_files(world: World, spelling: Spelling) -> dict[str, bytes]:
    """The files of the tokenizer."""
    length = world.prompts.shape[1] + world.response_length
    return {
        "tokenizer.json": as_json(spelling.tokenizer()),
        "tokenizer_config.json": as_json(spelling.tokenizer_config(length)),
    }


def write_all(written: Written, folder: str, files: Mapping[str, bytes]) -> None:
    """Write files into a folder."""
    for name, content in files.items():
        written.write(f"{folder}/{name}", content)


def folder_name(run_id: str) -> str:
    """A name of a run as one of a folder: every byte of what is no letter, digit, "_", "=" or "-" is %XX.

    A point is itself, but at the beginning. A name that would be too long for a folder ends at LONGEST signs; the index
    says whose it is, and its number sets it apart.
    """
    safe = re.sub(
        r"[^A-Za-z0-9_=.-]|^\.",
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogateescape")),
        run_id,
    )
    return safe if len(safe) <= LONGEST else f"{safe[: LONGEST - 12]}..{run_id.rpartition('-')[2][:10]}"


def write_policies(
    written: Written, source: Source, world: World, chosen: Sequence[str], beside: Mapping[str, bytes]
) -> list[dict[str, Any]]:
    """Write the models of the runs that are chosen, and `policies.json`; what it says. Raises ConfigError."""
    if not chosen:
        return []
    runs = {run.run_id: run for run in source.runs}
    policies: Policies = load_policies(source.folder.path, run_id=list(chosen))
    ends = measured(source)
    exported = []
    for name, parameters in zip(policies.table["run_id"], policies.parameters, strict=True):
        if not bool(isfinite(parameters).all()):
            raise ConfigError(f"--policies {short(name)}: diverged, so there is none to export")
        folder = f"policies/{folder_name(name)}"
        write_all(written, folder, model_of(world, parameters) | dict(beside))
        exported.append({"folder": folder, **about_run(runs[name], source), **ends.get(name, {})})
    written.write("policies.json", as_json(exported))
    return exported


def about_run(run: Run, source: Source) -> dict[str, Any]:
    """What a run is, and which rows of the pairs it learned from."""
    data = run.settings.data.model_dump()
    columns = {axis_column(f"data.{name}"): data[name] for name in varying(data_settings(source.runs))}
    return {
        "run_id": run.run_id,
        "method": run.method,
        "loss": run.loss,
        "beta": run.beta,
        "steps": run.steps,
        "pairs": run.settings.data.pairs,
        "rows": {"seed": run.seed, **columns},
    }


def measured(source: Source) -> dict[str, dict[str, float]]:
    """KL and gold of each run at the end of its curve, as the sweep recorded them."""
    if not source.folder.curves.exists():
        return {}
    curves = pd.read_parquet(source.folder.curves, columns=["run_id", "kl", "gold"])
    return {str(name): row for name, row in curves.groupby("run_id", sort=False).last().to_dict("index").items()}


def write_rest(
    written: Written,
    source: Source,
    world: World,
    spelling: Spelling,
    pairs: PairsTable,
    policies: list[dict[str, Any]],
) -> None:
    """Write the data and the page that explains the folder."""
    ways = data_settings(source.runs)
    gold, example = gold_table(world), example_run(source.runs)
    tables = {"preferences": pairs.table, "prompts": prompts_table(world, spelling)}
    for name, table in (tables | ({} if gold is None else {"gold": gold})).items():
        written.write(f"data/{name}.parquet", as_parquet(table))
    page = About(
        source=source,
        facts=world.facts,
        spelling=spelling,
        prompt_length=world.prompts.shape[1],
        response_length=world.response_length,
        pairs=len(pairs.table),
        example=example,
        rows=about_run(example, source)["rows"],
        varying=varying(ways),
        policies=policies,
        lists_gold=gold is not None,
        no_text=pairs.no_text,
        versions=provenance_columns(),
    )
    written.write(README, readme(page).encode())


def summarize(place: Path, pairs: PairsTable, spelling: Spelling, policies: int, size: int, say: Say) -> None:
    """Say what was exported."""
    if pairs.no_text:
        say(
            f"{pairs.no_text:,} prompts and responses are no UTF-8; their messages spell such bytes by signs of the "
            "private area, and the tokenizer reads them"
        )
    say(
        f"the reference, {policies:,} {'policy' if policies == 1 else 'policies'} and {len(pairs.table):,} pairs in "
        f"{place}: {megabytes(size)}; README.md there says how to use them"
    )
