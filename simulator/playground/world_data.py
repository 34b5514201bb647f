"""What the page holds of a world: sizes and settings as JSON, and tables as bytes.

Shapes: P prompts, G responses of T tokens in all, D numbers of the reference's row.
"""

import base64
import gzip
from typing import Any

import numpy as np

from simulator.api.world import World
from simulator.common.errors import ConfigError, shown
from simulator.native.library import WIDTHS
from simulator.objectives.losses.reference_free import MARGIN
from simulator.settings.relevant_keys import unread_keys
from simulator.settings.tables import Settings
from simulator.worlds.components import content_of, fluency_under, language_of
from simulator.worlds.enumerable import EnumerableWorld
from simulator.worlds.listing import breaks_of_all, scores_of_all

PAGE_LABELS = ("bradley_terry", "deterministic")
LARGEST = 16_384  # responses in all
SPELLED = {"prompt": "prompts", "chosen": "chosen", "rejected": "rejected"}
SMALLEST_PROXY = 16
REFRESH, FRESH = 50, 64  # steps between fresh pairs, online, and how many
TABLES = 130_000  # bytes of a world's tables in the page, so that it stays below 400 kB
SERVED = 2**18  # of a world that Python trains in


def check_world(settings: Settings, *, served: bool) -> None:
    """Raises ConfigError where a world cannot be shown in the page, or behind it."""
    world, policy = settings.world, settings.policy
    if settings.data.labeller != "gold":
        raise ConfigError(f'data.labeller = "{settings.data.labeller}": gold labels the pairs of the playground')
    check_labels_of_page(settings)
    if settings.data.behaviour == "best_of_n" or "one_from_reference" not in unread_keys(settings)["data"]:
        raise ConfigError(
            f'data.behaviour = "{settings.data.behaviour}", data.one_from_reference = '
            f"{str(settings.data.one_from_reference).lower()}: the playground draws both responses of a pair alike, "
            'from "reference", "tempered", "uniform" or "mixture"'
        )
    if settings.train.divergence != "kl":
        raise ConfigError(f'train.divergence = "{settings.train.divergence}": the playground trains with "kl" alone')
    if SMALLEST_PROXY % settings.proxy.heads:
        raise ConfigError(
            f"proxy.heads = {settings.proxy.heads}: must divide {SMALLEST_PROXY}, the least width of proxies here"
        )
    if world.kind != "enumerable":
        raise ConfigError(f'world.kind = "{world.kind}": the playground needs one in which every response is listed')
    if settings.data.population:
        raise ConfigError("data.population: policies of the playground learn from drawn pairs")
    if policy.kind != "transformer":
        raise ConfigError(f'policy.kind = "{policy.kind}": policies of the playground are transformers')
    if world.language.ends:
        language = world.language
        key, value = ("stop", f"{language.stop:g}") if language.stop else ("kind", f'"{language.kind}"')
        raise ConfigError(
            f"world.language.{key} = {value}: ends responses early, and those of the playground are equally long"
        )
    count, most = world.prompts * world.responses, SERVED if served else LARGEST
    if count > most:
        raise ConfigError(
            f"world.prompts x world.vocabulary^world.response_length = {count:,}: must be at most {most:,} in the "
            f"playground{'' if served else '; --serve takes more'}, such as world.prompts = 8, world.vocabulary = 6"
        )
    if not served and policy.width % WIDTHS:
        raise ConfigError(
            f"policy.width = {policy.width}: must be a multiple of {WIDTHS} in the page; --serve takes any"
        )


def check_labels_of_page(settings: Settings) -> None:
    """Raises ConfigError where gold labels pairs in a way that the page does not know."""
    data, unread = settings.data, unread_keys(settings)["data"]
    if data.labels not in PAGE_LABELS:
        raise ConfigError(f'data.labels = "{data.labels}": must be {" or ".join(PAGE_LABELS)} in the playground')
    for key in ("flip_toward", "length_bias", "disagreement"):
        if key not in unread:
            raise ConfigError(
                f"data.{key} = {shown(getattr(data, key))}: the playground does not know it; leave it out"
            )


def check_room(tables: bytes) -> None:
    """Raises ConfigError where a world's tables would take more room than the page has for them."""
    size = len(packed_text(tables))
    if size > TABLES:
        raise ConfigError(
            f"this world would take {size / 1000:,.0f} kB of the page: must be at most {TABLES / 1000:,.0f}, so that "
            "the page stays below 400 kB; take fewer responses, or a policy.width of 16; --serve takes more"
        )


def packed_text(content: bytes) -> str:
    """Bytes as the page holds them: compressed, in base64; nothing for nothing."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode() if content else ""


def enumerable(world: World) -> EnumerableWorld:
    """The world in which every response is listed."""
    assert isinstance(world.simulated, EnumerableWorld)
    return world.simulated


def world_tables(world: World) -> bytes:
    """Scores of fluency, float64 [P, G]; the reference's parameters, float32 [D]; scores of content, float32 [P, G] as
    networks give them; and a byte for each response [P, G], whose bits say which of its tokens break the grammar, the
    first token's lowest. The page brings scores to one scale, as Python does.
    """
    spec, prompts, responses = world.settings.spec, world.prompts.numpy(), world.responses.numpy()
    fluency = scores_of_all(fluency_under(language_of(spec)), prompts, responses)
    content = scores_of_all(content_of(spec), prompts, responses)
    tables = [fluency.astype("<f8"), enumerable(world).reference.numpy().astype("<f4"), content.astype("<f4")]
    return b"".join(table.tobytes() for table in tables) + breaks_of(world).tobytes()


def world_data(world: World) -> dict[str, Any]:
    """Everything that the page knows of a world, but its tables and how Python trained in it."""
    settings, listed = world.settings, enumerable(world)
    return {
        "seed": settings.world.seed,
        "prompts": world.prompts.tolist(),
        "spelled": spelled_pair(world),
        "letters": [world.spell([token]) for token in range(world.vocabulary)],
        "sizes": {
            "vocabulary": world.vocabulary,
            "length": world.response_length,
            "promptLength": world.prompts.shape[1],
            "layers": settings.policy.layers,
            "width": settings.policy.width,
            "heads": settings.policy.heads,
            "row": listed.architecture.row,
        },
        "gold": {
            "reward": settings.gold.reward,
            "fluency": settings.gold.fluency,
        },
        "facts": {"policy_parameters": world.facts["policy_parameters"]},
        **training_data(settings),
    }


def spelled_pair(world: World) -> dict[str, str]:
    """A pair of seed 0 as people read it: one of two different responses."""
    pairs = world.preferences(seed=0)
    number = int((pairs.chosen != pairs.rejected).any(dim=1).int().argmax())
    return {name: world.spell(getattr(pairs, names)[number].tolist()) for name, names in SPELLED.items()}


def breaks_of(world: World) -> np.ndarray:
    """Which tokens of every response break the grammar, a bit each, uint8 [P, G]."""
    language = language_of(world.settings.spec)
    return packed(breaks_of_all(language, world.prompts.numpy(), world.responses.numpy()))


def packed(breaks: np.ndarray) -> np.ndarray:
    """Bits [..., T] as one byte each, the first lowest; those of tokens beyond the eighth count as the eighth's."""
    found = np.zeros(breaks.shape[:-1], dtype=np.uint8)
    for place in range(breaks.shape[-1]):
        found |= (breaks[..., place].astype(np.uint8) << min(place, 7)).astype(np.uint8)
    return found


def training_data(settings: Settings) -> dict[str, Any]:
    """How policies and proxies are trained in the page, unless a control says otherwise."""
    data, train, proxy = settings.data, settings.train, settings.proxy
    return {
        "data": {
            "pairs": data.pairs,
            "behaviour": data.behaviour,
            "uniformShare": data.uniform_share,
            "behaviourTemperature": data.behaviour_temperature,
            "labels": data.labels,
            "temperature": data.temperature,
            "noise": data.label_noise,
            "distinct": data.distinct,
        },
        "train": {
            "steps": train.steps,
            "batch": train.batch,
            "rate": train.learning_rate,
            "clip": train.clip,
            "weightDecay": train.weight_decay if train.optimizer == "adamw" else 0.0,
            "schedule": train.schedule,
            "warmup": train.warmup,
            "checkpoints": train.checkpoints,
        },
        "proxy": {
            "width": proxy.width,
            "heads": proxy.heads,
            "layers": proxy.layers,
            "steps": proxy.steps,
            "batch": proxy.batch,
            "rate": proxy.learning_rate,
            "weightDecay": proxy.weight_decay,
            "heldOut": proxy.held_out,
            "loss": proxy.loss,
        },
        "online": {"refresh": REFRESH, "pairs": FRESH},
        "simpoMargin": MARGIN.default,
    }
