"""Reading dead letters from their table and their topic, to compare with what was produced."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cluster import Cluster
from confluent_kafka import Message, TopicPartition
from postgres import Postgres

COLUMNS = (
    "topic, partition, record_offset, record_time, key, value, headers,"
    " reason, sqlstate, target_table, target_column, instance"
)


@dataclass(frozen=True)
class DeadLetter:
    """One row."""

    topic: str
    partition: int
    offset: int
    time: datetime | None
    key: bytes | None
    value: bytes | None
    headers: list[dict[str, Any]] | None
    reason: str
    sqlstate: str | None
    table: str
    column: str | None
    instance: str


def dead_letters(postgres: Postgres, sink: str) -> list[DeadLetter]:
    """A sink's dead letters in the order of their records; fails when a record has two."""
    rows = postgres.query(
        f"SELECT {COLUMNS} FROM pgsluice.dead_letters WHERE sink = %s"
        " ORDER BY topic, partition, record_offset",
        [sink],
    )
    letters = [DeadLetter(*row) for row in rows]
    records = [(letter.topic, letter.partition, letter.offset) for letter in letters]
    assert len(set(records)) == len(records), f"more than one dead letter of a record: {records}"
    return letters


def messages(cluster: Cluster, topic: str) -> list[Message]:
    """What is in a topic of dead letters now, by the places that they came from."""
    consumer = cluster.consumer(**{"enable.partition.eof": False})
    found: list[Message] = []
    try:
        for partition, (first, end) in cluster.watermarks(topic).items():
            consumer.assign([TopicPartition(topic, partition, first)])
            got: list[Message] = []
            while len(got) < end - first:
                got += [m for m in consumer.consume(1000, timeout=0.2) if m.error() is None]
            found += got
    finally:
        consumer.close()
    return sorted(found, key=place)


def header(message: Message, name: str) -> str | None:
    values = [value for key, value in message.headers() or [] if key == name]
    assert len(values) <= 1, name
    return values[0].decode() if values else None


def place(message: Message) -> tuple[str, int, int]:
    topic, partition, offset = (
        header(message, f"__connect.errors.{name}") for name in ("topic", "partition", "offset")
    )
    assert topic and partition and offset
    return topic, int(partition), int(offset)
