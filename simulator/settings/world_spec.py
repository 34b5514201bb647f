"""What makes a world: the tables that it follows from, and its name."""

from simulator.common.identity import digest
from simulator.settings.relevant_keys import read_tables
from simulator.settings.tables import Settings

MADE_OF = ("world", "reference", "gold", "policy", "measure")  # the tables that a world follows from


def world_name(settings: Settings) -> str:
    """A name that two settings share only if their worlds are the same."""
    return digest(read_tables(settings, MADE_OF))
