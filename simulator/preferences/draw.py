"""Pairs that gold labelled, before any training."""

from simulator.preferences.comparisons import judge
from simulator.preferences.filtering import kept_pairs
from simulator.preferences.pairs import Preferences, labelled
from simulator.preferences.pairs_file import file_preferences
from simulator.preferences.population import population
from simulator.settings.data_table import Data
from simulator.settings.labels import rule_of
from simulator.worlds.behaviour import Candidates
from simulator.worlds.protocol import World


def draw_labelled(world: World, data: Data, seed: int) -> Preferences:
    """The pairs of a seed, `data.pairs` of them, that gold labelled; or those of a file, or the whole population, which
    are the same for every seed.

    Less those that `data.filter` drops. Raises ConfigError where `data.distinct` asks for different responses that do
    not come.
    """
    if data.population:
        return population(world, data)
    if data.file:
        return kept_pairs(file_preferences(data.file, data.pairs, world), world, data)
    return kept_pairs(label_by_gold(world.candidates(data, seed, data.pairs, "pairs"), world, data), world, data)


def label_by_gold(pairs: Candidates, world: World, data: Data) -> Preferences:
    """The pairs as gold labels them, with gold as their scores."""
    gold = world.gold_of(pairs.prompt[None], pairs.responses[None])[0].cpu().numpy()
    return labelled(pairs, judge(world, data, pairs, gold), gold, rule_of(data))
