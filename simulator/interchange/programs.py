"""Programs that use an export from transformers and TRL, as its page has them, with the sweep's own settings.

Shapes: T response length.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.settings.run import Run, hyperparameters_of
from simulator.settings.tables import Settings, Train

MATCHES = {  # objectives of ours as TRL's DPOTrainer has them, equal in value and gradient (tests/objectives)
    "logistic": 'loss_type="sigmoid", beta=β',
    "hinge": 'loss_type="hinge", beta=β',
    "squared": 'loss_type="ipo", beta=β·T/2: a positive factor times ours, where all responses have T tokens',
    "robust_dpo": 'loss_type="robust", beta=β, label_smoothing=objective.robust_dpo.epsilon',
    "exo_pair": 'loss_type="exo_pair", beta=β, label_smoothing=objective.exo_pair.epsilon',
    "nca_pair": 'loss_type="nca_pair", beta=β',
    "sppo_hard": 'loss_type="sppo_hard", beta=β',
    "apo_zero": 'loss_type="apo_zero", beta=β',
    "apo_down": 'loss_type="apo_down", beta=β',
    "discopop": 'loss_type="discopop", beta=β, discopop_tau=objective.discopop.tau',
    "kto": "KTOTrainer, beta=β: half of ours, since its mean is over responses and ours over pairs",
}
EACH = 4  # responses to a prompt that an online trainer compares


def programs(run: Run, rows: Mapping[str, Any], *, prompts: int, response_length: int, lists_gold: bool) -> str:
    """How an export is used, with the settings of a run. rows: what those of its pairs have in each column.

    prompts: how many there are. response_length: T. lists_gold: whether gold of every response is there.
    """
    same = common(run.settings)
    return "\n\n".join(
        [
            "## Use",
            "In this folder, with `pip install transformers datasets trl`.",
            python(LOADED.format(rows=dict(rows), pairs=run.settings.data.pairs)),
            "DPO:",
            python(DPO.format(loss=loss_of(run), common=same)),
            "KTO takes the same pairs:",
            python(KTO.format(common=same)),
            "A reward model:",
            python(REWARD.format(common=same)),
            "Responses of a model; a folder of `policies/` does as well:",
            python(GENERATE),
            "Trainers that draw responses themselves need the length of one and a reward. "
            + ("Here gold is one:" if lists_gold else "Here the reward model from above is one:"),
            python((GOLD if lists_gold else LEARNED) + online(run.settings, prompts, response_length)),
        ]
    )


def online(settings: Settings, prompts: int, response_length: int) -> str:
    """The program of an online trainer, whose batches are EACH responses to no more prompts than there are."""
    batch = EACH * max(1, min(prompts, settings.train.batch // EACH))
    return RLOO.format(length=response_length, each=EACH, common=common(settings, batch))


def python(code: str) -> str:
    """A block of code."""
    return f"```python\n{code.strip()}\n```"


def example_run(runs: Sequence[Run]) -> Run:
    """The first run whose loss the DPOTrainer has with the same numbers; the first of all where there is none."""
    return next((run for run in runs if is_example(run)), runs[0])


def is_example(run: Run) -> bool:
    """Whether its loss is one of the DPOTrainer's, with the same numbers."""
    return run.loss in MATCHES and run.loss not in ("kto", "squared") and run.settings.train.divergence == "kl"


def loss_of(run: Run) -> str:
    """The loss of a run as the DPOTrainer takes it; nothing where it has none."""
    if run.loss is None or not is_example(run):
        return ""
    own = MATCHES[run.loss].replace("β", f"{run.beta:g}")
    parameters = hyperparameters_of(run) if "objective." in own else {}
    for name, value in parameters.items():
        own = own.replace(f"objective.{run.loss}.{name}", f"{value:g}")
    return f"    {own},\n"


def common(settings: Settings, batch: int = 0) -> str:
    """What all trainers share: the sweep's settings of training. batch: another one than the sweep's."""
    train = settings.train
    given = {
        "max_steps": train.steps,
        "per_device_train_batch_size": batch or min(train.batch, settings.data.pairs),
        "learning_rate": train.learning_rate,
        **schedule(train),
        "weight_decay": train.weight_decay if train.optimizer == "adamw" else 0.0,
        "max_grad_norm": train.clip,
        "bf16": False,
        "gradient_checkpointing": False,  # which saves memory that nobody lacks here, and takes long
        "report_to": "none",
    }
    return "".join(
        f"    {name}={json.dumps(value) if isinstance(value, str) else value},\n" for name, value in given.items()
    )


def schedule(train: Train) -> dict[str, Any]:
    """The learning rate along training, as transformers names it."""
    name = "constant_with_warmup" if train.schedule == "constant" and train.warmup else train.schedule
    return {"lr_scheduler_type": name, **({"warmup_steps": train.warmup} if train.warmup else {})}


LOADED = """
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("tokenizer")
pairs = load_dataset("parquet", data_files="data/preferences.parquet", split="train")
rows = {rows}  # those that one run learned from
pairs = pairs.filter(lambda row: row["pair"] < {pairs} and all(row[name] == rows[name] for name in rows))
"""
DPO = """
from trl import DPOConfig, DPOTrainer

args = DPOConfig(
{loss}    output_dir="../trained/dpo",
{common})
model = AutoModelForCausalLM.from_pretrained("reference")
DPOTrainer(model=model, args=args, train_dataset=pairs, processing_class=tokenizer).train()
"""
KTO = """
from trl import KTOConfig, KTOTrainer

args = KTOConfig(
    output_dir="../trained/kto",
{common})
model = AutoModelForCausalLM.from_pretrained("reference")
KTOTrainer(model=model, args=args, train_dataset=pairs, processing_class=tokenizer).train()
"""
REWARD = """
from trl import RewardConfig, RewardTrainer

args = RewardConfig(
    output_dir="../trained/reward",
{common})
judge = AutoModelForSequenceClassification.from_pretrained("reference", num_labels=1)
RewardTrainer(model=judge, args=args, train_dataset=pairs, processing_class=tokenizer).train()
"""
GENERATE = """
model = AutoModelForCausalLM.from_pretrained("reference")
said = tokenizer.apply_chat_template(pairs["prompt"][:4], return_tensors="pt", return_dict=True)
print(tokenizer.batch_decode(model.generate(**said)))
"""
GOLD = """
listed = load_dataset("parquet", data_files="data/gold.parquet", split="train")
gold = {(*row["prompt_tokens"], *row["response_tokens"]): row["gold"] for row in listed}


def reward(completion_ids, prompt_tokens, **others):
    return [gold[*prompt, *response] for prompt, response in zip(prompt_tokens, completion_ids)]
"""
LEARNED = """
import torch


def reward(completion_ids, prompt_tokens, **others):
    said = [prompt + response for prompt, response in zip(prompt_tokens, completion_ids)]
    batch = tokenizer.pad({"input_ids": said}, padding_side="right", return_tensors="pt").to(judge.device)
    with torch.no_grad():
        return judge(**batch).logits[:, 0].tolist()
"""
RLOO = """

from trl import RLOOConfig, RLOOTrainer

args = RLOOConfig(
    output_dir="../trained/rloo",
    max_completion_length={length},
    num_generations={each},
{common})
RLOOTrainer(
    model=AutoModelForCausalLM.from_pretrained("reference"),
    reward_funcs=reward,
    args=args,
    train_dataset=load_dataset("parquet", data_files="data/prompts.parquet", split="train"),
    processing_class=tokenizer,
).train()
"""
