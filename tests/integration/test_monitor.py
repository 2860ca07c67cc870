"""What metrics and JSON say of a sink at work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable

import dashboard
import pytest
from fixtures import Names
from http_client import SERVED, Web
from mock import MockKafka
from postgres import Postgres
from sink import Sink

ENV = {**SERVED, "SINK_LAG_INTERVAL_MS": 500}


def orders(count: int, first: int = 0) -> list[bytes]:
    return [json.dumps({"id": number}).encode() for number in range(first, first + count)]


@pytest.fixture
def running(mock: MockKafka, postgres: Postgres, names: Names, start_sink: Callable[..., Sink]) -> Callable[..., Sink]:
    """running(**env) -> a sink of a topic with three partitions, ready."""

    def start(**env: Any) -> Sink:
        mock.create_topic(names.topic, 3)
        postgres.query(f"CREATE TABLE {names.topic} (id int)")
        sink = start_sink(mock, env={**ENV, **env})
        Web(sink).wait_until_ready()
        return sink

    return start


def test_counters_move(running: Callable[..., Sink], mock: MockKafka, names: Names) -> None:
    sink = running(SINK_BATCH_SIZE=10, SINK_BATCH_TIMEOUT_MS=1000)  # so that ten come together
    web = Web(sink)
    values = [*orders(25), b"not json"]
    mock.produce_values(names.topic, 0, values)
    topic = f'topic="{names.topic}"'
    table = f'table="{names.topic}"'
    sink.wait_for(lambda: web.metric(f"pgsluice_dead_letters_total{{{topic}}}") == 1, what="a dead letter")
    metrics = web.metrics()
    # Records are read again for their headers, at the first dead letter.
    assert metrics[f"pgsluice_consumer_records_total{{{topic}}}"] >= 26
    assert metrics[f'pgsluice_rows_written_total{{{table},op="insert"}}'] == 25
    assert metrics[f'pgsluice_records_failed_total{{{topic},stage="decode"}}'] == 1
    assert metrics['pgsluice_flushes_total{trigger="records"}'] >= 2
    assert metrics['pgsluice_flushes_total{trigger="linger"}'] >= 1
    assert metrics["pgsluice_batch_records_count"] >= 3
    assert metrics[f"pgsluice_record_latency_seconds_count{{{topic}}}"] == 26
    assert metrics[f'pgsluice_batches_total{{{table},result="committed"}}'] >= 3
    flushes = metrics['pgsluice_flush_duration_seconds_count{stage="total"}']
    assert flushes == metrics['pgsluice_offset_commits_total{store="postgres",result="success"}'] > 0
    assert metrics["pgsluice_last_commit_timestamp_seconds"] > 1.7e9
    assert metrics['pgsluice_pg_connects_total{result="success"}'] >= 1
    assert metrics['pgsluice_consumer_rebalances_total{kind="assign"}'] >= 1
    assert metrics[f"pgsluice_topic_partitions{{{topic}}}"] == 3
    assert metrics["process_resident_memory_bytes"] > 1e6
    assert metrics["process_open_fds"] > 5
    sink.wait_for(
        lambda: web.metric('pgsluice_offset_commits_total{store="kafka",result="success"}') > 0,
        what="Kafka told",
    )


def test_failures_are_counted(running: Callable[..., Sink], mock: MockKafka, names: Names, postgres: Postgres) -> None:
    """A refused row, and a table that is away."""
    sink = running()
    web = Web(sink)
    postgres.query(f"ALTER TABLE {names.topic} ADD CHECK (id < 1000)")
    mock.produce_values(names.topic, 0, orders(3, first=999))
    refused = f'pgsluice_records_failed_total{{topic="{names.topic}",stage="write"}}'
    sink.wait_for(lambda: web.metric(refused) == 2, what="refused")
    assert web.metric('pgsluice_pg_errors_total{sqlstate_class="23"}') >= 1
    postgres.query(f"ALTER TABLE {names.topic} RENAME TO {names.topic}_gone")
    mock.produce_values(names.topic, 1, orders(1))
    halted = 'pgsluice_consumer_paused_partitions{reason="retry"}'
    sink.wait_for(lambda: web.metric(halted) == 1, what="halted")
    (task,) = [task for task in web.json("/status")["tasks"] if task["state"] == "FAILED"]
    assert task["partition"] == 1
    assert names.topic in task["trace"]
    status = web.json("/status")
    assert status["state"] == "FAILED"
    assert status["last_error"] == status["errors"][0]
    assert any(error["sqlstate"] and error["partition"] == 1 for error in status["errors"])


def test_lag_while_it_drains_and_when_it_is_caught_up(
    running: Callable[..., Sink], mock: MockKafka, names: Names, postgres: Postgres
) -> None:
    """While the table is locked, records wait; their lag is known though nothing moves."""
    sink = running()
    web = Web(sink)
    lag = f'pgsluice_consumer_lag_records{{topic="{names.topic}",partition="0"}}'
    seconds = f'pgsluice_consumer_lag_seconds{{topic="{names.topic}",partition="0"}}'
    sink.wait_for(lambda: web.metrics().get(lag) == 0, what="no lag")
    with postgres.connect() as holder:
        holder.autocommit = False
        holder.execute(f"LOCK TABLE {names.topic}")
        mock.produce_values(names.topic, 0, orders(50))
        sink.wait_for(lambda: web.metric(lag) == 50, what="lag")
        sink.wait_for(lambda: web.metric(seconds) > 0, what="age")
        sink.wait_for(lambda: web.json("/lag")["total"] == 50, what="told so everywhere")
        holder.rollback()
    sink.wait_for(lambda: web.metric(lag) == 0, what="caught up")
    assert web.metric(seconds) == 0
    sink.wait_for(lambda: web.json("/lag")["total"] == 0, what="told so everywhere")
    answer = web.json("/lag")
    assert [one["end"] for one in answer["partitions"] if one["partition"] == 0] == [50]
    assert web.metric("pgsluice_consumer_lag_refresh_timestamp_seconds") > 1.7e9


def test_what_waits_in_librdkafka(
    running: Callable[..., Sink], mock: MockKafka, names: Names, postgres: Postgres
) -> None:
    """Three megabytes behind a locked table, where one is held here."""
    sink = running(SINK_MEMORY_LIMIT="16MiB", SINK_BATCH_BYTES="64KiB", SINK_POOL_MAX=1)
    web = Web(sink)
    with postgres.connect() as holder:
        holder.autocommit = False
        holder.execute(f"LOCK TABLE {names.topic}")
        mock.produce_values(names.topic, 0, [b'{"id": 1, "unknown": "%s"}' % (b"x" * 10_000)] * 300)
        waiting = 'pgsluice_consumer_paused_partitions{reason="backpressure"}'
        sink.wait_for(lambda: web.metric(waiting) == 3, what="reading waits")
        sink.wait_for(lambda: web.metric("pgsluice_consumer_queue_bytes") > 100_000, what="fetched ahead")
        holder.rollback()
    sink.wait_for(lambda: web.metric("pgsluice_consumer_queue_bytes") == 0, what="all taken")
    waits = web.metric('pgsluice_flush_duration_seconds_count{stage="wait"}')
    assert waits == web.metric("pgsluice_pg_connection_wait_seconds_count") > 0


def test_lag_by_the_name_that_kafka_exporter_gives_it(running: Callable[..., Sink], names: Names) -> None:
    web = Web(running(SINK_KAFKA_EXPORTER_NAMES="on"))
    lag = f'kafka_consumergroup_lag{{topic="{names.topic}",partition="2",consumergroup="{names.group}"}}'
    web.sink.wait_for(lambda: web.metrics().get(lag) == 0, what="lag")


def test_json_answers(running: Callable[..., Sink], mock: MockKafka, names: Names) -> None:
    sink = running(KAFKA_SASL_PASSWORD="s3ntinel")
    web = Web(sink)
    mock.produce_values(names.topic, 0, orders(3000))
    mock.produce_values(names.topic, 1, orders(10))
    sink.wait_until_caught_up(names.topic, ends={0: 3000, 1: 10})
    (topic,) = web.json("/assignment")["topics"]
    assert sorted(topic["assigned"]) == [0, 1, 2]
    sink.wait_for(lambda: web.json("/distribution")["records"] == 3010, what="all counted")
    partitions = {one["partition"]: one for one in web.json("/distribution")["partitions"]}
    assert [partitions[number]["hot"] for number in range(3)] == [True, False, False]
    settings = web.get("/config").body
    assert "kafka_consumergroup_lag" not in web.get("/metrics").body
    assert json.loads(settings)["KAFKA_GROUP_ID"] == names.group
    assert "s3ntinel" not in settings
    status = web.json("/status")
    assert status["state"] == "RUNNING"
    assert {task["id"] for task in status["tasks"]} == {f"{names.topic}/{n}" for n in range(3)}
    assert status["totals"]["rows"] == 3010
    assert all(check["ok"] for check in status["checks"].values())
    assert web.json("/version")["version"]


def test_kafka_is_away(running: Callable[..., Sink], mock: MockKafka) -> None:
    """Whoever asks is answered, and told."""
    sink = running()
    web = Web(sink)
    mock.broker_down()
    sink.wait_for(lambda: web.metric('pgsluice_check_ok{check="kafka"}') == 0, 60, "Kafka away")
    assert web.get("/livez").status == 200
    assert web.json("/status")["checks"]["kafka"]["ok"] is False


def test_an_idle_replica_has_empty_lists(
    mock: MockKafka, postgres: Postgres, names: Names, start_sink: Callable[..., Sink]
) -> None:
    mock.create_topic(names.topic, 1)
    postgres.query(f"CREATE TABLE {names.topic} (id int)")
    webs = [Web(start_sink(mock, env=ENV)) for _ in range(2)]
    for web in webs:
        web.wait_until_ready()
    idle = next(web for web in webs if not web.json("/status")["tasks"])
    assert idle.json("/status")["state"] == "UNASSIGNED"
    assert idle.json("/lag") == {"group": names.group, "refreshed": None, "total": None, "partitions": []}
    assert idle.json("/distribution") == {"records": 0, "partitions": []}


def test_every_metric_of_alerts_and_dashboard_is_there(running: Callable[..., Sink]) -> None:
    text = Web(running()).get("/metrics").body
    families = re.findall(r"^# TYPE (\S+) ", text, re.M)
    assert len(families) == len(set(families))
    rules = Path(__file__).parents[2] / "helm/pgsluice/files/alerts.yml"
    own_records = r"^ *- record: .*|topic_partition:\S+|job\S*:pgsluice\S+"
    used = dashboard.metrics(re.sub(own_records, "", rules.read_text(), flags=re.M))
    for _, expression in dashboard.queries(dashboard.load()):
        used |= dashboard.metrics(expression)
    missing = used - set(families)
    assert all(name.startswith("pgsluice_backfill_") for name in missing)  # e2e/test_alerts.py sees that they are there
