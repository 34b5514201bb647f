"""The columns of `curves.parquet`, from the list that the tables are made by."""

from docs.writing.markdown import page, table
from simulator.storage.tables import COLUMNS

KINDS = {  # of columns, and what is said of each
    "name": "What a row is, and how it came about",
    "setting": "Settings: what varies in a sweep; a further axis of a sweep is a column of this kind, too",
    "place": "Where on the way",
    "measured": "Measured",
}


def columns_page() -> str:
    """docs/reference/columns.md."""
    parts = [
        "# The columns of `curves.parquet`",
        "Written by `python docs/reference.py` from the list that the tables are made by. A row is a run at a "
        "checkpoint. `tables.json`, in every result folder, says the same of its own columns, those of your code "
        "included.",
    ]
    errors = {f"{name}_se" for name, column in COLUMNS.items() if column.error}
    for kind, title in KINDS.items():
        rows = [
            (f"`{name}`{f', `{name}_se`' if column.error else ''}", column.unit, column.about)
            for name, column in COLUMNS.items()
            if column.kind == kind and name not in errors
        ]
        parts += [f"## {title}", table(("column", "unit", "what it is"), rows)]
    parts.append(
        "`NAME_se` is the standard error of NAME: 0 where it is exact, and where `kl` is a bound. A cell is empty "
        "where the run has no such number: rows of the oracle have no loss, seed or pairs, an objective without β no "
        "`beta`, one that is no f(z) no `kappa`. `kl_k1` to `kl_k3` are there where `measure.kl_estimators` asks for "
        "them; columns of a method or an objective are there where a run of the sweep has them."
    )
    return page(*parts)
