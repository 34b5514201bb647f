"""The playground in a browser: what a test asks of the page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page

TRAIN = """([settings, seeds, how]) => {
    const paths = seeds.map(() => []);
    const all = { ...Screen.settingsOf(), ...settings };
    const job = Screen.trainer().train(all, seeds, (i, frame) => paths[i].push(frame), how);
    return job.ended.then(() => paths);
}"""
ASK = "([kind, more]) => Screen.trainer().ask(kind, { settings: { ...Screen.settingsOf(), ...more }, ...more }).ended"
IN_WORKER = """async () => {
    const bytes = async (id) => {
        const packed = Uint8Array.from(atob(document.getElementById(id).textContent), (sign) => sign.charCodeAt(0));
        return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
    };
    const module = await WebAssembly.compile(await bytes("engine"));
    window.engine = Training.openEngine(module);
    window.world = Training.openWorld(Screen.data, module, await bytes("tables"));
}"""


@dataclass
class Seen:
    """A page, and what it did while it was open."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def until(self, expression: str, limit: float = 60) -> None:
        """Wait until an expression holds; the page forbids what `wait_for_function` does."""
        for _ in range(int(limit * 20)):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"never in {limit} s: {expression}")

    def is_at_its_end(self) -> None:
        """Wait until the path is shown to its end, and the other seeds are there."""
        self.until("document.body.dataset.state === 'ended' && Screen.current().done")

    def train(self, settings: dict[str, Any], seeds: Sequence[int], **how: bool) -> list[list[dict[str, Any]]]:
        """The frames of a policy for each seed."""
        paths: list[list[dict[str, Any]]] = self.page.evaluate(TRAIN, [settings, list(seeds), how])
        return paths

    def ask(self, kind: str, **more: Any) -> Any:
        """What a worker finds."""
        return self.page.evaluate(ASK, [kind, more])["found"]
