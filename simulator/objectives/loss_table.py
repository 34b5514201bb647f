"""Objectives as text: what each f does at z = 0, and what the others are."""

from collections.abc import Sequence
from functools import partial

from simulator.common.errors import ConfigError, nearest
from simulator.objectives import KNOWN_AS, OBJECTIVES
from simulator.objectives.custom import caution
from simulator.objectives.local_shape import Loss, local_shape
from simulator.objectives.mixtures import is_mixture, objective_called
from simulator.objectives.objective import Hyperparameters, Objective
from simulator.user_code.loading import is_own


def defaults(objective: Objective) -> Hyperparameters:
    """Its parameters where nobody sets them."""
    return {name: parameter.default for name, parameter in objective.parameters.items()}


def chosen(names: Sequence[str]) -> list[Objective]:
    """The objectives of these names, sums of several among them, or all of ours. Raises ConfigError."""
    found = []
    for name in dict.fromkeys(names or OBJECTIVES):
        ours = KNOWN_AS.get(name, name)
        if ours not in OBJECTIVES and not is_own(name) and not is_mixture(name):
            known, hint = ", ".join(OBJECTIVES), nearest(name, [*OBJECTIVES, *KNOWN_AS])
            raise ConfigError(f"losses {name}: must be one of {known}, my_file.py:function{hint}")
        found.append(objective_called(ours, None, "losses "))
    return found


def functions(objectives: Sequence[Objective]) -> dict[str, Loss]:
    """Those that are functions of z, at their default parameters."""
    return {each.name: partial(each.f, **defaults(each)) for each in objectives if each.f is not None}


def describe(objectives: Sequence[Objective]) -> str:
    """Two tables: the functions of z = beta rho with what they do at z = 0, and the other objectives."""
    width = max(20, *(len(each.name) + 2 for each in objectives))
    lines = []
    of_z = [each for each in objectives if each.f is not None]
    if of_z:
        head = ("loss", "f(0)", "f'(0)", "f''(0)", "kappa", "f(z) at z = beta rho")
        lines.append("{:<{width}}{:>8}{:>8}{:>8}{:>8}  {}".format(*head, width=width))
    for each in of_z:
        assert each.f is not None
        at, kappa = local_shape(partial(each.f, **defaults(each))), each.kappa(defaults(each))
        kappa_text = "-" if kappa is None else f"{kappa:.4g}"
        lines.append(
            f"{each.name:<{width}}{at.value:>8.4g}{at.slope:>8.4g}{at.curvature:>8.4g}{kappa_text:>8}  "
            f"{each.formula}{parameters_of(each)}"
        )
    others = [each for each in objectives if each.f is None]
    if others:
        lines += ["", f"{'other objectives':<{width}}s = log π - log π_ref, ℓ = log π / tokens, ρ = s_w - s_l"]
        lines += [f"{each.name:<{width}}{each.formula}{parameters_of(each)}" for each in others]
    lines += [f"warning: {text}" for text in filter(None, (caution(each, defaults(each)) for each in objectives))]
    return "\n".join(lines).strip()


def parameters_of(objective: Objective) -> str:
    """The parameters of an objective, or of the parts of a sum, with their defaults."""
    if objective.parts:
        return "".join(dict.fromkeys(parameters_of(part) for _, part in objective.parts))
    ignored = objective.ignores(defaults(objective))
    parameters = [
        f"{name} = {parameter.default if parameter.words else format(parameter.default, 'g')}"
        for name, parameter in objective.parameters.items()
        if name not in ignored
    ]
    return f"  [objective.{objective.table}] {', '.join(parameters)}" if parameters else ""
