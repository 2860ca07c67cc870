"""What the tests ask of servers and sinks around a fault: slow flushes, who is in one, group members."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from kafka import Kafka
from postgres import Postgres
from sink import Sink
from wait import wait_until

# Members that die are noticed in a moment: for tests that kill many.
IMPATIENT = {"KAFKA_SESSION_TIMEOUT_MS": "1500", "KAFKA_HEARTBEAT_INTERVAL_MS": "300"}

# KIP-848: the broker assigns, and knows when a session is over.
CONSUMER_PROTOCOL = {
    "KAFKA_GROUP_PROTOCOL": "consumer",
    "KAFKA_SESSION_TIMEOUT_MS": None,
    "KAFKA_HEARTBEAT_INTERVAL_MS": None,
}


def let_pass(seconds: float) -> None:
    """For a fault's moment or duration, which is a time and no condition."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, seconds + 5, "time", interval_s=min(seconds, 0.01))


def slow_flushes(postgres: Postgres, table: str, before_ms: int, after_ms: int) -> None:
    """From now on a COPY waits before its first row and behind its last one, in its transaction.

    A fault then often meets a flush that is sending, or one that is about to commit.
    """
    for when, milliseconds in (("BEFORE", before_ms), ("AFTER", after_ms)):
        name = f"{table}_{when}"
        postgres.query(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
            f" 'BEGIN PERFORM pg_sleep({milliseconds / 1000}); RETURN NULL; END';"
            f" CREATE TRIGGER slow_{when} {when} INSERT ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )


def full_speed(postgres: Postgres, table: str) -> None:
    """Undo slow_flushes()."""
    postgres.query(f"DROP FUNCTION {table}_BEFORE() CASCADE; DROP FUNCTION {table}_AFTER() CASCADE")


def flushes_of(
    connection: psycopg.Connection[Any], sink: Sink, waiting_for: str | None = None
) -> list[int]:
    """The pids of its sessions inside a flush: all, or that wait for data ("ClientRead") or the table ("relation")."""
    sql = (
        "SELECT pid FROM pg_stat_activity WHERE application_name = left(%s, 63)"
        " AND state = 'active' AND query LIKE 'SELECT pgsluice.advance%%'"
        " AND coalesce(wait_event = %s, %s)"
    )
    parameters = [application_name(sink), waiting_for, waiting_for is None]
    return [row[0] for row in connection.execute(sql, parameters)]


def application_name(sink: Sink) -> str:
    return f"pgsluice/{sink.name}/{sink.settings['SINK_INSTANCE_ID']}"


def events(sink: Sink, *names: str) -> list[dict[str, Any]]:
    """The log's lines of these events."""
    return [line for line in sink.log_lines() if line.get("event") in names]


def set_session_ms(kafka: Kafka, group: str, milliseconds: int) -> None:
    """With KAFKA_GROUP_PROTOCOL=consumer the session's length is the broker's to say."""
    config = f"consumer.session.timeout.ms={milliseconds}"
    entity = ("--entity-type", "groups", "--entity-name", group)
    kafka.tool("configs", "--alter", *entity, "--add-config", config)


def group_of(kafka: Kafka, group: str) -> Any:
    """Kafka's description of a classic group: its state, members, coordinator (`broker`)."""
    return kafka.admin.list_groups(group, timeout=10)[0]


def member_ids(kafka: Kafka, group: str) -> list[str]:
    return sorted(member.id for member in group_of(kafka, group).members)
