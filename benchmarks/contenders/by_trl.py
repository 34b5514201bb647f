"""The same run by Hugging Face TRL's DPOTrainer, as lean as it goes.

The network is the module of by_hand.py behind the interface of a transformers model. The reference's log-probabilities
are computed beforehand, by the trainer; nothing is logged, saved or evaluated; batches come from the
process itself, weights are float32, and the optimizer is torch's fused Adam. What remains is the trainer's own: its
collator, its loss with the metrics that it always takes, and its loop.

Pairs are given as token ids, so that responses have exactly T tokens and none is added to end them.

`python -m benchmarks.contenders.by_trl CASE STEPS RUN DATA OUT` is one run with its start-up: it reads the pairs of run
RUN from DATA, see `cases.kept`, trains, and writes the final parameters to OUT.
"""

import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

os.environ |= {
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_OFFLINE": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}

import torch
from datasets import Dataset
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor, nn
from transformers import (
    GenerationMixin,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    PrinterCallback,
    TrainerCallback,
)
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput
from trl import DPOConfig, DPOTrainer

from benchmarks.contenders.by_hand import Transformer, row_of, set_row
from benchmarks.contenders.cases import BETA, CASES, CLIP, LEARNING_RATE, Case, Pairs, found
from simulator.networks.architecture import Architecture

PAD = "pad"


class Config(PreTrainedConfig):
    """The sizes, as transformers asks for them."""

    model_type = "benchmark"
    vocab_size: int = 0
    hidden_size: int = 0
    num_hidden_layers: int = 0
    num_attention_heads: int = 0
    max_position_embeddings: int = 0


class Backbone(nn.Module):
    """The network without its logits."""

    def __init__(self, network: Transformer) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, **_: Any) -> BaseModelOutput:
        """Sequences are equally long, so there is no padding to hide."""
        return BaseModelOutput(last_hidden_state=self.network(input_ids))


class Model(PreTrainedModel, GenerationMixin):
    """The network as a causal language model of transformers."""

    config_class = Config
    base_model_prefix = "backbone"

    def __init__(self, config: Config, network: Transformer) -> None:
        super().__init__(config)
        self.backbone = Backbone(network)

    def get_output_embeddings(self) -> nn.Module:
        """What turns states into logits."""
        return self.backbone.network.unembed

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **_: Any) -> CausalLMOutput:
        """Logits; the trainer has its own way to log-probabilities."""
        states = self.backbone(input_ids).last_hidden_state
        return CausalLMOutput(logits=self.backbone.network.unembed(states))


class Trainer(DPOTrainer):
    """The trainer, given token ids instead of text."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


class Clock(TrainerCallback):
    """Notes when each step of a training ends, in `ends`, seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.ends = now, list[float]()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """A training starts."""
        self.ends.clear()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """A step ended."""
        self.ends.append(self.now())


def whole(architecture: Architecture) -> Architecture:
    """The architecture with one place more: TRL's sequences go through the network with their last token."""
    return replace(architecture, context=architecture.context + 1)


def model_of(case: Case, row: Tensor) -> Model:
    """The network with parameters `row` [D]."""
    architecture = whole(case.architecture)
    network = Transformer(architecture)
    set_row(network, row, case.architecture)
    config = Config(
        vocab_size=architecture.vocabulary,
        hidden_size=architecture.width,
        num_hidden_layers=architecture.layers,
        num_attention_heads=architecture.heads,
        max_position_embeddings=architecture.context,
    )
    return Model(config, network)


def tokenizer_of(case: Case) -> PreTrainedTokenizerFast:
    """Words t0, t1, … for the tokens, and one more that pads and ends, which never comes."""
    words = {f"t{token}": token for token in range(case.vocabulary)} | {PAD: case.vocabulary}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token=PAD)), pad_token=PAD, eos_token=PAD, unk_token=PAD
    )


def dataset_of(pairs: Pairs) -> Dataset:
    """The pairs as the trainer's collator takes them."""
    chosen, rejected = pairs.responses[:, 0], pairs.responses[:, 1]
    return Dataset.from_dict(
        {"prompt_ids": pairs.prompts.tolist(), "chosen_ids": chosen.tolist(), "rejected_ids": rejected.tolist()}
    )


def trainer_of(
    case: Case,
    pairs: Pairs,
    row: Tensor,
    steps: int,
    folder: Path,
    *,
    seed: int = 0,
    order: Literal["random", "sequential"] = "random",
    callbacks: Sequence[TrainerCallback] = (),
) -> Trainer:
    """A trainer for `steps` steps from parameters `row` [D], on the row's device; it may use `folder`.

    What transformers deprecates in itself is not told.
    """
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    args = DPOConfig(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=case.batch,
        beta=BETA,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        optim="adamw_torch_fused",
        weight_decay=0.0,
        max_grad_norm=CLIP,
        precompute_ref_log_probs=True,
        precompute_ref_batch_size=case.pairs,
        max_length=None,
        train_sampling_strategy=order,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=row.device.type == "cpu",
        dataloader_num_workers=0,
        dataloader_pin_memory=row.device.type != "cpu",
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=seed,
    )
    trainer = Trainer(
        model=model_of(case, row),
        args=args,
        train_dataset=dataset_of(pairs),
        processing_class=tokenizer_of(case),
        callbacks=[*callbacks],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def trained(trainer: Trainer, case: Case) -> Tensor:
    """Train; the parameters in the end, [D]."""
    trainer.train()
    return row_of(trainer.model.backbone.network, case.architecture)


def main(name: str, steps: str, run: str, data: str, out: str) -> None:
    """Train one run, and keep its final parameters."""
    torch.set_num_threads(1)
    case, number = CASES[name], int(run)
    reference, [pairs] = found(Path(data), range(number, number + 1))
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(case, pairs, reference, int(steps), Path(folder), seed=number)
        save_file({"parameters": trained(trainer, case)[None]}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
