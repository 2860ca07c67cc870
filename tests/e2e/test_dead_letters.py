"""Dead letters into a topic of a real Kafka, while the sink is killed in the midst of it."""

from __future__ import annotations

import history
import orders
import pytest
from checksum import read_topic
from dead_letters import dead_letters, header, messages, place
from wait import wait_until

PARTITIONS = 6
RECORDS = 120_000


@pytest.mark.limit(120)
def test_the_topic_has_each_at_least_once_and_the_table_exactly_once(
    kafka1, postgres, names, start_sink
):
    dead = f"{names.topic}-dead"
    kafka1.create_topic(names.topic, PARTITIONS)
    kafka1.create_topic(dead, 3)
    history.create_table(postgres, names.table)
    kafka1.produce_orders(names.topic, RECORDS, poison_every=101)
    env = {
        "SINK_DEAD_LETTERS": "both",
        "SINK_DEAD_LETTER_TOPIC": dead,
        "SINK_NAME": names.group,
        "SINK_BATCH_SIZE": 500,
        "SINK_POOL_MAX": 2,
    }
    for kill in range(2):
        # Another group, so that nobody waits for the dead member's session.
        sink = start_sink(kafka1, group=f"{names.group}-{kill}", env=env)
        before = sum(kafka1.end_offsets(dead).values())
        wait_until(lambda: sum(kafka1.end_offsets(dead).values()) > before, 30, "dead letters")
        sink.kill()
    sink = start_sink(kafka1, group=f"{names.group}-last", env=env)
    sink.wait_until_caught_up(names.topic)

    history.assert_exactly_once(kafka1, names.topic, postgres, names.table, sink=sink.name)
    poison = {
        (names.topic, record.partition, record.offset): record.value
        for record in read_topic(kafka1, names.topic)
        if orders.parse(record.value) is None
    }
    found = messages(kafka1, dead)
    assert {place(message) for message in found} == set(poison)
    for message in found:
        assert message.value() == poison[place(message)]
        assert header(message, "__connect.errors.connector.name") == sink.name
        assert header(message, "__connect.errors.stage") == "VALUE_CONVERTER"
    letters = dead_letters(postgres, sink.name)
    assert {(one.topic, one.partition, one.offset) for one in letters} == set(poison)
    print(f"{len(poison)} dead letters, {len(found) - len(poison)} of them twice in the topic")
    assert sink.terminate() == 0
