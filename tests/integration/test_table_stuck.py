"""A table that takes no rows, because somebody has locked it, does not hold up the others."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Callable, Iterator

from cluster import Record
from faults import events
from mock import MockKafka
from postgres import Postgres
from sink import Sink

PARTITIONS = 8
CONNECTIONS = 2
OTHERS_S = 8.0  # less than the 10 s after which PostgreSQL gives up waiting for a lock


@contextmanager
def locked(database: Postgres, *tables: str) -> Iterator[None]:
    with database.connect(autocommit=False) as connection:
        connection.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        yield


def produce(mock: MockKafka, topic: str, first: int, count: int, note: str = "") -> None:
    records = (
        Record(json.dumps({"id": i, "note": note}).encode(), None, i % PARTITIONS)
        for i in range(first, first + count)
    )
    mock.produce(topic, records)


def ids(database: Postgres, table: str) -> list[int]:
    return [row[0] for row in database.query(f"SELECT id FROM {table} ORDER BY id")]


def test_a_locked_table_leaves_connections_to_others(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Records that come one by one would each wait on a connection of their own."""
    for topic in ("stuck", "other"):
        database.query(f"CREATE TABLE {topic} (id int, note text)")
        mock.create_topic(topic, PARTITIONS)
    env = {"SINK_POOL_MAX": CONNECTIONS, "SINK_POOL_MIN": CONNECTIONS}
    sink = start_sink(mock, topics="stuck,other", postgres=database, env=env)
    for topic in ("stuck", "other"):
        produce(mock, topic, 0, PARTITIONS)
        sink.wait_until_caught_up(topic)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'stuck'::regclass"
    with locked(database, "stuck"):
        for i in range(PARTITIONS):
            before = database.scalar("SELECT count(*) FROM other")
            produce(mock, "stuck", (i + 1) * PARTITIONS + i, 1)
            sink.wait_for(lambda: database.scalar(waiting) > 0, what="a flush that waits")
            produce(mock, "other", (i + 1) * PARTITIONS, PARTITIONS)
            sink.wait_for(
                lambda: database.scalar("SELECT count(*) FROM other") == before + PARTITIONS,
                OTHERS_S,
                "the other table's rows",
            )
    sink.wait_until_caught_up("stuck")
    assert ids(database, "other") == list(range((PARTITIONS + 1) * PARTITIONS))
    assert len(ids(database, "stuck")) == 2 * PARTITIONS
    assert events(sink, "dead letters") == []
    assert sink.terminate() == 0


def test_a_locked_table_leaves_memory_to_others(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """More records than the memory holds wait for it; they are read when it is free."""
    note, count = "x" * 1_000, 32_000
    for topic in ("stuck", "other"):
        database.query(f"CREATE TABLE {topic} (id int, note text)")
        mock.create_topic(topic, PARTITIONS)
    sink = start_sink(
        mock,
        topics="stuck,other",
        postgres=database,
        env={"SINK_MEMORY_LIMIT": "32MiB", "SINK_BATCH_BYTES": "256KiB"},
    )
    produce(mock, "stuck", 0, PARTITIONS)
    sink.wait_until_caught_up("stuck")
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'stuck'::regclass"
    with locked(database, "stuck"):
        produce(mock, "stuck", PARTITIONS, count, note)
        sink.wait_for(lambda: database.scalar(waiting) > 0, what="a flush that waits")
        for i in range(4):
            produce(mock, "other", i * 1_000, 1_000, note)
            sink.wait_for(
                lambda: database.scalar("SELECT count(*) FROM other") == (i + 1) * 1_000,
                OTHERS_S,
                "the other table's rows",
            )
    sink.wait_until_caught_up("stuck")
    assert ids(database, "stuck") == list(range(PARTITIONS + count))
    assert ids(database, "other") == list(range(4_000))
    assert sink.terminate() == 0
