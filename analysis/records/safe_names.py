"""Names that users chose, as they may be shown: losses of their own, texts, and whatever else stands in a table.

A name can hold anything that a path can. Each place that shows names has signs that it would take for commands.
"""

import hashlib
import re
from collections.abc import Callable

import pandas as pd

LONGEST = 100  # bytes of a name in a file's name


def printable(name: str) -> str:
    r"""A name for a terminal, on one line: what is not printable is spelled, such as \\n and \\u202e."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in name)


def drawable_text(name: str) -> str:
    """A name for Matplotlib: nothing in it is typeset as mathematics, and a legend leaves none out."""
    plain = printable(name).replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain


def file_name_part(name: str) -> str:
    """A name as a part of a file's name, with a hash where signs or its length had to go."""
    plain = re.sub(r"[^\w.,=+ -]", "_", name)
    short = plain.encode()[:LONGEST].decode(errors="ignore")
    if short == name.replace("/", "_"):
        return short
    return f"{short}-{hashlib.sha256(name.encode(errors='backslashreplace')).hexdigest()[:8]}"


def with_safe_names(table: pd.DataFrame, spell: Callable[[str], str]) -> pd.DataFrame:
    """A table with the names of its columns, and all text in it but in `run_id`, spelled for where they are shown."""
    changed = {}
    for name in table:
        column = table[name]
        if name != "run_id" and (column.dtype == object or isinstance(column.dtype, pd.StringDtype)):
            found = {value: spell(value) for value in column.dropna().unique() if isinstance(value, str)}
            different = {value: other for value, other in found.items() if value != other}
            if different:
                changed[name] = column.map(lambda value, known=different: known.get(value, value), na_action="ignore")
    return table.assign(**changed).rename(columns=lambda name: spell(str(name)))
