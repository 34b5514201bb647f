"""The command `generations`. What is heavy is imported when it runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from analysis.generations.measure import BestOfN

Names = Annotated[tuple[str, ...], Parameter(consume_multiple=(1, 1_000), negative=(), show_default=False)]


def generations(
    file: Path,
    /,
    *,
    out: Path | None = None,
    prompt: Names = (),
    proxy: Names = (),
    gold: str | None = None,
    largest_n: int | None = None,
    uncertainty: float = 0.5,
) -> list[str]:
    """Gold and proxy score of best-of-n for every n, and its scaling law, from generated responses; nothing is trained.

    Parameters
    ----------
    file
        A row for each response, or for each prompt with lists: prompt, proxy score, gold score. CSV, Parquet, JSON.
    out
        Where tables and figures go; results/generations/NAME for NAME.csv unless said.
    prompt
        Its column, or several that together are the prompt; prompt, or instruction and input, unless said.
    proxy
        The column of the proxy's score, or several, of which ensembles are made; all proxy_… unless said.
    gold
        The column of the gold score; gold or gold_score unless said.
    largest_n
        The largest n, and how many responses a prompt must have; as 90 % of the prompts have unless said.
    uncertainty
        The factor of the variance in the uncertainty-weighted ensemble.

    """
    from analysis.generations.measure import best_of_n
    from analysis.generations.summary import lines_of

    found = best_of_n(file, prompt=prompt, proxy=proxy, gold=gold, largest_n=largest_n, uncertainty=uncertainty)
    target = out or Path("results") / "generations" / (file.stem or "generations")
    return [line for text in lines_of(found) for line in text.split("\n")] + write(found, target)


def write(found: "BestOfN", target: Path) -> list[str]:
    """Write tables and figures of what was found into a folder; lines that say where they are. Raises ResultsError."""
    from analysis.figures.drawing import save
    from analysis.figures.look import PAGE, drawn_as
    from analysis.generations.figure import draw_comparison, draw_curves
    from analysis.records.atomic_files import write_atomically
    from analysis.records.load import ResultsError

    if (target / "curves.parquet").exists():
        raise ResultsError(f"--out {target}: holds the records of a sweep; name another folder")
    try:
        (target / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"--out {target}: cannot be written ({error.strerror or error})") from None
    for name, table in {"best_of_n": found.curves, "laws": found.laws}.items():
        content = table.to_csv(index=False, float_format="%.8g", lineterminator="\n")
        write_atomically(target / f"{name}.csv", content.encode())
    with drawn_as(PAGE):
        save(draw_curves(found), target / "figures" / "best_of_n")
        if (found.laws["kind"] == "ensemble").any():
            save(draw_comparison(found), target / "figures" / "ensembles")
    return [
        "",
        f"curves   {target / 'best_of_n.csv'}  (gold and proxy at every n, with intervals)",
        f"laws     {target / 'laws.csv'}  (α, β, peak, fall, correlation)",
        f"figures  {target / 'figures'}{os.sep}  (PNG, SVG, PDF, and what they show as CSV)",
    ]
