"""What is said of data and worlds that do not belong together."""

import warnings

from simulator.api.world import World
from simulator.common.errors import ConfigError, shown
from simulator.settings.tables import Settings


def check_world(world: object) -> None:
    """Raises ConfigError where something else is given for a world."""
    if not isinstance(world, World):
        raise ConfigError(f'world: must be a World, such as make_world("quickstart"), not {type(world).__name__}')


def foreign_gold(world: World, theirs: Settings | None) -> str:
    """What to say of data that another gold than this world's has labelled; nothing where it is its own, or unknown."""
    ours = world.settings.gold.model_dump()
    labelled_by = ours if theirs is None else theirs.gold.model_dump()
    other = [f"gold.{key} = {shown(value)}" for key, value in labelled_by.items() if value != ours[key]]
    return (
        f"data: was labelled by another gold ({', '.join(other)}) than that of the world it is used in" if other else ""
    )


def warn(*texts: str) -> None:
    """Warn the user of what there is to say."""
    for text in dict.fromkeys(filter(None, texts)):
        warnings.warn(text, UserWarning, stacklevel=4)
