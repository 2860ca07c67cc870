"""A table whose form, name or self changes while rows stream in, with each record in exactly one place.

test_table_changes.py compares what is in the columns; here every row says which record it is of.
"""

from __future__ import annotations

from threading import Thread
from typing import Callable

import history
import pytest
from dead_letters import dead_letters
from faults import events
from mock import MockKafka
from postgres import Postgres
from sink import Sink

PARTITIONS = 6
RECORDS = 90_000
RATE = 20_000
MENDED_S = 30.0  # a halted partition is tried again after 2.5 to 5 s, then after 5 to 10

CHANGES = {
    "a column more": "ALTER TABLE orders ADD more text",
    "a column with a default more": "ALTER TABLE orders ADD made timestamptz NOT NULL DEFAULT now()",
    "a column less": "ALTER TABLE orders DROP note",
    "another name for a column": "ALTER TABLE orders RENAME currency TO money",
    "another type": "ALTER TABLE orders ALTER id TYPE numeric, ALTER amount TYPE text",
    "another name, and a table with the old one": (
        "ALTER TABLE orders RENAME TO renamed; CREATE TABLE orders (LIKE renamed INCLUDING ALL)"
    ),
    "dropped and made anew": (
        "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; CREATE TABLE kept AS TABLE orders;"
        "DROP TABLE orders; CREATE TABLE orders (LIKE renamed INCLUDING ALL)"
    ),
    "a view under the name of the table": (
        "ALTER TABLE orders RENAME TO behind; CREATE VIEW orders AS TABLE behind;"
        "DROP VIEW orders; ALTER TABLE behind RENAME TO orders"
    ),
}

PLACES = ("renamed", "kept", "orders")


@pytest.fixture
def load(mock: MockKafka, database: Postgres) -> Thread:
    """Not started yet."""
    history.create_table(database, "orders")
    mock.create_topic("orders", PARTITIONS)
    return Thread(target=mock.produce_orders, args=("orders", RECORDS), kwargs={"rate": RATE})


def wait_for_progress(sink: Sink, deadline_s: float = 30) -> None:
    before = sum(sink.positions("orders").values())
    sink.wait_for(
        lambda: sum(sink.positions("orders").values()) > before, deadline_s, "progress", 0.02
    )


def assert_complete(mock: MockKafka, database: Postgres, sink: Sink, tables: tuple[str, ...]) -> None:
    """Each record once in one of the tables."""
    columns = "__connect_partition, __connect_offset"
    union = " UNION ALL ".join(f"SELECT {columns} FROM {table}" for table in tables)
    ends = mock.end_offsets("orders")
    history.assert_complete(
        database, sink.name, "orders", f"({union}) AS t", dict.fromkeys(ends, 0), ends
    )
    assert dead_letters(database, sink.name) == []


def test_under_load(
    load: Thread, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    sink = start_sink(mock, topics="orders", postgres=database, env={"SINK_BATCH_SIZE": 200})
    load.start()
    for name, change in CHANGES.items():
        wait_for_progress(sink)
        assert load.is_alive(), f"the load ended before: {name}"
        database.query(f"BEGIN; {change}; COMMIT")
    load.join()
    sink.wait_until_caught_up("orders")
    assert_complete(mock, database, sink, PLACES)
    assert all(database.scalar(f"SELECT count(*) FROM {place}") for place in PLACES)
    assert database.scalar("SELECT count(*) FROM orders WHERE made IS NULL") == 0
    assert sink.terminate() == 0


@pytest.mark.parametrize(
    ("away", "back", "says"),
    [
        ("ALTER TABLE orders RENAME TO gone", "ALTER TABLE gone RENAME TO orders", "does not exist"),
        (
            "ALTER TABLE orders RENAME TO gone; CREATE VIEW orders AS TABLE gone",
            "DROP VIEW orders; ALTER TABLE gone RENAME TO orders",
            "is a view",
        ),
    ],
    ids=["renamed", "a_view"],
)
def test_what_can_not_go_on_says_why_and_goes_on_when_it_is_mended(
    away: str,
    back: str,
    says: str,
    load: Thread,
    start_sink: Callable[..., Sink],
    mock: MockKafka,
    database: Postgres,
) -> None:
    sink = start_sink(mock, topics="orders", postgres=database)
    load.start()
    wait_for_progress(sink)
    database.query(f"BEGIN; {away}; COMMIT")
    sink.wait_for(lambda: events(sink, "partition halted"), what="a halt")
    assert all(says in line["reason"] for line in events(sink, "partition halted"))
    database.query(f"BEGIN; {back}; COMMIT")
    load.join()
    sink.wait_until_caught_up("orders", MENDED_S)
    assert_complete(mock, database, sink, ("orders",))
    assert sink.terminate() == 0
