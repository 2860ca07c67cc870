"""A backfill while PostgreSQL or Kafka is away, with other dead letters and topics than usual, and as it is seen."""

from __future__ import annotations

import backfills
import history
import orders
import pytest
from checksum import read_topic
from dead_letters import messages, place
from faults import events, slow_flushes
from http_client import SERVED, Web

PARTITIONS = 4
RECORDS = 24_000
SMALL = {
    "SINK_POOL_MAX": 2,
    "SINK_BATCH_SIZE": 500,
    "SINK_MEMORY_LIMIT": "16MiB",
    "KAFKA_RECONNECT_BACKOFF_MAX_MS": 500,
}


def make(kafka, postgres, names):
    """More than its memory holds."""
    kafka.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    kafka.produce_orders(names.topic, RECORDS, note_bytes=1_000)
    slow_flushes(postgres, names.table, before_ms=20, after_ms=20)


def start(kafka, postgres, start_sink, env=None):
    command = "backfill --from earliest --parallel 2 --json"
    return start_sink(kafka, postgres=postgres, command=command, env={**SMALL, **(env or {})})


def start_slowly(kafka, postgres, names, start_sink):
    """It has written something when this returns."""
    make(kafka, postgres, names)
    run = start(kafka, postgres, start_sink)
    run.wait_for(lambda: backfills.written(postgres, run.name) > 0, 60, "it writes")
    return run


def assert_loaded(kafka, postgres, names, run):
    assert run.wait_exit(60) == 0
    rows = backfills.loaded(kafka, names.topic, postgres, names.table, kafka.watermarks(names.topic))
    told = backfills.summary(run)
    assert (told["state"], told["rows"], told["dead_letters"]) == ("complete", rows, 0)


def test_postgres_is_away(kafka1, own_postgres, names, start_sink):
    """It stays, and goes on by itself; what PostgreSQL has forgotten of its last commits is not counted twice."""
    run = start_slowly(kafka1, own_postgres, names, start_sink)
    own_postgres.stop("immediate")
    run.wait_for_log("PostgreSQL is away")
    own_postgres.start()
    assert_loaded(kafka1, own_postgres, names, run)
    assert sum(line["rows"] for line in events(run, "range complete")) == RECORDS


def test_a_broker_is_away(mock, postgres, names, start_sink):
    """The only one; a real one would take a third of a minute to come back."""
    run = start_slowly(mock, postgres, names, start_sink)
    mock.broker_down(1)
    run.wait_for_log("_TRANSPORT")
    mock.broker_up(1)
    assert_loaded(mock, postgres, names, run)


def test_dead_letters_go_to_a_topic(kafka1, postgres, names, start_sink):
    dead = f"{names.topic}-dead"
    kafka1.create_topic(names.topic, PARTITIONS)
    kafka1.create_topic(dead, 1)
    history.create_table(postgres, names.table)
    kafka1.produce_orders(names.topic, 2_000, poison_every=101)
    env = {"SINK_DEAD_LETTERS": "topic", "SINK_DEAD_LETTER_TOPIC": dead}
    run = start_sink(kafka1, command="backfill --from earliest --parallel 2 --json", env=env)
    assert run.wait_exit() == 65
    records = {(names.topic, r.partition, r.offset): r.value for r in read_topic(kafka1, names.topic)}
    poison = {at: value for at, value in records.items() if orders.parse(value) is None}
    found = messages(kafka1, dead)
    assert {place(message): message.value() for message in found} == poison and len(found) == len(poison)
    told = backfills.summary(run)
    assert (told["rows"], told["dead_letters"]) == (len(records) - len(poison), len(poison))
    assert postgres.scalar("SELECT count(*) FROM pgsluice.dead_letters WHERE sink = %s", [run.name]) == 0


@pytest.mark.parametrize("of", (1, 2))
def test_topics_by_a_regular_expression(of, kafka1, postgres, names, start_sink):
    """Those that are there at the first start: one that comes later is no part of it."""
    first, second, later = (f"{names.topic}-{word}" for word in ("first", "second", "later"))
    history.create_table(postgres, names.table)
    for topic in (first, second):
        kafka1.create_topic(topic, 2)
        kafka1.produce_orders(topic, 1_000)
    words = f"backfill --from earliest --json --of {of}"
    env = {"SINK_TABLE": names.table}
    for index in range(of):
        run = start_sink(kafka1, topics=f"^{names.topic}-.*", command=f"{words} --index {index}", env=env)
        assert run.wait_exit() == 0
        if index == 0:
            kafka1.create_topic(later, 2)
            kafka1.produce_orders(later, 1_000)
    assert run.start().wait_exit() == 0
    assert postgres.scalar(f"SELECT count(*) FROM {names.table}") == 2_000
    assert {one["topic"] for one in backfills.summary(run)["partitions"]} == {first, second}


def look_at(web):
    assert (web.get("/livez").status, web.get("/readyz").status) == (200, 200)
    assert web.get("/lag").status == 404, "it has none"
    status = web.json("/status")
    assert (status["mode"], status["group"]) == ("backfill", None)
    assert status["backfill"]["offsets_left"] == RECORDS
    assert len({task["id"] for task in status["tasks"]}) == 2 * PARTITIONS
    metrics = web.metrics()
    assert metrics["pgsluice_backfill_records_expected"] == RECORDS
    assert metrics["pgsluice_backfill_records_total"] == 0
    assert sum(v for name, v in metrics.items() if name.startswith("pgsluice_backfill_partitions")) == PARTITIONS
    assert metrics["pgsluice_backfill_start_timestamp_seconds"] > 1.7e9
    families = [line.split()[2] for line in web.get("/metrics").body.splitlines() if line.startswith("# TYPE")]
    assert len(families) == len(set(families))


def test_it_is_seen_by_http(kafka1, postgres, names, start_sink):
    """How far it is, and that it is ready. Where the address is taken it does without."""
    make(kafka1, postgres, names)
    with postgres.connect() as connection, connection.transaction():
        connection.execute(f"LOCK TABLE {names.table} IN SHARE MODE")
        run = start(kafka1, postgres, start_sink, SERVED)
        web = Web(run)
        loading = 'pgsluice_backfill_partitions{state="loading"}'
        run.wait_for(lambda: web.metrics().get(loading) == PARTITIONS, what="all of it is claimed")
        look_at(web)
        words = "backfill --from earliest --name other --to 0"
        taken = start_sink(kafka1, command=words, env={"SINK_HTTP_ADDRESS": f"127.0.0.1:{web.port}"})
        assert taken.wait_exit() == 0 and '"HTTP is not served"' in taken.log_text()
    assert_loaded(kafka1, postgres, names, run)
