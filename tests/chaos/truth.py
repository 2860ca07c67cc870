"""What the log holds, read by another client than the sink's: for any position, what belongs below it.

Kept for each partition as running sums over its records, so that "the rows below 120,000" is a
lookup, and a partition of a million records costs 24 MB.
"""

from __future__ import annotations

import hashlib
import re
import threading
from array import array
from bisect import bisect_left
from typing import Any, NamedTuple

import records
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from kafka import Kafka
from records import Topic

BATCH = 10_000
SETTLE_MS = 4_000
WORD = 1 << 64
# Binds a mark to its offset: mark XOR offset * BINDER stays below 2^63 up to offset 2^24.
BINDER = 274_876_858_367
DIGEST_DIGITS = 15  # of an md5, in hex: a positive bigint


class Sums(NamedTuple):
    """Of the records of a partition below an offset; sums are modulo 2^64."""

    rows: int
    marks: int
    bound: int  # of (mark XOR offset * BINDER)
    letters: int
    letter_offsets: int
    digests: int


class Running:
    """Sums over a sequence of records, for each of its beginnings."""

    def __init__(self, width: int) -> None:
        self.offsets = array("q")
        self.sums = [array("Q", [0]) for _ in range(width)]

    def add(self, offset: int, *values: int) -> None:
        self.offsets.append(offset)
        for sums, value in zip(self.sums, values):
            sums.append((sums[-1] + value) % WORD)

    def below(self, offset: int) -> tuple[int, ...]:
        """How many records, then the sums."""
        count = bisect_left(self.offsets, offset)
        return count, *(sums[count] for sums in self.sums)


    def only(self, offsets: set[int]) -> "Running":
        """The same without the records at other offsets."""
        kept = Running(len(self.sums))
        for index, offset in enumerate(self.offsets):
            if offset in offsets:
                kept.add(offset, *((s[index + 1] - s[index]) % WORD for s in self.sums))
        return kept


class Partition:
    """One partition's part of the truth."""

    def __init__(self) -> None:
        self.good = Running(2)
        self.bad = Running(2)
        self.end = 0  # behind its last record read so far
        self.complete = 0  # the end of the log when that was last reached

    def add(self, offset: int, value: bytes | None) -> None:
        if value is not None and records.is_good(value):
            mark = records.mark_of(value)
            self.good.add(offset, mark, mark ^ (offset * BINDER))
        else:
            digest = hashlib.md5(value or b"", usedforsecurity=False).hexdigest()
            self.bad.add(offset, offset, int(digest[:DIGEST_DIGITS], 16))
        self.end = offset + 1

    def keep_only(self, offsets: set[int]) -> int:
        """Forget the records at other offsets; how many those were."""
        before = len(self.good.offsets) + len(self.bad.offsets)
        self.good, self.bad = self.good.only(offsets), self.bad.only(offsets)
        return before - len(self.good.offsets) - len(self.bad.offsets)

    def below(self, offset: int) -> Sums:
        return Sums(*self.good.below(offset), *self.bad.below(offset))  # type: ignore[arg-type]


class Truth:
    """Reads the log in a thread from now on, until close()."""

    def __init__(self, kafka: Kafka, topics: list[Topic]) -> None:
        self.kafka = kafka
        self.lock = threading.Lock()
        self.partitions: dict[tuple[str, int], Partition] = {}
        self.failure: BaseException | None = None
        self._dense = {topic.name for topic in topics if not topic.transactional}
        self._consumer = kafka.consumer(**{"fetch.wait.max.ms": 100, "socket.timeout.ms": 10_000})
        self._closed = threading.Event()
        for topic in topics:
            self.follow(topic.name, topic.partitions)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def follow(self, topic: str, count: int) -> None:
        """Read so many partitions of the topic from now on, the new ones from their first offset."""
        with self.lock:
            new = [p for p in range(count) if (topic, p) not in self.partitions]
            for partition in new:
                self.partitions[topic, partition] = Partition()
            self._consumer.incremental_assign([TopicPartition(topic, p, 0) for p in new])

    @property
    def records(self) -> int:
        with self.lock:
            found = self.partitions.values()
            return sum(len(p.good.offsets) + len(p.bad.offsets) for p in found)

    def is_read_to_the_end(self) -> bool:
        """Whether everything that is in the log now has been read."""
        self.check()
        topics = {topic for topic, _ in self.partitions}
        ends = {(t, p): end for t in topics for p, end in self.kafka.end_offsets(t).items()}
        return all(self.partitions[place].complete >= end for place, end in ends.items())

    def settle(self, topic: str, number: int) -> int:
        """Where the database disagrees: let Kafka's own reader say which records there are.

        Returns how many our client has delivered that do not belong there, as those of an aborted
        transaction; they are forgotten. An older librdkafka is not above doubt, and a newer one is
        what is to be judged.
        """
        argv = ["--topic", topic, "--partition", str(number), "--offset", "earliest",
                "--isolation-level", "read_committed", "--timeout-ms", str(SETTLE_MS),
                "--property", "print.offset=true", "--property", "print.value=false"]  # fmt: skip
        with self.lock:
            end = self.partitions[topic, number].end
        text = self.kafka.tool("console-consumer", *argv)
        offsets = {int(found) for found in re.findall(r"Offset:(\d+)", text)}
        if not offsets or max(offsets) < end - 1:
            raise RuntimeError(f"Kafka's reader of {topic}[{number}] has not come to {end}")
        with self.lock:
            later = self.partitions[topic, number].end
            return self.partitions[topic, number].keep_only(offsets | set(range(end, later)))

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        self._closed.set()
        self._thread.join(30)
        self._consumer.close()

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                messages = self._consumer.consume(BATCH, 0.2)
                with self.lock:
                    for message in messages:
                        self._take(message)
        except BaseException as error:
            self.failure = error

    def _take(self, message: Any) -> None:
        partition = self.partitions[message.topic(), message.partition()]
        error = message.error()
        if error is None:
            offset = message.offset()
            if message.topic() in self._dense and offset != partition.end:
                raise AssertionError(f"the checker's own reader got {offset} after {partition.end}")
            partition.add(offset, message.value())
        elif error.code() == KafkaError._PARTITION_EOF:
            partition.complete = message.offset()
        elif not error.retriable() and error.code() != KafkaError._TRANSPORT:
            raise KafkaException(error)
