r"""A reader of the LaTeX that we write, by what LaTeX's own documents say of each command: the text that comes of it.

It knows nothing of the code that writes, and refuses what LaTeX would: a command that it has no page on, a brace too
many, a special sign that stands alone.
"""

import re
import unicodedata

SPECIAL = set("#$%&_^~\\{}")
TEXT = {"textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "ldots": "…", "S": "§", "ss": "ß"}
LETTERS = {"ae": "æ", "o": "ø", "AE": "Æ", "O": "Ø"}
FORMULA = {
    **{"pm": "±", "times": "×", "cdot": "·", "surd": "√", "Vert": "‖", "infty": "∞", "leq": "≤", "geq": "≥"},
    **{"approx": "≈", "neq": "≠", "to": "→", "leftarrow": "←", "in": "∈", "propto": "∝", "varepsilon": "ε"},
    **{"varphi": "φ", "varsigma": "ς"},
}
ACCENTS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", '"': "\u0308"}
LETTER_ACCENTS = {"r": "\u030a", "c": "\u0327", "v": "\u030c"}
POWERS = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
JOINED = {"-": "–", "'": "”", ",": "„", "`": "“"}
STYLES = {"emph", "textbf"}
SILENT = {"raggedright", "centering"}
TOKEN = re.compile(r"\\[A-Za-z]+ ?|\\.|.", re.DOTALL)


def read(text: str) -> str:
    """The text that LaTeX sets."""
    assert text.isascii()
    assert text.isprintable(), "it has line breaks, or signs that LaTeX does not read"
    found, rest = group(TOKEN.findall(text), inside=False)
    assert rest == []
    return found


def group(tokens: list[str], *, inside: bool) -> tuple[str, list[str]]:
    """The text up to the brace that closes, and what follows it."""
    found, token = "", ""
    while tokens:
        before, (token, *tokens) = token, tokens
        if token == "}":
            assert inside, "a brace that opens nothing"
            return found, tokens
        if token == "{":
            part, tokens = group(tokens, inside=True)
            found += part
        elif token == "$":
            end = tokens.index("$")
            found, tokens = found + formula(tokens[:end]), tokens[end + 1 :]
        elif token.startswith("\\"):
            part, tokens = command(token[1:].rstrip(" "), tokens)
            found += part
        elif token == before and token in JOINED:
            found = found[:-1] + JOINED[token]
        else:
            assert token not in SPECIAL, f"{token} stands alone"
            found += token
    assert not inside, "a brace is left open"
    return found, tokens


def command(name: str, tokens: list[str]) -> tuple[str, list[str]]:
    """What a command sets, and what follows its arguments."""
    if name in SPECIAL - {"\\", "^", "~"}:
        return name, tokens
    if name in SILENT:
        return "", tokens
    assert tokens[0] == "{", f"{name} takes an argument"
    if name in TEXT | LETTERS:
        assert tokens[1] == "}"
        return (TEXT | LETTERS)[name], tokens[2:]
    if name == "ensuremath":
        return argument_as_formula(tokens)
    argument, rest = group(tokens[1:], inside=True)
    if name == "symbol":
        return chr(int(argument)), rest
    if name in STYLES:
        return argument, rest
    return unicodedata.normalize("NFC", argument + (ACCENTS | LETTER_ACCENTS)[name]), rest


def argument_as_formula(tokens: list[str]) -> tuple[str, list[str]]:
    """The formula in the braces that come."""
    depth = 0
    for place, token in enumerate(tokens):
        depth += (token == "{") - (token == "}")
        if depth == 0:
            return formula(tokens[1:place]), tokens[place + 1 :]
    raise AssertionError("a brace is left open")


def formula(tokens: list[str]) -> str:
    """A formula as text: its signs, one after the other, and powers as small letters."""
    joined = "".join(tokens)
    if joined == r"\frac{1}{2}":
        return "½"
    joined = joined.replace("''", "″").replace("'", "′").replace("-", "−").replace("{,}", ",").replace("^{*}", "*")
    joined = re.sub(r"\^\{?(−?\d+)\}?", lambda match: match[1].translate(POWERS), joined)
    joined = re.sub(r"\\mathrm\{([^{}]*)\}", r"\1", joined)
    found = re.sub(r" ?\\([A-Za-z]+) ?", lambda match: FORMULA.get(match[1]) or greek(match[1]), joined)
    assert not set(found) & SPECIAL, found
    return found


def greek(name: str) -> str:
    """A Greek letter by LaTeX's name for it."""
    size = "CAPITAL" if name[0].isupper() else "SMALL"
    return unicodedata.lookup(f"GREEK {size} LETTER {'LAMDA' if name.lower() == 'lambda' else name.upper()}")


def rows_of(table: str) -> list[list[str]]:
    """The rows of the tabulars in a text, the heading first, as LaTeX sets their cells."""
    body = re.search(r"\\toprule\n(.*)\\bottomrule", table, re.DOTALL)
    assert body
    lines = re.sub(r"\\(midrule|addlinespace)\n", "", body[1]).strip().split("\n")
    for line in lines:
        assert line.endswith(r" \\"), line
    return [[read(part).strip() for part in re.split(r"(?<!\\)&", line[:-3])] for line in lines]
