"""A log that is not what it was when the sink last read it: shorter, or without what comes next."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from cluster import Record
from mock import MockKafka
from postgres import Postgres
from sink import Sink


def produce(kafka: MockKafka, first: int, count: int) -> None:
    values = [json.dumps({"id": number}).encode() for number in range(first, first + count)]
    kafka.produce("t", [Record(value, partition=0) for value in values], **{"batch.num.messages": 5})


def ids(postgres: Postgres) -> list[int]:
    return [row[0] for row in postgres.query("SELECT id FROM t ORDER BY id")]


def wait_for_ids(sink: Sink, expected: list[int]) -> None:
    sink.wait_for(lambda: len(ids(sink.postgres)) >= len(expected), 60, f"{expected} in t")
    assert ids(sink.postgres) == expected


def halt(sink: Sink, word: str) -> str:
    def found() -> str:
        reasons = [
            line["reason"] for line in sink.log_lines() if line.get("event") == "partition halted"
        ]
        return next((reason for reason in reasons if word in reason), "")

    return sink.wait_for(found, 30, f"a halt with {word}")


def stored(sink: Sink) -> dict[str, Any]:
    columns = ("next_offset", "leader_epoch", "lost_count")
    row = sink.postgres.query(
        f"SELECT {', '.join(columns)} FROM pgsluice.offsets WHERE sink = %s", [sink.name]
    )[0]
    return dict(zip(columns, row))


@pytest.fixture
def brokers() -> MockKafka:
    with MockKafka(brokers=2, topics={"t": 1}) as kafka:
        yield kafka


@pytest.fixture
def stopped(
    brokers: MockKafka, database: Postgres, start_sink: Callable[..., Sink]
) -> Callable[..., Sink]:
    """The sink of that name has read ten records of t. One that has not started, of another group:
    the mock lets a member back into its former group only after seconds."""

    def read(**env: object) -> Sink:
        database.query("CREATE TABLE t (id int)")
        produce(brokers, 0, 10)
        env = {"SINK_NAME": "it", **env}
        first = start_sink(brokers, postgres=database, topics="t", env=env)
        wait_for_ids(first, list(range(10)))
        assert first.terminate() == 0
        return Sink(brokers, postgres=database, topics="t", env=env, group="other")

    return read


def test_retention_overtakes(brokers: MockKafka, stopped: Callable[..., Sink]) -> None:
    """The number of lost records is said, and the partition does not go on by itself."""
    sink = stopped()
    produce(brokers, 10, 20)
    brokers.command("delete-records", "t", 0, 25)
    sink.start()
    reason = halt(sink, "retention")
    assert "t[0]@10" in reason and "up to 15 records, the offsets 10 to 24" in reason
    assert ids(sink.postgres) == list(range(10))
    assert sink.terminate() == 0


def test_retention_overtakes_and_the_rest_is_wanted(
    brokers: MockKafka, stopped: Callable[..., Sink]
) -> None:
    sink = stopped(SINK_OUT_OF_RANGE="earliest")
    produce(brokers, 10, 20)
    brokers.command("delete-records", "t", 0, 25)
    sink.start()
    wait_for_ids(sink, list(range(10)) + list(range(25, 30)))
    lost = [line for line in sink.log_lines() if line.get("event") == "records lost"]
    assert [(line["from"], line["to"], line["count"]) for line in lost] == [(10, 24, 15)]
    assert stored(sink)["next_offset"] == 30
    assert stored(sink)["lost_count"] == 15
    assert sink.terminate() == 0


def test_a_position_behind_the_end(brokers: MockKafka, stopped: Callable[..., Sink]) -> None:
    sink = stopped()
    sink.postgres.query("UPDATE pgsluice.offsets SET next_offset = 50, leader_epoch = -1")
    sink.start()
    reason = halt(sink, "the log ends at 10")
    assert "t[0]@50" in reason and "pgsluice offsets reset --topic t --partition 0" in reason
    assert stored(sink)["next_offset"] == 50


def test_a_log_that_was_cut_off_and_has_grown_again(
    brokers: MockKafka, stopped: Callable[..., Sink]
) -> None:
    """Only the leader epoch tells: the position lies inside the log, but behind another record."""
    sink = stopped()
    epoch = stored(sink)["leader_epoch"]
    assert epoch >= 0
    brokers.command("leader", "t", 0, 2)
    brokers.command("leader", "t", 0, 1)
    produce(brokers, 10, 10)
    # As if it had read five more records under the former leader, which were then lost.
    sink.postgres.query("UPDATE pgsluice.offsets SET next_offset = 15")
    sink.start()
    reason = halt(sink, "grown again")
    assert "t[0]@15" in reason
    assert ids(sink.postgres) == list(range(10))


def test_a_new_leader_is_no_reason_to_halt(
    brokers: MockKafka, stopped: Callable[..., Sink]
) -> None:
    sink = stopped()
    epoch = stored(sink)["leader_epoch"]
    brokers.command("leader", "t", 0, 2)
    produce(brokers, 10, 10)
    sink.start()
    wait_for_ids(sink, list(range(20)))
    sink.wait_for(lambda: stored(sink)["leader_epoch"] > epoch, 10, "the new leader's epoch")
