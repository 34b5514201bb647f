"""What a function in a file of the user's uses of that file, and of the files beside it; read, never run.

A function uses itself, the statements at the top of its file that bind a name which it mentions, and so on from those;
also every statement there that binds no name and so is there for its effect, such as `torch.manual_seed(0)`. What is
imported from a file beside it is followed into that file. Where names are looked up in a way that cannot be read off
(`globals()`, `exec`, `from helper import *`), all of a file is used.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from simulator.user_code.plain_source import plain_source

UNREADABLE = {"exec", "eval", "globals", "locals", "vars", "__import__", "importlib", "sys"}
COMPOUND = ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match
ALL = "*"
WHOLE = ""  # a module that is imported itself, and no name from it


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement at the top of a file.

    binds: names; mentions: names in it; imports: (module, level, name, ALL or WHOLE).
    """

    text: str
    binds: frozenset[str]
    mentions: frozenset[str]
    imports: tuple[tuple[str, int, str], ...]
    always: bool


@dataclass
class Uses:
    """Files with what is used of each: the numbers of statements."""

    root: Path
    files: dict[Path, list[Statement]] = field(default_factory=dict)
    used: dict[Path, set[int]] = field(default_factory=dict)


def used_code(path: Path, function: str) -> Mapping[Path, str]:
    """The plain source of what a function at the top of the file at `path` uses, for each file that it uses.

    Raises SyntaxError and OSError where a file cannot be read.
    """
    uses = Uses(root=path.parent)
    use(uses, path, function)
    return {
        file: "\n".join(uses.files[file][number].text for number in sorted(some)) for file, some in uses.used.items()
    }


def use(uses: Uses, path: Path, name: str) -> None:
    """Count what a name, or ALL, at the top of a file uses."""
    if path not in uses.files:
        uses.files[path], uses.used[path] = statements(path.read_text(encoding="utf-8-sig")), set()
        for number, statement in enumerate(uses.files[path]):
            if statement.always:
                use_statement(uses, path, number)
    for number, statement in enumerate(uses.files[path]):
        if name == ALL or name in statement.binds:
            use_statement(uses, path, number)


def use_statement(uses: Uses, path: Path, number: int) -> None:
    """Count a statement and what it uses."""
    if number in uses.used[path]:
        return
    uses.used[path].add(number)
    statement = uses.files[path][number]
    if statement.mentions & UNREADABLE:
        use(uses, path, ALL)
    for name in statement.mentions - statement.binds:
        use(uses, path, name)
    for module, level, name in statement.imports:
        for file, wanted in files_of(uses.root, path, module, level, name):
            use(uses, file, wanted)
        if name == ALL and any(files_of(uses.root, path, module, level, name)):
            use(uses, path, ALL)  # any name may have come from there


def files_of(root: Path, path: Path, module: str, level: int, name: str) -> Iterator[tuple[Path, str]]:
    """The files beside the user's that an import reads, each with the name that it takes from there."""
    base = root if level == 0 else path.parents[level - 1]
    parts = module.split(".") if module else []
    for count in range(1, len(parts)):
        if (package := base.joinpath(*parts[:count], "__init__.py")).is_file():
            yield package, ALL
    at = base.joinpath(*parts)
    inner = at / f"{name}.py"
    if name not in (ALL, WHOLE) and inner.is_file():  # from package import module
        yield inner, ALL
    if parts and at.with_suffix(".py").is_file():
        yield at.with_suffix(".py"), name or ALL
    elif (at / "__init__.py").is_file():
        yield at / "__init__.py", ALL


def statements(text: str) -> list[Statement]:
    """The statements at the top of a file, but its docstring and what runs only where the file is the program.

    An import of several names is one statement for each.
    """
    lines = text.splitlines(keepends=True)
    found = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [imported(node, alias) for alias in node.names]
        elif not (is_words(node) or is_main(node)):
            found.append(statement_of(node, lines))
    return found


def imported(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> Statement:
    """The import of one name."""
    text = f"import {alias.name} as {alias.asname}"
    one: ast.Import | ast.ImportFrom = ast.Import(names=[alias])
    if isinstance(node, ast.ImportFrom):
        one, text = ast.ImportFrom(node.module, [alias], node.level), f"from {'.' * node.level}{node.module} {text}"
    return Statement(
        text=text,
        binds=frozenset(bound(one)),
        mentions=frozenset(),
        imports=tuple(imports_of(one)),
        always=alias.name == ALL,
    )


def statement_of(node: ast.stmt, lines: list[str]) -> Statement:
    """What a node of the tree is as a Statement."""
    inner = list(ast.walk(node))
    names = frozenset(each.id for each in inner if isinstance(each, ast.Name))
    binds = (
        frozenset(bound(node))
        if not isinstance(node, COMPOUND)
        else frozenset(name for each in inner if isinstance(each, ast.stmt) for name in bound(each))
    )
    effect = isinstance(node, COMPOUND | ast.Expr | ast.Delete) or (not binds and not isinstance(node, ast.Pass))
    return Statement(
        text=plain_source(segment(node, lines)),
        binds=binds,
        mentions=names,
        imports=tuple(imported for each in inner for imported in imports_of(each)),
        always=effect or "_" in binds,
    )


def bound(node: ast.stmt) -> Iterator[str]:
    """The names that a simple statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        stored = (each for target in targets for each in ast.walk(target))
        yield from (each.id for each in stored if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))


def imports_of(node: ast.AST) -> Iterator[tuple[str, int, str]]:
    """What a node imports: the module, how many folders up it is looked for, and the name that is taken from it."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, 0, WHOLE) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from ((node.module or "", node.level, alias.name) for alias in node.names)


def segment(node: ast.stmt, lines: list[str]) -> str:
    """The text of a statement, its decorators included."""
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
    last = node.end_lineno or node.lineno
    text = "".join(lines[first - 1 : last]).encode()
    begin = node.col_offset if first == node.lineno else 0
    after = len(lines[last - 1].encode()) - (node.end_col_offset or 0)
    return text[begin : len(text) - after].decode()


def is_words(node: ast.stmt) -> bool:
    """Whether a statement is a string alone."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_main(node: ast.stmt) -> bool:
    """Whether a statement is `if __name__ == "__main__"`."""
    return isinstance(node, ast.If) and any(
        isinstance(each, ast.Name) and each.id == "__name__" for each in ast.walk(node.test)
    )
