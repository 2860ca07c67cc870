"""The replicas of pgsluice in a run: started, watched, and started again when they end."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, Mapping

from process import ProcessDied
from servers import ROLE, SINKS, Servers
from sink import Sink

RUNNING = (1, 2, 3)

# A member that is gone is missed soon, small batches make many flushes, and no two replicas are alike.
SETTINGS = {
    "KAFKA_SESSION_TIMEOUT_MS": "3000",
    "KAFKA_HEARTBEAT_INTERVAL_MS": "300",
    "KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": "3000",
    "KAFKA_SOCKET_TIMEOUT_MS": "5000",
    "KAFKA_RECONNECT_BACKOFF_MAX_MS": "1000",
    "SINK_BATCH_SIZE": "500",
    "SINK_POOL_MAX": "3",
    "SINK_LOG_LEVEL": "debug",
}
PECULIARITIES: dict[int, dict[str, str]] = {
    1: {},
    2: {"SINK_BATCH_SIZE": "5000", "SINK_BATCH_TIMEOUT_MS": "200", "SINK_POOL_MAX": "1"},
    3: {"SINK_SYNCHRONOUS_COMMIT": "on", "SINK_MEMORY_LIMIT": "16MiB"},
    4: {"SINK_BATCH_SIZE": "50", "SINK_POOL_MAX": "6"},
}
# Drained; servers out of reach at the start; try again; refused at the start, as without LOGIN.
ENDS_WELL = (0, 69, 75, 78)
STOPS_WELL = (*ENDS_WELL, -signal.SIGTERM)  # by the signal itself: while it still starts


def limit_mib(sink: Sink) -> int:
    return int(sink.settings.get("SINK_MEMORY_LIMIT", "256MiB").removesuffix("MiB"))


class Fleet:
    """Replicas by number. One that ends is started again, as an orchestrator would."""

    def __init__(
        self, servers: Servers, name: str, topics: list[str], env: Mapping[str, str]
    ) -> None:
        self.name = name
        self.env = env
        self.lock = threading.RLock()
        self.sinks = {n: self._make(servers, n, topics, env) for n in SINKS}
        self.wanted: set[int] = set()
        self.expected_to_end: set[int] = set()
        self.restarts = 0
        self.crashes: list[str] = []
        self.exits: Counter[int] = Counter()
        self.memory_kib: Counter[int] = Counter()  # the most that each has had resident

    def _make(
        self, servers: Servers, number: int, topics: list[str], env: Mapping[str, str],
        instance: str = "",
    ) -> Sink:  # fmt: skip
        settings = {
            **SETTINGS,
            **PECULIARITIES[number],
            "KAFKA_BOOTSTRAP_SERVERS": servers.kafka.bootstrap_of(number),
            "PGPORT": str(servers.postgres.ports[number]),
            "PGUSER": ROLE,
            **env,
        }
        return Sink(
            servers.kafka, servers.postgres.primary, ",".join(topics), self.name, settings,
            instance=instance or f"sink-{number}",
        )  # fmt: skip

    def start(self) -> None:
        for number in RUNNING:
            self.add(number)

    def add(self, number: int) -> None:
        with self.lock:
            self.wanted.add(number)
            if not self.sinks[number].alive:
                self.sinks[number].start()

    def running(self) -> list[int]:
        with self.lock:
            return sorted(n for n in self.wanted if self.sinks[n].alive)

    def expect_end(self, number: int) -> Sink:
        """The next end of this replica is a fault's doing, and none to be put right before restart()."""
        with self.lock:
            self.expected_to_end.add(number)
            return self.sinks[number]

    def end(self, number: int) -> float:
        """SIGTERM; how long it took to drain, in seconds. restart() or remove() come next."""
        sink = self.expect_end(number)
        began = time.monotonic()
        code = sink.terminate(60)
        if code not in STOPS_WELL:
            self.crashes.append(f"sink-{number} ended with {code} at SIGTERM")
        return time.monotonic() - began

    @contextmanager
    def twin(self, servers: Servers, topics: list[str]) -> Iterator[Sink]:
        """The same sink in another group, as if deployed twice by mistake; ended afterwards."""
        env = {**self.env, "KAFKA_GROUP_ID": f"{self.name}-twin", "SINK_NAME": self.name}
        sink = self._make(servers, 1, topics, env, instance="twin")
        try:
            yield sink.start()
            code = sink.terminate(60)
            if code not in STOPS_WELL:
                self.crashes.append(f"the twin ended with {code}")
        finally:
            sink.close()

    def remove(self, number: int) -> None:
        """It has ended and stays away until it is added."""
        with self.lock:
            self.wanted.discard(number)
            self.expected_to_end.discard(number)

    def restart(self, number: int) -> None:
        """Start a replica that a fault has ended."""
        with self.lock:
            self.expected_to_end.discard(number)
            if number in self.wanted and not self.sinks[number].alive:
                self.restarts += 1
                self.sinks[number].start()

    def watch(self) -> None:
        """Start again what has ended by itself, and remember what should not have."""
        with self.lock:
            for number in self.wanted - self.expected_to_end:
                sink = self.sinks[number]
                if sink.alive:
                    self._note_memory(number, sink)
                    continue
                code = sink.exit_code
                assert code is not None
                self.exits[code] += 1
                if code not in ENDS_WELL:
                    self.crashes.append(f"sink-{number} ended with {code}")
                self.restart(number)

    def _note_memory(self, number: int, sink: Sink) -> None:
        with suppress(OSError, ProcessDied):  # it may end at any time
            self.memory_kib[number] = max(self.memory_kib[number], sink.memory_kib())

    def excess_mib(self) -> int:
        """How far the greediest replica was above its SINK_MEMORY_LIMIT."""
        excess = [(kib >> 10) - limit_mib(self.sinks[n]) for n, kib in self.memory_kib.items()]
        return max(excess, default=0)

    def terminate(self) -> list[int]:
        """SIGTERM to all at once; their exit codes."""
        alive = [self.sinks[number] for number in self.running()]
        with self.lock:
            self.wanted.clear()
        for sink in alive:
            sink.resume()
            sink.send(signal.SIGTERM)
        return [sink.wait_exit(60) for sink in alive]

    def keep_logs(self, directory: Path) -> None:
        for sink in self.sinks.values():
            if sink.log.exists():
                shutil.copy(sink.log, directory)

    def close(self) -> None:
        for sink in self.sinks.values():
            if sink.alive:
                sink.resume()
            sink.close()
