"""The independent truth: what a topic holds, to compare with what a table holds.

Records are read by another client than the sink's, with plain assign() from the first offset to
the end, and both sides are boiled down to a count, a sum of ids and a sum of 64-bit hashes, in
which the order of rows plays no part:

    assert_orders_match(kafka, "orders", postgres, "orders")
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Iterable, Iterator, Mapping, NamedTuple

import orders
from cluster import Cluster
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from postgres import Postgres
from wait import wait_until

BATCH_RECORDS = 10_000
STALL_S = 30.0


class TopicRecord(NamedTuple):
    """A record as it stands in the topic."""

    partition: int
    offset: int
    value: bytes | None
    key: bytes | None


@dataclass(frozen=True)
class Checksum:
    """What both sides are boiled down to; equal when the multisets of rows are."""

    count: int
    id_sum: int
    hash_sum: int


def read_topic(
    cluster: Cluster, topic: str, until: Mapping[int, int] | None = None
) -> Iterator[TopicRecord]:
    """Every record a read_committed reader sees, from the first offset to the end as of now.

    `until` gives other end offsets (exclusive) per partition, and leaves the other partitions out.
    """
    watermarks = cluster.watermarks(topic)
    ends = dict(until) if until is not None else {p: end for p, (_, end) in watermarks.items()}
    starts = {partition: watermarks[partition][0] for partition in ends}
    consumer = cluster.consumer()
    try:
        open_partitions = {p for p in ends if starts[p] < ends[p]}
        if open_partitions:
            consumer.assign([TopicPartition(topic, p, starts[p]) for p in sorted(open_partitions)])
            yield from _read_until(consumer, ends, open_partitions)
    finally:
        consumer.close()


def _read_until(
    consumer: Consumer, ends: Mapping[int, int], open_partitions: set[int]
) -> Iterator[TopicRecord]:
    """Empties `open_partitions`. The end-of-partition event counts too: markers are no records."""
    while open_partitions:
        messages = wait_until(
            lambda: consumer.consume(BATCH_RECORDS, timeout=0.2),
            STALL_S,
            f"records of partitions {sorted(open_partitions)}",
        )
        for message in messages:
            partition, offset = message.partition(), message.offset()
            if message.error() is not None:
                if message.error().code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(message.error())
                if offset >= ends[partition]:
                    open_partitions.discard(partition)
                continue
            if offset < ends[partition]:
                yield TopicRecord(partition, offset, message.value(), message.key())
            if offset + 1 >= ends[partition]:
                open_partitions.discard(partition)


def text_hash(text: str) -> int:
    """The first 64 bits of the MD5 as a signed number; sql_hash() is the same."""
    return int.from_bytes(hashlib.md5(text.encode()).digest()[:8], "big", signed=True)


def sql_hash(text: str) -> str:
    """text_hash() of a SQL expression."""
    return f"('x' || substr(md5({text}), 1, 16))::bit(64)::bigint"


def orders_in_records(values: Iterable[bytes | None]) -> tuple[Checksum, int]:
    """The checksum of the orders in these records, and how many are poison."""
    count = id_sum = hash_sum = poison = 0
    for value in values:
        order = orders.parse(value)
        if order is None:
            poison += 1
            continue
        count += 1
        id_sum += order["id"]
        hash_sum += text_hash(orders.canonical_text(order))
    return Checksum(count, id_sum, hash_sum), poison


def orders_in_topic(
    cluster: Cluster, topic: str, until: Mapping[int, int] | None = None
) -> tuple[Checksum, int]:
    """The checksum of the orders in a topic, and how many records of it are poison."""
    return orders_in_records(record.value for record in read_topic(cluster, topic, until))


def orders_in_table(postgres: Postgres, table: str = "orders") -> Checksum:
    """The checksum of the rows of an orders table."""
    sql = (
        "SELECT count(*), coalesce(sum(id), 0),"
        f" coalesce(sum({sql_hash(orders.canonical_sql())}::numeric), 0) FROM {table}"
    )
    count, id_sum, hash_sum = postgres.query(sql)[0]
    return Checksum(int(count), int(id_sum), int(hash_sum))


def assert_orders_match(
    cluster: Cluster, topic: str, postgres: Postgres, table: str = "orders"
) -> Checksum:
    """Fail unless the table holds exactly the topic's orders, each once; says which are wrong."""
    expected, _ = orders_in_topic(cluster, topic)
    found = orders_in_table(postgres, table)
    if found != expected:
        raise AssertionError(
            f"{table} has {found.count} rows for {expected.count} orders in {topic}; "
            + explain_difference(cluster, topic, postgres, table)
        )
    return found


def explain_difference(
    cluster: Cluster, topic: str, postgres: Postgres, table: str, examples: int = 5
) -> str:
    """Lost, doubled, foreign and altered orders, with a few ids of each."""
    expected: dict[int, int] = {}
    for record in read_topic(cluster, topic):
        order = orders.parse(record.value)
        if order is not None:
            expected[order["id"]] = text_hash(orders.canonical_text(order))
    rows = postgres.query(f"SELECT id, {sql_hash(orders.canonical_sql())} FROM {table}")
    found = dict(rows)
    times = Counter(key for key, _ in rows)
    kinds: dict[str, list[int]] = {
        "lost": [key for key in expected if key not in found],
        "doubled": [key for key, count in times.items() if count > 1],
        "foreign": [key for key in found if key not in expected],
        "altered": [key for key, text in found.items() if expected.get(key, text) != text],
    }
    parts = [f"{len(ids)} {kind}: {ids[:examples]}" for kind, ids in kinds.items() if ids]
    return "; ".join(parts) or "the sums differ although the ids agree"


def positions(postgres: Postgres, sink: str, topic: str) -> dict[int, int]:
    """The sink's next_offset per partition; nothing before the sink has made its schema."""
    if postgres.scalar("SELECT to_regclass('pgsluice.offsets')") is None:
        return {}
    sql = "SELECT partition, next_offset FROM pgsluice.offsets WHERE sink = %s AND topic = %s"
    return dict(postgres.query(sql, [sink, topic]))


def is_caught_up(postgres: Postgres, sink: str, topic: str, ends: Mapping[int, int]) -> bool:
    """Whether every partition that has records stands at its end."""
    at = positions(postgres, sink, topic)
    return all(at.get(partition, 0) >= end for partition, end in ends.items())
