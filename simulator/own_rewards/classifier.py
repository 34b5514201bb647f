"""A gold reward that is a sequence classifier of Hugging Face transformers: `gold.reward = "hf:FOLDER"`.

It reads prompt and response as one text. Of one output the score is that; of several it is the log-odds of one label:
that of the name after `#`, as in `hf:FOLDER#POSITIVE`, or the one that is called positive, or of two the second. Only
weights in safetensors are read, and no code in the folder is run.

Shapes: N pairs of prompt and response, L prompt length, T response length, C labels.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simulator.common.errors import ConfigError, nearest, short
from simulator.common.user_files import user_path
from simulator.own_rewards.function import KEPT, texts_of
from simulator.own_rewards.source import CLASSIFIER, KEY
from simulator.own_rewards.trial import Sizes, examples
from simulator.user_code.model_folders import WEIGHTS, check_files, config_in, missing_weights, read_quietly

Array = np.ndarray

LONGEST = 2**16  # tokens of a text
BATCH = 32  # texts at once; batches are filled up, so that a score does not depend on its company
FOUND: dict[tuple[Path, tuple[tuple[str, int, int], ...]], str] = {}  # hashes by folder, and size and time of its files
READ: dict[tuple[str, str, Sizes], "ClassifierReward"] = {}


@dataclass(frozen=True, kw_only=True)
class FoundClassifier:
    """A folder with a classifier; `label` is the one whose log-odds are the score, empty where none was named."""

    name: str
    folder: Path
    label: str
    files_hash: str

    def error(self, rule: str) -> ConfigError:
        """The error of a folder that breaks a rule."""
        return ConfigError(f"{KEY}{self.name}: {rule}")


def find_classifier(name: str, beside: Path | None) -> FoundClassifier:
    """The folder that a name stands for, looked up beside the sweep file and then in the working folder.

    Raises ConfigError where there is none, or where it has no weights in safetensors.
    """
    rest = name.removeprefix(CLASSIFIER)
    whole = [(rest, ""), (rest.rpartition("#")[0], rest.rpartition("#")[2])] if "#" in rest else [(rest, "")]
    places = dict.fromkeys(folder.resolve() for folder in (beside, Path()) if folder is not None)
    for file, label in whole:
        for place in places:
            folder = place / user_path(file)
            if file and is_folder(folder):
                found = FoundClassifier(name=name, folder=folder, label=label, files_hash="")
                return FoundClassifier(name=name, folder=folder, label=label, files_hash=hash_of_folder(found))
    looked = " nor ".join(short(str(place / whole[-1][0])) for place in places)
    there = [path.name for place in places for path in (place / whole[-1][0]).parent.glob("*/")]
    raise ConfigError(f"{KEY}{name}: there is no folder {looked}{nearest(Path(whole[-1][0]).name, there)}")


def is_folder(path: Path) -> bool:
    """Whether a folder is there; a name that is too long is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def hash_of_folder(found: FoundClassifier) -> str:
    """The SHA-256 of the files of a folder that a classifier is read from. Raises ConfigError."""
    try:
        files = sorted(path for path in found.folder.iterdir() if path.is_file())
        known = found.folder, tuple((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
        check_files(files, found.error, "AutoModelForSequenceClassification")
        if known not in FOUND:
            together = hashlib.sha256()
            for path in files:
                if path.suffix in (".json", ".txt", ".safetensors", ".model"):
                    with path.open("rb") as file:
                        digest = hashlib.file_digest(file, "sha256").hexdigest()
                    together.update(f"{path.name} {digest}\n".encode())
            FOUND[known] = together.hexdigest()
    except OSError as error:
        raise found.error(f"{short(str(error.filename))} cannot be read ({error.strerror})") from None
    return FOUND[known]


@dataclass(frozen=True, kw_only=True)
class ClassifierReward:
    """Scores of texts by a classifier."""

    found: FoundClassifier
    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    row: int | None  # which label's log-odds are the score; None where the model has one output
    places: int  # tokens that texts are filled up to; longer ones to twice as many, and so on
    most: int  # tokens that the model takes
    about: str
    known: dict[str, float] = field(default_factory=dict, repr=False)

    def __call__(self, prompts: Array, responses: Array) -> Array:
        """Scores, float64 [N]. Raises ConfigError where a text is too long for the model, or a score not finite."""
        texts = texts_of(np.concatenate([prompts, responses], axis=1))
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        if len(self.known) + len(new) > KEPT:
            self.known.clear()
            new = list(dict.fromkeys(texts))
        for places, some in self._by_places(new):
            self.known.update(zip(some, self._scores(some, places).tolist(), strict=True))
        return np.array([self.known[text] for text in texts])

    def rules(self) -> list[str]:
        """What the score is."""
        return [self.about]

    def _by_places(self, texts: list[str]) -> Iterator[tuple[int, list[str]]]:
        """Batches of texts, and what they are filled up to, which follows from each text alone. Raises ConfigError."""
        alike: dict[int, list[str]] = {}
        for text, ids in zip(texts, self.tokenizer(texts, verbose=False)["input_ids"] if texts else (), strict=True):
            places = self.places
            while places < len(ids) <= self.most:
                places = min(2 * places, self.most)
            if len(ids) > places:
                raise self.found.error(
                    f"takes at most {self.most} tokens, and a text of this world has {len(ids)}; lower "
                    "world.prompt_length or world.response_length"
                )
            alike.setdefault(places, []).append(text)
        for places, some in alike.items():
            yield from ((places, some[first : first + BATCH]) for first in range(0, len(some), BATCH))

    def _scores(self, texts: list[str], places: int) -> Array:
        import torch

        filled = [*texts, *[texts[-1]] * (BATCH - len(texts))]
        given = self.tokenizer(filled, padding="max_length", max_length=places, return_tensors="pt")
        with torch.inference_mode():
            logits = self.model(**given).logits.double()
        if self.row is None:
            scores = logits[:, 0]
        else:
            others = [place for place in range(logits.shape[1]) if place != self.row]
            scores = logits[:, self.row] - logits[:, others].logsumexp(dim=1)
        if not scores.isfinite().all():
            raise self.found.error("gives scores that are not finite; its weights are damaged, or it needs more digits")
        return scores[: len(texts)].numpy()


def classifier_reward(found: FoundClassifier, sizes: Sizes) -> ClassifierReward:
    """Read a classifier, and try it. Raises ConfigError."""
    if not sizes.is_text:
        raise found.error("reads text, and this world has none; name a text file, world.language.text")
    key = str(found.folder), found.files_hash + found.label, sizes
    if key not in READ:
        READ.clear()
        reward = read_classifier(found, sizes)
        reward(*examples(sizes))
        READ[key] = reward
    return READ[key]


def read_classifier(found: FoundClassifier, sizes: Sizes) -> ClassifierReward:
    """Read a classifier from its folder; nothing is downloaded, and no code in the folder is run.

    Raises ConfigError where that fails, or weights are missing.
    """
    config_in(found.folder, found.error)
    with read_quietly(found.error, "a sequence classifier") as offline:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(found.folder, **offline)
        model, loading = AutoModelForSequenceClassification.from_pretrained(found.folder, **WEIGHTS, **offline)
    if missing := missing_weights(loading):
        raise found.error(f"is no sequence classifier: it has no weights for {short(missing[0])}")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        model.config.pad_token_id = tokenizer.pad_token_id
    names = [str(model.config.id2label[place]) for place in range(model.config.num_labels)]
    row = label_row(found, names)
    places = sizes.prompt_length + sizes.response_length + tokenizer.num_special_tokens_to_add()
    most = most_tokens(model, tokenizer)
    about = f"a classifier's {'output' if row is None else f'log-odds of {names[row]}'}, {Path(found.folder).name}"
    return ClassifierReward(
        found=found,
        model=model.eval().requires_grad_(False),
        tokenizer=tokenizer,
        row=row,
        places=min(places, most),
        most=most,
        about=about,
    )


def most_tokens(model: Any, tokenizer: Any) -> int:
    """How many tokens a model takes."""
    limits = (getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length)
    return min(LONGEST, *(int(limit) for limit in limits if limit))


def label_row(found: FoundClassifier, names: list[str]) -> int | None:
    """Which label's log-odds are the score; None for a model of one output. Raises ConfigError."""
    plain = [name.lower() for name in names]
    if found.label:
        if found.label.lower() not in plain:
            labels = ", ".join(short(name) for name in names[:20])
            raise found.error(f"has no label {short(found.label)}; it has {labels}{nearest(found.label, names)}")
        return plain.index(found.label.lower()) if len(names) > 1 else None
    if len(names) == 1:
        return None
    if "positive" in plain:
        return plain.index("positive")
    if len(names) == 2:
        return 1
    raise found.error(
        f"has {len(names)} labels ({', '.join(short(name) for name in names[:20])}); say whose log-odds are gold, as "
        f"{CLASSIFIER}FOLDER#{names[0]}"
    )
