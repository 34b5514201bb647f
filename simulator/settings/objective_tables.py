"""[objective]: a table for each objective of `sweep.loss` that has parameters beside beta."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    Field,
    create_model,
)

from simulator.objectives import OBJECTIVES
from simulator.objectives.objective import Hyperparameters, Parameter
from simulator.settings.table import (
    Table,
)


def field_of(parameter: Parameter) -> Any:
    """The type and the default of a parameter of an objective."""
    described = Field(description=parameter.about)
    if parameter.words:
        return Annotated[Literal[parameter.words], described], parameter.default
    kind, default = (int, int(parameter.default)) if parameter.whole else (float, float(parameter.default))
    least, most = kind(parameter.least), kind(parameter.most)
    return Annotated[kind, Field(ge=least, le=most), described], default


class ObjectiveTables(Table):
    """[objective]. A table for each objective of `sweep.loss` that has parameters beside beta."""

    def hyperparameters(self, table: str) -> Hyperparameters:
        """The parameters in one of the tables, none where there is no such table."""
        return getattr(self, table).model_dump() if table else {}


if TYPE_CHECKING:
    Objectives = ObjectiveTables
else:
    _TABLES = {
        objective.table: create_model(
            objective.table,
            __base__=Table,
            **{name: field_of(parameter) for name, parameter in objective.parameters.items()},
        )
        for objective in OBJECTIVES.values()
        if objective.table
    }
    Objectives = create_model(
        "Objectives", __base__=ObjectiveTables, **{name: (table, table()) for name, table in _TABLES.items()}
    )
