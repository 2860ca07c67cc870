"""Two sinks that read the same topic may be right, if their tables differ; if not, every record is there twice.
So each is told of the other when it starts."""

from __future__ import annotations

from typing import Callable

from cluster import Record
from faults import events
from mock import MockKafka
from postgres import Postgres
from sink import Sink

DONE = 0
RUNS, HAS_RUN = "another sink reads the same topics", "another sink has read the same topics"


def make(mock: MockKafka, database: Postgres, *topics: str) -> None:
    for topic in topics:
        database.query(f"CREATE TABLE {topic} (id int)")
        mock.create_topic(topic, 1)
        mock.produce(topic, [Record(b'{"id": 1}', None, 0)])


def warnings(sink: Sink, event: str) -> list[tuple[str, str]]:
    return [(line["sink"], line["topics"]) for line in events(sink, event)]


def wait_for_start(sink: Sink, number: int) -> None:
    sink.wait_for(lambda: len(events(sink, "assigned")) == number, what=f"start {number}")


def test_a_sink_that_runs_is_named(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """At each start; only the topics that both read."""
    make(mock, database, "orders", "others", "more")
    first = start_sink(mock, topics="orders,others", group="first", postgres=database)
    first.wait_until_caught_up("others")
    second = start_sink(mock, topics="more,orders", group="second", postgres=database)
    second.wait_until_caught_up("orders")
    assert second.terminate() == DONE
    wait_for_start(second.start(), 2)
    assert second.terminate() == DONE
    assert warnings(second, RUNS) == [("first", "orders")] * 2
    assert "it has every record twice" in events(second, RUNS)[0]["hint"]
    assert not events(first, RUNS) and not events(first, HAS_RUN)
    pattern = start_sink(mock, topics="^o", group="second", postgres=database)
    pattern.wait_for(lambda: warnings(pattern, RUNS) == [("first", "orders")], what="warning")


def test_a_new_name_is_told_of_the_former_one(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """It has no positions, and begins anew. Later starts are not told of a sink that has ended."""
    make(mock, database, "orders")
    former = start_sink(mock, topics="orders", group="former", postgres=database)
    former.wait_until_caught_up("orders")
    assert former.terminate() == DONE
    sink = start_sink(mock, topics="orders", group="new", postgres=database)
    sink.wait_until_caught_up("orders")
    assert warnings(sink, HAS_RUN) == [("former", "orders")]
    assert sink.terminate() == DONE
    wait_for_start(sink.start(), 2)
    assert warnings(sink, HAS_RUN) == [("former", "orders")]
    assert not events(sink, RUNS)
