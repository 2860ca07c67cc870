"""Records of transactions, with a marker behind each, come through rebalances without a gap."""

import checksum
import history
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import NewTopic
from faults import IMPATIENT, group_of, let_pass
from load import order_texts
from wait import wait_until

TRANSACTIONS = 1_000
RECORDS = 20  # in each
# Little is read ahead, so that much lies in librdkafka's queue.
ENV = {**IMPATIENT, "SINK_POOL_MAX": 1, "SINK_BATCH_SIZE": 100, "SINK_BATCH_BYTES": "16KiB"}


def create_topic_on(kafka, topic, broker):
    """One partition, on this broker alone."""
    kafka.admin.create_topics([NewTopic(topic, 1, replica_assignment=[[broker]])])[topic].result(30)
    kafka.wait_for_leaders(topic, 1)


def produce(kafka, topic, name, transactions, first=0):
    producer = Producer(kafka.client_conf(**{"transactional.id": name}))
    producer.init_transactions(30)
    texts = order_texts(first, transactions * RECORDS)
    for _ in range(transactions):
        producer.begin_transaction()
        for _ in range(RECORDS):
            producer.produce(topic, next(texts).encode())
        producer.commit_transaction(30)


def visit(kafka, group, topic):
    """A stranger joins the group and leaves it: two rebalances. The topic is the stranger's alone."""
    conf = {"group.id": group, "partition.assignment.strategy": "cooperative-sticky"}
    stranger = Consumer(kafka.client_conf(**conf))
    stranger.subscribe([topic])
    wait_until(lambda: stranger.poll(0.1) or stranger.assignment(), 30, "a visit")
    stranger.close()


def wait_for_log(kafka, topic, count):
    """The offsets of so many records: a transaction is seen a moment after its commit."""

    def log():
        offsets = {record.offset for record in checksum.read_topic(kafka, topic)}
        return offsets if len(offsets) == count else None

    return wait_until(log, 60, f"{count} records are to be seen", interval_s=0.2)


@pytest.mark.limit(180)
def test_what_lies_outdated_in_a_queue_is_not_skipped(kafka3, postgres, names, start_sink):
    """Markers among it count as read to librdkafka; the next rebalance would go on behind them."""
    other = f"{names.topic}_other"
    kafka3.create_topic(other, 1)
    visit(kafka3, names.group, other)
    coordinator = group_of(kafka3, names.group).broker.id
    broker = next(node for node in kafka3.brokers if node != coordinator)
    create_topic_on(kafka3, names.topic, broker)
    produce(kafka3, names.topic, names.group, TRANSACTIONS)
    history.create_table(postgres, names.table)

    sink = start_sink(kafka3, env=ENV)
    with postgres.connect() as holder:
        sink.wait_for(lambda: sink.positions(names.topic).get(0, 0) > 0, 60, "it has begun")
        holder.execute("BEGIN")
        holder.execute(f"LOCK TABLE {names.table} IN SHARE MODE")
        let_pass(2)  # its memory and librdkafka's queue fill
        kafka3.pause(broker)
        try:
            visit(kafka3, names.group, other)
            holder.execute("COMMIT")
            let_pass(2)  # what it holds is written, what lies in the queue is dropped
            visit(kafka3, names.group, other)
        finally:
            kafka3.resume(broker)
    kafka3.wait_for_leaders(names.topic, 1)
    produce(kafka3, names.topic, names.group, 1, first=TRANSACTIONS * RECORDS)
    log = wait_for_log(kafka3, names.topic, (TRANSACTIONS + 1) * RECORDS)
    sink.wait_until_caught_up(names.topic, ends={0: max(log) + 1})
    rows = [row[0] for row in postgres.query(f"SELECT __connect_offset FROM {names.table}")]
    missing = sorted(log - set(rows))
    assert not missing, f"{len(missing)} records were skipped, {missing[0]} to {missing[-1]}"
    assert len(rows) == len(log) and set(rows) == log
    assert sink.terminate() == 0
