"""`README.md` of an export: what is there, and how it is used from transformers and TRL, with the sweep's own settings.

Shapes: V vocabulary, L prompt length, T response length.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.common.errors import printable
from simulator.interchange.finished_sweep import Source
from simulator.interchange.programs import MATCHES, programs
from simulator.interchange.spelling import PAD, Spelling
from simulator.interchange.target import SUMS, TITLE
from simulator.settings.run import Run, axis_column


@dataclass(frozen=True, kw_only=True)
class About:
    """What the page is about. example: a run, and what its rows of the pairs have. versions: by what has them."""

    source: Source
    facts: Mapping[str, Any]
    spelling: Spelling
    prompt_length: int
    response_length: int
    pairs: int
    example: Run
    rows: Mapping[str, Any]
    varying: Sequence[str]
    policies: Sequence[Mapping[str, Any]]
    lists_gold: bool
    no_text: int
    versions: Mapping[str, str]


def readme(about: About) -> str:
    """The page."""
    of_use = programs(
        about.example,
        about.rows,
        prompts=about.facts["prompts"],
        response_length=about.response_length,
        lists_gold=about.lists_gold,
    )
    parts = [TITLE, summary(about), what_is_there(about), *ends(about), of_use, settings(about), world(about)]
    return "\n\n".join(parts) + "\n"


def plain(value: object) -> str:
    """A name or value as it may stand in a cell of a table."""
    return printable(str(value)).replace("`", "'").replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of Markdown."""
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in [head, ["---"] * len(head), *rows])


def summary(about: About) -> str:
    """In a few sentences."""
    name, count = plain(about.source.folder.path.resolve().name), len(about.policies)
    return (
        f"From the sweep `{name}`: the reference, {count} trained {'policy' if count == 1 else 'policies'}, a "
        f"tokenizer and {about.pairs:,} labelled pairs. transformers, datasets and TRL read them as they are."
    )


def what_is_there(about: About) -> str:
    """Every file, and the columns of data."""
    files = [
        ("`reference/`", "the policy that training starts from, as `GPT2LMHeadModel`"),
        *(
            [("`policies/…/`", "trained policies, likewise; `policies.json` says which is which")]
            * bool(about.policies)
        ),
        ("`tokenizer/`", "the tokenizer, which lies beside each model, too"),
        ("`data/preferences.parquet`", f"{about.pairs:,} pairs"),
        ("`data/prompts.parquet`", f"{about.facts['prompts']:,} prompts"),
        *([("`data/gold.parquet`", "gold of every response to every prompt")] * about.lists_gold),
        (f"`{SUMS}`", f"checksums; `sha256sum -c {SUMS}` checks them"),
    ]
    scale = "in standard deviations under the reference"
    zero = "whose mean is 0 at each prompt" if about.lists_gold else "of which only differences at one prompt count"
    columns = [
        ("`prompt`, `chosen`, `rejected`", "messages, as TRL takes them"),
        ("`…_text`", "for people"),
        ("`…_tokens`", "ids"),
        ("`gold_chosen`, `gold_rejected`", f"gold {scale}, {zero}"),
        ("`seed`, `pair`", "a run with a seed and N pairs learned from this seed's rows with `pair` < N"),
        *((f"`{axis_column(f'data.{name}')}`", f"`data.{name}` of the sweep") for name in about.varying),
    ]
    return "\n\n".join(["## What is there", table(["file", "what"], files), table(["column", "what"], columns)])


def ends(about: About) -> Iterator[str]:
    """How responses end, and what is no text."""
    number, name = about.spelling.special
    total = f"{about.response_length} token{'s' * (about.response_length != 1)}"
    if about.spelling.end is None:
        yield (
            f"Every response has {total}, and none ends earlier. The tokenizer's `eos_token` and `pad_token` is "
            f"`{PAD}` with id {number}. Models do not know it, and no data have it: give them equally long sequences."
        )
    else:
        yield (
            f"A response has at most {total}. The token {number}, `{plain(name)}`, ends it, and pads. A reward model "
            "of transformers reads the last token that is no padding, and so the one before the end."
        )
    if about.spelling.kind == "bytes":
        yield (
            f"Tokens are bytes. {about.no_text:,} prompts and responses are no UTF-8. In messages, a byte b that "
            "needs it is the sign U+E000 + b, which the tokenizer reads as b. So trainers get the ids of `…_tokens`."
        )


def settings(about: About) -> str:
    """How our objectives are called in TRL."""
    names = dict.fromkeys(run.loss for run in about.source.runs if run.loss)
    rows = [(f"`{plain(name)}`", f"`{MATCHES[name]}`" if name in MATCHES else "no equal is known") for name in names]
    notes = [
        "Policies start from the reference and are trained against it. Optimizers are Adam with the same constants. "
        "TRL draws other batches, so its policies are equal to ours in law only."
    ]
    if any(run.settings.data.labeller == "proxy" or run.settings.online.refresh for run in about.source.runs):
        notes.append(
            "Some runs of this sweep learned from pairs that a proxy labelled, or that were drawn as they trained. "
            "Those are not here: the pairs of this folder are those that gold labelled at the start."
        )
    if any(run.loss and run.settings.train.divergence != "kl" for run in about.source.runs):
        notes.append(
            "Some runs have the links of another divergence in their loss, `train.divergence`; what is said of TRL is "
            "of `kl`."
        )
    if not rows:
        return "\n\n".join(["## Settings", *notes])
    return "\n\n".join(["## Settings", table(["sweep.loss", "the same in TRL"], rows), *notes])


def world(about: About) -> str:
    """Facts of the world, and versions."""
    facts = [
        (f"`{plain(name)}`", plain(value)) for name, value in about.facts.items() if not isinstance(value, dict | list)
    ]
    versions = [(plain(name), plain(value)) for name, value in about.versions.items()]
    return "\n\n".join(["## World", table(["fact", "value"], facts), "## Versions", table(["of", "version"], versions)])
