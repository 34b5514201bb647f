"""TRL's trainers take an export as it is: they train on our ids, and begin where we begin."""

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.interchange.conftest import Exported

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:'pin_memory'", "ignore::ResourceWarning")
KINDS = ("letters", "letters-end", "numbers-end", "bytes", "bytes-end")


@pytest.fixture
def trl() -> Iterator[Any]:
    """TRL, without what it and its libraries say of themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("trl", reason="the extra `test` installs it")


def dataset(made: Exported, cache: Path, name: str = "preferences") -> Any:
    from datasets import load_dataset

    return load_dataset(
        "parquet", data_files=str(made.path / "data" / f"{name}.parquet"), split="train", cache_dir=str(cache)
    )


def tokenizer(made: Exported) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(made.path / "tokenizer")


def reference(made: Exported) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(made.path / "reference")


def args(folder: Path, **more: Any) -> dict[str, Any]:
    common = {"bf16": False, "gradient_checkpointing": False, "report_to": "none", "save_strategy": "no"}
    sizes = {"per_device_train_batch_size": 8, "max_steps": 2, "logging_steps": 1, "disable_tqdm": True}
    return {"output_dir": str(folder / "trained"), "use_cpu": True, **common, **sizes, **more}


def check_dpo(trl: Any, made: Exported, tmp_path: Path) -> None:
    """TRL's ids are ours, its first loss is log 2, and its log-probabilities of the reference are ours."""
    rows = dataset(made, tmp_path)
    trainer = trl.DPOTrainer(
        model=reference(made),
        args=trl.DPOConfig(beta=0.3, precompute_ref_log_probs=True, **args(tmp_path)),
        train_dataset=rows,
        processing_class=tokenizer(made),
    )
    for name in ("prompt", "chosen", "rejected"):
        assert trainer.train_dataset[f"{name}_ids"] == rows[f"{name}_tokens"]
    pairs = [made.world.preferences(seed=seed) for seed in range(3)]
    for side in ("chosen", "rejected"):
        ours = [made.world.reference.log_prob(each.prompts, getattr(each, side)[:, None])[0, :, 0] for each in pairs]
        theirs = torch.tensor(trainer.train_dataset[f"ref_{side}_logps"])
        assert (theirs - torch.cat(ours)).abs().max() < 1e-4
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(log(2), abs=1e-5)


def test_dpo_trains_on_our_pairs(trl: Any, exported: Callable[[str], Exported], tmp_path: Path) -> None:
    check_dpo(trl, exported("letters"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_dpo_in_every_world(trl: Any, kind: str, exported: Callable[[str], Exported], tmp_path: Path) -> None:
    check_dpo(trl, exported(kind), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_kto_takes_the_pairs(trl: Any, kind: str, exported: Callable[[str], Exported], tmp_path: Path) -> None:
    made = exported(kind)
    rows = dataset(made, tmp_path)
    trainer = trl.KTOTrainer(
        model=reference(made),
        args=trl.KTOConfig(beta=0.3, **args(tmp_path)),
        train_dataset=rows,
        processing_class=tokenizer(made),
    )
    given = [
        (prompt, said, side == "chosen")
        for side in ("chosen", "rejected")
        for prompt, said in zip(rows["prompt_tokens"], rows[f"{side}_tokens"], strict=True)
    ]
    taken = trainer.train_dataset
    assert sorted(zip(taken["prompt_ids"], taken["completion_ids"], taken["label"], strict=True)) == sorted(given)
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_reward_models_read_prompt_and_response(
    trl: Any, kind: str, exported: Callable[[str], Exported], tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification

    made = exported(kind)
    rows = dataset(made, tmp_path)
    trainer = trl.RewardTrainer(
        model=AutoModelForSequenceClassification.from_pretrained(made.path / "reference", num_labels=1),
        args=trl.RewardConfig(**args(tmp_path)),
        train_dataset=rows,
        processing_class=tokenizer(made),
    )
    for side in ("chosen", "rejected"):
        whole = [a + b for a, b in zip(rows["prompt_tokens"], rows[f"{side}_tokens"], strict=True)]
        assert trainer.train_dataset[f"{side}_ids"] == whole
    trainer.train()


def known(made: Exported, prompts: list[list[int]], responses: list[list[int]]) -> list[float]:
    """Gold of responses of up to T tokens; they must be some that the world has."""
    most = made.world.response_length
    rewards = []
    for prompt, response in zip(prompts, responses, strict=True):
        filled = torch.tensor([[[*response, *[-1] * (most - len(response))]]])
        rewards.append(made.world.gold(torch.tensor([prompt]), filled).item())
    return rewards


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["RLOO", "GRPO"])
def test_online_trainers_draw_responses_that_the_world_has(
    trl: Any, name: str, kind: str, exported: Callable[[str], Exported], tmp_path: Path
) -> None:
    made = exported(kind)
    seen: list[list[int]] = []

    def reward(completion_ids: list[list[int]], prompt_tokens: list[list[int]], **_: Any) -> list[float]:
        seen.extend(completion_ids)
        return known(made, prompt_tokens, completion_ids)

    own = {"max_completion_length": made.world.response_length, "num_generations": 4}
    trainer = getattr(trl, f"{name}Trainer")(
        model=reference(made),
        reward_funcs=reward,
        args=getattr(trl, f"{name}Config")(**args(tmp_path), **own),
        train_dataset=dataset(made, tmp_path, "prompts"),
        processing_class=tokenizer(made),
    )
    trainer.train()
    assert len(seen) >= 16


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_online_dpo(trl: Any, kind: str, exported: Callable[[str], Exported], tmp_path: Path) -> None:
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    made = exported(kind)
    seen: list[list[int]] = []

    def reward(prompts: list[Any], completions: list[Any], completion_ids: list[list[int]], **_: Any) -> list[float]:
        seen.extend(completion_ids)
        return [float(len(ids)) for ids in completion_ids]

    trainer = OnlineDPOTrainer(
        model=reference(made),
        reward_funcs=reward,
        args=OnlineDPOConfig(max_new_tokens=made.world.response_length, **args(tmp_path)),
        train_dataset=dataset(made, tmp_path, "prompts").repeat(8),
        processing_class=tokenizer(made),
    )
    trainer.train()
    assert {max(ids) < made.world.vocabulary for ids in seen} == {True}


@pytest.mark.long_only(but="letters-end")
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["letters", "letters-end", "bytes-end"])
def test_the_programs_of_the_page_run(kind: str, exported: Callable[[str], Exported], tmp_path: Path) -> None:
    """As they stand there, but for the number of steps."""
    pytest.importorskip("trl")
    page = (exported(kind).path / "README.md").read_text()
    programs = "\n\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL))
    short = re.sub(r"max_steps=\d+", "max_steps=2", programs).replace("../trained", str(tmp_path / "trained"))
    assert short.count("max_steps=2") == 4
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", short], cwd=exported(kind).path, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert sorted(path.name for path in (tmp_path / "trained").iterdir()) == ["dpo", "kto", "reward", "rloo"]
