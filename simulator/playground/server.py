"""The playground with Python behind it, on this machine's loopback alone.

`/` is the page. `/train`, `/oracle` and `/bestOfN` answer with server-sent events (HTML Living Standard, section 9.2):
`frame` for what is measured at a checkpoint, `found` for an answer, then `ended`, or `refused` with what is wrong. One
stack trains at a time; a newer request, or a reader that goes, stops it at the next checkpoint. A request must name
this machine as its host, so that no page of the web reaches the server by a name of its own, and have the token.
"""

import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from socketserver import BaseServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from simulator.api.make_world import make_world
from simulator.api.pairs import Pairs
from simulator.api.reward_models import best_of_n, train_proxy
from simulator.api.training import training
from simulator.api.world import World
from simulator.common.errors import ConfigError
from simulator.playground.drawn_loss import drawn_loss
from simulator.playground.python_runs import online_settings, rungs_of_page
from simulator.playground.shown import all_log_probs, frame_of, seen_in
from simulator.playground.world_data import breaks_of
from simulator.sweeps.sweep import Sweep

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
LARGEST_QUERY = 20_000  # characters
FRAMES = 60  # checkpoints of a path that is watched
LARGEST_NUMBER, MOST_SEEDS = 100_000, 64  # of what is asked for
MOST_WORLDS = 8  # that are held
PATIENCE = 60  # seconds that a reader may take
KEYS = frozenset(("loss", "beta", "pairs", "noise", "rate", "steps", "fluency", "online", "shape", "seed", "width"))
Query = Mapping[str, Any]
Send = Callable[[str, Any], None]


@dataclass
class Stacks:
    """One stack at a time: who comes later stops who came before, of the same kind."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    newest: dict[str, int] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def begin(self, kind: str) -> Callable[[], bool]:
        """A new stack of a kind; what it gives says whether that is still the newest."""
        mine = self.newest[kind] = next(self.numbers)
        return lambda: self.newest[kind] == mine


@dataclass
class Playground:
    """What the server serves: a sweep's world, with other weights of fluency made as they are asked for."""

    sweep: Sweep
    page: str
    token: str
    losses: frozenset[str]  # that the page offers
    stacks: Stacks = field(default_factory=Stacks)
    worlds: dict[float, World] = field(default_factory=dict)

    def world(self, settings: Query) -> World:
        """The world with the weight of fluency in gold that the controls say. Raises ConfigError."""
        weight = number(settings, "fluency")
        if weight not in self.worlds:
            if len(self.worlds) >= MOST_WORLDS:
                self.worlds.pop(next(iter(self.worlds)))
            self.worlds[weight] = make_world(self.sweep, {"gold.fluency": weight})
        return self.worlds[weight]

    def answer(self, kind: str, query: Query, send: Send) -> None:
        """Answer a request with events. Raises ConfigError where it asks for what there is not."""
        settings = query.get("settings")
        if not isinstance(settings, dict) or not settings.keys() <= KEYS:
            raise ConfigError("the settings are not those of the playground")
        if kind == "oracle":
            send("found", oracle(self.world(settings)))
            return
        newest = self.stacks.begin(kind)
        with self.stacks.lock:
            if newest():
                (self.train if kind == "train" else self.best)(query, settings, send, newest)
            else:
                send("stopped", None)

    def loss(self, settings: Query) -> Any:
        """The loss that the controls say: drawn, or one that the page offers. Raises ConfigError."""
        name = settings.get("loss")
        if name == "drawn":
            return drawn_loss(settings.get("shape"))
        if not isinstance(name, str) or name not in self.losses:
            raise ConfigError(f"loss {name!r}: must be one of those that the page offers")
        return name

    def pairs(self, world: World, settings: Query, seed: int) -> Pairs:
        """The pairs of a seed, as many and with as many flipped labels as the controls say. Raises ConfigError."""
        return world.preferences(whole(settings, "pairs"), seed=seed, label_noise=number(settings, "noise"))

    def train(self, query: Query, settings: Query, send: Send, newest: Callable[[], bool]) -> None:
        """Train a policy for each seed, and send what is measured of each at every checkpoint."""
        world, seeds, detail = self.world(settings), seeds_of(query), query.get("detail") is True
        refresh, steps = whole(settings, "online", least=0, default=0), whole(settings, "steps")
        pairs = [self.pairs(world, settings, seed) for seed in seeds]
        stack = training(
            world,
            pairs,
            loss=self.loss(settings),
            beta=number(settings, "beta"),
            seed=seeds,
            steps=steps,
            learning_rate=number(settings, "rate"),
            checkpoints=None if query.get("every") else min(FRAMES, steps),
            settings=online_settings(refresh),
        )
        breaks = breaks_of(world)
        seen, laws, step = [seen_in(world, [some], breaks) for some in pairs], np.zeros(0), -1
        for row in stack:
            if not newest():
                send("stopped", None)
                return
            if row["step"] != step:
                step, laws = row["step"], all_log_probs(world, stack.policies.parameters)
            policy = seeds.index(row["seed"])
            shown = frame_of(world, row, laws[policy], seen[policy], breaks, detail=detail and policy == 0)
            send("frame", {"policy": policy, "frame": shown})
        send("ended", None)

    def best(self, query: Query, settings: Query, send: Send, newest: Callable[[], bool]) -> None:
        """Train a reward model, and send gold and its own score of the best of n by it."""
        world, seed, width = self.world(settings), whole(settings, "seed", least=0), whole(settings, "width")
        pairs = self.pairs(world, settings, seed)
        rungs = rungs_of_page()
        rows = best_of_n(world, train_proxy(world, pairs, width=width, members=1, seed=seed), n=rungs)
        columns = {name: rows[name].tolist() for name in ("kl", "gold", "proxy")}
        send("found", {"width": width, "n": rungs, **columns})


def number(settings: Query, name: str) -> float:
    """A finite number among the settings. Raises ConfigError."""
    value = settings.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e300:
        raise ConfigError(f"{name}: must be a number")
    return float(value)


def whole(settings: Query, name: str, *, least: int = 1, default: int | None = None) -> int:
    """A whole number among the settings. Raises ConfigError."""
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST_NUMBER:
        raise ConfigError(f"{name}: must be a whole number from {least} to {LARGEST_NUMBER:,}")
    return value


def seeds_of(query: Query) -> list[int]:
    """The seeds of a stack. Raises ConfigError."""
    found = query.get("seeds")
    if not isinstance(found, list) or not 0 < len(found) <= MOST_SEEDS:
        raise ConfigError(f"seeds: must be a list of at most {MOST_SEEDS}")
    return [whole({"seeds": seed}, "seeds", least=0) for seed in found]


def oracle(world: World) -> dict[str, list[float]]:
    """The oracle's line as the page draws it."""
    table = world.simulated.oracle("playground")
    return {name: [0.0, *table[name].tolist()] for name in ("kl", "gold")}


class Handler(BaseHTTPRequestHandler):
    """Answers requests for one playground, which `serve` puts on the class."""

    playground: Playground
    protocol_version = "HTTP/1.0"
    timeout = PATIENCE

    def do_GET(self) -> None:
        """The page, or events."""
        try:
            place, is_local = urlsplit(self.path), self.is_local()
            query = parse_qs(place.query)
        except ValueError:
            return self.refuse(400, "this is no address")
        if not is_local:
            return self.refuse(403, "this server answers to 127.0.0.1 and localhost only")
        if not secrets.compare_digest(query.get("token", [""])[0].encode(), self.playground.token.encode()):
            return self.refuse(403, "the address lacks the token; open the one that the command printed")
        if place.path == "/":
            return self.reply("text/html; charset=utf-8", self.playground.page.encode())
        kind = place.path.removeprefix("/")
        if kind not in ("train", "oracle", "bestOfN"):
            return self.refuse(404, "there is no such page")
        self.events(kind, query.get("query", [""])[0])

    def is_local(self) -> bool:
        """Whether the host that the request names is this machine, and no other page sent it."""
        port = port_of(self.server)
        hosts = {f"{name}:{port}" for name in NAMES}
        origin = self.headers.get("Origin")
        return self.headers.get("Host") in hosts and (origin is None or urlsplit(origin).netloc in hosts)

    def events(self, kind: str, text: str) -> None:
        """Answer with server-sent events until all is sent or nobody reads."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        try:
            try:
                query = json.loads(text) if len(text) < LARGEST_QUERY else None
                if not isinstance(query, dict):
                    raise ConfigError("the request is not an object")
                self.playground.answer(kind, query, self.send)
            except (ConfigError, ValueError) as error:
                self.send("refused", str(error))
        except OSError:  # nobody reads: what trained has ended with it
            return

    def send(self, event: str, value: Any) -> None:
        """Send an event; numbers that JSON does not have are sent as null."""
        text = json.dumps(finite(value), separators=(",", ":"), allow_nan=False)
        self.wfile.write(f"event: {event}\ndata: {text}\n\n".encode())
        self.wfile.flush()

    def reply(self, kind: str, content: bytes, status: int = 200) -> None:
        """Answer with one document."""
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def refuse(self, status: int, why: str) -> None:
        """Answer with what is wrong."""
        self.reply("text/plain; charset=utf-8", f"{why}\n".encode(), status)

    def log_message(self, *args: Any) -> None:
        """Nothing: the terminal is for the address."""


def finite(value: Any) -> Any:
    """The value with null in place of numbers that are not finite."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


def open_server(playground: Playground, port: int) -> ThreadingHTTPServer:
    """A server on the loopback, on a free port where it is 0. Raises ConfigError where the port is taken."""
    handler = type("PlaygroundHandler", (Handler,), {"playground": playground})
    try:
        server = ThreadingHTTPServer((HOST, port), handler)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "it must be from 0 to 65535"
        raise ConfigError(f"--port {port}: {why}; 0 takes a free one") from None
    server.daemon_threads = True
    return server


def port_of(server: BaseServer) -> int:
    """The port that a server listens on."""
    address: Any = server.server_address
    return int(address[1])


def address_of(server: ThreadingHTTPServer, token: str) -> str:
    """The address to open."""
    return f"http://{HOST}:{port_of(server)}/?token={token}"
