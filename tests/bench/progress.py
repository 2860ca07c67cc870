"""Watching a value in PostgreSQL from outside: the poll_query program, read line by line."""

from __future__ import annotations

import os
import select
from typing import Mapping, NamedTuple

from process import Child, TemporaryDirectory
from programs import bench_program


class Seen(NamedTuple):
    """A value, and when it was seen first (nanoseconds since 1970)."""

    at_ns: int
    value: int


class Watch:
    """A poll_query process, and what it says.

    with Watch(env, "SELECT count(*) FROM t", interval_ms=5) as watch:
        while seen := watch.next(timeout_s=1): ...
    """

    def __init__(self, pg_env: Mapping[str, str], sql: str, interval_ms: float = 5) -> None:
        self._temporary = TemporaryDirectory("watch")
        argv = [str(bench_program("poll_query")), str(int(interval_ms * 1000)), sql]
        self._child = Child(
            argv, self._temporary.path / "poll_query.log", {**os.environ, **pg_env}, pipes=True
        )
        self._rest = b""
        self.backend = int(self._line(10.0) or 0)
        self._child.check_alive()

    @property
    def pid(self) -> int:
        return self._child.pid

    def next(self, timeout_s: float) -> Seen | None:
        """The next change of a question with one number, None when there was none in time."""
        row = self.next_row(timeout_s)
        return None if row is None else Seen(int(row[0]), int(row[1]))

    def next_row(self, timeout_s: float) -> list[str] | None:
        """The next change, values after the time; what is NULL is empty."""
        line = self._line(timeout_s)
        if line is None:
            self._child.check_alive()
            return None
        return line.split("\t")

    def close(self) -> None:
        self._child.stdin.close()
        self._child.stop()
        self._temporary.close()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _line(self, timeout_s: float) -> str | None:
        """Python's own buffering would hide complete lines from select()."""
        descriptor = self._child.stdout.fileno()
        while b"\n" not in self._rest:
            readable, _, _ = select.select([descriptor], [], [], timeout_s)
            read = os.read(descriptor, 65536) if readable else b""
            if not read:
                return None
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()
