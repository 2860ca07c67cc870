"""A peer's life: built once, started for a run, watched from outside, stopped."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Mapping, NamedTuple, Sequence

from cluster import Cluster
from kafka import Unavailable
from postgres import Postgres
from process import Child, ProcessDied, TemporaryDirectory, tail

STOP_S = 30.0


class Job(NamedTuple):
    """What a peer is to do."""

    kafka: Cluster
    postgres: Postgres
    topic: str
    table: str
    group: str


class Peer:
    """One program that moves records from a topic to a table, of several processes maybe."""

    name: str
    writes: str  # its way into PostgreSQL, in a word
    caveat: str  # where what it keeps differs from what the sink keeps
    warm_up_s = 0.0  # after its first rows, until it is as fast as it gets
    ends_by_itself = False  # after the last record that was in the topic at its start

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._temporary: TemporaryDirectory | None = None

    # --- what a peer says for itself --------------------------------------------------------------

    @property
    def versions(self) -> Mapping[str, str]:
        """Program -> version."""
        raise NotImplementedError

    def fetch(self) -> None:
        """Find it, else fetch and build it; raises Unavailable."""
        raise NotImplementedError

    def launch(self, job: Job) -> None:
        """Write its configuration and start its processes, by run()."""
        raise NotImplementedError

    # --- life -------------------------------------------------------------------------------------

    def unavailable(self) -> str | None:
        """Why it can not be had here, None when it can. The first time takes minutes."""
        try:
            self.fetch()
        except Unavailable as reason:
            return str(reason)
        return None

    def start(self, kafka: Cluster, postgres: Postgres, topic: str, table: str, group: str) -> None:
        """Start it for a topic from the first record on; does not wait for anything."""
        assert not self._children, f"{self.name} runs already"
        self.fetch()
        self._temporary = TemporaryDirectory(self.name)
        self.launch(Job(kafka, postgres, topic, table, group))

    def pids(self) -> list[int]:
        """Its processes. Their CPU clocks can be read until stop(), also of those that have ended, whose
        memory can not."""
        return [child.pid for child in self._children]

    def log_text(self) -> str:
        """The end of what its processes wrote."""
        return tail(self.log)

    def check(self) -> None:
        """Raise ProcessDied when one of its processes has ended that should not have."""
        for child in self._children:
            # Not waited for: its CPU clock goes with it.
            ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None and (ended.si_status != 0 or not self.ends_by_itself):
                raise ProcessDied(f"{self.name} ended ({ended.si_status}):\n{tail(child.log)}")

    def stop(self) -> None:
        """End its processes and remove what it has written besides the table's rows."""
        for child in self._children:
            child.send(signal.SIGTERM)
        for child in self._children:
            child.stop(deadline_s=STOP_S)
        self._children.clear()
        if self._temporary is not None:
            self._temporary.close()
            self._temporary = None

    # --- for the peers ----------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        assert self._temporary is not None, f"{self.name} was not started"
        return self._temporary.path

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def write(self, name: str, text: str) -> Path:
        """A file of its configuration."""
        path = self.directory / name
        path.write_text(text)
        return path

    def run(self, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        """Start one of its processes."""
        words = [str(word) for word in argv]
        environment = {**os.environ, **(env or {})}
        self._children.append(Child(words, self.log, environment, cwd=self.directory))
