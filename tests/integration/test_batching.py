"""Every way to cut records into batches gives the same rows, in order, each once."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from cluster import Record
from dead_letters import dead_letters
from mock import MockKafka
from postgres import Postgres
from sink import Sink

COUNT = 600
PARTITIONS = 3

SETTINGS: dict[str, dict[str, object]] = {
    "one_row_each": {"SINK_BATCH_SIZE": 1},
    "two_rows_each": {"SINK_BATCH_SIZE": 2, "SINK_POOL_MAX": 1},
    "no_timeout": {"SINK_BATCH_TIMEOUT_MS": 0},
    "small_batches": {"SINK_BATCH_BYTES": "1KiB"},
    "no_connection_kept": {"SINK_POOL_MIN": 0, "SINK_POOL_MAX": 2},
    "many_workers": {"SINK_WORKERS": 4, "SINK_BATCH_SIZE": 50},
    "one_connection": {"SINK_POOL_MIN": 1, "SINK_POOL_MAX": 1, "SINK_WORKERS": 1},
    "many_connections": {"SINK_POOL_MIN": 20, "SINK_POOL_MAX": 20, "SINK_BATCH_SIZE": 10},
    "little_memory": {"SINK_MEMORY_LIMIT": "16MiB", "SINK_BATCH_BYTES": "64KiB"},
    "synchronous": {"SINK_SYNCHRONOUS_COMMIT": "on"},
    "at_least_once": {"SINK_DELIVERY": "at_least_once"},
}


def value(i: int) -> bytes:
    """Every 13th is no row, every 17th has no note, so that batches have segments and dead letters."""
    if i % 13 == 0:
        return b"not json %d" % i
    order: dict[str, Any] = {"id": i, "note": "x" * (i % 100)}
    if i % 17 == 0:
        del order["note"]
    return json.dumps(order).encode()


def expected() -> list[tuple[int, int, str]]:
    """In the order of each partition."""
    return [
        (i % PARTITIONS, i, "usual" if i % 17 == 0 else "x" * (i % 100))
        for i in range(COUNT)
        if i % 13
    ]


@pytest.mark.parametrize("name", SETTINGS)
def test_settings(
    name: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query(
        "CREATE TABLE orders (seq bigserial, id int, note text DEFAULT 'usual', __connect_partition int)"
    )
    mock.create_topic("orders", PARTITIONS)
    mock.produce("orders", [Record(value(i), None, i % PARTITIONS) for i in range(COUNT // 2)])
    sink = start_sink(mock, topics="orders", postgres=database, env=SETTINGS[name])
    mock.produce("orders", [Record(value(i), None, i % PARTITIONS) for i in range(COUNT // 2, COUNT)])
    exactly_once = name != "at_least_once"
    if exactly_once:
        sink.wait_until_caught_up("orders")
    else:
        rows = "SELECT count(*) FROM orders"
        sink.wait_for(lambda: database.scalar(rows) == len(expected()), what="all rows")
    assert sink.terminate() == 0
    rows = database.query("SELECT __connect_partition, id, note FROM orders ORDER BY seq")
    for partition in range(PARTITIONS):
        assert [row for row in rows if row[0] == partition] == [
            row for row in expected() if row[0] == partition
        ]
    letters = dead_letters(database, sink.name)
    dead = {(letter.partition, letter.offset) for letter in letters}
    assert dead == {(i % PARTITIONS, i // PARTITIONS) for i in range(0, COUNT, 13)}


@pytest.mark.parametrize("pool", [1, 8])
def test_many_partitions(
    pool: int, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query("CREATE TABLE orders (id int, __connect_partition int)")
    mock.create_topic("orders", 300)
    mock.produce("orders", [Record(b'{"id": %d}' % i, None, i % 300) for i in range(3000)])
    sink = start_sink(mock, topics="orders", postgres=database, env={"SINK_POOL_MAX": pool})
    sink.wait_until_caught_up("orders")
    mock.produce("orders", [Record(b'{"id": %d}' % i, None, i % 300) for i in range(3000, 6000)])
    sink.wait_until_caught_up("orders")
    assert sink.terminate() == 0
    assert database.query("SELECT count(*), count(DISTINCT id), sum(id) FROM orders") == [
        (6000, 6000, 6000 * 5999 // 2)
    ]
    assert database.scalar("SELECT count(*) FROM orders WHERE id %% 300 <> __connect_partition", []) == 0
    assert sink.positions("orders") == {partition: 20 for partition in range(300)}


@pytest.mark.parametrize("topics", ["list", "regex"])
def test_many_topics_in_a_schema(
    topics: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Fifty topics, a table each; every second one travels as text."""
    names = [f"shop.orders-{i}" for i in range(50)]
    database.query("CREATE SCHEMA app")
    for i, name in enumerate(names):
        database.query(f'CREATE TABLE app."{name}" (id int{", i interval" if i % 2 else ""})')
        mock.create_topic(name, 2)
        mock.produce(name, [Record(b'{"id": %d}' % (1000 * i + n), None, n % 2) for n in range(20)])
    sink = start_sink(
        mock,
        topics=",".join(names) if topics == "list" else "^shop[.]orders-[0-9]+$",
        postgres=database,
        env={"SINK_TABLE": "app.${topic}"},
    )
    for i, name in enumerate(names):
        sink.wait_until_caught_up(name, ends={0: 10, 1: 10})
        rows = database.query(f'SELECT id FROM app."{name}" ORDER BY id')
        assert [row[0] for row in rows] == list(range(1000 * i, 1000 * i + 20))
    assert sink.terminate() == 0


def test_many_topics_in_one_table(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query("CREATE TABLE app_orders (id int, __connect_topic text)")
    names = [f"orders-{i}" for i in range(20)]
    for i, name in enumerate(names):
        mock.create_topic(name, 2)
        mock.produce(name, [Record(b'{"id": %d}' % n, None, n % 2) for n in range(20)])
    sink = start_sink(
        mock, topics=",".join(names), postgres=database, env={"SINK_TABLE": "app_orders"}
    )
    for name in names:
        sink.wait_until_caught_up(name, ends={0: 10, 1: 10})
    assert sink.terminate() == 0
    rows = database.query("SELECT __connect_topic, count(*), sum(id) FROM app_orders GROUP BY 1")
    assert sorted(rows) == sorted((name, 20, 190) for name in names)


@pytest.mark.parametrize("env", [{}, {"SINK_POOL_MIN": 0, "SINK_POOL_MAX": 1}])
def test_large_records_in_little_memory(
    env: dict[str, object], start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Each record is more than half of the memory allowed; more of them come all the time."""
    database.query("CREATE TABLE orders (id int, note text, i interval)")
    mock.create_topic("orders", 18)
    sink = start_sink(
        mock,
        topics="orders",
        postgres=database,
        env={
            "SINK_MEMORY_LIMIT": "16MiB",
            "SINK_BATCH_BYTES": "4MiB",
            "KAFKA_FETCH_MESSAGE_MAX_BYTES": 12 << 20,
            "KAFKA_RECEIVE_MESSAGE_MAX_BYTES": 100 << 20,
            **env,
        },
    )
    note = "\\t" * (5 << 20)  # becomes twice its length in COPY text, too
    for partition in range(18):  # one batch is all that the mock keeps of a partition
        text = '{"id": %d, "note": "%s"}' % (partition, note)
        mock.produce("orders", [Record(text.encode(), None, partition)])
    sink.wait_until_caught_up("orders")
    assert database.query("SELECT count(*), count(DISTINCT id), min(length(note)) FROM orders") == [
        (18, 18, 5 << 20)
    ]
    assert sink.terminate() == 0
