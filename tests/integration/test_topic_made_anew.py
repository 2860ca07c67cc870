"""A topic that is deleted and made again under its name is another topic.

Its offsets start over, and librdkafka goes on in it in the middle: what was produced to it before
would be skipped. Its partitions halt until an operator says where to go on.
"""

from __future__ import annotations

from typing import Any, Callable

import pytest
from mock import MockKafka
from postgres import Postgres
from sink import Sink

OPTIONS = {"SINK_NAME": "it", "KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": 500}


def ids(postgres: Postgres, table: str) -> list[int]:
    return [row[0] for row in postgres.query(f"SELECT id FROM {table} ORDER BY id")]


def wait_for_ids(sink: Sink, table: str, expected: list[int]) -> None:
    sink.wait_for(
        lambda: len(ids(sink.postgres, table)) >= len(expected), 60, f"{expected} in {table}"
    )
    assert ids(sink.postgres, table) == expected


def halts(sink: Sink, topic: str) -> list[dict[str, Any]]:
    return [
        line
        for line in sink.log_lines()
        if line.get("event") == "partition halted" and line.get("topic") == topic
    ]


@pytest.fixture
def read(mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]) -> Sink:
    """A sink that has read ten records of t, and runs; its topic is known."""
    mock.create_topic("t", 1)
    database.query("CREATE TABLE t (id int); CREATE TABLE other (id int)")
    mock.create_topic("other", 1)
    mock.produce_ids("t", 0, 10)
    sink = start_sink(mock, postgres=database, topics="t,other", env=OPTIONS)
    wait_for_ids(sink, "t", list(range(10)))
    return sink


@pytest.fixture
def start_again(
    mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]
) -> Callable[[], Sink]:
    """The same sink, in another group: the mock lets a member back into its own only after seconds."""
    return lambda: start_sink(mock, postgres=database, topics="t,other", env=OPTIONS, group="again")


def topic_id(sink: Sink) -> str | None:
    value: str | None = sink.postgres.scalar(
        "SELECT topic_id FROM pgsluice.offsets WHERE sink = %s AND topic = 't'", [sink.name]
    )
    return value


@pytest.mark.parametrize("records", (3, 10, 25), ids=("fewer", "as many", "more"))
def test_made_anew_while_the_sink_is_away(
    mock: MockKafka, read: Sink, start_again: Callable[[], Sink], records: int
) -> None:
    """Whether it has fewer, as many or more records than the former one: none is written."""
    former = topic_id(read)
    assert former
    assert read.terminate() == 0
    mock.delete_topic("t")
    mock.create_topic("t", 1)
    mock.produce_ids("t", 100, records)
    sink = start_again()
    sink.wait_for(lambda: halts(sink, "t"), 30, "a halt of t")
    reason = halts(sink, "t")[0]["reason"]
    for part in ("t[0]", "position 10", former, "pgsluice offsets reset --topic t --to earliest"):
        assert part in reason
    mock.produce_ids("other", 0, 5)
    wait_for_ids(sink, "other", list(range(5)))
    assert ids(sink.postgres, "t") == list(range(10))
    assert sink.positions("t") == {0: 10}
    assert topic_id(sink) == former


def test_made_anew_while_it_is_read(mock: MockKafka, read: Sink) -> None:
    mock.delete_topic("t")
    mock.create_topic("t", 1)
    mock.produce_ids("t", 100, 5)
    read.wait_for(lambda: any("made anew" in h["reason"] for h in halts(read, "t")), 60, "a halt")
    mock.produce_ids("other", 0, 5)
    wait_for_ids(read, "other", list(range(5)))
    assert ids(read.postgres, "t") == list(range(10))
    assert read.positions("t") == {0: 10}


def test_a_position_that_was_set_for_the_new_topic_is_taken(
    mock: MockKafka, read: Sink, start_again: Callable[[], Sink]
) -> None:
    """As pgsluice offsets reset does; the halted partition tries again by itself."""
    assert read.terminate() == 0
    mock.delete_topic("t")
    mock.create_topic("t", 1)
    mock.produce_ids("t", 100, 15)
    sink = start_again()
    sink.wait_for(lambda: halts(sink, "t"), 30, "a halt of t")
    sink.postgres.query(
        "UPDATE pgsluice.offsets SET next_offset = 0, topic_id = NULL WHERE topic = 't'"
    )
    wait_for_ids(sink, "t", list(range(10)) + list(range(100, 115)))
    assert topic_id(sink)


def test_at_least_once_starts_over(
    mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]
) -> None:
    """There is no position in PostgreSQL, and Kafka forgets the group's with the topic."""
    mock.create_topic("t", 1)
    database.query("CREATE TABLE t (id int)")
    mock.produce_ids("t", 0, 10)
    env = {**OPTIONS, "SINK_DELIVERY": "at_least_once"}
    sink = start_sink(mock, postgres=database, topics="t", env=env)
    wait_for_ids(sink, "t", list(range(10)))
    mock.delete_topic("t")
    mock.create_topic("t", 1)
    mock.produce_ids("t", 100, 5)
    wait_for_ids(sink, "t", list(range(10)) + list(range(100, 105)))
