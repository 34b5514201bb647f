"""With which losses do fewer chosen responses fall, is there more gold for it, and what says how far one falls?

Two statements, where `pairs.parquet` was recorded, at the smallest beta of each loss. The first compares every loss
with that of `rise_and_fall` at the same KL, by the rules of analysis/statistics/pair_scores/displacement.py, and gives
gold there of the one that differs most. It is sure if some loss surely displaces fewer or more. Differences have the
halves of the intervals that decide, which are corrected for the number of losses.

The second is about the rank correlation of CHES, and of the displacement rate, with where chosen responses end. A score
predicts how far they fall if its interval lies beyond MEDIUM with the expected sign, and goes against it if it does
with the other sign. It says little if its interval lies within MEDIUM, which is a medium correlation by the convention
of Cohen 1988. Else it is not sure.
"""

import math

import pandas as pd

from analysis.headline.rise_and_fall import shown_loss, weakest
from analysis.headline.statement import (
    Number,
    Statement,
    beta_of,
    near,
    percent,
    setting_text,
    signed,
    unsigned,
)
from analysis.records.load import final_rows, without_diverged
from analysis.records.names import capitalized, in_words, listed, loss_label, losses_of
from analysis.statistics.intervals import Estimate
from analysis.statistics.pair_scores.displacement import (
    SCORES,
    LossDisplacement,
    correlation_of,
    displacement_beside,
    rank_correlations,
    share_of,
)

MEDIUM = 0.3
MOST = 2  # losses that are named
WORDS = {"ches": "CHES", "displacement_rate": "the displacement rate"}
SIGNS = {"ches": -1.0, "displacement_rate": 1.0}  # of the rank correlation with where chosen responses end


def rows_shown(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of each loss at its smallest beta where something is known of pairs, without runs that diverged."""
    rows = without_diverged(weakest(curves))
    return rows[rows["displaced"].notna()] if "displaced" in rows else rows.iloc[:0]


def last_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """The last of these rows of each run."""
    return final_rows(rows_shown(curves))


def displacement(curves: pd.DataFrame, pairs: pd.DataFrame, place: str = "") -> list[Statement]:
    """The statements, from rows at one combination of further axes; none where no pairs were recorded."""
    last = last_rows(curves)
    if pairs.empty or last.empty or shown_loss(curves) not in set(last["loss"]):
        return []
    return [displaces_less(curves, place), predicts(curves, pairs, place)]


def beside_first(curves: pd.DataFrame) -> list[LossDisplacement]:
    """Every loss beside that of the headline, from the one that displaces least."""
    rows, baseline = rows_shown(curves), shown_loss(curves)
    others = [loss for loss in losses_of(rows) if loss != baseline]
    return sorted(displacement_beside(rows, others, baseline), key=lambda each: each.difference.value)


def displaces_less(curves: pd.DataFrame, place: str = "") -> Statement:
    """Which losses displace fewer chosen responses than that of the headline at the same KL, with which gold."""
    last, baseline, found = last_rows(curves), shown_loss(curves), beside_first(curves)
    own = share_of(last, baseline)
    where = setting_text(baseline, beta_of(last[last["loss"] == baseline]), place)
    fewer, more, rest = ([each for each in found if each.way == way] for way in ("fewer", "more", ""))
    compared = {baseline, *(each.loss for each in found)}
    apart = [loss for loss in losses_of(last) if loss not in compared]
    parts = [f"With {where}, {percent(own)} of chosen responses end less likely than under the reference"]
    ways = [f"{word} with {those(some, word)}" for word, some in (("lower", fewer), ("higher", more)) if some]
    unsure = [f"a difference is not sure with {named([each.loss for each in rest])}"] if rest else []
    if found:
        told = [f"the share is {', and '.join(ways)}"] if ways else []
        parts.append(f"At the same KL {'; '.join([*told, *unsure])}")
    if apart:
        have = "have" if len(apart) > 1 else "has"
        parts.append(f"{capitalized(named(apart))} {have} no KL in common with {loss_label(baseline)}")
    numbers: dict[str, Number] = {"loss": baseline, "share": own.value}
    for each in found:
        numbers |= numbers_of(each)
    return Statement(
        topic="displacement",
        text=". ".join(parts),
        title=title_of(fewer, loss_label(baseline), percent(own)),
        sure=own.known and bool(fewer or more),
        numbers=numbers,
    )


def title_of(fewer: list[LossDisplacement], baseline: str, own: str) -> str:
    """The losses that surely displace fewer, and with how many of them there is more or less gold."""
    if not fewer:
        return f"With {baseline} {own} of chosen responses fall; no loss surely displaces fewer"
    count = len(fewer)
    names = named([each.loss for each in fewer])
    ways = {way: sum(each.gold_way == way for each in fewer) for way in ("more", "less")}
    of = "" if count == 1 else f" with {{}} of {in_words(count)}"
    gold = " and ".join(f"{way}{of.format(in_words(number))}" for way, number in ways.items() if number)
    gold = f"gold is surely {gold}" if gold else f"gold is surely neither more nor less{' with any' * (count > 1)}"
    return f"At the same KL fewer chosen responses fall with {names} than with {baseline}; {gold}"


def named(losses: list[str]) -> str:
    """Losses by name, or how many where there are more than MOST."""
    few = len(losses) <= MOST
    return listed([loss_label(loss) for loss in losses]) if few else f"{in_words(len(losses))} losses"


def those(some: list[LossDisplacement], word: str) -> str:
    """Losses with a lower or higher share, and of the one that differs most by how much, and gold less the other's."""
    most = max(some, key=lambda each: abs(each.difference.value))
    points = unsigned(most.difference, most.level, scale=100)
    gold = signed(most.gold, most.level)
    which = (
        loss_label(most.loss) if len(some) == 1 else f"{in_words(len(some))} losses, most with {loss_label(most.loss)}"
    )
    return f"{which} ({points} points {word} at {near(most.kl)} nats; gold differs by {gold})"


def numbers_of(each: LossDisplacement) -> dict[str, Number]:
    """The numbers of one loss beside the other."""
    found: dict[str, Number] = {f"{each.loss}: share": each.share.value, f"{each.loss}: kl": each.kl}
    found[f"{each.loss}: seeds"] = each.seeds
    for name, estimate in (("difference", each.difference), ("gold", each.gold)):
        low, high = estimate.interval(each.level)
        name = f"{each.loss}: {name}"
        found |= {name: estimate.value, f"{name}, low": low, f"{name}, high": high}
    return found


def predicts(curves: pd.DataFrame, pairs: pd.DataFrame, place: str = "") -> Statement:
    """Whether CHES, or the displacement rate, says how far a chosen response falls."""
    last, baseline = last_rows(curves), shown_loss(curves)
    correlations = rank_correlations(pairs, last)
    losses = losses_of(correlations)
    found = {score: {loss: correlation_of(correlations, loss, score) for loss in losses} for score in SCORES}
    verdicts = {score: [verdict(each, SIGNS[score]) for each in found[score].values()] for score in SCORES}
    numbers: dict[str, Number] = {"loss": baseline}
    for score, of_losses in found.items():
        for loss, estimate in of_losses.items():
            name, (low, high) = f"{loss}: {score}", estimate.interval()
            numbers |= {name: estimate.value, f"{name}, low": low, f"{name}, high": high}
    amounts = {score: signed(found[score][baseline]) for score in SCORES}
    every = {value for score in SCORES for value in verdicts[score]}
    where = setting_text(baseline, beta_of(last[last["loss"] == baseline]), place)
    if every == {"little"}:
        many = f", and within ±{MEDIUM:g} with all {in_words(len(losses))} losses" * (len(losses) > 1)
        names = " nor ".join(f"{WORDS[score]} ({amounts[score]})" for score in SCORES)
        text = f"Neither {names} says how far a chosen response falls: rank correlations over pairs, {where}{many}"
        title = "Neither CHES nor the displacement rate says how far a chosen response falls"
    else:
        parts = [f"{WORDS[score]} ({amounts[score]}) {counts(verdicts[score])}" for score in SCORES]
        text = f"How far a chosen response falls: {'; '.join(parts)} (rank correlations over pairs, {where})"
        short = [f"{WORDS[score]} {counts(verdicts[score])}" for score in SCORES]
        title = f"How far a chosen response falls: {'; '.join(short)}"
    return Statement(topic="ches", text=text, title=title, sure="not sure" not in every, numbers=numbers)


def verdict(estimate: Estimate, sign: float) -> str:
    """The verdict on a score, by the rule of this module. sign: that its rank correlation should have."""
    low, high = estimate.interval()
    if not math.isfinite(low):
        return "not sure"
    if low > MEDIUM or high < -MEDIUM:
        return "predicts" if (estimate.value > 0) == (sign > 0) else "against"
    return "little" if max(abs(low), abs(high)) < MEDIUM else "not sure"


def counts(verdicts: list[str]) -> str:
    """With how many losses a score has which verdict."""
    words = {
        "predicts": "predicts it",
        "against": "goes against it",
        "little": "says little",
        "not sure": "is not sure",
    }
    there = {value: verdicts.count(value) for value in words if value in verdicts}
    if len(verdicts) == 1:
        return words[verdicts[0]]
    return listed(
        [f"{words[value]} with {in_words(count)} of {in_words(len(verdicts))}" for value, count in there.items()]
    )
