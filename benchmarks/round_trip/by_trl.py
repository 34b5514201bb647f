"""Train the reference of an export with TRL's `DPOTrainer`, on the exported pairs, as a run of ours is trained.

What GPT-2 has beyond our network, biases and the gains of norms, stays as exported. TRL divides log-ratios by the
number of tokens T in its IPO, and asks for tau: ours of beta is its of tau = beta T / 2, times 4 tau^2 / T^2, to which
Adam without clipping is blind.
"""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ |= {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}

LOSSES = {"logistic": "sigmoid", "squared": "ipo"}
OURS_ALONE = (".bias", "ln_1.weight", "ln_2.weight", "ln_f.weight")


def beta_there(loss: str, beta: float, tokens: int) -> float:
    """TRL's beta for ours; tokens: of a response."""
    return beta * tokens / 2 if loss == "squared" else beta


@contextmanager
def in_silence() -> Iterator[None]:
    """Without what TRL, datasets and transformers say of themselves."""
    from transformers.utils import logging

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        yield


def pairs_of(export: Path, seed: int, count: int) -> Any:
    """The pairs that a run of a seed learned from, as TRL takes them."""
    from datasets import load_dataset

    with tempfile.TemporaryDirectory() as cache:
        every = load_dataset(
            "parquet",
            data_files=str(export / "data" / "preferences.parquet"),
            split="train",
            cache_dir=cache,
            keep_in_memory=True,
        )
        return every.filter(
            lambda row: row["seed"] == seed and row["pair"] < count, keep_in_memory=True, load_from_cache_file=False
        )


def train(export: Path, to: Path, pairs: Any, *, loss: str, beta: float, seed: int, **how: Any) -> Path:
    """Train the reference of `export` with one loss of ours at beta, and write the model into `to`.

    how: steps, batch and learning_rate of the run of ours; tokens of a response.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import DPOConfig, DPOTrainer

    model = AutoModelForCausalLM.from_pretrained(export / "reference")
    for name, weight in model.named_parameters():
        weight.requires_grad_(not name.endswith(OURS_ALONE))
    with tempfile.TemporaryDirectory() as place:
        args = DPOConfig(
            output_dir=place,
            loss_type=LOSSES[loss],
            beta=beta_there(loss, beta, how["tokens"]),
            max_steps=how["steps"],
            per_device_train_batch_size=how["batch"],
            learning_rate=how["learning_rate"],
            lr_scheduler_type="constant",
            weight_decay=0.0,
            max_grad_norm=0.0,
            max_length=None,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            dataloader_pin_memory=False,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=seed,
        )
        trainer = DPOTrainer(
            model=model,
            args=args,
            train_dataset=pairs,
            processing_class=AutoTokenizer.from_pretrained(export / "tokenizer"),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        trainer.model.save_pretrained(to)
    for path in (export / "tokenizer").iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to
