"""Where a sink begins that has no position yet, and that it keeps to it whatever happens next.

SINK_START=latest is the end of the logs at the first start. Whatever comes after it is read from its
first record: a topic that is made later, or while the sink is away.
"""

from __future__ import annotations

from contextlib import closing
from typing import Callable, Iterator

import pytest
from confluent_kafka import TopicPartition
from mock import MockKafka
from postgres import Postgres
from sink import Sink

LATEST = {
    "SINK_NAME": "it",
    "SINK_START": "latest",
    "KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": 500,
}
AGAIN = "again"  # another group: the mock lets a member back into its former one only after seconds


def ids(postgres: Postgres, table: str) -> list[int]:
    return [row[0] for row in postgres.query(f"SELECT id FROM {table} ORDER BY id")]


def wait_for_ids(sink: Sink, table: str, expected: list[int]) -> None:
    sink.wait_for(
        lambda: len(ids(sink.postgres, table)) >= len(expected), 30, f"{expected} in {table}"
    )
    assert ids(sink.postgres, table) == expected


def table(postgres: Postgres, name: str) -> str:
    postgres.query(f"CREATE TABLE {name} (id int)")
    return name


def test_latest_is_the_end_of_all_partitions_at_the_first_start(
    mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]
) -> None:
    """The positions are there before the group is joined, also of a partition without a record."""
    mock.create_topic("t", 3)
    table(database, "t")
    mock.produce_ids("t", 0, 10, partition=0)
    mock.produce_ids("t", 10, 5, partition=1)
    sink = start_sink(mock, postgres=database, topics="t", env=LATEST)
    sink.wait_for_log("first start at the ends of the logs")
    assert sink.positions("t") == {0: 10, 1: 5, 2: 0}
    mock.produce_ids("t", 100, 2, partition=1)
    mock.produce_ids("t", 102, 2, partition=2)
    wait_for_ids(sink, "t", [100, 101, 102, 103])
    assert sink.terminate() == 0


def test_a_second_start_is_no_first_start(
    mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]
) -> None:
    mock.create_topic("t", 1)
    table(database, "t")
    mock.produce_ids("t", 0, 10)
    sink = start_sink(mock, postgres=database, topics="t", env=LATEST)
    sink.wait_for_log("fetching")
    assert sink.terminate() == 0
    mock.produce_ids("t", 100, 3)
    sink = start_sink(mock, postgres=database, topics="t", env=LATEST, group=AGAIN)
    wait_for_ids(sink, "t", [100, 101, 102])


def test_a_topic_that_is_made_later_is_read_from_its_first_record(
    mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]
) -> None:
    """Found while the sink runs, long after its records were produced; and one made while it is away."""
    mock.create_topic("old", 1)
    for name in ("old", "new", "away"):
        table(database, name)
    mock.produce_ids("old", 0, 10)
    topics = "^(old|new|away)$"
    sink = start_sink(mock, postgres=database, topics=topics, env=LATEST)
    sink.wait_for_log("fetching")
    mock.create_topic("new", 1)
    mock.produce_ids("new", 0, 10)
    wait_for_ids(sink, "new", list(range(10)))
    assert sink.terminate() == 0
    mock.create_topic("away", 1)
    mock.produce_ids("away", 0, 10)
    sink = start_sink(mock, postgres=database, topics=topics, env=LATEST, group=AGAIN)
    wait_for_ids(sink, "away", list(range(10)))
    assert ids(database, "old") == []


def test_a_topic_that_is_added_to_the_settings_begins_at_its_end(
    mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]
) -> None:
    """For a topic of the list, the first start is the first one with it."""
    for name in ("a", "b"):
        mock.create_topic(name, 1)
        table(database, name)
        mock.produce_ids(name, 0, 10)
    first = start_sink(mock, postgres=database, topics="a", env=LATEST)
    first.wait_for_log("fetching")
    assert first.terminate() == 0
    second = start_sink(mock, postgres=database, topics="a,b", env=LATEST, group=AGAIN)
    second.wait_for(lambda: second.positions("b"), 30, "a position of b")
    assert second.positions("b") == {0: 10}


@pytest.fixture
def lazy_postgres() -> Iterator[Postgres]:
    """A server that writes what it need not write at once as late as it can."""
    with Postgres(settings={"wal_writer_delay": "10s"}) as server:
        yield server


@pytest.mark.parametrize("start", ("latest", "earliest"))
def test_a_first_position_outlives_a_crash(
    start: str, mock: MockKafka, lazy_postgres: Postgres, start_sink: Callable[..., Sink]
) -> None:
    """Lost, it would be made anew at another offset; what came between would be skipped."""
    mock.create_topic("t", 2)
    table(lazy_postgres, "t")
    sink = start_sink(mock, postgres=lazy_postgres, topics="t", env={"SINK_START": start})
    sink.wait_for_log("fetching")
    sink.kill()
    lazy_postgres.restart("immediate")
    assert sink.positions("t") == {0: 0, 1: 0}


def test_a_position_that_vanishes_is_the_earliest_again(
    mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]
) -> None:
    """A database restored from before the first start: Kafka's offsets would skip what it has lost."""
    mock.create_topic("t", 1)
    table(database, "t")
    mock.produce_ids("t", 0, 10)
    env = {"SINK_NAME": "it", "SINK_START": "committed"}
    first = start_sink(mock, postgres=database, topics="t", env=env)
    wait_for_ids(first, "t", list(range(10)))
    assert first.terminate() == 0
    with closing(mock.consumer(**{"group.id": AGAIN})) as consumer:
        consumer.commit(offsets=[TopicPartition("t", 0, 10)], asynchronous=False)
    sink = start_sink(mock, postgres=database, topics="t", env=env, group=AGAIN)
    sink.wait_for_log("fetching")
    with database.connect() as connection, connection.transaction():
        connection.execute("TRUNCATE t, pgsluice.offsets")
    mock.produce_ids("t", 10, 5)
    wait_for_ids(sink, "t", list(range(15)))
    assert "position vanished" in sink.log_text()
