"""[objective]: a table for each objective of `sweep.loss` that has parameters beside beta."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    Field,
    create_model,
)

from simulator.objectives import OBJECTIVES
from simulator.objectives.objective import Hyperparameters, Objective, Parameter
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

    def of(self, objective: Objective) -> Hyperparameters:
        """The parameters of an objective; of a sum those of its parts, each by table and name."""
        if objective.parts:
            return {f"{part.table}.{name}": one for _, part in objective.parts for name, one in self.of(part).items()}
        return getattr(self, objective.table).model_dump() if objective.table else {}


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
