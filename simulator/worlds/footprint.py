"""What a world holds in memory, and what goes through networks there: while it is made, and in a measurement."""

from simulator.engine.footprint import FLOAT, SLACK, STACK_LIMIT, WIDE, step_bytes
from simulator.engine.forward_kl import POOL
from simulator.languages.text import text_bytes
from simulator.networks import token_log_probs as along
from simulator.networks.sampling import SampleBlocks
from simulator.settings.tables import Settings
from simulator.settings.world_spec import WorldSpec
from simulator.worlds.components import architecture_of
from simulator.worlds.enumerable import MOST_MEASURED
from simulator.worlds.policy_classes.sizes import class_bytes
from simulator.worlds.sampled import BEHAVIOUR_BYTES, PAIRS_BYTES

PROMPT_BYTES = 300  # of a prompt in Python, while different ones are gathered


def listed_bytes(spec: WorldSpec) -> int:
    """What one score of the world's listing takes."""
    world = spec.world
    if spec.lists_responses:
        return WIDE * world.prompts * world.responses
    return WIDE * spec.measured_prompts * spec.measure.baseline


def measuring_bytes(spec: WorldSpec) -> int:
    """What a measurement holds, however many runs the stack has."""
    world, policy = spec.world, spec.policy
    if spec.lists_responses:
        responses = world.prompts * world.vocabulary**world.response_length
        inner = world.prompts * sum(world.vocabulary**t for t in range(world.response_length))
        runs = max(1, min(STACK_LIMIT, MOST_MEASURED // responses))
        return int(SLACK * runs * (FLOAT * inner * (24 * policy.width + 8 * world.vocabulary) + 7 * WIDE * responses))
    architecture = architecture_of(spec)
    lots = SampleBlocks(prompts=spec.measured_prompts, responses=spec.measure.samples)
    each = along.floats_per_prompt(architecture, world.prompt_length)
    drawn = along.runs_per_block(architecture, world.prompt_length, lots) * lots.count * lots.responses_per_block
    together = max(lots.responses_per_block, along.MAX_FLOATS // each)
    judged = WIDE * drawn * (2 * world.response_length + 24)
    return int(SLACK * (FLOAT * together * each + WIDE * together * 5 * world.vocabulary + judged))


def numbering_bytes(spec: WorldSpec) -> int:
    """What finds the number of a response by its tokens, where responses may end early; nothing elsewhere."""
    leaves = spec.world.vocabulary**spec.world.response_length
    return (spec.world.response_length + 3) * WIDE * leaves if spec.world.language.ends else 0


def world_bytes(spec: WorldSpec) -> int:
    """What a world holds while policies are trained in it."""
    world = spec.world
    text = text_bytes(spec.world.language.text)
    language = 50 * text if text else 4 * WIDE * world.topics * world.vocabulary**2
    if spec.lists_responses:
        held = 12 * WIDE * world.prompts * world.responses
        return language + held + numbering_bytes(spec) + class_bytes(spec)
    baseline = WIDE * spec.measured_prompts * spec.measure.baseline * (world.response_length + 16)
    return language + baseline + PAIRS_BYTES + BEHAVIOUR_BYTES


def making_bytes(spec: WorldSpec) -> int:
    """What is held, in addition, while a world is made: a step of the reference's training, and the scoring of gold."""
    world = spec.world
    places = world.prompt_length + world.response_length - 1
    reading = step_bytes(spec.policy, world.vocabulary, spec.reference.batch, places)
    scoring = 2**26 if not spec.lists_responses else 10 * WIDE * world.prompts * world.vocabulary**world.response_length
    drawing = measuring_bytes(spec) if not spec.lists_responses else 0
    asking = 2 * world.prompts * (5 * WIDE * world.prompt_length + PROMPT_BYTES)
    features = 2 * class_bytes(spec)
    return int(SLACK * (reading + scoring + asking)) + drawing + features + 60 * text_bytes(spec.world.language.text)


def measured_places(settings: Settings, pairs: int) -> int:
    """Positions that go through the network of one run in a measurement, with so many pairs of its own."""
    spec, world, measure = settings.spec, settings.world, settings.measure
    if spec.lists_responses:
        inner = sum(world.vocabulary**t for t in range(1, world.response_length))
        return world.prompts * (world.prompt_length + inner)
    answer = world.prompt_length + world.response_length - 1
    read = 3 if settings.data.behaviour == "reference" else 4  # drawn, read by the reference, and as much of its own
    lots = SampleBlocks(prompts=spec.measured_prompts, responses=measure.samples)
    pair = world.prompt_length + 2 * (world.response_length - 1)
    return read * lots.count * lots.responses_per_block * answer + min(measure.pairs, pairs) * pair


def listed_responses(spec: WorldSpec) -> int:
    """Responses of a world that lists them."""
    return spec.world.prompts * spec.world.responses


def making_places(spec: WorldSpec) -> int:
    """Positions that go through the network until a world is there, a forward and a backward pass counting once."""
    world, reference = spec.world, spec.reference
    trained = reference.steps * reference.batch * (world.prompt_length + world.response_length - 1)
    baseline = spec.measured_prompts * spec.measure.baseline * world.response_length
    return trained + (0 if spec.lists_responses else 2 * baseline // 3)


def tree_bytes(spec: WorldSpec, tokens: int) -> int:
    """What the gradient of an expectation over the prefix tree, at so many of its places, holds for one run."""
    if not spec.lists_responses:
        return 0
    policy, length = spec.policy, spec.world.response_length
    kept = policy.layers * (24 * policy.width + 4 * policy.heads * length) + 12 * policy.width
    return int(SLACK * tokens * (FLOAT * kept + 6 * WIDE * spec.world.vocabulary))


def drawn_bytes(spec: WorldSpec, tokens: int) -> int:
    """What a run holds for an expectation under the reference, where it is a mean over drawn responses."""
    drawn = tokens > 0 and not spec.lists_responses
    return 2 * WIDE * POOL * (spec.world.response_length + spec.world.prompt_length + 4) * drawn


def looked_up_bytes(spec: WorldSpec) -> int:
    """What a run holds of its proxy's scores where these are looked up."""
    return 2 * listed_bytes(spec) if spec.lists_responses else 0


def pool_reading_bytes(spec: WorldSpec, pool: int) -> int:
    """What a proxy says of a pool of responses to each measured prompt."""
    return WIDE * spec.measured_prompts * pool


def pooled_bytes(spec: WorldSpec, pool: int) -> int:
    """What is said of a pool of responses to each measured prompt, sorted by one proxy."""
    return int(SLACK * 20 * WIDE * spec.measured_prompts * pool)
