"""Which losses make responses longer, and what is left of gold at the lengths that the reference speaks?

At one KL, by analysis/statistics/lengths/at_equal_kl.py. A loss surely makes responses longer or shorter than the
baseline does (logistic, or else the first loss) where the interval of the difference, paired over draws and corrected
for the number of losses (Bonferroni), leaves 0 out. Its differences are printed with these intervals.

Labellers of several length biases are compared in the mean over losses, at one KL, the last bias against the first,
where other axes have their first values.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.headline.statement import Number, Statement, amount, near, place_text, signed, unsigned, would_tell
from analysis.records.names import in_words, listed, loss_label, value_text
from analysis.records.parts import parts_of
from analysis.statistics.intervals import LEVEL, Estimate, mean_of
from analysis.statistics.lengths.at_equal_kl import COLUMNS, AtKL, ends_of_bias, lengths_at_kl, less
from analysis.statistics.power import seeds_to_differ

MOST = 2  # losses on either side that are named


def lengths(pairs: pd.DataFrame) -> list[Statement]:
    """Two statements at the first values of further axes: which losses lengthen, and what that does to gold.

    The second is on length-biased labellers where there are some, in the same place. None where responses have one
    length.
    """
    at, part = parts_of(pairs)[0]
    found = lengths_at_kl(part)
    return [lengths_apart(found, place_text(at)), length_biased_labels(pairs) or equal_length(found)] if found else []


def plainly(loss: str) -> str:
    """A loss in a sentence, its settings with it: R-DPO with α = 1."""
    name, *settings = loss_label(loss).split(", ")
    equal = [" = ".join(setting.rsplit(" ", 1)) for setting in settings]
    return f"{name} with {listed(equal)}" if equal else name


def corrected(families: int) -> float:
    """The level of intervals of so many families, of which all hold at once (Bonferroni)."""
    return 1 - (1 - LEVEL) / families


def leaves_out_0(estimate: Estimate, level: float = LEVEL) -> bool:
    """Whether its interval leaves 0 out."""
    low, high = estimate.interval(level)
    return low > 0 or high < 0


def lengths_apart(found: AtKL, place: str = "") -> Statement:
    """Which losses surely make responses longer, or shorter, than the baseline does."""
    differences = found.longer()
    level = corrected(max(1, len(differences)))
    sure = {name: each for name, each in differences.items() if leaves_out_0(each, level)}
    longer = [name for name, each in sure.items() if each.value > 0]
    shorter = [name for name, each in reversed(sure.items()) if each.value < 0]
    base, own = loss_label(found.baseline), mean_of(found.each[found.baseline]["length"])
    where = ", ".join(filter(None, [f"at {near(found.kl)} nats", place]))
    if leaves_out_0(own):
        parts = [f"{base} makes responses {unsigned(own)} tokens {'longer' if own.value > 0 else 'shorter'} ({where})"]
    else:
        parts = [f"Whether {base} changes lengths is not sure ({signed(own)} tokens, {where})"]
    if longer:
        parts.append(f"those of {those(longer, differences, level)} are longer than that")
    if shorter:
        parts.append(f"those of {those(shorter, differences, level)} are shorter{'' if longer else ' than that'}")
    unsure, others = len(differences) - len(sure), "other " if sure else ""
    if unsure:
        parts.append(f"for {in_words(unsure)} {others}loss{'es' * (unsure > 1)} no difference from it is sure")
    title = f"No loss surely differs from {base} in length" if differences else f"Lengths under {base}"
    if sure:
        made = [f"{makers(names)} {word}" for names, word in ((longer, "longer"), (shorter, "shorter")) if names]
        title = f"{made[0]} responses than {base}{''.join(f', {more} ones' for more in made[1:])}"
    numbers: dict[str, Number] = {"kl": found.kl, found.baseline: own.value}
    numbers |= {f"{name} less {found.baseline}": each.value for name, each in differences.items()}
    text = ". ".join(["; ".join(parts), *([not_compared(found)] if found.still else [])])
    return Statement(topic="length", text=text, title=title, sure=not unsure, numbers=numbers)


def not_compared(found: AtKL) -> str:
    """Which losses stay near the reference."""
    stay, are = ("stay", "are") if len(found.still) > 1 else ("stays", "is")
    return f"{who(found.still)} {stay} near the reference and {are} not compared"


def those(names: Sequence[str], differences: Mapping[str, Estimate], level: float) -> str:
    """Losses and their differences, the first of them by name."""
    rest = len(names) - MOST
    named = [f"{plainly(name)} ({signed(differences[name], level)})" for name in names[:MOST]]
    return listed([*named, *([f"{in_words(rest)} other{'s' * (rest > 1)}"] if rest > 0 else [])])


def who(names: Sequence[str]) -> str:
    """Losses by name, or how many where there are more than MOST."""
    return listed([plainly(name) for name in names]) if len(names) <= MOST else f"{in_words(len(names))} losses"


def makers(names: Sequence[str]) -> str:
    """Losses and what they do."""
    return f"{who(names)} make{'' if len(names) > 1 else 's'}"


def averaged(found: AtKL) -> str:
    """Over how many losses a mean is; nothing for one."""
    return f"on average over {in_words(len(found.each))} losses" if len(found.each) > 1 else ""


def equal_length(found: AtKL) -> Statement:
    """What of gold is left at the reference's lengths, in the mean over losses, at the KL of `lengths_apart`."""
    whole, left = mean_of(found.mean("gold")), mean_of(found.mean("gold_equal_length"))
    by_length = mean_of(found.mean("gold") - found.mean("gold_equal_length"))
    sure, mean = leaves_out_0(by_length), averaged(found)
    if sure:
        text = f"of {amount(whole)} gold, {amount(left)} is left at the reference's lengths"
        if by_length.value < 0:
            text = (
                f"lengths cost {unsigned(by_length)} gold: it is {amount(whole)}, and {amount(left)} at the reference's"
            )
        title = text.replace("at the reference's lengths", "at equal length").replace("the reference's", "equal length")
        text, title = (", ".join(filter(None, [words, mean])) for words in (text, title))
    needed = None if sure else seeds_to_differ(by_length)
    if not sure:
        title = " ".join(filter(None, ["what lengths give or cost", mean, "is not sure"]))
        text = f"{title} ({signed(by_length)} of {amount(whole)} gold; {would_tell(needed, len(found.draws))})"
    numbers: dict[str, Number] = {"kl": found.kl, "gold": whole.value, "left": left.value, "by_length": by_length.value}
    return Statement(topic="equal_length", text=text, title=title, sure=sure, numbers=numbers, seeds=needed)


def length_biased_labels(pairs: pd.DataFrame) -> Statement | None:
    """What labels of the last length bias do, less those of the first; None where no bias varies."""
    ends = ends_of_bias(pairs)
    if ends is None:
        return None
    (first, of_first), (last, of_last) = ends
    longer, gold, equal = (less(of_last, of_first, column) for column in COLUMNS)
    labels = "labels that like length"
    apart = f"length bias {value_text(last)} less {value_text(first)}"
    where = ", ".join(filter(None, [apart, f"at {near(of_first.kl)} nats", averaged(of_first)]))
    if first or last < 0:
        labels = f"labels with length bias {value_text(last)} instead of {value_text(first)}"
    text = f"whether {labels} change lengths is not sure ({signed(longer)} tokens)"
    if leaves_out_0(longer):
        text = f"{labels} make responses {unsigned(longer)} tokens {'longer' if longer.value > 0 else 'shorter'}"
    known = leaves_out_0(gold)
    needed = None if known else seeds_to_differ(gold)
    of_gold = f"What they do to gold is not sure ({signed(gold)}; {would_tell(needed, len(of_first.draws))})"
    title = f"What {labels} do to gold is not sure"
    if known:
        of_gold = f"Gold is {unsigned(gold)} {'higher' if gold.value > 0 else 'lower'}"
        title = f"{labels.capitalize()} {'add' if gold.value > 0 else 'cost'} {unsigned(gold)} gold"
    numbers: dict[str, Number] = {
        "kl": of_first.kl,
        **dict(zip(COLUMNS, (longer.value, gold.value, equal.value), strict=True)),
    }
    return Statement(
        topic="length_bias",
        text=f"{text}. {of_gold}; at equal length it differs by {signed(equal)} ({where})",
        title=title,
        sure=known and leaves_out_0(longer),
        numbers=numbers,
        seeds=needed,
    )
