"""Exports of several worlds, made without training anything but references."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulator import Sweep, World, make_world
from simulator.interchange.exporting import export_sweep
from tests.conftest import small_sweep

os.environ |= {
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_OFFLINE": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRL_EXPERIMENTAL_SILENCE": "1",
}

TEXT = "Grüße, Ähre <pad> und <p ꙮ\ue0c3 Ċ so\n"  # with all that a tokenizer could take for something else


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An export, and the world that it is of."""

    path: Path
    world: World
    said: list[str]


def sweep_of(kind: str, folder: Path) -> Sweep:
    """A sweep in a world of each way to write tokens, with an end and without."""
    if kind == "letters":
        return small_sweep()
    data: dict[str, object] = {"pairs": 24}
    world: dict[str, object] = {"prompts": 3, "kind": "sampled", "response_length": 4, "vocabulary": 5}
    if kind.startswith("numbers"):
        world |= {"vocabulary": 40, "prompts": 6}
    if kind.startswith("bytes"):
        (folder / "text.txt").write_text(TEXT * 60, encoding="utf-8")
        end = {"end": "\n"} if kind.endswith("end") else {}
        world |= {
            "vocabulary": 256,
            "prompt_length": 7,
            "response_length": 9,
            "language": {"text": str(folder / "text.txt"), **end},
        }
    elif kind.endswith("end"):
        world |= {"language": {"stop": 0.2}}
    return small_sweep(world=world, data=data, reference={"steps": 60}, measure={"samples": 64, "pairs": 8})


def written(sweep: Sweep, folder: Path) -> Path:
    """A result folder with what a sweep begins with."""
    folder.mkdir()
    (folder / "config.toml").write_text(sweep.to_toml(), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """The export of a world of this kind, without policies; each is made once."""
    made: dict[str, Exported] = {}

    def export(kind: str) -> Exported:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            sweep, said = sweep_of(kind, folder), list[str]()
            export_sweep(written(sweep, folder / "sweep"), folder / "out", ["none"], said.append)
            made[kind] = Exported(path=folder / "out", world=make_world(sweep), said=said)
        return made[kind]

    return export


@pytest.fixture(scope="session")
def with_policies(results: Path, lab: World, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The export of a finished sweep with two of its policies."""
    import pandas as pd

    names = pd.read_parquet(results / "runs.parquet")["run_id"]
    out, said = tmp_path_factory.mktemp("policies") / "out", list[str]()
    export_sweep(results, out, [names[0], names[10]], said.append)
    return Exported(path=out, world=lab, said=said)
