"""Every figure of a result directory, drawn and written.

Those of training on pairs are drawn for each combination of further axes; `theory` shows what theory says of margins
beside those of a sweep without further axes.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.kind import Kind
from analysis.figures.layout import Picture, shown_data
from analysis.figures.look import PAGE, drawn_as
from analysis.figures.offline import displacement, mass
from analysis.figures.proxies import reward_models as proxies
from analysis.figures.theory import gradient_weights as weights
from analysis.figures.theory import losses
from analysis.figures.theory import population_links as links
from analysis.headline.axes import axis_apart
from analysis.headline.displacement import last_rows
from analysis.headline.headline import pairs_of
from analysis.headline.statement import place_text
from analysis.headline.where_gold_went import shown_runs
from analysis.records.about import trained_elsewhere
from analysis.records.atomic_files import write_atomically
from analysis.records.discovery import modules_in
from analysis.records.load import (
    ResultsError,
    final_rows,
    further_axes,
    load,
    load_losses,
    load_proxies,
    load_table,
    pairwise_rows,
    trained_rows,
)
from analysis.records.parts import parts_of
from analysis.records.proxy_settings import with_labels
from analysis.records.safe_names import drawable_text, file_name_part, with_safe_names
from analysis.statistics.mass import ledger_of
from analysis.statistics.policy_classes.missing_gold import PAIRS, has_classes
from analysis.theory.population_links import gradient_weights, margins_by_gap

FOLDERS = ("offline", "proxies", "theory", "instruments")
KINDS: dict[str, Kind] = {
    module.FIGURE.name: module.FIGURE
    for folder in FOLDERS
    for module in modules_in(f"analysis.figures.{folder}").values()
    if hasattr(module, "FIGURE")
}
Draw = Callable[..., Picture]


def kinds_showing(what: str) -> dict[str, Kind]:
    """The figures that show this, in the order of the page."""
    return {kind.name: kind for kind in sorted(KINDS.values(), key=lambda kind: kind.rank) if kind.shows == what}


def save(figure: Picture, stem: Path) -> list[Path]:
    """Write the figure as `stem`.png, .svg and .pdf and what it shows as .csv, the same bytes for the same figure."""
    files = files_of(figure)
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in files}
    for kind, content in files.items():
        write_atomically(paths[kind], content)
    return list(paths.values())


def files_of(figure: Picture) -> dict[str, bytes]:
    """The content of the files of a figure, by their kind."""
    lay_out(figure)
    data = shown_data(figure).to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return {kind: file_of(figure, kind) for kind in ("png", "svg", "pdf")} | {"csv": data.encode()}


def lay_out(figure: Picture) -> None:
    """Give the panels of a figure their places."""
    if engine := figure.get_layout_engine():
        engine.execute(figure)
        figure.set_layout_engine(None)  # it is laid out, and each file would do so again
        for axes in figure.axes:  # the solver's last digits depend on where things lie in memory
            left, bottom, width, height = (round(float(value), 6) for value in axes.get_position().bounds)
            axes.set_position((left, bottom, width, height))


def file_of(figure: Picture, kind: str) -> bytes:
    """A figure that is laid out as the content of a PNG, SVG or PDF."""
    title = figure.title.replace(r"\$", "$")
    kinds: dict[str, dict[str, Any]] = {
        "png": {"dpi": figure.dpi, "pil_kwargs": {"compress_level": 4}},  # half the time for a tenth more bytes
        "svg": {"metadata": {"Date": None, "Title": title}},
        "pdf": {"metadata": {"CreationDate": None, "Title": title}},
    }
    return picture(figure, kind, **kinds[kind])


def warm_up() -> None:
    """Draw an empty figure: matplotlib reads its fonts when it first draws."""
    with drawn_as(PAGE):
        figure = Figure()
        figure.subplots().set_title("$x$")
        picture(figure, "png")


def picture(figure: Figure, kind: str, **how: Any) -> bytes:
    """The figure as the content of a file of this kind."""
    content = io.BytesIO()
    figure.savefig(content, format=kind, **how)
    return content.getvalue()


def draw_losses(columns: Mapping[str, Any] | pd.DataFrame, path: Path) -> None:
    """Draw losses into one file, without any sweep. Columns: loss, kappa, z, f, slope. Raises ResultsError."""
    table = pd.DataFrame(columns)
    if table.empty:
        raise ResultsError(f"{path}: none of these losses is a function of z alone, so there is no picture of it")
    known = ("png", "svg", "pdf")
    if path.suffix.removeprefix(".").lower() not in known:
        raise ResultsError(f"{path}: must end in .{', .'.join(known)}, the kinds of picture that can be written")
    with drawn_as(PAGE):
        figure = losses.draw(with_safe_names(table, drawable_text))
        write_atomically(path, picture(figure, path.suffix.removeprefix(".").lower(), dpi=150))


def draw_all(
    folder: Path,
    mine: Callable[[str], bool] = lambda name: True,
    *,
    backwards: bool = False,
    curves: pd.DataFrame | None = None,
) -> list[Path]:
    """Draw every figure of a result directory into its `figures/`; the paths written. Raises ResultsError.

    Where further axes vary, each of their combinations has figures of its own, named after it. mine: whether the figure
    of a name is to be drawn here, asked when its turn comes. backwards: the last one first. curves: the folder's,
    where they are loaded.
    """
    target = folder / "figures"
    figures = figures_of(folder, curves)
    try:
        target.mkdir(exist_ok=True)
        with drawn_as(PAGE):
            some = reversed(figures.items()) if backwards else figures.items()
            return [path for name, draw in some if mine(name) for path in save(draw(), target / name)]
    except OSError as error:
        raise ResultsError(f"{target}: cannot be written ({error.strerror or error})") from None


def figures_of(folder: Path, curves: pd.DataFrame | None = None) -> dict[str, Callable[[], Picture]]:
    """What draws each figure of a result directory, by the name of its files. Raises ResultsError."""
    curves = with_safe_names(load(folder) if curves is None else curves, drawable_text)
    functions = with_safe_names(load_losses(folder), drawable_text)
    if final_rows(curves).empty:
        what = "every run diverged" if len(trained_rows(curves)) else "no run has a measurement"
        raise ResultsError(f"{folder}: {what}, so there is nothing to draw; a smaller learning rate may help")
    found: dict[str, Callable[[], Picture]] = {}
    if (folder / "proxies.parquet").exists():
        known = load_proxies(folder)
        trained = known[known["parameters"].notna()]  # planted ones have no size, and nothing that they learned from
        if len(trained):
            found["proxies"] = partial(proxies.draw, with_safe_names(trained, drawable_text))
    for name, kind in kinds_showing("proxies").items():
        if not with_labels(curves).empty and kind.applies(curves):
            found[name] = partial(kind.draw, curves)
    pairs = pairwise_rows(curves)
    if final_rows(pairs).empty:
        return found
    if not functions.empty:
        found["losses"] = partial(losses.draw, functions)
    for name, kind in kinds_showing("pairs").items():
        if kind.applies(pairs):
            found[name] = partial(kind.draw, pairs)
    for axis in further_axes(pairs):
        for name, kind in kinds_showing("axis").items():
            if axis_apart(pairs, axis, further_axes(pairs)):
                found[f"{name}_{file_name_part(axis)}"] = partial(kind.draw, pairs, axis)
    classes = has_classes(pairs)  # whose figure has the population, where titles on chance say nothing
    for at, part in parts_of(pairs):
        if classes and at.get(PAIRS) == 0:
            continue
        for name, draw in applicable_figures(part).items():
            found[f"{name}{suffix_of(at)}"] = partial(drawn_at, draw, part, at)
    for name, kind in kinds_showing("external").items():
        if kind.applies(curves):
            found |= external_figures(name, kind.draw, curves)
    recorded = mass_figures(pairs, folder) | displacement_figures(pairs, folder)
    return found | recorded | theory_figures(pairs, functions, folder)


def suffix_of(at: Mapping[str, Any]) -> str:
    """What names of figures at some values of further axes end with."""
    here = {axis: f"{value:g}" if isinstance(value, float) else value for axis, value in at.items()}
    return file_name_part("".join(f"-{axis}-{value}" for axis, value in here.items()))


def mass_figures(pairs: pd.DataFrame, folder: Path) -> dict[str, Callable[[], Picture]]:
    """What draws where probability goes, at each combination of further axes; nothing without a ledger.

    Raises ResultsError.
    """
    parts = [(at, part, shown_runs(part)) for at, part in parts_of(pairs)]
    ledger = ledger_of(folder, pd.concat([runs for _, _, runs in parts]))
    return {
        f"mass{suffix_of(at)}": partial(mass.draw, part, own, place_text(at))
        for at, part, runs in parts
        if not (own := ledger[ledger["run_id"].isin(runs["run_id"])]).empty
    }


def displacement_figures(pairs: pd.DataFrame, folder: Path) -> dict[str, Callable[[], Picture]]:
    """What draws how far chosen responses fall, at each combination of further axes; nothing without recorded pairs.

    Raises ResultsError.
    """
    found: dict[str, Callable[[], Picture]] = {}
    for at, part in parts_of(pairs):
        recorded = pairs_of(folder, part)
        if not recorded.empty:
            ledger = ledger_of(folder, last_rows(part))
            name = f"displacement{suffix_of(at)}"
            found[name] = partial(displacement.draw, part, ledger, recorded, place_text(at))
    return found


def external_figures(name: str, draw: Draw, curves: pd.DataFrame) -> dict[str, Callable[[], Picture]]:
    """What draws policies from elsewhere beside ours, at each combination of further axes. Raises ResultsError."""
    theirs = trained_elsewhere(curves)
    found: dict[str, Callable[[], Picture]] = {}
    for at, part in parts_of(pairwise_rows(curves)):
        found[f"{name}{suffix_of(at)}"] = partial(drawn_at, draw, pd.concat([part, theirs], ignore_index=True), at)
    return found


def drawn_at(draw: Draw, part: pd.DataFrame, at: Mapping[str, Any]) -> Picture:
    """A figure of the curves at some values of further axes, with these above it."""
    return draw(part, place_text(at))


def theory_figures(pairs: pd.DataFrame, functions: pd.DataFrame, folder: Path) -> dict[str, Callable[[], Picture]]:
    """What draws the figures of theory beside data; none where further axes vary, or nothing is known of margins.

    Nor is there one where losses are of the links of another divergence than KL, whose z the margins do not give.

    Population links are those of Bradley-Terry labels, and left out where labels are others. Raises ResultsError.
    """
    margins, runs = load_table(folder, "margins"), load_table(folder, "runs")
    if final_rows(pairs).empty or further_axes(pairs) or not links.z_is_beta_rho(runs):
        return {}
    found: dict[str, Callable[[], Picture]] = {}
    temperature = links.temperature_of(runs)
    by_gap = margins_by_gap(pairs, margins, temperature=temperature or 1.0)
    if temperature is not None and not by_gap.empty:
        found["links"] = partial(links.draw, by_gap)
    weighed = gradient_weights(pairs, functions)
    if not weighed.empty:
        found["weights"] = partial(weights.draw, weighed, functions)
    return found


def draw_examples(folder: Path, names: Sequence[str]) -> list[Path]:
    """Draw what needs no sweep into the `figures/` of a result directory; the paths written. Raises ResultsError."""
    target = folder / "figures"
    try:
        target.mkdir(parents=True, exist_ok=True)
        with drawn_as(PAGE):
            return [path for name in names for path in save(KINDS[name].draw(), target / name)]
    except OSError as error:
        raise ResultsError(f"{target}: cannot be written ({error.strerror or error})") from None


def applicable_figures(part: pd.DataFrame) -> dict[str, Draw]:
    """The figures of training on pairs that have something to show of these curves."""
    return {name: kind.draw for name, kind in kinds_showing("point").items() if kind.applies(part)}
