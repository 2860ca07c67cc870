"""What a sink serves over HTTP, as a client sees it.

    sink = start_sink(mock, env={**SERVED})
    web = Web(sink)
    assert web.get("/livez").status == 200
"""

from __future__ import annotations

import http.client
import json
import re
from typing import Any, Iterator, NamedTuple

from sink import Sink

SERVED = {"SINK_HTTP_ADDRESS": "127.0.0.1:0"}
SAMPLE = re.compile(r"^([a-z_]+)(\{[^}]*\})? (\S+)$")


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


class Web:
    """One sink's HTTP; `port` waits until it listens."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    @property
    def port(self) -> int:
        def found() -> list[int]:
            return [line["port"] for line in self.sink.log_lines() if line["event"] == "listening"]

        return self.sink.wait_for(found, what="HTTP's port")[-1]

    def get(self, path: str, method: str = "GET", timeout_s: float = 30.0) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode())
        finally:
            connection.close()

    def json(self, path: str) -> Any:
        return json.loads(self.get(path).body)

    def metrics(self) -> dict[str, float]:
        """Every sample: name{labels} -> value."""
        return dict(samples(self.get("/metrics").body))

    def metric(self, name: str) -> float:
        """One sample, or the sum of all with this name and other labels."""
        found = self.metrics()
        if name in found:
            return found[name]
        return sum(value for key, value in found.items() if key.startswith(name + "{"))

    def wait_until_ready(self) -> None:
        self.sink.wait_for(lambda: self.get("/readyz").status == 200, what="ready")


def samples(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        match = SAMPLE.match(line)
        if match:
            yield match[1] + (match[2] or ""), float(match[3])
