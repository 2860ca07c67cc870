"""SINK_DELIVERY=at_least_once, where a sink starts, and what it subscribes to."""

import random

import history
import pytest
from cluster import Record
from confluent_kafka import TopicPartition
from faults import CONSUMER_PROTOCOL, IMPATIENT, let_pass, slow_flushes
from load import Load, order_texts

PARTITIONS = 12
SEED = 20260802
AT_LEAST_ONCE = {"SINK_DELIVERY": "at_least_once"}


@pytest.fixture
def table(kafka1, postgres, names):
    kafka1.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    return names.table


def rows(postgres, table):
    return postgres.scalar(f"SELECT count(*) FROM {table}")


def wait_for_rows(sink, table, count):
    sink.wait_for(
        lambda: rows(sink.postgres, table) >= count, 60, f"{count} rows in {table}", interval_s=0.02
    )


def distinct_rows(postgres, table):
    return postgres.scalar(
        f"SELECT count(*) FROM (SELECT DISTINCT __connect_partition, __connect_offset FROM {table}) r"
    )


def assert_complete(kafka, postgres, topic, table):
    """Every record is there; returns how many rows came more than once."""
    ends = kafka.end_offsets(topic)
    return history.assert_complete(
        postgres, "", topic, table, dict.fromkeys(ends, 0), ends, duplicates=True
    )


# --- At least once --------------------------------------------------------------------------------


def test_a_clean_stop_doubles_nothing(kafka1, postgres, names, table, start_sink):
    """It starts again where the group's offsets in Kafka say; PostgreSQL holds no positions."""
    kafka1.produce_orders(names.topic, 60_000)
    sink = start_sink(kafka1, env=AT_LEAST_ONCE)
    wait_for_rows(sink, table, 60_000)
    assert sink.terminate() == 0
    assert kafka1.group_lag(names.group) == 0, "Kafka was not told at the end"
    kafka1.produce_orders(names.topic, 40_000, first=1_000_000)
    sink.start()
    wait_for_rows(sink, table, 100_000)
    assert sink.terminate() == 0
    assert sink.positions(names.topic) == {}, "positions are kept in PostgreSQL, too"
    history.assert_exactly_once(kafka1, names.topic, postgres, table)


def test_kills_lose_nothing(kafka1, postgres, names, table, start_sink):
    """Rows come again when it was killed before Kafka was told of them."""
    rng = random.Random(SEED)
    slow_flushes(postgres, table, before_ms=20, after_ms=20)
    sink = start_sink(kafka1, env={**AT_LEAST_ONCE, **IMPATIENT, "SINK_POOL_MAX": 3})
    with Load(kafka1, names.topic, rate=15_000) as load:
        for _ in range(6):
            before = rows(postgres, table)
            wait_for_rows(sink, table, before + 1)
            let_pass(rng.uniform(0, 0.5))
            sink.kill()
            sink.start()
        load.stop()
    total = sum(kafka1.end_offsets(names.topic).values())
    sink.wait_for(
        lambda: distinct_rows(postgres, table) >= total, 60, f"{total} records in {table}"
    )
    assert sink.terminate() == 0
    surplus = assert_complete(kafka1, postgres, names.topic, table)
    print(f"{total} records, {surplus} rows more than once")
    assert surplus > 0, "no row came twice: the kills did not test anything"


def test_an_outage_of_postgres_loses_nothing(kafka1, own_postgres, names, start_sink):
    """With at_least_once a commit has to be on PostgreSQL's disk before Kafka is told of it."""
    postgres = own_postgres
    kafka1.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    slow_flushes(postgres, names.table, before_ms=10, after_ms=10)
    sink = start_sink(kafka1, postgres=postgres, env=AT_LEAST_ONCE)
    with Load(kafka1, names.topic, rate=15_000) as load:
        for _ in range(3):
            before = rows(postgres, names.table)
            wait_for_rows(sink, names.table, before + 20_000)
            postgres.restart("immediate")
        load.stop()
    total = sum(kafka1.end_offsets(names.topic).values())
    sink.wait_for(
        lambda: distinct_rows(postgres, names.table) >= total, 60, f"{total} records in the table"
    )
    assert sink.terminate() == 0
    surplus = assert_complete(kafka1, postgres, names.topic, names.table)
    print(f"{total} records, {surplus} rows more than once")


# --- Where it starts ------------------------------------------------------------------------------


def wait_until_claimed(sink, topic):
    sink.wait_for(lambda: len(sink.positions(topic)) == PARTITIONS, 30, "all partitions claimed")


def test_start_latest_begins_at_the_end(kafka1, postgres, names, table, start_sink):
    kafka1.produce_orders(names.topic, 12_000)
    starts = kafka1.end_offsets(names.topic)
    sink = start_sink(kafka1, env={"SINK_START": "latest"})
    wait_until_claimed(sink, names.topic)
    assert sink.positions(names.topic) == starts
    kafka1.produce_orders(names.topic, 6_000, first=1_000_000)
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(
        kafka1, names.topic, postgres, table, sink=sink.name, starts=starts
    )
    assert sink.terminate() == 0
    kafka1.produce_orders(names.topic, 6_000, first=2_000_000)
    sink.start()
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(
        kafka1, names.topic, postgres, table, sink=sink.name, starts=starts
    )


def test_start_committed_begins_at_the_groups_offsets(kafka1, postgres, names, table, start_sink):
    """Where another sink of the same group has stopped; a partition without an offset from 0."""
    kafka1.produce_orders(names.topic, 12_000)
    starts = {partition: 90 * partition for partition in range(PARTITIONS)}
    consumer = kafka1.consumer(**{"group.id": names.group})
    consumer.commit(
        offsets=[TopicPartition(names.topic, p, at) for p, at in starts.items() if at],
        asynchronous=False,
    )
    consumer.close()
    sink = start_sink(kafka1, env={"SINK_START": "committed"})
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(
        kafka1, names.topic, postgres, table, sink=sink.name, starts=starts
    )


def test_start_earliest_does_not_heed_the_groups_offsets(kafka1, postgres, names, table, start_sink):
    """PostgreSQL alone says what it holds: here nothing."""
    kafka1.produce_orders(names.topic, 12_000)
    consumer = kafka1.consumer(**{"group.id": names.group})
    consumer.commit(
        offsets=[TopicPartition(names.topic, p, 900) for p in range(PARTITIONS)], asynchronous=False
    )
    consumer.close()
    sink = start_sink(kafka1, env={"SINK_START": "earliest"})
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka1, names.topic, postgres, table, sink=sink.name)


# --- What it subscribes to ------------------------------------------------------------------------


def produce(kafka, topic, count, first):
    kafka.produce(topic, [Record(text.encode()) for text in order_texts(first, count)])


def add_topic(kafka, postgres, name, first):
    history.create_table(postgres, name)
    kafka.create_topic(name, 3)
    produce(kafka, name, 2_000, first)
    return name


def test_several_topics_go_to_their_tables(kafka1, postgres, names, start_sink):
    topics = [f"{names.topic}_{word}" for word in ("a", "b", "c")]
    for number, topic in enumerate(topics):
        add_topic(kafka1, postgres, topic, number * 10_000)
    sink = start_sink(kafka1, topics=", ".join(topics))
    for topic in topics:
        sink.wait_until_caught_up(topic)
        history.assert_exactly_once(kafka1, topic, postgres, topic, sink=sink.name)
    assert sink.terminate() == 0


def test_several_topics_go_to_one_table(kafka1, postgres, names, start_sink):
    """Each row says by __connect_topic where it came from."""
    topics = [f"{names.topic}_{word}" for word in ("a", "b")]
    history.create_table(postgres, names.table)
    postgres.query(f"ALTER TABLE {names.table} ADD COLUMN __connect_topic text")
    for number, topic in enumerate(topics):
        kafka1.create_topic(topic, 3)
        produce(kafka1, topic, 2_000, number * 10_000)
    sink = start_sink(kafka1, topics=",".join(topics), env={"SINK_TABLE": names.table})
    for topic in topics:
        sink.wait_until_caught_up(topic)
    assert sink.terminate() == 0
    for topic in topics:
        view = f"{topic}_rows"
        postgres.query(
            f"CREATE VIEW {view} AS SELECT * FROM {names.table} WHERE __connect_topic = '{topic}'"
        )
        history.assert_exactly_once(kafka1, topic, postgres, view, sink=sink.name)
    assert rows(postgres, names.table) == 4_000


@pytest.mark.parametrize("assignor", ("cooperative-sticky", "range", "consumer"))
def test_a_new_topic_that_matches_is_read(assignor, kafka1, postgres, names, start_sink):
    """A regular expression, and a topic that is created while the sink runs; others are not touched."""
    env = {"KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": 1_000}
    if assignor == "consumer":
        env.update(CONSUMER_PROTOCOL)
    else:
        env["KAFKA_PARTITION_ASSIGNMENT_STRATEGY"] = assignor
    first = add_topic(kafka1, postgres, f"{names.topic}_orders_1", 0)
    other = f"other_{names.topic}_orders"
    kafka1.create_topic(other, 1)
    sink = start_sink(kafka1, topics=f"^{names.topic}_orders_.*", env=env)
    sink.wait_until_caught_up(first)

    second = add_topic(kafka1, postgres, f"{names.topic}_orders_2", 10_000)
    produce(kafka1, first, 2_000, 20_000)
    for topic in (first, second):
        sink.wait_until_caught_up(topic)
        history.assert_exactly_once(kafka1, topic, postgres, topic, sink=sink.name)
    assert sink.positions(other) == {}, "a topic that does not match was read"
    assert sink.terminate() == 0


def test_new_partitions_are_read_from_their_first_record(kafka1, postgres, names, table, start_sink):
    """Also what came before the sink had noticed them."""
    env = {"KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": 1_000}
    kafka1.produce_orders(names.topic, 12_000)
    sink = start_sink(kafka1, env=env)
    sink.wait_until_caught_up(names.topic)
    kafka1.add_partitions(names.topic, PARTITIONS + 4)
    kafka1.produce_orders(names.topic, 16_000, first=1_000_000)
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka1, names.topic, postgres, table, sink=sink.name)
    assert sink.terminate() == 0


@pytest.mark.parametrize("delivery", ("exactly_once", "at_least_once"))
def test_new_partitions_are_read_from_their_first_record_after_a_start_at_latest(
    delivery, kafka1, postgres, names, table, start_sink
):
    """SINK_START=latest skips what was there at the first start, and nothing else."""
    env = {
        "SINK_START": "latest",
        "SINK_DELIVERY": delivery,
        "KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": 1_000,
    }
    kafka1.produce_orders(names.topic, 6_000)
    starts = kafka1.end_offsets(names.topic)
    sink = start_sink(kafka1, env=env)
    sink.wait_for_log("fetching")
    kafka1.produce_orders(names.topic, 6_000, first=1_000_000)
    wait_for_rows(sink, names.table, 6_000)
    assert sink.terminate() == 0

    kafka1.add_partitions(names.topic, PARTITIONS + 2)
    kafka1.produce_orders(names.topic, 6_000, first=2_000_000)
    sink.start()
    wait_for_rows(sink, names.table, 12_000)

    kafka1.add_partitions(names.topic, PARTITIONS + 4)
    kafka1.produce_orders(names.topic, 6_000, first=3_000_000)
    wait_for_rows(sink, names.table, 18_000)
    ends = kafka1.end_offsets(names.topic)
    firsts = {partition: starts.get(partition, 0) for partition in ends}
    history.assert_complete(postgres, sink.name, names.topic, names.table, firsts, ends)
    assert sink.terminate() == 0
