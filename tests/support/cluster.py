"""What the tests do with a Kafka cluster of either kind, real or mock: topics, offsets, records."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterable

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from wait import wait_until

MAX_MESSAGE_BYTES = 12 << 20


def support_program(name: str) -> Path:
    """A program built from tests/support/NAME.c."""
    directory = os.environ.get("PGSLUICE_SUPPORT_DIR")
    if not directory:
        raise RuntimeError("PGSLUICE_SUPPORT_DIR is not set: start the tests with ./dev test")
    return Path(directory) / name


@dataclass(frozen=True)
class Record:
    """A record to produce; None stands for absent, a partition of -1 for the partitioner's choice."""

    value: bytes | None
    key: bytes | None = None
    partition: int = -1
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp_ms: int = 0


class Cluster:
    """The common part; the bootstrap string is the subclass's."""

    bootstrap: str

    def client_conf(self, **properties: Any) -> dict[str, Any]:
        """librdkafka's configuration for a client of this cluster, quiet about lost connections."""
        conf: dict[str, Any] = {"bootstrap.servers": self.bootstrap, "log_level": 2}
        return {**conf, **properties}

    def consumer(self, **properties: Any) -> Consumer:
        """A consumer for assign(), outside of any group's life."""
        conf: dict[str, Any] = {
            "group.id": "pgsluice-tests",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 20,
            "receive.message.max.bytes": 200_000_000,
        }
        return Consumer(self.client_conf(**{**conf, **properties}))

    def partitions(self, topic: str) -> list[int]:
        """The topic's partitions; raises KafkaException when there is no such topic."""
        consumer = self.consumer()
        try:
            found = consumer.list_topics(topic, timeout=10).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)
            return sorted(found.partitions)
        finally:
            consumer.close()

    def watermarks(self, topic: str) -> dict[int, tuple[int, int]]:
        """Per partition the first and the end offset, for read_committed readers."""
        partitions = self.partitions(topic)
        consumer = self.consumer()
        try:
            return {
                partition: consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=10
                )
                for partition in partitions
            }
        finally:
            consumer.close()

    def end_offsets(self, topic: str) -> dict[int, int]:
        return {partition: end for partition, (_, end) in self.watermarks(topic).items()}

    def produce(self, topic: str, records: Iterable[Record], **properties: Any) -> dict[int, int]:
        """Produce a few records, wait for their delivery, return how many each partition got."""
        delivered: dict[int, int] = {}
        failures: list[str] = []

        def on_delivery(error: Any, message: Any) -> None:
            if error is not None:
                failures.append(str(error))
            else:
                delivered[message.partition()] = delivered.get(message.partition(), 0) + 1

        conf = {"enable.idempotence": True, "linger.ms": 5, "message.max.bytes": MAX_MESSAGE_BYTES}
        producer = Producer(self.client_conf(**{**conf, **properties}))
        for record in records:
            _produce_one(producer, topic, record, on_delivery)
        if producer.flush(60) or failures:
            raise RuntimeError(f"records were not delivered: {failures[:3]}")
        return delivered

    def produce_values(self, topic: str, partition: int, values: Iterable[bytes]) -> None:
        """Records that are nothing but these values."""
        self.produce(topic, [Record(value, partition=partition) for value in values])

    def produce_ids(self, topic: str, first: int, count: int, partition: int = 0) -> None:
        """{"id": first} and so on."""
        values = (json.dumps({"id": number}).encode() for number in range(first, first + count))
        self.produce_values(topic, partition, values)

    def produce_orders(self, topic: str, records: int, **options: Any) -> dict[str, Any]:
        """Run produce_orders; an option is a keyword (poison_every=100, by_key=True)."""
        argv = [str(support_program("produce_orders")), "--bootstrap", self.bootstrap]
        argv += ["--topic", topic, "--records", str(records)]
        options.setdefault("partitions", len(self.partitions(topic)))
        argv += command_options(options)
        result = subprocess.run(argv, capture_output=True, text=True, timeout=600)
        if result.returncode != 0:
            raise RuntimeError(f"produce_orders exited {result.returncode}: {result.stderr.strip()}")
        summary: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
        return summary

    def wait_for_brokers(self, count: int, deadline_s: float = 60.0) -> None:
        """Wait until the cluster's metadata names that many live brokers."""
        consumer = self.consumer()
        try:
            wait_until(
                lambda: _broker_count(consumer) >= count, deadline_s, f"{count} Kafka brokers"
            )
        finally:
            consumer.close()


def command_options(options: dict[str, Any]) -> list[str]:
    """{"rate": 5, "by_key": True} -> ["--rate", "5", "--by-key"]"""
    argv: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            argv.append(flag)
        elif value is not False and value is not None:
            argv += [flag, str(value)]
    return argv


def _produce_one(
    producer: Producer, topic: str, record: Record, on_delivery: Callable[[Any, Any], None]
) -> None:
    keywords: dict[str, Any] = {"partition": record.partition, "on_delivery": on_delivery}
    if record.timestamp_ms:
        keywords["timestamp"] = record.timestamp_ms
    if record.headers:
        keywords["headers"] = list(record.headers)
    while True:
        try:
            producer.produce(topic, value=record.value, key=record.key, **keywords)
            producer.poll(0)
            return
        except BufferError:
            producer.poll(0.1)


def _broker_count(client: Consumer) -> int:
    try:
        return len(client.list_topics(timeout=1).brokers)
    except KafkaException:
        return 0
