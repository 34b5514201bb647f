"""With which losses do fewer chosen responses fall, is there more gold for it, and what says which fall?

Two statements, where `pairs.parquet` was recorded, at the smallest beta of each loss. The first compares every loss
with that of `rise_and_fall` at the same KL, by the rules of analysis/statistics/pair_scores/displacement.py, and gives
gold there of those that surely displace fewer. It is sure if some loss surely displaces fewer or more.

The second is about the rank correlation of CHES, and of the displacement rate, with where chosen responses end. A score
predicts if its interval has the expected sign and lies beyond MEDIUM, and says little if it lies within MEDIUM, which
is a medium correlation by the convention of Cohen 1988; else it is not sure.
"""

import math

import pandas as pd

from analysis.headline.rise_and_fall import shown_loss, weakest
from analysis.headline.statement import Number, Statement, brief, near
from analysis.records.load import final_rows, without_diverged
from analysis.records.names import in_words, listed, loss_label, losses_of
from analysis.statistics.intervals import LEVEL, Estimate
from analysis.statistics.pair_scores.displacement import (
    SCORES,
    LossDisplacement,
    correlation_of,
    displacement_beside,
    rank_correlations,
    share_of,
)

MEDIUM = 0.3
MOST = 2  # losses that are named with numbers
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
    where = ", ".join(filter(None, [beta_text(last, baseline), place]))
    start = f"With {loss_label(baseline)} {percent(own)} of chosen responses end less likely than under the reference"
    parts = [f"{start} ({where})" if where else start]
    fewer, more, rest = ([each for each in found if each.way == way] for way in ("fewer", "more", ""))
    parts += [f"at the same KL {way} do with {those(some)}" for way, some in (("fewer", fewer), ("more", more)) if some]
    if rest:
        named = (
            listed([loss_label(each.loss) for each in rest]) if len(rest) <= MOST else f"{in_words(len(rest))} losses"
        )
        parts.append(f"with {named} a difference is not sure")
    numbers: dict[str, Number] = {"loss": baseline, "share": own.value}
    for each in found:
        numbers |= numbers_of(each)
    return Statement(
        topic="displacement",
        text="; ".join(parts),
        title=title_of(fewer, loss_label(baseline), percent(own)),
        sure=own.known and bool(fewer or more),
        numbers=numbers,
    )


def title_of(fewer: list[LossDisplacement], baseline: str, own: str) -> str:
    """The losses that surely displace fewer, and with how many of them there is more or less gold."""
    if not fewer:
        return f"With {baseline} {own} of chosen responses fall; no loss surely displaces fewer"
    count = len(fewer)
    names = listed([loss_label(each.loss) for each in fewer]) if count <= MOST else f"{in_words(count)} losses"
    ways = {way: sum(each.gold_way == way for each in fewer) for way in ("more", "less")}
    of = "" if count == 1 else f" with {{}} of {in_words(count)}"
    gold = " and ".join(f"{way}{of.format(in_words(number))}" for way, number in ways.items() if number)
    gold = f"gold is surely {gold}" if gold else f"gold is surely neither more nor less{' with any' * (count > 1)}"
    return f"At the same KL fewer chosen responses fall with {names} than with {baseline}; {gold}"


def those(some: list[LossDisplacement]) -> str:
    """Losses with how many points fewer or more they displace at the same KL, and gold less the other's there."""
    named = []
    for each in sorted(some, key=lambda each: -abs(each.difference.value))[:MOST]:
        points = brief(abs(100 * each.difference.value), 100 * half(each.difference, each.level))
        gold = signed(each.gold.value, half(each.gold, each.level))
        named.append(f"{loss_label(each.loss)} (by {points} points at {near(each.kl)} nats, gold {gold})")
    return listed([*named, *([f"{in_words(len(some) - MOST)} others"] if len(some) > MOST else [])])


def numbers_of(each: LossDisplacement) -> dict[str, Number]:
    """The numbers of one loss beside the other."""
    found: dict[str, Number] = {f"{each.loss}: share": each.share.value, f"{each.loss}: kl": each.kl}
    for name, estimate in (("difference", each.difference), ("gold", each.gold)):
        low, high = estimate.interval(each.level)
        name = f"{each.loss}: {name}"
        found |= {name: estimate.value, f"{name}, low": low, f"{name}, high": high}
    return found


def predicts(curves: pd.DataFrame, pairs: pd.DataFrame, place: str = "") -> Statement:
    """Whether CHES, or the displacement rate, says which chosen responses fall."""
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
    amounts = {score: signed(found[score][baseline].value, half(found[score][baseline])) for score in SCORES}
    every = {value for score in SCORES for value in verdicts[score]}
    where = ", ".join(filter(None, [loss_label(baseline), beta_text(last, baseline), place]))
    if every == {"little"}:
        many = f", and within ±{MEDIUM:g} with all {in_words(len(losses))} losses" * (len(losses) > 1)
        names = " nor ".join(f"{WORDS[score]} ({amounts[score]})" for score in SCORES)
        text = f"Neither {names} says which chosen responses fall: rank correlations over pairs, {where}{many}"
        title = "Neither CHES nor the displacement rate says which chosen responses fall"
    else:
        parts = [f"{WORDS[score]} ({amounts[score]}) {counts(verdicts[score])}" for score in SCORES]
        text = f"Which chosen responses fall: {'; '.join(parts)} (rank correlations over pairs, {where})"
        title = (
            f"Which chosen responses fall: {'; '.join(f'{WORDS[each]} {counts(verdicts[each])}' for each in SCORES)}"
        )
    return Statement(topic="ches", text=text, title=title, sure="not sure" not in every, numbers=numbers)


def verdict(estimate: Estimate, sign: float) -> str:
    """Whether a score predicts, says little, or neither is sure. sign: that its rank correlation should have."""
    low, high = estimate.interval()
    if not math.isfinite(low):
        return "not sure"
    if (low if sign > 0 else -high) > MEDIUM:
        return "predicts"
    return "little" if max(abs(low), abs(high)) < MEDIUM else "not sure"


def counts(verdicts: list[str]) -> str:
    """With how many losses a score predicts, says little, or neither is sure."""
    words = {"predicts": "predicts it", "little": "says little", "not sure": "is not sure"}
    there = {value: verdicts.count(value) for value in words if value in verdicts}
    if len(verdicts) == 1:
        return words[verdicts[0]]
    return listed(
        [f"{words[value]} with {in_words(count)} of {in_words(len(verdicts))}" for value, count in there.items()]
    )


def half(estimate: Estimate, level: float = LEVEL) -> float:
    """Half of an interval."""
    low, high = estimate.interval(level)
    return (high - low) / 2


def beta_text(last: pd.DataFrame, loss: str) -> str:
    """The beta of a loss in these rows."""
    beta = last.loc[last["loss"] == loss, "beta"]
    return "" if beta.isna().all() else f"β {float(beta.iloc[0]):g}"


def percent(share: Estimate) -> str:
    """A share with half of its interval, in per cent."""
    low, high = share.interval()
    return f"{brief(100 * share.value, 50 * (high - low))} %"


def signed(value: float, half: float) -> str:
    """A number with its sign and half of its interval."""
    text = brief(value, half)
    return text if text.startswith("−") else f"+{text}"
