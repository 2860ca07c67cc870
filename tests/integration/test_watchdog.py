"""A sink that is stuck although both servers are well ends itself; one that waits for a server does not."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Callable, Iterator

import pytest
from mock import MockKafka
from postgres import Postgres
from sink import Sink

TEMPORARY = 75
LIMIT_S = 1.5
ENV = {
    "SINK_WATCHDOG_MS": int(LIMIT_S * 1000),
    "SINK_POOL_MAX": 1,
    "SINK_NAME": "it",
    "KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": 500,
}


def ids(postgres: Postgres, table: str = "t") -> list[int]:
    return [row[0] for row in postgres.query(f"SELECT id FROM {table} ORDER BY id")]


def wait_for_ids(sink: Sink, expected: list[int], table: str = "t") -> None:
    sink.wait_for(
        lambda: len(ids(sink.postgres, table)) >= len(expected), 60, f"{expected} in {table}"
    )
    assert ids(sink.postgres, table) == expected


@pytest.fixture
def running(mock: MockKafka, own_postgres: Postgres, start_sink: Callable[..., Sink]) -> Sink:
    """A sink that has read ten records of t, and runs."""
    mock.create_topic("t", 1)
    own_postgres.query("CREATE TABLE t (id int)")
    mock.produce_ids("t", 0, 10)
    sink = start_sink(mock, postgres=own_postgres, topics="t", env=ENV)
    wait_for_ids(sink, list(range(10)))
    return sink


@pytest.fixture
def frozen() -> Iterator[list[int]]:
    """Processes that go on at the end."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def freeze_backends(sink: Sink, frozen: list[int]) -> None:
    """The sessions of the sink never answer again; new ones are served."""
    rows = sink.postgres.query(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgsluice/%'"
    )
    for (pid,) in rows:
        os.kill(pid, signal.SIGSTOP)
        frozen.append(pid)


def test_a_flush_that_is_never_answered(
    mock: MockKafka, running: Sink, frozen: list[int], start_sink: Callable[..., Sink]
) -> None:
    """The state is in the log, and the next instance writes what this one could not."""
    freeze_backends(running, frozen)
    mock.produce_ids("t", 10, 10)
    assert running.wait_exit(30) == TEMPORARY
    (line,) = [line for line in running.log_lines() if line.get("event") == "stuck"]
    for part in ("t[0]", "position 10", "read to 20", "flush under way"):
        assert part in line["which"]
    while frozen:
        os.kill(frozen.pop(), signal.SIGCONT)
    again = start_sink(mock, postgres=running.postgres, topics="t", env=ENV, group="again")
    wait_for_ids(again, list(range(20)))


def test_a_server_that_is_away_is_no_reason(mock: MockKafka, running: Sink) -> None:
    """Work is there, and the server is not, for longer than the limit."""
    running.postgres.stop("immediate")
    mock.produce_ids("t", 10, 10)
    running.wait_for_log("PostgreSQL is away")
    enough = time.monotonic() + 2.5 * LIMIT_S
    running.wait_for(lambda: time.monotonic() > enough, 30, "some time with work to do")
    running.postgres.start()
    wait_for_ids(running, list(range(20)))
    assert running.terminate() == 0


# A topic that is deleted


def test_a_topic_that_is_deleted_does_not_hold_up_others(
    mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]
) -> None:
    """It is said, and the others go on; made anew, it halts."""
    for name in ("t", "other"):
        mock.create_topic(name, 1)
        database.query(f"CREATE TABLE {name} (id int)")
    mock.produce_ids("t", 0, 10)
    sink = start_sink(mock, postgres=database, topics="t,other", env=ENV)
    wait_for_ids(sink, list(range(10)))

    mock.delete_topic("t")
    sink.wait_for(lambda: said_gone(sink), 30, "that the topic is gone")
    mock.produce_ids("other", 0, 5)
    wait_for_ids(sink, list(range(5)), "other")

    mock.create_topic("t", 1)
    mock.produce_ids("t", 100, 5)
    sink.wait_for_log("made anew", 60)
    assert ids(database) == list(range(10))
    assert sink.positions("t") == {0: 10}
    mock.produce_ids("other", 5, 5)
    wait_for_ids(sink, list(range(10)), "other")


def said_gone(sink: Sink) -> bool:
    def says(line: dict[str, Any]) -> bool:
        reason = line.get("reason", "")
        return "t[0]: the topic does not exist any more" in reason or (
            "not available: t:" in reason and line["level"] in ("warn", "error")
        )

    return any(says(line) for line in sink.log_lines())
