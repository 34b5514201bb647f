"""What of [data] says how pairs are labelled: which of it is read, what may not be asked for, and the rule it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gold_rewards import KINDS, LabelRule

if TYPE_CHECKING:
    from simulator.settings.data_table import Data
    from simulator.settings.tables import Settings

LABELS = (
    *("labels", "temperature", "label_noise", "tie_strength", "cycle"),
    *("length_bias", "flip_toward", "annotators", "disagreement"),
)
"""The keys of [data] that are of labels."""
FLIPPED = ("label_noise", "flip_toward")


def rule_of(data: Data) -> LabelRule:
    """How gold labels pairs."""
    return LabelRule(
        labels=data.labels,
        temperature=data.temperature,
        noise=data.label_noise,
        flip_toward=data.flip_toward,
        tie_strength=data.tie_strength,
        cycle=data.cycle,
        length_bias=data.length_bias,
    )


def has_ties(data: Data) -> bool:
    """Whether pairs that gold labels may be tied, so that they have weights."""
    return data.labels == "ties"


def is_intransitive(data: Data) -> bool:
    """Whether labels have no reward behind them."""
    return data.labels == "intransitive"


def labels_nothing(settings: Settings) -> bool:
    """Whether gold labels no pair: all are in a file, and none are drawn later for gold to label."""
    online = settings.online
    return bool(settings.data.file) and not (online.rounds(settings.train.steps) and online.labeller == "gold")


def unread_labels(settings: Settings) -> Sequence[str]:
    """The keys of labels that nothing reads."""
    data, ends = settings.data, settings.world.language.ends
    if labels_nothing(settings):
        return LABELS
    return (
        *(("temperature",) if data.labels == "deterministic" else ()),
        *(() if data.labels == "ties" else ("tie_strength",)),
        *(() if data.labels == "intransitive" else ("cycle",)),
        *(() if data.length_bias and ends else ("length_bias",)),
        *(() if data.label_noise and data.flip_toward != "any" else ("flip_toward",)),
        *(() if data.disagreement else ("annotators", "disagreement")),
    )


def labels_per_row(data: Data) -> Sequence[str]:
    """The keys of labels that may differ within a stack: those that change neither how runs train nor their columns."""
    if is_intransitive(data):
        return FLIPPED
    return tuple(key for key in LABELS if key != "labels") if has_ties(data) else LABELS


def check_labels(settings: Settings) -> None:
    """Raises ValueError for labels that gold, or these responses, cannot have."""
    data, reward, ends = settings.data, settings.gold.reward, settings.world.language.ends
    if labels_nothing(settings):
        if has_ties(data) or is_intransitive(data):
            raise ValueError(
                f'data.labels (="{data.labels}") says how gold labels pairs, and those of data.file have their labels; '
                "leave it out, or draw more pairs for gold to label (online.refresh)"
            )
        return
    if data.disagreement and not (reward in KINDS and KINDS[reward].drawn):
        drawn = " or ".join(f'"{name}"' for name, kind in KINDS.items() if kind.drawn)
        raise ValueError(
            f"data.disagreement (={data.disagreement:g}) draws another gold for each annotator, and gold.reward "
            f"(={reward}) is not drawn; take gold.reward {drawn}, or data.disagreement = 0"
        )
    if data.disagreement and data.labels == "intransitive":
        raise ValueError(
            f"data.disagreement (={data.disagreement:g}) needs labels that follow from gold, not data.labels "
            '(="intransitive"); take data.labels = "bradley_terry", or data.disagreement = 0'
        )
    if data.label_noise and data.flip_toward in ("longer", "shorter") and not ends:
        raise ValueError(
            f'data.flip_toward (="{data.flip_toward}") needs responses of different lengths, and here all have as many '
            'tokens; set world.language.stop, or take data.flip_toward = "likelier"'
        )
