"""Logs of a real Kafka that are unusual: compacted, with batches that can not be unpacked or are larger than
what is asked for. What can be read is written; else its partition halts and says why, and others go on."""

from __future__ import annotations

import json
import struct
from collections import Counter

import checksum
import pytest
from cluster import Record
from wait import wait_until

MIB = 1 << 20
QUICK = {"KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": 1_000}


@pytest.fixture
def table(postgres, names):
    postgres.query(f"CREATE TABLE {names.table} (id int, pad_bytes int)")
    return names.table


def rows(postgres, table):
    return [row[0] for row in postgres.query(f"SELECT id FROM {table} ORDER BY id")]


def record(number, key=None, partition=0, pad=""):
    value = b'{"id": %d, "pad": "%s"}' % (number, pad.encode())
    return Record(value, key, partition)


# --- Compaction -----------------------------------------------------------------------------------


def read_ids(kafka, topic):
    """What another client finds in the log: (offset, id)."""
    return [(found.offset, json.loads(found.value)["id"]) for found in checksum.read_topic(kafka, topic)]


def ids_of(records):
    return Counter(number for _, number in records)


def test_a_compacted_log(kafka1, postgres, names, table, start_sink):
    """Its gaps are passed, at the begin, in the middle and before the end; the position ends at the end.

    Most records have a successor with their key, some in between have none. Kafka goes on compacting.
    """
    config = {
        "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "100",
        "min.compaction.lag.ms": "0", "max.compaction.lag.ms": "200",
    }  # fmt: skip
    kafka1.create_topic(names.topic, 1, config=config)
    keys = [b"only-%d" % i if i % 40 == 20 else b"key-%d" % (i % 50) for i in range(600)]
    for first in range(0, 600, 100):
        kafka1.produce(names.topic, [record(i, keys[i]) for i in range(first, first + 100)])

    def compacted():
        kafka1.produce(names.topic, [record(1_000, b"last")])  # what was rolled off is cleaned
        return len(read_ids(kafka1, names.topic)) < 200

    wait_until(compacted, 60, "a compacted log", interval_s=0.5)
    left = read_ids(kafka1, names.topic)
    gaps = sum(1 for (before, _), (after, _) in zip(left, left[1:]) if after > before + 1)
    assert left[0][0] > 0 and gaps > 10
    sink = start_sink(kafka1)
    sink.wait_until_caught_up(names.topic)
    found = Counter(rows(postgres, table))
    assert ids_of(read_ids(kafka1, names.topic)) <= found <= ids_of(left)
    assert sink.positions(names.topic) == kafka1.end_offsets(names.topic)
    assert sink.terminate() == 0


# --- Batches that can not be unpacked ---------------------------------------------------------------


def crc32c(data):
    """As Kafka's batches have it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 & -(crc & 1))
    return crc ^ 0xFFFFFFFF


LENGTH_AT, CRC_AT, ATTRIBUTES_AT = 8, 17, 21  # in a batch of format 2; the CRC is of all behind itself
NAMES = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd", 6: "unknown"}


class Recoded:
    """An uncompressed batch in a broker's log that says for a while it was compressed; its CRC is right."""

    def __init__(self, log, at, codec):
        self.log, self.at, self.codec = log, at, codec
        self.original = b""

    def __enter__(self):
        batch = bytearray(self._read())
        self.original = bytes(batch)
        assert batch[ATTRIBUTES_AT + 1] & 7 == 0, "the batch is compressed already"
        batch[ATTRIBUTES_AT + 1] |= self.codec
        struct.pack_into(">I", batch, CRC_AT, crc32c(batch[ATTRIBUTES_AT:]))
        self._write(batch)

    def __exit__(self, *_):
        self._write(self.original)

    def _read(self):
        with open(self.log, "rb") as file:
            file.seek(self.at)
            head = file.read(LENGTH_AT + 4)
            return head + file.read(struct.unpack_from(">I", head, LENGTH_AT)[0])

    def _write(self, batch):
        with open(self.log, "r+b") as file:
            file.seek(self.at)
            file.write(batch)


@pytest.mark.parametrize("codec", NAMES, ids=NAMES.values())
def test_a_batch_that_can_not_be_unpacked(codec, kafka1, postgres, names, table, start_sink):
    """What lies before it is written, its partition halts and names the fault; mended, it goes on."""
    kafka1.create_topic(names.topic, 2)
    kafka1.produce(names.topic, [record(i) for i in range(3)])
    log = kafka1.brokers[1].directory / "data" / f"{names.topic}-0" / f"{0:020}.log"
    at = log.stat().st_size
    kafka1.produce(names.topic, [record(i) for i in range(3, 6)])
    kafka1.produce(names.topic, [record(i, partition=1) for i in range(6, 9)])
    with Recoded(log, at, codec):
        sink = start_sink(kafka1, env=QUICK)
        sink.wait_for_log('"partition halted"')
        sink.wait_until_caught_up(names.topic, ends={0: 3, 1: 3})
        (line, *_) = [line for line in sink.log_lines() if line["event"] == "partition halted"]
        assert line["reason"].startswith(f"{names.topic}[0]@3: "), line["reason"]
        assert rows(postgres, table) == [0, 1, 2, 6, 7, 8]
    sink.wait_until_caught_up(names.topic)
    assert rows(postgres, table) == list(range(9))
    assert sink.terminate() == 0


# --- Large ones -----------------------------------------------------------------------------------


def test_a_bomb(kafka1, postgres, names, table, start_sink):
    """Half a gigabyte that is half a megabyte as it travels: the batch is unpacked whole, by librdkafka."""
    kafka1.create_topic(names.topic, 2)
    pad = "0" * (8 * MIB)
    conf = {"compression.type": "gzip", "message.max.bytes": 1_000_000_000, "batch.size": 1_000_000_000}
    conf.update({"linger.ms": 5_000, "queue.buffering.max.kbytes": 1_000_000})
    kafka1.produce(names.topic, [record(i, pad=pad) for i in range(30)], **conf)
    kafka1.produce(names.topic, [record(i, partition=1) for i in range(100, 103)])
    sink = start_sink(kafka1, env={"SINK_MEMORY_LIMIT": "16MiB"})
    sink.wait_until_caught_up(names.topic)
    print(f"peak {sink.memory_kib(peak=True) // 1024} MiB")
    assert rows(postgres, table) == [*range(30), *range(100, 103)]
    assert sink.terminate() == 0


@pytest.fixture
def large(kafka1, names):
    """A topic with a small record, one of 12 MiB, and a small one."""
    kafka1.create_topic(names.topic, 1, config={"max.message.bytes": 64 * MIB})
    records = [record(0), record(1, pad="x" * (12 * MIB)), record(2)]
    kafka1.produce(names.topic, records, **{"message.max.bytes": 64 * MIB})
    return names.topic


def test_a_record_that_is_larger_than_a_fetch(kafka1, postgres, large, table, start_sink):
    """Kafka sends it nevertheless."""
    sink = start_sink(kafka1, env={"KAFKA_FETCH_MESSAGE_MAX_BYTES": 1_000, "SINK_MEMORY_LIMIT": "16MiB"})
    sink.wait_until_caught_up(large)
    assert rows(postgres, table) == [0, 1, 2]
    assert sink.terminate() == 0


def test_a_record_that_is_larger_than_an_answer_may_be(kafka1, postgres, large, table, start_sink):
    """The setting that is to blame is named, and more room mends it."""
    limit = {"KAFKA_RECEIVE_MESSAGE_MAX_BYTES": 10 * MIB, "KAFKA_FETCH_MAX_BYTES": MIB}
    sink = start_sink(kafka1, env=limit)
    sink.wait_until_caught_up(large, ends={0: 1})
    sink.wait_for_log("receive.message.max.bytes")
    assert sink.positions(large) == {0: 1}
    assert sink.terminate() == 0
    sink = start_sink(kafka1)
    sink.wait_until_caught_up(large)
    assert rows(postgres, table) == [0, 1, 2]
