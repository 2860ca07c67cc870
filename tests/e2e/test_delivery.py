"""The main job: a million records of every codec, made by Kafka's own tools, librdkafka and Python."""

import history
import pytest
from cluster import Record
from fixtures import Names
from load import order_texts
from sink import Sink

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
PARTITIONS = 12
CONSOLE, PERFORMANCE, LIBRDKAFKA, PYTHON = 30_000, 60_000, 90_000, 20_000  # for each codec


def produce_by_console(kafka, topic, codec, first):
    text = "".join(f"{number}\t{line}\n" for number, line in enumerate(order_texts(first, CONSOLE)))
    kafka.tool(
        "console-producer", "--topic", topic, "--compression-codec", codec,
        "--property", "parse.key=true", input_text=text,
    )  # fmt: skip


def produce_by_performance_tool(kafka, topic, codec, first, directory):
    """It draws its records from the file at random, so some come more than once and some never."""
    payload = directory / f"{codec}.jsonl"
    payload.write_text("".join(f"{line}\n" for line in order_texts(first, PERFORMANCE // 4)).rstrip())
    kafka.tool(
        "producer-perf-test", "--topic", topic, "--num-records", PERFORMANCE, "--throughput", -1,
        "--payload-file", payload, "--producer-props", f"bootstrap.servers={kafka.bootstrap}",
        f"compression.type={codec}", "acks=all", "linger.ms=20",
    )  # fmt: skip


def produce_by_python(kafka, topic, codec, first):
    records = [Record(line.encode()) for line in order_texts(first, PYTHON)]
    kafka.produce(topic, records, **{"compression.type": codec})


def assert_told_to_kafka(kafka, group, topic, ends):
    """What kafka-consumer-groups shows: committed offsets at the ends, no lag."""
    shown = kafka.group_offsets(group)
    for partition, end in ends.items():
        assert shown.get((topic, partition)) == (end, end, 0), (
            f"kafka-consumer-groups on {topic}[{partition}]: (committed, end, lag) is "
            f"{shown.get((topic, partition))}, not {(end, end, 0)}"
        )


@pytest.mark.limit(420)
def test_a_million_records_of_every_producer_and_codec(
    kafka3, postgres, names, start_sink, tmp_path
):
    kafka3.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    sink = start_sink(kafka3)
    for number, codec in enumerate(CODECS):
        first = number * 1_000_000
        kafka3.produce_orders(names.topic, LIBRDKAFKA, first=first, compression=codec)
        produce_by_console(kafka3, names.topic, codec, first + 200_000)
        produce_by_performance_tool(kafka3, names.topic, codec, first + 400_000, tmp_path)
        produce_by_python(kafka3, names.topic, codec, first + 600_000)
    ends = kafka3.end_offsets(names.topic)
    assert sum(ends.values()) == 1_000_000, f"the producers made {sum(ends.values())} records: {ends}"
    assert len([end for end in ends.values() if end]) == PARTITIONS

    sink.wait_until_caught_up(names.topic)
    found = history.assert_exactly_once(kafka3, names.topic, postgres, names.table, sink=sink.name)
    assert found.count == 1_000_000
    sink.wait_for(lambda: kafka3.group_lag(names.group) == 0, 30, "lag 0 in kafka-consumer-groups")
    assert_told_to_kafka(kafka3, names.group, names.topic, ends)
    assert sink.terminate() == 0, "the sink was told to end"


BREAKS = {
    "a lost row": "DELETE FROM {table} WHERE id = 500",
    "a doubled row": (
        "INSERT INTO {table} (id, __connect_partition, __connect_offset)"
        " SELECT id, __connect_partition, __connect_offset FROM {table} WHERE id = 500"
    ),
    "a foreign row": "INSERT INTO {table} (id, __connect_partition, __connect_offset) VALUES (7, 0, 999)",
    "an altered row": "UPDATE {table} SET note = note || ' ' WHERE id = 500",
    "two rows changed over": (
        "UPDATE {table} SET __connect_offset = CASE id WHEN 500 THEN 42 ELSE 41 END"
        " WHERE id IN (500, 512)"
    ),
    "a wrong order": (
        "WITH gone AS (DELETE FROM {table} WHERE id = 500 RETURNING *) INSERT INTO {table}"
        " (id, user_id, source, amount, created_at, paid, currency, note,"
        " __connect_partition, __connect_offset) SELECT id, user_id, source, amount, created_at,"
        " paid, currency, note, __connect_partition, __connect_offset FROM gone"
    ),
    "a position behind": "UPDATE pgsluice.offsets SET next_offset = next_offset - 1 WHERE sink = '{sink}'",
    "a lost dead letter": "DELETE FROM pgsluice.dead_letters WHERE sink = '{sink}' AND record_offset = 8",
}


@pytest.fixture(scope="module")
def delivered(kafka3, postgres):
    """The names of a topic, and of the table and sink that hold it."""
    names = Names.unique("delivered")
    kafka3.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    kafka3.produce_orders(names.topic, 1_200, poison_every=100)
    with Sink(kafka3, postgres, topics=names.topic, group=names.group) as sink:
        sink.wait_until_caught_up(names.topic)
        assert sink.terminate() == 0
    return names


@pytest.mark.parametrize("what", BREAKS)
def test_the_check_notices(what, delivered, kafka3, postgres, names):
    """The tests here are worth what history.py notices. Each breaks a copy."""
    table, sink = names.table, names.group
    postgres.query(f"CREATE TABLE {table} (LIKE {delivered.table} INCLUDING ALL)")
    postgres.query(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE {delivered.table}")
    postgres.query(f"ALTER TABLE {table} ALTER inserted RESTART WITH 1000000")
    for system in ("offsets", "dead_letters"):
        columns = ", ".join(
            row[0]
            for row in postgres.query(
                "SELECT attname FROM pg_attribute WHERE attnum > 0 AND attname NOT IN ('sink', 'id')"
                f" AND attrelid = 'pgsluice.{system}'::regclass"
            )
        )
        postgres.query(
            f"INSERT INTO pgsluice.{system} (sink, {columns})"
            f" SELECT '{sink}', {columns} FROM pgsluice.{system} WHERE sink = '{delivered.group}'"
        )
    history.assert_exactly_once(kafka3, delivered.topic, postgres, table, sink=sink)
    history.assert_prefix(postgres, sink, delivered.topic, table)

    postgres.query(BREAKS[what].format(table=table, sink=sink))
    with pytest.raises(AssertionError) as noticed:
        history.assert_exactly_once(kafka3, delivered.topic, postgres, table, sink=sink)
    print(f"{what}: {noticed.value}")
