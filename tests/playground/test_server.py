"""Python behind the page: who is answered, what is trained, and what stops it."""

import http.client
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import run
from simulator import train
from simulator.common.errors import ConfigError
from simulator.playground.command import losses_to_choose, open_sweep
from simulator.playground.server import Playground, address_of, new_token, open_server, port_of

TOML = """
[world]
vocabulary = 4
response_length = 3
prompts = 3
seed = 1
[reference]
steps = 300
[data]
pairs = 48
[policy]
layers = 1
width = 8
heads = 2
[train]
steps = 40
batch = 16
checkpoints = 6
learning_rate = 0.01
[sweep]
loss = ["mine.py:half", "logistic"]
beta = [0.05]
seeds = 2
"""
MINE = "import torch\ndef half(z):\n    return torch.nn.functional.softplus(-z) / 2\n"
SETTINGS = {"loss": "logistic", "beta": 0.05, "pairs": 48, "noise": 0.0, "rate": 0.01, "steps": 40, "fluency": 1.0}


class Served:
    """A server, and how it is asked."""

    def __init__(self, server: ThreadingHTTPServer, behind: Playground) -> None:
        self.server, self.behind, self.port = server, behind, port_of(server)

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", f"{path}?{urlencode(query)}", headers=headers or {})
        return connection.getresponse()

    def ask(self, kind: str, **query: Any) -> list[tuple[str, Any]]:
        """The events of an answer."""
        answer = self.get(f"/{kind}", token=self.behind.token, query=json.dumps(query))
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
        return [event_of(part) for part in answer.read().decode().strip().split("\n\n")]


def event_of(text: str) -> tuple[str, Any]:
    name, data = text.split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served")
    (path / "small.toml").write_text(TOML)
    (path / "mine.py").write_text(MINE)
    return path


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    sweep, world = open_sweep(folder / "small.toml", (), served=True, out=Path("page.html"))
    losses = frozenset(loss["name"] for loss in losses_to_choose(sweep, served=True))
    behind = Playground(sweep=sweep, page="<p>the page", token=new_token(), losses=losses)
    behind.worlds[world.settings.gold.fluency] = world
    with open_server(behind, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Served(server, behind)
        server.shutdown()


def test_the_page_needs_the_token(served: Served) -> None:
    assert served.get("/", token=served.behind.token).read() == b"<p>the page"
    for query in ({}, {"token": "x"}, {"token": ""}, {"token": "é"}):
        answer = served.get("/", **query)
        assert (answer.status, b"lacks the token" in answer.read()) == (403, True)
    assert served.get("/train", token="x", query="{}").status == 403
    assert served.get("/else", token=served.behind.token).status == 404
    assert address_of(served.server, "abc") == f"http://127.0.0.1:{served.port}/?token=abc"
    assert len(new_token()) >= 32
    assert new_token() != new_token()


@pytest.mark.parametrize(
    "headers",
    [
        *({"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Host": "127.0.0.1:1"}, {"Host": ""}),
        *({"Origin": "http://evil.example"}, {"Origin": "null"}),
    ],
)
def test_other_hosts_and_other_pages_are_refused(served: Served, headers: dict[str, str]) -> None:
    """A name of the web that leads to this machine, or a page of the web that asks, even with the token."""
    answer = served.get("/", headers, token=served.behind.token)
    assert (answer.status, b"127.0.0.1 and localhost only" in answer.read()) == (403, True)


def test_it_listens_on_the_loopback_alone(served: Served) -> None:
    assert served.server.server_address[0] == "127.0.0.1"
    own = {"Host": f"localhost:{served.port}", "Origin": f"http://localhost:{served.port}"}
    assert served.get("/", own, token=served.behind.token).status == 200


@pytest.mark.parametrize("loss", ["logistic", "mine.py:half", "simper"])
def test_python_trains_what_is_asked_for(served: Served, folder: Path, loss: str) -> None:
    world = served.behind.worlds[1.0]
    events = served.ask("train", settings={**SETTINGS, "loss": loss}, seeds=[0, 1], detail=True, every=True)
    frames = [value for name, value in events if name == "frame"]
    assert events[-1] == ("ended", None)
    assert len(frames) == len(events) - 1 == 2 * 6
    pairs = [world.preferences(48, seed=seed) for seed in (0, 1)]
    rows = train(world, pairs, loss=loss, beta=0.05, seed=[0, 1], steps=40, learning_rate=0.01).curves
    for seed in (0, 1):
        mine, ours = [each["frame"] for each in frames if each["policy"] == seed], rows[rows["seed"] == seed]
        assert [frame["step"] for frame in mine] == ours["step"].tolist()
        assert [frame["kl"] for frame in mine] == ours["kl"].tolist()
        assert [frame["gold"] for frame in mine] == ours["gold"].tolist()
        assert all(("said" in frame) == (seed == 0) for frame in mine)
        assert all(sum(frame["mass"]) == pytest.approx(1) for frame in mine)


def test_the_oracle_and_the_best_of_n_are_told(served: Served) -> None:
    ((name, found),) = served.ask("oracle", settings=SETTINGS)
    assert (name, found["kl"][0], found["gold"][0]) == ("found", 0.0, 0.0)
    assert found["gold"] == sorted(found["gold"])
    ((name, found),) = served.ask("bestOfN", settings={**SETTINGS, "seed": 0, "width": 16})
    assert (name, found["n"][0], found["n"][-1]) == ("found", 1, 1024)
    assert found["proxy"] == sorted(found["proxy"])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({}, "the settings are not those"),
        ({"settings": {**SETTINGS, "path": "/etc/passwd"}}, "the settings are not those"),
        ({"settings": {**SETTINGS, "loss": "nothing"}}, "loss"),
        ({"settings": {**SETTINGS, "loss": "other.py:f"}}, "loss"),
        ({"settings": {**SETTINGS, "loss": 7}}, "loss"),
        ({"settings": {**SETTINGS, "beta": "x"}}, "beta: must be a number"),
        ({"settings": {**SETTINGS, "beta": -1}}, "beta"),
        ({"settings": {**SETTINGS, "beta": True}}, "beta: must be a number"),
        ({"settings": {**SETTINGS, "steps": 1e9}}, "steps"),
        ({"settings": {**SETTINGS, "steps": 1.5}}, "steps"),
        ({"settings": {**SETTINGS, "pairs": -3}}, "pairs"),
        ({"settings": {**SETTINGS, "pairs": [1]}}, "pairs"),
        ({"settings": {**SETTINGS, "online": "x"}}, "online"),
        ({"settings": {**SETTINGS, "loss": "drawn"}}, "shape"),
        ({"settings": SETTINGS, "seeds": []}, "seeds"),
        ({"settings": SETTINGS, "seeds": 3}, "seeds"),
        ({"settings": SETTINGS, "seeds": ["a"]}, "seeds"),
        ({"settings": SETTINGS, "seeds": list(range(100))}, "seeds"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    served: Served, capfd: pytest.CaptureFixture[str], query: dict[str, Any], said: str
) -> None:
    ((name, text),) = served.ask("train", **({"seeds": [0]} | query))
    assert name == "refused"
    assert said in text
    assert "Traceback" not in capfd.readouterr().err


def test_what_is_no_request_is_refused(served: Served) -> None:
    for text in ("", "[]", "{", "null", "x" * 30_000):
        answer = served.get("/train", token=served.behind.token, query=text)
        assert event_of(answer.read().decode().strip())[0] == "refused"


def test_a_newer_stack_stops_the_older(served: Served) -> None:
    """One at a time: the older ends before its last step, and the newer is trained whole."""
    slow = {**SETTINGS, "steps": 4000}
    query = json.dumps({"settings": slow, "seeds": list(range(16)), "detail": False})
    older = served.get("/train", token=served.behind.token, query=query)
    assert older.readline() == b"event: frame\n"
    events = served.ask("train", settings=SETTINGS, seeds=[0])
    assert events[-1][0] == "ended"
    rest = older.read().decode()
    *frames, (last, _) = [event_of(part) for part in ("event: frame\n" + rest).strip().split("\n\n")]
    assert last == "stopped"
    assert max(value["frame"]["step"] for _, value in frames) < 4000


def test_a_reader_that_goes_stops_the_stack(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a checkpoint soon after, and no stack of somebody else."""
    trained, own = [], Playground.train

    def watched(self: Playground, query: Any, settings: Any, send: Any, newest: Any) -> None:
        def noted(event: str, value: Any) -> None:
            trained.append(value["frame"]["step"] if event == "frame" else event)
            send(event, value)

        own(self, query, settings, noted, newest)

    monkeypatch.setattr(Playground, "train", watched)
    query = json.dumps({"settings": {**SETTINGS, "steps": 50_000}, "seeds": list(range(8)), "detail": False})
    address = f"/train?{urlencode({'token': served.behind.token, 'query': query})}"
    with socket.create_connection(("127.0.0.1", served.port)) as reader:
        reader.sendall(f"GET {address} HTTP/1.0\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
        received = b""
        while b"frame" not in received:  # before that the stack may not be taken yet
            received += reader.recv(1000) or pytest.fail(f"the answer ended: {received!r}")
    with served.behind.stacks.lock:  # it is given back
        assert "ended" not in trained
        assert max(step for step in trained if step != "stopped") < 50_000
    assert served.ask("train", settings=SETTINGS, seeds=[1])[-1][0] == "ended"


def test_what_is_no_address_is_refused(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    answer = served.get("/", {"Origin": "http://["}, token=served.behind.token)
    assert answer.status == 400
    with socket.create_connection(("127.0.0.1", served.port)) as reader:
        reader.sendall(f"GET http://[ HTTP/1.0\r\nHost: 127.0.0.1:{served.port}\r\n\r\n".encode())
        assert b" 400 " in reader.recv(1000)
    assert "Traceback" not in capfd.readouterr().err


def test_few_worlds_are_held(served: Served) -> None:
    for weight in range(2, 14):
        served.ask("oracle", settings={**SETTINGS, "fluency": float(weight)})
    assert len(served.behind.worlds) <= 8
    served.behind.worlds.clear()


def test_a_port_that_is_taken_is_named(served: Served) -> None:
    with pytest.raises(ConfigError, match=rf"--port {served.port}: Address already in use; 0 takes a free one"):
        open_server(served.behind, served.port)
    with pytest.raises(ConfigError, match="--port 70000: it must be from 0 to 65535"):
        open_server(served.behind, 70_000)


@pytest.mark.slow
def test_a_sweep_that_is_online_is_trained_as_the_page_says(folder: Path) -> None:
    """Offline where the control says so, whatever the sweep's own [online] says."""
    (folder / "online.toml").write_text(TOML + '[online]\nrefresh = 10\npairs = 16\nkeep = "newest"\n')
    found = []
    for name in ("small", "online"):
        sweep, world = open_sweep(folder / f"{name}.toml", (), served=True, out=Path("page.html"))
        losses = frozenset(loss["name"] for loss in losses_to_choose(sweep, served=True))
        behind, frames = Playground(sweep=sweep, page="", token="", losses=losses), []
        behind.worlds[1.0] = world
        for online in (0, 20):
            query = {"settings": {**SETTINGS, "online": online}, "seeds": [0]}
            behind.answer("train", query, lambda _, value, to=frames: to.append(value and value["frame"]["kl"]))
        found.append(frames)
    assert found[0] == found[1]


def said_of(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "world.kind=sampled"], 'world.kind = "sampled": the playground needs one in which every response'),
        (
            ["--set", "world.vocabulary=12", "world.response_length=5"],
            "must be at most 16,384 in the playground; --serve",
        ),
        (["--set", "policy.width=24"], "policy.width = 24: must be a multiple of 16 in the page; --serve takes any"),
        (["--set", "world.prompts=12"], "kB of the page: must be at most 130, so that the page stays below 400 kB"),
        (["--set", "data.labeller=proxy"], 'data.labeller = "proxy": gold labels the pairs of the playground'),
        (["--set", "proxy.heads=3", "proxy.width=48"], "proxy.heads = 3: must divide 16"),
        (["--set", "train.divergence=chi2"], 'train.divergence = "chi2": the playground trains with "kl" alone'),
        (["nothing"], "nothing"),
        (["--port", "x"], "--port"),
    ],
)
def test_what_the_page_cannot_hold_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], said: str
) -> None:
    target = tmp_path / "page.html"
    assert run.main(["playground", *arguments, "--out", str(target)]) == 2
    assert said in said_of(capsys)
    assert not target.exists()


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_out_must_be_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run.main(["playground", "--out", str(tmp_path)]) == 2
    assert "is a folder; name a file, such as" in said_of(capsys)
    (tmp_path / "file").write_text("x")
    assert run.main(["playground", "--out", str(tmp_path / "file" / "page.html")]) == 2
    assert f"{tmp_path / 'file'} is a file, and no folder" in said_of(capsys)
    os.mkfifo(tmp_path / "pipe")
    assert run.main(["playground", "--out", str(tmp_path / "pipe")]) == 2
    assert "is no ordinary file" in said_of(capsys)
    assert (tmp_path / "pipe").is_fifo()


def test_ctrl_c_ends_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[Callable[[], None]] = []

    def interrupted(self: ThreadingHTTPServer) -> None:
        said.append(self.server_close)
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", interrupted)
    assert run.main(["playground", "--serve"]) == 0
    assert len(said) == 1
    assert "playground at http://127.0.0.1:" in capsys.readouterr().out
