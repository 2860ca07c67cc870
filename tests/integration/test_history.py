"""What a sink writes down about itself in PostgreSQL, and that nothing suffers from it."""

from __future__ import annotations

import re
from typing import Any, Callable

import pytest
from fixtures import Names
from http_client import SERVED, Web
from mock import MockKafka
from postgres import Postgres
from role import PAGE, make_role
from sink import Sink
from wait import wait_until

ENV = {"SINK_HISTORY_INTERVAL_MS": 200, "SINK_LAG_INTERVAL_MS": 500, **SERVED}
VIEWS = [
    "v_consumer_performance_monitor",
    "v_consumer_activity_monitoring",
    "v_consumer_alerts",
]


def produce(kafka: MockKafka, count: int, partition: int = 0) -> None:
    kafka.produce_ids("t", 0, count, partition)


def samples(postgres: Postgres) -> int:
    found: int = postgres.scalar("SELECT count(*) FROM pgsluice.consumer_instance_history")
    return found


def wait_for_samples(postgres: Postgres, count: int) -> None:
    """So many that begin from now on."""
    more = samples(postgres) + count
    wait_until(lambda: samples(postgres) >= more, what=f"{count} more samples")


def activity(postgres: Postgres, column: str) -> list[Any]:
    """A column of the view, in the order of partitions."""
    sql = f"SELECT {column} FROM pgsluice.v_consumer_activity_monitoring ORDER BY partition"
    return [row[0] for row in postgres.query(sql)]


def events(sink: Sink) -> list[Any]:
    return [line.get("event") for line in sink.log_lines()]


@pytest.fixture
def running(mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]) -> Callable[..., Sink]:
    """running(**env) -> a sink of a topic with three partitions, the first of ten records, which are written."""

    def start(postgres: Postgres = database, **env: Any) -> Sink:
        mock.create_topic("t", 3)
        postgres.query("CREATE TABLE t (id int)")
        produce(mock, 10)
        sink = start_sink(mock, topics="t", postgres=postgres, env={**ENV, **env})
        sink.wait_until_caught_up("t", ends={0: 10})
        return sink

    return start


def test_the_views_show_a_sink_at_work_and_its_end(
    running: Callable[..., Sink], database: Postgres, mock: MockKafka, names: Names
) -> None:
    sink = running()
    sink.wait_for(lambda: activity(database, "lag") == [0, 0, 0], what="lag of all three")
    row = "SELECT sink, instance, group_id, client_id, expires_at > now() FROM pgsluice.consumer_instances"
    assert database.query(row) == [(names.group, "sink-1", names.group, "pgsluice-sink-1", True)]
    assert activity(database, "owner") == ["sink-1"] * 3
    assert activity(database, "state") == ["RUNNING"] * 3
    assert activity(database, "committed_offset") == [10, 0, 0]
    assert activity(database, "last_written_at IS NULL") == [False, True, True]
    assert activity(database, "last_consumed_at IS NULL") == [False, True, True]
    for _ in range(3):
        produce(mock, 50)
        wait_for_samples(database, 1)
    rates = (
        "SELECT partition, produced_per_second > 0, consumed_per_second > 0, written_per_second > 0,"
        " rows_per_second > 0, latency_seconds >= 0 FROM pgsluice.v_consumer_performance_monitor ORDER BY 1"
    )
    idle = (False, False, False, False, None)
    moving = (True, True, True, True, True)
    sink.wait_for(lambda: database.query(rates) == [(0, *moving), (1, *idle), (2, *idle)], what="rates")
    last = "SELECT committed_offset, rows_written, records_read FROM pgsluice.consumer_partitions WHERE partition = 0"
    sink.wait_for(lambda: database.query(last) == [(160, 160, 160)], what="all counted")
    assert sink.terminate() == 0
    assert activity(database, "owner") == [None] * 3
    assert activity(database, "instance") == ["sink-1"] * 3
    assert activity(database, "state") == ["UNASSIGNED"] * 3
    assert database.query("SELECT * FROM pgsluice.v_consumer_performance_monitor") == []


def test_lag_is_that_of_the_metrics_while_nothing_moves(
    running: Callable[..., Sink], database: Postgres, mock: MockKafka
) -> None:
    sink = running()
    with database.connect() as holder:
        holder.autocommit = False
        holder.execute("LOCK TABLE t")
        produce(mock, 50)
        lag = 'pgsluice_consumer_lag_records{topic="t",partition="0"}'
        sink.wait_for(lambda: Web(sink).metric(lag) == 50, what="lag")
        sink.wait_for(lambda: activity(database, "lag") == [50, 0, 0], what="the same in the view")
        seconds = "SELECT lag_seconds > 0 FROM pgsluice.consumer_partitions WHERE partition = 0"
        sink.wait_for(lambda: database.scalar(seconds), what="its age")
        holder.rollback()
    sink.wait_for(lambda: activity(database, "lag") == [0, 0, 0], what="caught up")


def test_an_instance_that_stands_by(mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]) -> None:
    """Two replicas of one partition: when the one that has it ends, the other one has it."""
    mock.create_topic("t", 1)
    database.query("CREATE TABLE t (id int)")
    sinks = [start_sink(mock, topics="t", postgres=database, env=ENV)]
    sinks[0].wait_for_log("fetching")
    sinks.append(start_sink(mock, topics="t", postgres=database, env=ENV))
    wait_until(lambda: activity(database, "state") == ["RUNNING", "STANDBY"], 60, what="one stands by")
    owner, other = activity(database, "owner")
    next(sink for sink in sinks if sink.settings["SINK_INSTANCE_ID"] == owner).terminate()
    wait_until(lambda: activity(database, "owner") == [other], 60, what="it has moved")


def test_none_is_written_when_it_is_off(running: Callable[..., Sink], database: Postgres) -> None:
    sink = running(SINK_HISTORY_INTERVAL_MS=0)
    assert sink.terminate() == 0
    assert samples(database) == 0
    for view in VIEWS:
        assert database.query(f"SELECT * FROM pgsluice.{view}") == []


def test_postgres_is_away(running: Callable[..., Sink], own_postgres: Postgres, mock: MockKafka) -> None:
    """It says nothing of its own about that, and goes on by itself."""
    sink = running(own_postgres)
    wait_for_samples(own_postgres, 1)
    own_postgres.stop()
    sink.wait_for_log("PostgreSQL is away")
    assert Web(sink).get("/livez").status == 200
    own_postgres.start()
    sink.wait_for_log("PostgreSQL is back", 60)
    wait_for_samples(own_postgres, 2)
    produce(mock, 5)
    sink.wait_until_caught_up("t", ends={0: 15})
    assert "history can't be written" not in events(sink)
    assert sink.terminate() == 0


def test_the_end_is_said_when_no_connection_is_at_hand(running: Callable[..., Sink], database: Postgres) -> None:
    """The pool closes one that was idle for a minute; here the server does so, sooner."""
    sink = running(SINK_HISTORY_INTERVAL_MS=3600000, SINK_LOG_LEVEL="debug")
    end = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state = 'idle' AND query LIKE '%%prune_consumer_history%%'"
    )
    sink.wait_for(lambda: database.scalar(end) == 1, what="its connection has an end")
    sink.wait_for_log("history has no connection")
    assert activity(database, "state") == ["RUNNING"] * 3
    assert sink.terminate() == 0
    assert activity(database, "state") == ["UNASSIGNED"] * 3


def test_rights_are_missing(running: Callable[..., Sink], database: Postgres, mock: MockKafka) -> None:
    """It is said once; records are written all the same."""
    sink = running(SINK_NAME="it's %_a sink")
    wait_for_samples(database, 1)
    database.query("ALTER TABLE pgsluice.consumer_lag_history RENAME TO gone")
    sink.wait_for_log("history can't be written")
    produce(mock, 5)
    sink.wait_until_caught_up("t", ends={0: 15})
    before = len(sink.log_text())
    wait_until(lambda: sink.log_text().count("history can't be written") == 1)
    database.query("ALTER TABLE pgsluice.gone RENAME TO consumer_lag_history")
    sink.wait_for_log("history is written again")
    assert "history can't be written" not in sink.log_text()[before:]


def test_whoever_holds_its_tables_holds_up_no_record(
    running: Callable[..., Sink], database: Postgres, mock: MockKafka
) -> None:
    """With a pool of one connection, which is not the one that waits."""
    sink = running(SINK_POOL_MAX=1)
    wait_for_samples(database, 1)
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%sample_%%'"
    with database.connect() as holder:
        holder.autocommit = False
        holder.execute("LOCK TABLE pgsluice.consumer_lag_history, pgsluice.consumer_instances")
        wait_until(lambda: database.scalar(waits) == 1, what="it waits")
        produce(mock, 5)
        sink.wait_until_caught_up("t", ends={0: 15})
        sink.wait_for_log("history can't be written")
        holder.rollback()
    sink.wait_for_log("history is written again")
    assert sink.terminate() == 0


def test_what_is_old_goes_in_small_steps(running: Callable[..., Sink], database: Postgres) -> None:
    sink = running()
    wait_for_samples(database, 1)
    copy = (
        "INSERT INTO pgsluice.consumer_lag_history (sampled_at, sink, instance, started_at, topic, partition, state,"
        " records_read, rows_written, dead_letters, assigned_at) SELECT now() - '73 hours'::interval, 'old', 'i', now(),"
        " 't', n, 'RUNNING', 0, 0, 0, now() FROM generate_series(1, 12000) AS n"
    )
    old = "SELECT count(*) FROM pgsluice.consumer_lag_history WHERE sink = 'old'"
    database.query(copy)
    sink.wait_for(lambda: database.scalar(old) == 0, what="pruned by the sink")
    assert sink.terminate() == 0
    database.query(copy)
    database.query("UPDATE pgsluice.consumer_instances SET seen_at = now() - interval '73 hours'")
    prune = "SELECT pgsluice.prune_consumer_history(7000)"
    assert database.scalar(prune) == 7001
    assert database.scalar(old) == 5000
    with database.connect() as other:
        other.autocommit = False
        assert other.execute(prune).fetchone() == (5000,)
        assert database.scalar(prune) == 0  # one at a time
    assert samples(database) > 0
    database.query("UPDATE pgsluice.consumer_settings SET retention = '1 microsecond'")
    assert database.scalar(prune) > 0
    assert samples(database) == 0
    for view in VIEWS:
        assert database.query(f"SELECT * FROM pgsluice.{view}") == []


def test_the_roles_of_the_page_are_enough(mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]) -> None:
    sink_role, reader = f"sink_{database.database}", f"reader_{database.database}"
    mock.create_topic("orders", 1)
    database.query("CREATE TABLE orders (id int)")
    make_role(database, sink_role)
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    (statements,) = [block for block in blocks if "ROLE reader" in block]
    database.query(re.sub(r"\breader\b", reader, statements))
    sink = start_sink(mock, topics="orders", postgres=database, env={**ENV, "PGUSER": sink_role})
    sink.wait_for(lambda: samples(database) >= 3, what="samples")
    with database.connect(user=reader) as connection:
        for view in VIEWS:
            connection.execute(f"SELECT * FROM pgsluice.{view}")
    assert sink.terminate() == 0
    assert "history can't be written" not in events(sink)
    database.query(f"DROP OWNED BY {sink_role}, {reader}; DROP ROLE {sink_role}, {reader}")


def test_every_column_says_what_it_is(running: Callable[..., Sink], database: Postgres) -> None:
    running(SINK_HISTORY_INTERVAL_MS=0)
    silent = (
        "SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'pgsluice'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0"
        " AND c.relname ~ '^(v_)?consumer_' AND coalesce(col_description(c.oid, a.attnum), '') = ''"
    )
    assert database.query(silent) == []
