"""What Kafka does to a log behind the sink's back: each time its partition halts and says why, and
no record is skipped or written twice."""

import json

import history
import pytest
from cluster import Record
from wait import wait_until

PARTITIONS = 3
QUICK = {"KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": 1_000}


@pytest.fixture
def table(kafka1, postgres, names):
    kafka1.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    return names.table


def rows(postgres, table):
    return postgres.scalar(f"SELECT count(*) FROM {table}")


def halts(sink, words):
    """The reasons of halted partitions that contain these words, by partition."""
    return {
        line["partition"]: line["reason"]
        for line in sink.log_lines()
        if line.get("event") == "partition halted" and words in line["reason"]
    }


def wait_for_halts(sink, words, partitions=PARTITIONS):
    sink.wait_for(lambda: len(halts(sink, words)) == partitions, 60, f"{partitions} halts: {words}")
    return halts(sink, words)


@pytest.mark.parametrize("records", (300, 6_000), ids=("fewer", "more"))
def test_a_topic_that_is_made_anew(records, kafka1, postgres, names, table, start_sink):
    """While the sink is away: with fewer and with more records than it had read."""
    kafka1.produce_orders(names.topic, 3_000)
    sink = start_sink(kafka1, env=QUICK)
    sink.wait_until_caught_up(names.topic)
    positions = sink.positions(names.topic)
    assert sink.terminate() == 0
    kafka1.delete_topic(names.topic)
    kafka1.create_topic(names.topic, PARTITIONS)
    kafka1.produce_orders(names.topic, records, first=1_000_000)
    sink.start()
    reasons = wait_for_halts(sink, "made anew")
    assert all(f"position {positions[p]}" in reason for p, reason in reasons.items())
    assert rows(postgres, table) == 3_000
    assert sink.positions(names.topic) == positions


def test_a_topic_that_is_made_anew_while_it_is_read(kafka1, postgres, names, table, start_sink):
    kafka1.produce_orders(names.topic, 3_000)
    sink = start_sink(kafka1, env=QUICK)
    sink.wait_until_caught_up(names.topic)
    positions = sink.positions(names.topic)
    kafka1.delete_topic(names.topic)
    kafka1.create_topic(names.topic, PARTITIONS)
    kafka1.produce_orders(names.topic, 300, first=1_000_000)
    wait_for_halts(sink, "made anew")
    assert rows(postgres, table) == 3_000
    assert sink.positions(names.topic) == positions


# --- Retention ------------------------------------------------------------------------------------


def delete_records(kafka, topic, before, directory):
    """Everything below these offsets, as retention does it."""
    partitions = [{"topic": topic, "partition": p, "offset": at} for p, at in before.items()]
    path = directory / "delete.json"
    path.write_text(json.dumps({"partitions": partitions, "version": 1}))
    kafka.tool("delete-records", "--offset-json-file", path)


def test_retention_overtakes(kafka1, postgres, names, table, start_sink, tmp_path):
    """Halted with the number of what is lost; and it goes on where the operator wants it to."""
    kafka1.produce_orders(names.topic, 3_000)
    sink = start_sink(kafka1, env=QUICK)
    sink.wait_until_caught_up(names.topic)
    positions = sink.positions(names.topic)
    assert sink.terminate() == 0
    kafka1.produce_orders(names.topic, 3_000, first=1_000_000)
    starts = {partition: at + 100 + partition for partition, at in positions.items()}
    delete_records(kafka1, names.topic, starts, tmp_path)
    sink.start()
    for partition, reason in wait_for_halts(sink, "retention").items():
        assert f"{names.topic}[{partition}]@{positions[partition]}" in reason
        assert f"up to {100 + partition} records" in reason
    assert rows(postgres, table) == 3_000
    assert sink.terminate() == 0

    sink = start_sink(kafka1, env={**QUICK, "SINK_OUT_OF_RANGE": "earliest"})
    sink.wait_until_caught_up(names.topic)
    ends = kafka1.end_offsets(names.topic)
    left = sum(ends[partition] - at for partition, at in starts.items())
    assert rows(postgres, table) == 3_000 + left
    lost = postgres.query(
        "SELECT partition, lost_count FROM pgsluice.offsets WHERE sink = %s", [sink.name]
    )
    assert dict(lost) == {partition: 100 + partition for partition in starts}


# --- Corruption -----------------------------------------------------------------------------------


class Flipped:
    """A byte of a file, changed for a while."""

    def __init__(self, path, offset):
        self.path = path
        self.offset = offset

    def _flip(self):
        with open(self.path, "r+b") as file:
            file.seek(self.offset)
            byte = file.read(1)[0]
            file.seek(self.offset)
            file.write(bytes([byte ^ 0xFF]))

    def __enter__(self):
        self._flip()

    def __exit__(self, *_):
        self._flip()


def test_a_corrupt_batch(kafka1, postgres, names, table, start_sink):
    """What lies before it is written; then its partition halts, and goes on once it is mended."""
    kafka1.produce_orders(names.topic, 300)
    log = kafka1.brokers[1].directory / "data" / f"{names.topic}-0" / f"{0:020}.log"
    before = log.stat().st_size
    first = kafka1.end_offsets(names.topic)
    kafka1.produce_orders(names.topic, 300, first=1_000)
    inside = before + 61 + 20  # behind the batch's header, so that its length and offset stay right
    assert log.stat().st_size > inside
    with Flipped(log, inside):
        sink = start_sink(kafka1, env=QUICK)
        (reason,) = wait_for_halts(sink, "BAD_MSG", 1).values()
        assert f"{names.topic}[0]@{first[0]}" in reason
        others = {p: end for p, end in kafka1.end_offsets(names.topic).items() if p}
        sink.wait_until_caught_up(names.topic, ends={**others, 0: first[0]})
        assert sink.positions(names.topic)[0] == first[0]
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka1, names.topic, postgres, table, sink=sink.name)


# --- Truncation -----------------------------------------------------------------------------------


def leader_of(kafka, topic):
    return kafka.admin.list_topics(topic, timeout=10).topics[topic].partitions[0].leader


def test_a_log_that_was_cut_off_and_has_grown_again(kafka3, postgres, names, start_sink):
    """An unclean election: what the sink has read last is gone, and others are at its offsets."""
    topic = names.topic
    kafka3.create_topic(
        topic,
        1,
        replication=2,
        config={"min.insync.replicas": 1, "unclean.leader.election.enable": "true"},
    )
    history.create_table(postgres, names.table)
    leader = leader_of(kafka3, topic)
    replicas = kafka3.admin.list_topics(topic).topics[topic].partitions[0].replicas
    (follower,) = set(replicas) - {leader}
    kafka3.produce_orders(topic, 100)
    kafka3.wait_for_replicas(topic)
    sink = start_sink(kafka3, env=QUICK)
    try:
        kafka3.kill(follower)
        kafka3.produce_orders(topic, 100, first=1_000)
        sink.wait_until_caught_up(topic, ends={0: 200})
        assert sink.terminate() == 0
        kafka3.kill(leader)
        kafka3.start_broker(follower)
        wait_until(lambda: leader_of(kafka3, topic) == follower, 60, "an unclean election")
        kafka3.produce_orders(topic, 200, first=2_000)
        sink.start()
        (reason,) = wait_for_halts(sink, "grown again", 1).values()
        assert f"{topic}[0]@200" in reason
        assert rows(postgres, names.table) == 200
        assert sink.positions(topic) == {0: 200}
    finally:
        kafka3.start_broker(leader)


# --- Positions that an operator sets --------------------------------------------------------------


def test_positions_are_set_to_a_time(kafka1, postgres, names, table, start_sink):
    """Each partition's first record of that time or later is the next; where there is none, its end."""
    noon = 1_700_000_000_000
    for partition, times in {0: (-2, -1, 0, 1), 1: (-3, -2), 2: (5, 6)}.items():
        kafka1.produce(
            names.topic,
            [Record(b"{}", partition=partition, timestamp_ms=noon + 1_000 * at) for at in times],
        )
    words = f"offsets reset --topic {names.topic} --to 2023-11-14T22:13:20Z --yes"
    assert start_sink(kafka1, env=QUICK, command="migrate").wait_exit() == 0
    assert start_sink(kafka1, env=QUICK, command=words).wait_exit() == 0
    sink = start_sink(kafka1, env=QUICK)
    assert sink.positions(names.topic) == {0: 2, 1: 2, 2: 0}
