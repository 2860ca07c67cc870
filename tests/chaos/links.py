"""The links between sinks and servers, each through the fault proxy, and what may happen to them."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any, Iterable

from process import Child, TemporaryDirectory, free_port

PROGRAM = Path(__file__).parent / "proxy.py"
CLEAN = {
    "up": "pass", "down": "pass", "delay_s": 0.0, "bytes_per_s": 0, "refuse": False, "garbage": False
}  # fmt: skip


class Links:
    """The proxy's process; a link is called CLIENT/SERVER."""

    def __init__(self) -> None:
        self._temporary = TemporaryDirectory("proxy")
        self._child = Child(
            [sys.executable, "-B", str(PROGRAM)], self._temporary.path / "proxy.log", pipes=True
        )
        self._lock = threading.Lock()
        self.names: list[str] = []

    def open(self, client: str, server: str, target_port: int) -> int:
        """A new link; the port on which it listens."""
        port = free_port()
        name = f"{client}/{server}"
        self._ask({"do": "open", "name": name, "port": port, "target": ["127.0.0.1", target_port]})
        self.names.append(name)
        return port

    def of(self, client: str = "", server: str = "") -> list[str]:
        """The links of a client or all, to the servers whose name begins so."""
        return [
            name
            for name in self.names
            if name.split("/")[1].startswith(server) and client in ("", name.split("/")[0])
        ]

    def set(self, links: Iterable[str], **mode: Any) -> int:
        """Change how they treat what passes; how many connections they have."""
        return int(self._ask({"do": "set", "links": list(links), **mode})["open"])

    def clean(self, links: Iterable[str]) -> None:
        self.set(links, **CLEAN)

    def reset(self, links: Iterable[str], side: str = "both") -> None:
        self._ask({"do": "reset", "links": list(links), "side": side})

    def retarget(self, links: Iterable[str], port: int) -> None:
        """New connections go there; the present ones are reset."""
        names = list(links)
        self._ask({"do": "target", "links": names, "target": ["127.0.0.1", port]})
        self.reset(names)

    def count(self, links: Iterable[str], what: str) -> int:
        """How often it has happened on them so far: held, delayed, refused, reset, spoilt."""
        counts = self._ask({"do": "count"})
        return sum(counts[name][what] for name in links)

    def close(self) -> None:
        self._child.kill()
        self._temporary.close()

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._child.stdin.write(json.dumps(command) + "\n")
            self._child.stdin.flush()
            answer: dict[str, Any] = json.loads(self._child.stdout.readline())
            return answer
