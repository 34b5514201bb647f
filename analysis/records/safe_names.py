"""Names that users chose, as they may be shown: losses of their own, texts, and whatever else stands in a table.

A name can hold anything that a path can. Each place that shows names has signs that it would take for commands.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable

import pandas as pd

LONGEST = 100  # bytes of a name in a file's name
GREEK = (
    *("alpha", "beta", "gamma", "delta", "zeta", "eta", "theta", "iota", "kappa", "mu", "nu", "xi", "pi", "rho"),
    *("sigma", "tau", "upsilon", "chi", "psi", "omega"),
    *("Gamma", "Delta", "Theta", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"),
)
IN_FORMULAS = {  # signs that LaTeX has among its formulas
    **{unicodedata.lookup(f"GREEK {'CAPITAL' if n[0].isupper() else 'SMALL'} LETTER {n.upper()}"): n for n in GREEK},
    **{"ε": "varepsilon", "φ": "varphi", "λ": "lambda", "Λ": "Lambda", "ς": "varsigma", "µ": "mu"},
    **{"±": "pm", "×": "times", "·": "cdot", "√": "surd", "‖": "Vert", "∞": "infty", "≤": "leq", "≥": "geq"},
    **{"≈": "approx", "≠": "neq", "→": "to", "←": "leftarrow", "∈": "in", "∝": "propto"},
}
IN_LATEX = {
    **{sign: f"\\ensuremath{{\\{name}}}" for sign, name in IN_FORMULAS.items()},
    **{sign: f"\\ensuremath{{{text}}}" for sign, text in {"−": "-", "′": "'", "″": "''", "<": "<", ">": ">"}.items()},
    **{sign: f"\\ensuremath{{^{power}}}" for sign, power in {"¹": 1, "²": 2, "³": 3}.items()},
    **{sign: f"\\{sign}" for sign in "{}$%&#_"},
    **{sign: f"{{\\symbol{{{ord(sign)}}}}}" for sign in '"`'},  # languages make these into commands
    **{sign: f"{{{sign}}}" for sign in "[]*"},  # after the end of a row they would be an argument of it
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "|": r"\ensuremath{|}"},
    **{"½": r"\ensuremath{\frac{1}{2}}", "…": r"\ldots{}", "–": "--", "—": "---", "\u00a0": "~", "§": r"\S{}"},
    **dict(zip("‘’“”ßæøÆØ", ("`", "'", "``", "''", r"\ss{}", r"\ae{}", r"\o{}", r"\AE{}", r"\O{}"), strict=True)),
}
ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0308\u030a\u0327\u030c", "`'^~\"rcv", strict=True))
JOINED = "-',"  # two of which LaTeX would join, as -- to a dash


def printable(name: str) -> str:
    r"""A name for a terminal, on one line: what is not printable is spelled, such as \\n and \\u202e."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in name)


def drawable_text(name: str) -> str:
    """A name for Matplotlib: nothing in it is typeset as mathematics, and a legend leaves none out."""
    plain = printable(name).replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain


def latex_text(text: str) -> str:
    """A text for LaTeX, in signs of ASCII, which any engine sets as they stand; what it may not have is spelled."""
    pairs = zip(f" {text}", text, strict=False)
    return "".join("{}" * (sign == before and sign in JOINED) + _latex_sign(sign) for before, sign in pairs)


def _latex_sign(sign: str) -> str:
    if sign in IN_LATEX:
        return IN_LATEX[sign]
    if sign.isascii() and sign.isprintable():
        return sign
    parts = unicodedata.normalize("NFD", sign)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in ACCENTS:
        return f"\\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    return "".join(IN_LATEX.get(each, each) for each in sign.encode("unicode_escape").decode())


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
