"""`pgsluice migrate`, also from many replicas at once."""

from __future__ import annotations

import os
import subprocess
from typing import Callable

import psycopg
import pytest
from mock import MockKafka
from postgres import Postgres
from sink import Sink, sink_program

DONE = 0


def schema_of(database: Postgres) -> list[tuple[str, ...]]:
    return database.query(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " WHERE c.relnamespace = 'pgsluice'::regnamespace AND NOT a.attisdropped ORDER BY 1, a.attnum"
    )


def versions(database: Postgres) -> list[int]:
    return [row[0] for row in database.query("SELECT version FROM pgsluice.migrations ORDER BY 1")]


@pytest.mark.parametrize("round_", range(3))
def test_eight_at_once_on_an_empty_database(
    round_: int, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    sinks = [
        start_sink(mock, topics="orders", postgres=database, command="migrate") for _ in range(8)
    ]
    assert [sink.wait_exit() for sink in sinks] == [DONE] * 8
    assert versions(database) == list(range(1, len(versions(database)) + 1))
    migrated = [line for sink in sinks for line in sink.log_lines() if line["event"] == "schema migrated"]
    assert len(migrated) == 1


def test_the_settings_of_postgresql_are_enough(database: Postgres) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "SINK_"))}
    done = subprocess.run([sink_program(), "migrate"], env={**env, **database.env}, timeout=30, check=False)
    assert done.returncode == DONE
    assert versions(database)


def test_eight_replicas_start_at_once(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 8)
    sinks = [start_sink(mock, topics="orders", postgres=database) for _ in range(8)]
    for sink in sinks:
        sink.wait_for_log('"event":"table"')


def test_again_does_no_harm(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    first = start_sink(mock, topics="orders", postgres=database, command="migrate")
    assert first.wait_exit() == DONE
    schema = schema_of(database)
    database.query(
        "INSERT INTO pgsluice.offsets (sink, topic, partition, next_offset, owner)"
        " VALUES ('s', 't', 0, 5, 'o')"
    )
    again = start_sink(mock, topics="orders", postgres=database, command="migrate")
    assert again.wait_exit() == DONE
    assert schema_of(database) == schema
    assert database.scalar("SELECT next_offset FROM pgsluice.offsets") == 5


def test_only_what_is_missing(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """A database of an older version is brought up to date."""
    assert start_sink(mock, topics="t", postgres=database, command="migrate").wait_exit() == DONE
    whole, all_versions = schema_of(database), versions(database)
    database.query(
        "DROP FUNCTION pgsluice.expect_table; DROP FUNCTION pgsluice.table_version;"
        "DROP FUNCTION pgsluice.advance(text, text[], int[], bigint[], bigint[], bigint[], int[]);"
        "DROP FUNCTION pgsluice.advance_backfill; DROP TABLE pgsluice.backfills CASCADE;"
        "DROP TABLE pgsluice.backfill_ranges;"
        "DROP VIEW pgsluice.v_consumer_alerts, pgsluice.v_consumer_performance_monitor,"
        " pgsluice.v_consumer_activity_monitoring; DROP TABLE pgsluice.consumer_settings, pgsluice.consumer_instances,"
        " pgsluice.consumer_instance_history, pgsluice.consumer_lag_history, pgsluice.consumer_partitions;"
        "DROP FUNCTION pgsluice.sample_instance; DROP FUNCTION pgsluice.sample_partitions;"
        "DROP FUNCTION pgsluice.prune_consumer_history;"
        "ALTER TABLE pgsluice.offsets DROP COLUMN lost_count, DROP COLUMN first_offset;"
        "DROP TABLE pgsluice.dead_letters; DELETE FROM pgsluice.migrations WHERE version >= 2"
    )
    assert start_sink(mock, topics="t", postgres=database, command="migrate").wait_exit() == DONE
    assert (schema_of(database), versions(database)) == (whole, all_versions)


def test_a_newer_schema_is_left_alone(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    assert start_sink(mock, topics="t", postgres=database, command="migrate").wait_exit() == DONE
    newest = versions(database)[-1]
    database.query(
        f"INSERT INTO pgsluice.migrations (version, name, checksum) VALUES ({newest + 1}, 'new', 'x')"
    )
    assert start_sink(mock, topics="t", postgres=database, command="migrate").wait_exit() == DONE
    assert versions(database)[-1] == newest + 1


def test_an_instance_of_the_former_version_still_writes(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """In a rolling update: it moves positions without the leader epoch, which is unknown then."""
    assert start_sink(mock, topics="t", postgres=database, command="migrate").wait_exit() == DONE
    database.query(
        "INSERT INTO pgsluice.offsets (sink, topic, partition, next_offset, owner, leader_epoch)"
        " VALUES ('s', 't', 0, 5, 'o', 7), ('s', 't', 1, 5, 'o', 7)"
    )
    advance = "SELECT pgsluice.advance('s', '{t,t}', '{0,1}', '{1,1}', '{5,5}', '{8,9}')"
    database.query(advance)
    rows = "SELECT next_offset, leader_epoch FROM pgsluice.offsets ORDER BY partition"
    assert database.query(rows) == [(8, -1), (9, -1)]
    with pytest.raises(psycopg.Error) as fenced:
        database.query(advance)
    assert fenced.value.sqlstate == "PS001"
