"""One instance of the program under test: `pgsluice run`, configured by its environment.

    sink = Sink(kafka, postgres, topics="orders", group="g1").start()
    sink.wait_until_caught_up("orders")
    assert sink.terminate() == 0
"""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any, Callable, Mapping, TypeVar

import checksum
from cluster import Cluster
from postgres import Postgres
from process import Child, ProcessDied, TemporaryDirectory, tail
from wait import wait_until

T = TypeVar("T")

# A dead member is noticed, and a rebalance over, within seconds; fetches of an empty log return soon.
QUICK = {
    "KAFKA_SESSION_TIMEOUT_MS": "6000",
    "KAFKA_HEARTBEAT_INTERVAL_MS": "500",
    "KAFKA_FETCH_WAIT_MAX_MS": "50",
}
OURS = re.compile(r"^(KAFKA_|SINK_|PG(?!SLUICE_))")


def sink_program() -> Path:
    program = os.environ.get("PGSLUICE_BIN")
    if not program:
        raise RuntimeError("PGSLUICE_BIN is not set: start the tests with ./dev test")
    return Path(program)


def clean_environment() -> dict[str, str]:
    """This process's environment without what would configure a sink, but for HTTP's port: many run here."""
    environment = {name: value for name, value in os.environ.items() if not OURS.match(name)}
    return {**environment, "SINK_HTTP_ADDRESS": "off"}


class Sink:
    """A sink process; may be started again after its end, with the same settings and log."""

    def __init__(
        self,
        kafka: Cluster,
        postgres: Postgres,
        topics: str,
        group: str,
        env: Mapping[str, object] | None = None,
        command: str = "run",
        instance: str = "sink-1",
    ) -> None:
        """`env` adds to or overrides what is derived from the rest; None there removes a name."""
        self.kafka = kafka
        self.postgres = postgres
        self.group = group
        self.command = command
        settings: dict[str, object] = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "KAFKA_GROUP_ID": group,
            "SINK_TOPICS": topics,
            "SINK_INSTANCE_ID": instance,
            "SINK_LOG_FORMAT": "json",
            **QUICK,
            **postgres.env,
            **(env or {}),
        }
        self.settings = {name: str(value) for name, value in settings.items() if value is not None}
        self.name = self.settings.get("SINK_NAME", group)
        self._temporary = TemporaryDirectory("sink")
        self.log = self._temporary.path / f"{instance}.log"
        self._child: Child | None = None

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> "Sink":
        """Start the process; does not wait for anything."""
        assert self._child is None or not self._child.alive, "the sink runs already"
        argv = [str(sink_program()), *self.command.split()]
        self._child = Child(argv, self.log, env={**clean_environment(), **self.settings})
        return self

    @property
    def child(self) -> Child:
        assert self._child is not None, "the sink was not started"
        return self._child

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def exit_code(self) -> int | None:
        return self.child.exit_code

    def wait_exit(self, deadline_s: float = 30.0) -> int:
        """Wait until it ends by itself and return its exit code."""
        return self.child.wait(deadline_s)

    def terminate(self, deadline_s: float = 40.0) -> int:
        """SIGTERM, then the exit code; a sink that does not end in time fails the test."""
        self.child.send(signal.SIGTERM)
        return self.child.wait(deadline_s)

    def kill(self) -> None:
        self.child.kill()

    def pause(self) -> None:
        self.child.pause()

    def resume(self) -> None:
        self.child.resume()

    def send(self, signum: int) -> None:
        self.child.send(signum)

    def close(self) -> None:
        """Kill it if it still runs, and remove its log."""
        if self.alive:
            self.kill()
        self._temporary.close()

    def __enter__(self) -> "Sink":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what it says and does ------------------------------------------------------------------

    def log_text(self) -> str:
        try:
            return self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def log_lines(self) -> list[dict[str, Any]]:
        """The log's JSON lines; anything else in it, such as a crash's last words, is left out."""
        lines = []
        for text in self.log_text().splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                lines.append(line)
        return lines

    def wait_for(
        self,
        condition: Callable[[], T],
        deadline_s: float = 30.0,
        what: str = "condition",
        interval_s: float = 0.05,
    ) -> T:
        """Wait for a condition; fail at once, with the end of the log, when the sink ends."""

        def checked() -> T:
            result = condition()
            if not result and not self.alive:
                raise ProcessDied(
                    f"the sink ended with {self.exit_code}, not reached: {what}\n{tail(self.log)}"
                )
            return result

        return wait_until(checked, deadline_s, lambda: f"{what}\n{tail(self.log)}", interval_s)

    def wait_for_log(self, text: str, deadline_s: float = 30.0) -> None:
        self.wait_for(lambda: text in self.log_text(), deadline_s, f'"{text}" in the log')

    def wait_until_caught_up(
        self, topic: str, deadline_s: float = 60.0, ends: Mapping[int, int] | None = None
    ) -> None:
        """Wait until every partition's position has reached its end as of now (or `ends`)."""
        goal = dict(ends) if ends is not None else self.kafka.end_offsets(topic)
        self.wait_for(
            lambda: checksum.is_caught_up(self.postgres, self.name, topic, goal),
            deadline_s,
            f"{topic} caught up",
        )

    def positions(self, topic: str) -> dict[int, int]:
        return checksum.positions(self.postgres, self.name, topic)

    def memory_kib(self, peak: bool = False) -> int:
        """Resident memory now, or its peak."""
        return self.child.memory_kib("VmHWM" if peak else "VmRSS")
