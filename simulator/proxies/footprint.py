"""What proxies hold in memory: in training, and when they score."""

from simulator.engine.footprint import FLOAT, SLACK, order_bytes, pairs_bytes, step_bytes
from simulator.networks import token_log_probs as along
from simulator.proxies.reward_model import Member, proxy_architecture
from simulator.settings.tables import Settings
from simulator.worlds.enumerable import MOST_MEASURED
from simulator.worlds.footprint import listed_bytes, looked_up_bytes


def proxy_bytes(member: Member) -> int:
    """What every proxy adds to its stack: its row and the best so far, its pairs, its scores, and a training step."""
    settings = member.settings
    if member.planted:
        return int(SLACK * 8 * listed_bytes(settings.spec))
    return training_bytes(settings, settings.data.pairs)


def training_bytes(settings: Settings, pairs: int) -> int:
    """What a proxy that learns from so many pairs adds to its stack."""
    world, proxy = settings.world, settings.proxy
    row = 10 * FLOAT * proxy_architecture(settings).row
    step = step_bytes(proxy, world.vocabulary, proxy.batch, world.prompt_length + 2 * world.response_length)
    order = order_bytes(proxy.steps, proxy.batch)
    return int(SLACK * (row + step + 2 * pairs_bytes(settings, pairs) + order + 2 * listed_bytes(settings.spec)))


def later_bytes(settings: Settings, rounds: int, pairs: int) -> int:
    """What it takes a run of several rounds to train the members of its proxy at once, on so many pairs."""
    return settings.proxy.members * training_bytes(settings, pairs) if rounds > 1 else 0


def kept_bytes(settings: Settings, rounds: int) -> int:
    """What a run keeps of its proxies, of so many rounds: networks, what they say of the listing, and look-ups."""
    network = listed_bytes(settings.spec) + FLOAT * proxy_architecture(settings).row
    return rounds * settings.proxy.members * network + looked_up_bytes(settings.spec)


def scoring_bytes(settings: Settings) -> int:
    """What it takes to read responses with a proxy's network, a bounded number at once."""
    world, proxy = settings.world, settings.proxy
    if not settings.spec.lists_responses:
        return int(SLACK * FLOAT * along.MAX_FLOATS)
    if world.language.ends:
        read = 8 + world.prompt_length + world.response_length
        return int(SLACK * FLOAT * along.MAX_FLOATS) + read * listed_bytes(settings.spec)
    places = sum(world.vocabulary**t for t in range(world.response_length + 1)) + world.prompt_length
    prompts = max(1, min(world.prompts, MOST_MEASURED // (4 * places * max(1, proxy.width // 64))))
    return int(SLACK * FLOAT * prompts * places * (14 * proxy.width + 4 * proxy.heads)) + 8 * listed_bytes(
        settings.spec
    )
