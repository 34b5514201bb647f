"""The commands `export` and `score`. What is heavy is imported when they run."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Labels = Annotated[tuple[str, ...], Parameter(consume_multiple=(1, 50_000), negative=(), show_default=False)]
Numbers = Annotated[tuple[float, ...], Parameter(consume_multiple=(1, 50_000), negative=(), show_default=False)]
Seeds = Annotated[tuple[int, ...], Parameter(consume_multiple=(1, 50_000), negative=(), show_default=False)]
Names = Annotated[tuple[str, ...], Parameter(consume_multiple=(1, 50_000), negative=(), show_default=False)]


def export(folder: Path, /, *, to: Path, policies: Names = ()) -> None:
    """Write models, tokenizer and preference data for transformers, datasets and TRL, with a page that says how.

    Parameters
    ----------
    folder
        A result directory.
    to
        The folder to write; it is new, or an earlier export, which is replaced.
    policies
        Names of runs, all or none; all whose training ended, unless said or more than 256 MiB.

    """
    from simulator.common.terminal import say
    from simulator.interchange.target import check_folder, check_target

    check_folder(folder)
    check_target(to, folder)
    from simulator.interchange.exporting import export_sweep

    export_sweep(folder, to, policies, say)


def score(
    folder: Path,
    /,
    *models: str,
    label: Labels = (),
    beta: Numbers = (),
    seed: Seeds = (),
    at: Names = (),
) -> None:
    """Measure policies that were trained elsewhere in a sweep's world, and add them to its records and figures.

    Parameters
    ----------
    folder
        A result directory, of a sweep that has ended.
    models
        Folders of causal language models over the world's tokens, files of ours (.safetensors), my_file.py:log_prob.
    label
        What they are called, one name for all or one for each; policies of one label are one family.
    beta
        Of their training, one for all or one for each, if they have one.
    seed
        Of their training, one for all or one for each; counted up at each label and beta unless said.
    at
        KEY=VALUE of the axes, where the sweep has several worlds.

    """
    from simulator.common.errors import ConfigError
    from simulator.common.terminal import say

    if not models:
        raise ConfigError("score: names no model; name folders of models, files of ours, or my_file.py:log_prob")
    from simulator.interchange.scored_rows import Asked
    from simulator.interchange.scoring import score_models

    asked = Asked(models=len(models), label=label, beta=beta, seed=seed)
    rows = score_models(folder, models, asked, at, say)
    for row in rows.to_dict("records"):
        strength = "" if row["beta"] != row["beta"] else f", beta {row['beta']:g}"
        numbers = f"KL {row['kl']:.4g} nats, gold {row['gold']:.4g}, win rate {row['win_rate']:.3g}"
        say(f"{row['label']}{strength}, seed {row['seed']}: {numbers}")
    say(f"these policies are in the records now; `python run.py report {folder}` shows them beside the sweep's own")
