"""SINK_DEAD_LETTERS=topic and both: what the topic gets, and when; and the breaker that ends it."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest
from cluster import Cluster, Record
from dead_letters import dead_letters, header, messages, place
from mock import MockKafka
from postgres import Postgres
from sink import Sink
from wait import wait_until

SENTINEL = "S3NTINEL"
HALTED_S = 30.0  # a halted partition is tried again after 2.5 to 5 s, then after 5 to 10
PRODUCE, NOT_ENOUGH_REPLICAS, TOPIC_AUTHORIZATION_FAILED = 0, 19, 29

ORDERS = "CREATE TABLE orders (id int, note text, n int CONSTRAINT n_small CHECK (n < 10))"
TOPIC = {"SINK_DEAD_LETTERS": "topic", "SINK_DEAD_LETTER_TOPIC": "dead"}
BOTH = {**TOPIC, "SINK_DEAD_LETTERS": "both"}


def order(number: int, **fields: Any) -> bytes:
    return json.dumps({"id": number, **fields}).encode()


def count(cluster: Cluster, topic: str = "dead") -> int:
    return sum(end - first for first, end in cluster.watermarks(topic).values())


def halts(sink: Sink) -> list[dict[str, Any]]:
    return [line for line in sink.log_lines() if line["event"] == "partition halted"]


def ids(database: Postgres) -> list[int]:
    return [row[0] for row in database.query("SELECT id FROM orders ORDER BY id")]


@pytest.fixture
def run(start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres) -> Callable[..., Sink]:
    """A sink on the test's database."""

    def start(**env: object) -> Sink:
        return start_sink(mock, topics="orders", postgres=database, env=env)

    return start


def set_up(mock: MockKafka, database: Postgres, partitions: int = 1) -> None:
    database.query(ORDERS)
    mock.create_topic("orders", partitions)
    mock.create_topic("dead", 3)


BAD: dict[bytes | None, tuple[str, str | None, str | None, str]] = {
    # value: stage, SQLSTATE, column, what the message says
    b"not json " + SENTINEL.encode(): ("VALUE_CONVERTER", None, None, "JSON"),
    None: ("VALUE_CONVERTER", None, None, "tombstone"),
    b"": ("VALUE_CONVERTER", None, None, ""),
    order(1, n=2**40): ("TASK_PUT", None, "n", "range"),
    order(2, n=10): ("TASK_PUT", "23514", None, "n_small"),
    order(3, n=11, note=SENTINEL): ("TASK_PUT", "23514", None, "n_small"),
}


@pytest.mark.parametrize("mode", ["topic", "both"])
def test_records_arrive_whole_and_say_why(
    mode: str, run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    set_up(mock, database)
    headers = (("trace", b"abc"), ("raw", b"\xff\0"), ("none", None), ("trace", b"2"))
    records = []
    for i, value in enumerate(BAD):
        records.append(Record(order(100 + i), b"good", 0))
        key = None if i == 0 else b"" if i == 1 else b"\0\xff%d" % i
        records.append(Record(value, key, 0, headers if i % 2 else (), 1_700_000_000_000 + i))
    mock.produce("orders", records)
    sink = run(**TOPIC, SINK_LOG_LEVEL="debug") if mode == "topic" else run(**BOTH)
    sink.wait_until_caught_up("orders")

    found = messages(mock, "dead")
    assert [place(message) for message in found] == [
        ("orders", 0, i * 2 + 1) for i in range(len(BAD))
    ]
    for i, (message, (stage, sqlstate, column, says)) in enumerate(zip(found, BAD.values())):
        record = records[i * 2 + 1]
        assert (message.value(), message.key()) == (record.value, record.key)
        assert message.timestamp()[1] == record.timestamp_ms
        assert tuple((message.headers() or [])[: len(record.headers)]) == record.headers
        assert header(message, "__connect.errors.connector.name") == sink.name
        assert header(message, "__connect.errors.task.id") == "sink-1"
        assert header(message, "__connect.errors.stage") == stage
        assert says in (header(message, "__connect.errors.exception.message") or "")
        assert header(message, "pgsluice.sqlstate") == sqlstate
        assert header(message, "pgsluice.column") == column
        assert header(message, "pgsluice.table") == '"public"."orders"'
    letters = dead_letters(database, sink.name)
    assert len(letters) == (len(BAD) if mode == "both" else 0)
    assert ids(database) == [100 + i for i in range(len(BAD))]
    assert sink.terminate() == 0
    assert SENTINEL not in sink.log_text()


def test_many_dead_letters_of_many_batches(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """More than is on its way at once, from several partitions, each once."""
    set_up(mock, database, 4)
    for partition in range(4):
        values = [b"x" * 4000 if i % 3 == 0 else order(i) for i in range(900)]
        mock.produce("orders", [Record(value, None, partition) for value in values])
    sink = run(**BOTH, SINK_BATCH_SIZE=100, SINK_MEMORY_LIMIT="16MiB")
    sink.wait_until_caught_up("orders")
    expected = [("orders", partition, i) for partition in range(4) for i in range(0, 900, 3)]
    assert [place(message) for message in messages(mock, "dead")] == expected
    assert len(dead_letters(database, sink.name)) == len(expected)
    assert len(ids(database)) == 4 * 600
    assert sink.terminate() == 0


def test_an_outage_of_the_topic_is_waited_out(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Partitions with dead letters wait, others go on; nothing is lost, and nothing comes twice."""
    set_up(mock, database, 2)
    mock.produce("orders", [Record(order(i), None, 0) for i in range(5)])
    mock.produce("orders", [Record(b"bad", None, 1), Record(order(5), None, 1)])
    mock.request_errors(PRODUCE, NOT_ENOUGH_REPLICAS, 10_000)
    sink = run(**BOTH)
    sink.wait_until_caught_up("orders", ends={0: 5})
    sink.wait_for_log("dead letters wait for their topic")
    assert sink.positions("orders") == {0: 5, 1: 0}
    assert count(mock) == 0
    mock.clear_request_errors(PRODUCE)
    sink.wait_until_caught_up("orders")
    assert [place(message) for message in messages(mock, "dead")] == [("orders", 1, 0)]
    assert [letter.offset for letter in dead_letters(database, sink.name)] == [0]
    assert ids(database) == list(range(6))
    assert halts(sink) == []
    assert sink.terminate() == 0


def test_a_stop_does_not_wait_for_the_topic(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    set_up(mock, database)
    mock.produce("orders", [Record(b"bad", None, 0), Record(order(1), None, 0)])
    mock.request_errors(PRODUCE, NOT_ENOUGH_REPLICAS, 10_000)
    sink = run(**TOPIC, SINK_DRAIN_TIMEOUT_MS=1000, SINK_LOG_LEVEL="debug")
    sink.wait_for_log("dead letters to their topic")
    assert sink.terminate() == 0
    assert sink.positions("orders") == {0: 0}
    mock.clear_request_errors(PRODUCE)
    sink.start()
    sink.wait_until_caught_up("orders")
    assert {place(message) for message in messages(mock, "dead")} == {("orders", 0, 0)}
    assert ids(database) == [1]
    assert sink.terminate() == 0


def test_what_the_topic_refuses_halts_the_partition(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    set_up(mock, database, 2)
    mock.produce("orders", [Record(order(1), None, 0), Record(b"bad", None, 0)])
    mock.produce("orders", [Record(order(2), None, 1)])
    mock.request_errors(PRODUCE, TOPIC_AUTHORIZATION_FAILED, 1)
    sink = run(**TOPIC)
    sink.wait_for(lambda: halts(sink), what="halt")
    for part in ("SINK_DEAD_LETTER_TOPIC", "dead", "uthorization"):
        assert part in halts(sink)[0]["reason"]
    assert halts(sink)[0]["partition"] == 0
    sink.wait_until_caught_up("orders", HALTED_S)
    assert [place(message) for message in messages(mock, "dead")] == [("orders", 0, 1)]
    assert ids(database) == [1, 2]
    assert sink.terminate() == 0


def test_a_crash_before_the_commit_repeats_them_in_the_topic_alone(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """The topic has a dead letter at least once, the table exactly once."""
    set_up(mock, database)
    mock.produce("orders", [Record(order(1), None, 0), Record(b"bad", None, 0)])
    sinks = []

    def start() -> Sink:
        """In a group of its own, so that nobody waits for the dead member's session."""
        group = f"group-{len(sinks)}"
        env = {**BOTH, "SINK_NAME": "one"}
        sinks.append(start_sink(mock, topics="orders", postgres=database, group=group, env=env))
        return sinks[-1]

    with database.connect(autocommit=False) as lock:
        lock.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        sink = start()
        wait_until(lambda: count(mock) == 1, 30, "the dead letter in its topic")
        sink.kill()
        assert sink.positions("orders") == {0: 0}
    sink = start()
    sink.wait_until_caught_up("orders")
    assert [place(message) for message in messages(mock, "dead")] == [("orders", 0, 1)] * 2
    assert [letter.offset for letter in dead_letters(database, sink.name)] == [1]
    assert ids(database) == [1]
    assert sink.terminate() == 0


@pytest.mark.parametrize(
    "env, says",
    [
        ({"SINK_DEAD_LETTER_TOPIC": "missing"}, "or SINK_DEAD_LETTER_TOPIC"),
        ({"SINK_DEAD_LETTER_TOPIC": "orders"}, "is one of SINK_TOPICS"),
        ({"SINK_TOPICS": "^(orders|dea.)$"}, "is one of SINK_TOPICS"),
    ],
)
def test_a_topic_that_can_not_be_used_is_refused_at_the_start(
    env: dict[str, str], says: str, run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    set_up(mock, database)
    sink = run(**{**TOPIC, **env})
    assert sink.wait_exit() == 78
    assert says in sink.log_text()


# Neither table nor topic


def test_off_halts_with_place_code_and_column(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    set_up(mock, database, 2)
    mock.produce("orders", [Record(order(1), None, 0), Record(order(2, n=2**40), None, 0)])
    mock.produce("orders", [Record(order(3), None, 1), Record(order(4, n=10), None, 1)])
    sink = run(SINK_DEAD_LETTERS="off")
    sink.wait_for(lambda: len(halts(sink)) >= 2, what="two halts")
    by_partition = {halt["partition"]: halt for halt in halts(sink)}
    assert by_partition[0]["column"] == "n" and "orders[0]@1" in by_partition[0]["reason"]
    assert by_partition[1]["sqlstate"] == "23514" and "orders[1]@1" in by_partition[1]["reason"]
    assert ids(database) == [1, 3]
    assert dead_letters(database, sink.name) == []
    assert sink.terminate() == 0


# The breaker


def test_too_many_dead_letters_halt_the_partition(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Nothing of what went too far is buried; when the cause is mended, all of it are rows."""
    database.query("CREATE TABLE orders (id int, note varchar(3))")
    mock.create_topic("orders", 2)
    long = [Record(order(i, note="long"), None, 0) for i in range(100, 120)]
    mock.produce("orders", [Record(order(i), None, 0) for i in range(100)] + long)
    mock.produce("orders", [Record(order(i), None, 1) for i in range(200, 300)])
    mock.produce("orders", [Record(b"bad", None, 1)] * 10)
    sink = run(SINK_DEAD_LETTER_MAX_SHARE=10, SINK_DEAD_LETTER_WINDOW=100, SINK_BATCH_SIZE=10)
    sink.wait_until_caught_up("orders", ends={1: 110})
    sink.wait_for(lambda: halts(sink), what="halt")
    halt = halts(sink)[0]
    for part in ("orders[0]@110", '"note"', "10 % of 100", "SINK_DEAD_LETTER_MAX_SHARE"):
        assert part in halt["reason"], halt["reason"]
    sink.wait_for(lambda: sink.positions("orders")[0] in (100, 110), what="position")
    letters = [letter for letter in dead_letters(database, sink.name) if letter.partition == 0]
    assert len(letters) == sink.positions("orders")[0] - 100
    database.query("ALTER TABLE orders ALTER note TYPE text")
    sink.wait_until_caught_up("orders", HALTED_S)
    assert len(ids(database)) == 200 + 20 - len(letters)
    assert sink.terminate() == 0
