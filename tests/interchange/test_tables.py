"""Exported data are the pairs that a sweep trains on, and datasets reads them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pyarrow.parquet import read_table

from simulator import World, make_world
from simulator.interchange.exporting import export_sweep
from simulator.interchange.tables import data_settings, varying
from simulator.sweeps.grid import expand
from tests.conftest import heard, small_sweep
from tests.helpers.pair_files import flipped, parquet
from tests.helpers.pair_files import rows_of as rows_of_pairs
from tests.interchange.conftest import Exported, written

KINDS = ("letters", "letters-end", "numbers", "bytes-end")


def rows_of(made: Exported, name: str = "preferences") -> list[dict[str, Any]]:
    return read_table(made.path / "data" / f"{name}.parquet").to_pylist()


def without_fill(tokens: torch.Tensor) -> list[list[int]]:
    return [[token for token in row if token >= 0] for row in tokens.tolist()]


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_are_those_of_the_world(kind: str, exported: Callable[[str], Exported]) -> None:
    made = exported(kind)
    rows = rows_of(made)
    for seed in range(3):
        mine = [row for row in rows if row["seed"] == seed]
        drawn = made.world.preferences(seed=seed)
        assert drawn.gold is not None
        assert [row["pair"] for row in mine] == list(range(len(drawn)))
        assert [row["prompt_tokens"] for row in mine] == drawn.prompts.tolist()
        assert [row["chosen_tokens"] for row in mine] == without_fill(drawn.chosen)
        assert [row["rejected_tokens"] for row in mine] == without_fill(drawn.rejected)
        assert [[row["gold_chosen"], row["gold_rejected"]] for row in mine] == drawn.gold.tolist()
        assert [row["chosen_text"] for row in mine] == [made.world.spell(tokens) for tokens in drawn.chosen]
    assert len(rows) == 3 * made.world.settings.data.pairs
    assert all(-1 not in row["chosen_tokens"] for row in rows)


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_are_those_of_the_world(kind: str, exported: Callable[[str], Exported]) -> None:
    made = exported(kind)
    assert [row["prompt_tokens"] for row in rows_of(made, "prompts")] == made.world.prompts.tolist()


def test_gold_of_every_response_is_listed(exported: Callable[[str], Exported]) -> None:
    made = exported("letters")
    rows = rows_of(made, "gold")
    prompts, responses = made.world.prompts, made.world.responses
    assert len(rows) == len(prompts) * len(responses)
    listed = {(*row["prompt_tokens"], *row["response_tokens"]): row for row in rows}
    for row in rows_of(made):
        assert listed[*row["prompt_tokens"], *row["chosen_tokens"]]["gold"] == row["gold_chosen"]
    mass = sum(torch.tensor([row["reference_log_prob"] for row in rows]).exp()).item()
    assert mass == pytest.approx(len(prompts), rel=1e-6)
    assert not (exported("numbers").path / "data" / "gold.parquet").exists()


def test_an_axis_of_data_is_a_column_and_fewer_pairs_are_the_first(tmp_path: Path) -> None:
    axes = {"data.label_noise": [0.0, 0.5], "data.pairs": [8, 16], "seeds": 2, "loss": "logistic", "beta": 1.0}
    sweep = small_sweep(sweep=axes)
    ways = data_settings(expand(sweep))
    assert [(way.data.label_noise, way.data.pairs, way.seeds) for way in ways] == [(0.0, 16, (0, 1)), (0.5, 16, (0, 1))]
    assert varying(ways) == ["label_noise"]
    export_sweep(written(sweep, tmp_path / "sweep"), tmp_path / "out", ["none"], lambda _: None)
    rows = read_table(tmp_path / "out" / "data" / "preferences.parquet").to_pylist()
    world = make_world(small_sweep())
    for noise in (0.0, 0.5):
        mine = [row for row in rows if (row["seed"], row["label_noise"]) == (1, noise) and row["pair"] < 8]
        assert [row["chosen_tokens"] for row in mine] == world.preferences(8, seed=1, label_noise=noise).chosen.tolist()
    told = (tmp_path / "out" / "README.md").read_text()
    assert "`label_noise`" in told


def test_datasets_reads_them(exported: Callable[[str], Exported], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra `hf` installs datasets, which reads what is exported")
    made = exported("bytes-end")
    for name in ("preferences", "prompts"):
        found = datasets.load_dataset(
            "parquet", data_files=str(made.path / "data" / f"{name}.parquet"), split="train", cache_dir=str(tmp_path)
        )
        assert found.to_list() == rows_of(made, name)


def test_bytes_that_are_no_text_are_counted(exported: Callable[[str], Exported]) -> None:
    made = exported("bytes-end")
    broken = sum(
        not is_utf8(bytes(row[f"{name}_tokens"])) for row in rows_of(made) for name in ("prompt", "chosen", "rejected")
    )
    assert broken > 10
    assert made.said[0].startswith(f"{broken:,} prompts and responses are no UTF-8")
    assert f"{broken:,} prompts and responses are no UTF-8" in (made.path / "README.md").read_text()


def is_utf8(content: bytes) -> bool:
    return content.decode("utf-8", "replace").encode() == content


def test_pairs_of_a_file_leave_as_they_came(lab: World, tmp_path: Path) -> None:
    """A sweep on an export's pairs, whose labels the user turned round, is exported with these."""
    pairs = flipped(lab.preferences(24, seed=5))
    file = parquet(tmp_path / "pairs.parquet", rows_of_pairs(pairs))
    sweep = small_sweep(data={"file": str(tmp_path / file), "pairs": 20, "labels": "deterministic"})
    export_sweep(written(sweep, tmp_path / "sweep"), tmp_path / "out", ["none"], lambda _: None)
    rows = read_table(tmp_path / "out" / "data" / "preferences.parquet").to_pylist()
    for seed in range(3):
        mine = [row for row in rows if row["seed"] == seed]
        assert [row["chosen_tokens"] for row in mine] == pairs.chosen[:20].tolist()
    with heard():
        again = lab.read_pairs(tmp_path / "out" / "data" / "preferences.parquet")
    assert again.rejected.tolist() == pairs.rejected[:20].tolist() * 3
