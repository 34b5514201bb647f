"""What each key of a sweep file means: the docstring under its field in the class of its table.

    steps: Count = 600
    \"\"\"Of the optimizer.\"\"\"

Editors show it through the JSON Schema, and the reference of the documentation is written from it.
"""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel


def key_meanings(table: type[BaseModel]) -> dict[str, str]:
    """The meaning of each key of a table that has one, its own before that of a table that it extends."""
    found = {name: field.description for name, field in table.model_fields.items() if field.description}
    for kind in reversed(table.__mro__):
        found |= documented(kind) if issubclass(kind, BaseModel) and kind is not BaseModel else {}
    return {name: found[name] for name in table.model_fields if name in found}


@cache
def documented(kind: type) -> Mapping[str, str]:
    """The docstring under each attribute of a class, none where its source is not at hand."""
    try:
        text = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):  # made by a call
        return {}
    (body,) = [node.body for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


def tables_in(model: type[BaseModel]) -> list[type[BaseModel]]:
    """A model and all tables in it."""
    inner = [
        field.annotation
        for field in model.model_fields.values()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    ]
    return [model, *(table for each in inner for table in tables_in(each))]
