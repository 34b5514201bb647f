"""The bridge: published orders beside ours, from docs/claims.json alone; and its total, as a sentence of the README."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.published.ordering import greatest, in_order
from analysis.published.what_would_change import reopened
from analysis.records.number_format import number
from analysis.statistics.intervals import CORRELATION, mean_of
from docs.writing.markdown import page, table

Entry = Mapping[str, Any]

NAMES = {"holds": "nearer to the published order", "fails": "nearer to its opposite", "undecided": "undecided"}
BLOCK = re.compile(r"<!-- bridge -->\n.*?<!-- end -->", re.DOTALL)
ABOUT = """
After this page you know how far orders that papers found in large models are found in our small worlds.

A paper's table puts things in an order: losses, sizes, kinds of data. We wrote down what stands for each of them here,
and which measure, before τ was computed; most of the sweeps had been run before, for other claims. Every seed of a
sweep puts the things in an order, too. **Kendall's τ** compares the two: 1 is the same order, −1 the opposite one, and
0 is what chance gives. The number of a row is the mean of τ over seeds, with its 95 % interval.

What it is not:

- It says nothing of how large differences are. Two that hardly differ count as much as two that differ a lot.
- It is no test of a paper. What stands for a thing here is our choice, and another choice may give another order.
- An interval is over seeds in one world. Another world may have another order.
- Rows are not independent: those of one paper share runs.
- Seeds of some sweeps were raised once, where claims were undecided, and the first seeds are among them. So errors are
  somewhat more frequent than 5 %.

**Nearer to the published order** says that τ is surely above 0, with Holm's correction over the orders of a paper. It
does not say that the orders are the same. **Its means have the same order** says that the means over seeds have the
published order, ties of the paper aside.

Every order that we could judge is here, also those that come out wrong.
"""
MISSING = (
    (
        "RPO (Sun et al. 2025, arXiv:2502.00203)",
        "the authors' tables of the squared, backward and forward form beside DPO, IPO and SimPO. We found the "
        "paper's abstract alone.",
    ),
    (
        "SimPER (Xiao et al. 2025, arXiv:2502.00883)",
        "its own numbers of Table 2. We found its abstract, its reviews and its README. Its row has ranks: SimPER "
        "first by the abstract, and the others by the numbers in the README of SimPO, which the table repeats as a "
        "review says.",
    ),
    (
        "VPO (Cen et al. 2024, arXiv:2405.19320)",
        "accuracies on ARC-Challenge, which are a figure. We found its reviews and the caption of the figure.",
    ),
    (
        "Gao et al. 2023, Coste et al. 2023, Rafailov et al. 2024, Tang et al. 2024",
        "numbers: these papers draw their results. Their rows have ranks, from what the text says of the figures.",
    ),
    (
        "Gao et al. 2023 (arXiv:2210.10760)",
        "whether alpha of RL rises with the size of the proxy. We had no text that says so.",
    ),
)


def bridge_page(claims: Mapping[str, Sequence[Entry]]) -> str:
    """docs/bridge.md, from docs/claims.json: the entries of every paper."""
    rows = by_tau(claims)
    return page(
        "# The bridge: published orders and ours",
        ABOUT,
        "## In total",
        total(rows),
        "Written by `python docs/write.py` from `docs/claims.json`, where each order is a claim named `order-…`.",
        *([table(("order", "things", "τ", "95 % interval", "largest τ", "here"), map(cells, rows))] if rows else []),
        *(["## One by one"] if rows else []),
        *(part for row in rows for part in section(row)),
        "## What is missing",
        "Orders that were looked for, and numbers that could not be read:",
        "\n".join(f"- **{paper}**: {what}" for paper, what in MISSING),
        "## Next",
        "- [How claims are judged](explanation/claims.md)\n- [All claims](reference/claims.md)",
    )


def by_tau(claims: Mapping[str, Sequence[Entry]]) -> list[Entry]:
    """The claims on orders, from the largest tau to the smallest; those without a number last."""
    rows = [entry for entries in claims.values() for entry in entries if entry.get("order")]
    return sorted(rows, key=lambda row: 2.0 if row["estimate"] is None else -row["estimate"])


def known(rows: Sequence[Entry]) -> list[float]:
    """Every tau that is known."""
    return [row["estimate"] for row in rows if row["estimate"] is not None]


def verdict_of(row: Entry) -> str:
    """The verdict of a row with Holm's correction."""
    return "undecided" if reopened(row) else str(row["verdict"])


def count(rows: Sequence[Entry], verdict: str) -> int:
    """How many rows have a verdict."""
    return sum(verdict_of(row) == verdict for row in rows)


def same(row: Entry) -> bool:
    """Whether the means over seeds have the published order, ties of the paper aside."""
    order = row["order"]
    if order["ours"] is None or None in order["ours"]:
        return False
    published, ours = (np.array(order[name], dtype=float) for name in ("published", "ours"))
    apart = np.sign(published[:, None] - published)
    return bool((np.sign(ours[:, None] - ours) == apart)[apart != 0].all())


def came_out(rows: Sequence[Entry]) -> str:
    """How many rows came out how."""
    return (
        f"{count(rows, 'holds')} are surely nearer to the published order than chance (τ above 0), "
        f"{count(rows, 'fails')} surely nearer to its opposite, and {count(rows, 'undecided')} are undecided; in "
        f"{sum(map(same, rows))} the means over seeds have the published order"
    )


def total(rows: Sequence[Entry]) -> str:
    """How many orders there are, their mean tau with its interval, and how many come out how."""
    taus = known(rows)
    if not taus:
        return "No order has been judged yet."
    most = np.mean([greatest(np.array(row["order"]["published"])) for row in rows if row["estimate"] is not None])
    estimate = mean_of(taus, bounds=CORRELATION)
    interval = between(estimate.interval()) if len(taus) > 1 else "no interval"
    unknown = f" {len(rows) - len(taus)} of the undecided have no number." if len(taus) < len(rows) else ""
    return (
        f"**{len(rows)} published orders. Kendall's τ is {told(estimate.value)} {interval} on average**, of at most "
        f"{told(float(most))}, since papers tie some. {came_out(rows)}.{unknown} The interval of the mean is over "
        "rows as if they were independent, so it is rather too narrow."
    )


def sentence(rows: Sequence[Entry]) -> str:
    """The total as a sentence of the README."""
    taus = known(rows)
    link = "[the bridge](docs/bridge.md)"
    if not taus:
        return f"Which published orders are found here, too: {link}."
    estimate = mean_of(taus, bounds=CORRELATION)
    interval = f" {between(estimate.interval())}" if len(taus) > 1 else ""
    return (
        f"Of {len(rows)} published orders, {came_out(rows)}. Kendall's τ is {told(estimate.value)}{interval} on "
        f"average, over orders as if they were independent: {link}."
    )


def with_bridge(text: str, claims: Mapping[str, Sequence[Entry]]) -> str:
    """A page with the total between its marks, if it has them."""
    return BLOCK.sub(lambda _: f"<!-- bridge -->\n{sentence(by_tau(claims))}\n<!-- end -->", text)


def told(value: float) -> str:
    """A tau for people."""
    return f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")


def between(interval: Sequence[float]) -> str:
    """An interval for people."""
    return f"[{', '.join(map(told, interval))}]"


def title(row: Entry) -> str:
    """The heading of a row, which is its anchor, too."""
    return f"{row['paper']} {row['name'].removeprefix('order-')}"


def cells(row: Entry) -> tuple[str, ...]:
    """A row of the table."""
    order = row["order"]
    return (
        f"[{title(row)}](#{title(row).replace(' ', '-')})",
        str(len(order["labels"])),
        "-" if row["estimate"] is None else told(row["estimate"]),
        "-" if row["interval"] is None else between(row["interval"]),
        told(greatest(np.array(order["published"]))),
        outcome(row) if row["estimate"] is not None else "no number",
    )


def outcome(row: Entry) -> str:
    """How a row came out."""
    return NAMES[verdict_of(row)] + ("; its means have the same order" if same(row) else "")


def section(row: Entry) -> tuple[str, ...]:
    """What is said of a row: what is ordered, what stands for it, both orders, and why they may part."""
    order = row["order"]
    published = in_order(dict(zip(order["labels"], order["published"], strict=True)), None if order["ranks"] else shown)
    lines = [
        f"- What stands for it here: {order['mapping']}",
        f"- Published{' (ranks)' if order['ranks'] else ''}: {published}.",
        f"- Here: {here(row)}.",
        f"- Why they may part: {order['why']}",
        f"- Source: {row['source'].removeprefix('ours; the published order: ')}.",
    ]
    return f"### {title(row)}", what(row), "\n".join(lines)


def what(row: Entry) -> str:
    """What is ordered, as a sentence."""
    statement = row["statement"].removeprefix("Ours, not the paper's: ")
    return f"{statement[:1].upper()}{statement[1:]}. τ: {summary(row)}."


def summary(row: Entry) -> str:
    """The number of a row with its interval, its seeds, and how it came out."""
    if row["estimate"] is None:
        return f"no number ({row['note']})" if row["note"] else "no number"
    interval = between(row["interval"]) if row["interval"] is not None else "without an interval"
    seeds = f", {row['seeds']} seeds" if row["seeds"] else ""
    return f"{told(row['estimate'])} {interval}{seeds}; {outcome(row)}"


def shown(value: float) -> str:
    """A published number, or one of ours, for people."""
    return number(value).replace("-", "−")


def here(row: Entry) -> str:
    """Our order, with means over seeds."""
    order = row["order"]
    if order["ours"] is None:
        return "not measured"
    each = dict(zip(order["labels"], order["ours"], strict=True))
    there = {label: value for label, value in each.items() if value is not None}
    missing = [label for label in each if label not in there]
    return in_order(there, shown) + (f"; without {', '.join(missing)}" if missing else "")
