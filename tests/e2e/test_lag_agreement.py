"""Lag as /metrics, the view, `pgsluice lag` and Kafka's own tool tell it: one figure, but for what a log has at its end.

kafka-consumer-groups counts offsets up to the high watermark. Behind the position, that is every offset, those of
markers and of aborted records too, of which no record ever comes. What is read with isolation.level=read_committed is
over at the last stable offset, and is caught up when nothing comes any more: there the sink says 0, and Kafka's tool
says how many such offsets there are.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any, Callable, NamedTuple

from confluent_kafka import Producer, TopicPartition
from fixtures import Names
from http_client import SERVED, Web
from kafka import Kafka
from postgres import Postgres
from sink import Sink, sink_program
from wait import wait_until

ENV = {**SERVED, "SINK_LAG_INTERVAL_MS": 500, "SINK_HISTORY_INTERVAL_MS": 300}


class Lags(NamedTuple):
    metrics: float | None
    view: int | None
    command: int
    kafka: int


def of_command(sink: Sink) -> dict[str, Any]:
    answer = subprocess.run(
        [str(sink_program()), "lag", "--json"],
        env=sink.settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (row,) = [json.loads(line) for line in answer.stdout.splitlines()]
    return dict(row)


def of_kafka(kafka: Kafka, group: str) -> tuple[int, int, int]:
    """CURRENT-OFFSET, LOG-END-OFFSET and LAG of the only partition."""
    text = kafka.tool("consumer-groups", "--describe", "--group", group)
    match = re.search(rf"^{group}\s+\S+\s+0\s+(\d+)\s+(\d+)\s+(\d+)\s", text, re.M)
    assert match, text
    return int(match[1]), int(match[2]), int(match[3])


class Gauges:
    """All four, of a sink with one partition."""

    def __init__(self, sink: Sink, topic: str) -> None:
        self.sink = sink
        self.topic = topic

    def metrics(self) -> float | None:
        name = f'pgsluice_consumer_lag_records{{topic="{self.topic}",partition="0"}}'
        return Web(self.sink).metrics().get(name)

    def view(self) -> int | None:
        sql = "SELECT lag FROM pgsluice.v_consumer_performance_monitor WHERE sink = %s"
        found: int | None = self.sink.postgres.scalar(sql, [self.sink.name])
        return found

    def read(self) -> Lags:
        kafka = self.sink.kafka
        assert isinstance(kafka, Kafka)
        return Lags(self.metrics(), self.view(), of_command(self.sink)["lag"], of_kafka(kafka, self.sink.group)[2])

    def wait_for(self, lag: int) -> None:
        """Those that follow by themselves; Kafka has been told by then what it will be told."""
        self.sink.wait_for(lambda: self.metrics() == lag, 60, f"lag of {lag}")
        self.sink.wait_for(lambda: self.view() == lag, 60, f"lag of {lag} in the view")


def transaction(producer: Producer, topic: str, count: int, commit: bool) -> None:
    producer.begin_transaction()
    for number in range(count):
        producer.produce(topic, json.dumps({"id": number}).encode(), partition=0)
    producer.flush(30)
    producer.commit_transaction(30) if commit else producer.abort_transaction(30)


def wait_until_told(kafka: Kafka, sink: Sink, topic: str, position: int) -> None:
    """The sink tells the group its position every five seconds."""
    consumer = kafka.consumer(**{"group.id": sink.group})
    asked = [TopicPartition(topic, 0)]
    wait_until(lambda: consumer.committed(asked, timeout=10)[0].offset == position, what=f"told {position}")
    consumer.close()


def test_all_four_agree(kafka1: Kafka, postgres: Postgres, names: Names, start_sink: Callable[..., Sink]) -> None:
    kafka1.create_topic(names.topic, 1)
    postgres.query(f"CREATE TABLE {names.topic} (id int)")
    producer = Producer(kafka1.client_conf(**{"transactional.id": names.group}))
    producer.init_transactions(30)
    transaction(producer, names.topic, 10, commit=True)  # 0..9, and a marker
    sink = start_sink(kafka1, env=ENV)
    gauges = Gauges(sink, names.topic)

    # Caught up: nothing but the marker is behind the position.
    gauges.wait_for(0)
    wait_until_told(kafka1, sink, names.topic, 10)
    assert gauges.read() == Lags(0, 0, 0, kafka=1)

    # While it drains, stopped in the middle: 20 records and their marker wait, and the first marker is between.
    with postgres.connect(autocommit=False) as holder:
        holder.execute(f"LOCK TABLE {names.topic}")
        transaction(producer, names.topic, 20, commit=True)
        gauges.wait_for(32 - 10)
        assert gauges.read() == Lags(22, 22, 22, kafka=22)
        # Stalled: the position does not move, the log does.
        transaction(producer, names.topic, 5, commit=True)
        gauges.wait_for(38 - 10)
        assert gauges.read() == Lags(28, 28, 28, kafka=28)
        holder.rollback()

    # Caught up with aborted records at the end: 5 and a marker, behind that of the last committed ones.
    transaction(producer, names.topic, 5, commit=False)
    gauges.wait_for(0)
    wait_until_told(kafka1, sink, names.topic, 37)
    assert of_kafka(kafka1, sink.group) == (37, 44, 1 + 5 + 1)
    assert gauges.read() == Lags(0, 0, 0, kafka=7)

    # When none runs, the log is read all the same.
    assert sink.terminate() == 0
    assert of_command(sink)["lag"] == 0
    transaction(producer, names.topic, 3, commit=True)
    row = of_command(sink)
    assert (row["committed"], row["end"], row["lag"]) == (37, 48, 11)
    assert of_kafka(kafka1, sink.group)[2] == 11
    assert row["owner"] == "sink-1" and row["written_at"]
