"""pgsluice.v_consumer_alerts: each alert comes when its condition is there, and goes when it is over.

The first test causes what a sink can be brought to in seconds. The others write samples as an instance does, so that
hours can pass at once.
"""

from __future__ import annotations

from typing import Any, Callable, Iterator

import psycopg
import pytest
from cluster import Record
from http_client import SERVED
from mock import MockKafka
from postgres import Postgres
from role import migrate
from sink import Sink
from wait import wait_until

STARTED = "'2026-01-01Z'::timestamptz"


class Samples:
    """A sink's history in a transaction that is rolled back; `ago` counts in seconds."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def instance(self, ago: int, name: str = "i", started: str = STARTED, **counters: int) -> None:
        """It is seen, and would run for another two minutes."""
        seen = f"now() - interval '{ago} s'"
        self.connection.execute(
            "INSERT INTO pgsluice.consumer_instances VALUES"
            f" ('s', %s, {started}, 'g', 'c', 'v', {seen}, {seen} + interval '120 s')"
            " ON CONFLICT (sink, instance, started_at)"
            " DO UPDATE SET seen_at = EXCLUDED.seen_at, expires_at = EXCLUDED.expires_at",
            [name],
        )
        names = "rebalances session_losses commits failed_commits kafka_commits failed_kafka_commits"
        values = ", ".join(str(counters.get(counter, 0)) for counter in names.split())
        self.connection.execute(
            f"INSERT INTO pgsluice.consumer_instance_history VALUES ({seen}, 's', %s, {started}, 1, {values}, 0, 0)",
            [name],
        )

    def partition(
        self, ago: int, number: int = 0, committed: int | None = 0, end: int = 0, name: str = "i", **more: Any
    ) -> None:
        row = {"topic_partitions": 1, "dead_letters": 0, "state": "RUNNING", **more}
        lag = None if committed is None else end - committed
        self.connection.execute(
            "SELECT pgsluice.sample_partitions('s', %s, "
            f"{STARTED}, '{{t}}', ARRAY[%s], ARRAY[%s::int], ARRAY[%s::int], ARRAY[%s::bigint], ARRAY[%s::bigint],"
            " ARRAY[%s::bigint], '{0}', '{0}', '{0}', '{0}', ARRAY[%s::bigint], '{1}', '{1}', '{1}')",
            [name, row["state"], number, row["topic_partitions"], committed, end, lag, row["dead_letters"]],
        )
        for table in ("consumer_lag_history", "consumer_partitions"):
            self.connection.execute(
                f"UPDATE pgsluice.{table} SET sampled_at = now() - interval '{ago} s' WHERE sampled_at = now()"
                " AND partition = %s",
                [number],
            )

    def sample(self, ago: int, committed: int | None = 0, end: int = 0, **more: Any) -> None:
        """Of one instance with one partition."""
        counters = {name: more.pop(name) for name in list(more) if name not in ("state", "dead_letters")}
        self.instance(ago, **counters)
        self.partition(ago, 0, committed, end, **more)

    def alerts(self) -> dict[str, tuple[Any, ...]]:
        """By name: instance, topic, partition, value, threshold, and for how many seconds."""
        rows = self.connection.execute(
            "SELECT alert, instance, topic, partition, value, threshold,"
            " extract(epoch FROM now() - since)::integer, what, remedy FROM pgsluice.v_consumer_alerts"
        ).fetchall()
        assert all(what and remedy for *_, what, remedy in rows)
        found = {row[0]: (*row[1:4], float(row[4]), float(row[5]), row[6]) for row in rows}
        assert len(found) == len(rows)
        return found

    def set(self, **settings: str) -> None:
        for name, value in settings.items():
            self.connection.execute(f"UPDATE pgsluice.consumer_settings SET {name} = {value}")


@pytest.fixture(scope="module")
def schema(postgres: Postgres) -> Postgres:
    migrate(postgres)
    return postgres


@pytest.fixture
def history(schema: Postgres) -> Iterator[Samples]:
    with schema.connect(autocommit=False) as connection:
        yield Samples(connection)
        connection.rollback()


def test_an_empty_system_has_none(history: Samples) -> None:
    assert history.alerts() == {}


def test_all_is_well(history: Samples) -> None:
    for ago in range(3600, -1, -300):
        history.sample(ago, 10_000 - ago, 10_100 - ago, rebalances=1, commits=4000 - ago, kafka_commits=400)
    assert history.alerts() == {}


def test_partition_lag_high(history: Samples) -> None:
    for ago, lag in ((120, 900), (90, 1001), (60, 1500), (30, 2000)):
        history.sample(ago, 10_000 - ago, 10_000 - ago + lag)
    assert history.alerts()["partition_lag_high"] == ("i", "t", 0, 2000, 1000, 90)
    history.set(lag_records="2000")
    assert "partition_lag_high" not in history.alerts()
    history.set(lag_records="DEFAULT")
    history.sample(0, 11_000, 12_000)
    assert "partition_lag_high" not in history.alerts()


def test_falling_behind(history: Samples) -> None:
    history.sample(200, 0, 0)
    history.sample(100, 3000, 6000)
    assert history.alerts()["falling_behind"] == (None, "t", None, 50, 80, 200)
    history.sample(0, 12_000, 13_500)
    assert "falling_behind" not in history.alerts()


def test_rebalances_frequent(history: Samples) -> None:
    """What was before the first sample of the hour does not count."""
    history.sample(4000, rebalances=1)
    for count in range(6):
        history.sample(600 - count * 60, rebalances=3 + count)
    assert "rebalances_frequent" not in history.alerts()
    history.sample(240, rebalances=9)
    assert history.alerts()["rebalances_frequent"] == ("i", None, None, 6, 5, 540)
    history.set(rebalances_per_hour="6")
    assert "rebalances_frequent" not in history.alerts()


def test_starts_count_as_rebalances(history: Samples) -> None:
    """A process that is started again and again counts from 0 each time."""
    for ago in range(600, 0, -100):
        history.instance(ago, started=f"now() - interval '{ago + 5} s'", rebalances=1)
    assert history.alerts()["rebalances_frequent"] == ("i", None, None, 6, 5, 600)


def test_assignment_imbalanced(history: Samples) -> None:
    for name in ("a", "b"):
        history.instance(0, name)
    for number in range(5):
        history.partition(0, number, name="a" if number < 3 else "b", topic_partitions=5)
    assert history.alerts() == {}  # 3 and 2
    history.partition(0, 3, name="a", topic_partitions=5)
    alert = history.alerts()["assignment_imbalanced"]
    assert alert[:5] == (None, None, None, 120, 20)
    history.set(imbalance_percent="150")
    assert history.alerts() == {}


@pytest.mark.parametrize("store", ["", "kafka_"])
def test_offset_commit_failures(history: Samples, store: str) -> None:
    good, bad = f"{store}commits", f"failed_{store}commits"
    history.sample(250, **{good: 1000, bad: 50})
    history.sample(200, **{good: 1090, bad: 50})
    assert "offset_commit_failures" not in history.alerts()
    history.sample(150, **{good: 1188, bad: 52})
    history.sample(100, **{good: 1188, bad: 52})
    assert history.alerts()["offset_commit_failures"] == ("i", None, None, 98.95, 99, 150)
    history.sample(0, **{good: 1500, bad: 52})
    assert "offset_commit_failures" not in history.alerts()


def test_group_session_lost(history: Samples) -> None:
    history.sample(500, session_losses=1)
    assert "group_session_lost" not in history.alerts()  # it was before
    history.sample(400, session_losses=3)
    assert history.alerts()["group_session_lost"] == ("i", None, None, 2, 0, 400)
    history.set(session_losses_window="'3 minutes'")
    history.sample(0, session_losses=3)
    assert "group_session_lost" not in history.alerts()


def test_progress_stalled(history: Samples) -> None:
    history.sample(700, 5, 5)
    history.sample(650, 5, 8)
    history.sample(10, 5, 9, state="FAILED")
    assert history.alerts() == {"progress_stalled": ("i", "t", 0, 650, 600, 650)}
    history.sample(0, 6, 9)
    assert history.alerts() == {}


def test_a_partition_that_gets_no_position_is_stalled(history: Samples) -> None:
    history.sample(700, None, 8, state="STARTING")
    history.sample(0, None, 9, state="STARTING")
    assert history.alerts() == {"progress_stalled": ("i", "t", 0, 700, 600, 700)}


def test_partitions_unassigned(history: Samples) -> None:
    for ago in (400, 300):
        history.instance(ago)
        for number in range(2):
            history.partition(ago, number, topic_partitions=2)
    assert history.alerts()["partitions_unassigned"] == (None, "t", None, 2, 0, 300)
    history.instance(0)
    history.partition(0, 1, topic_partitions=2)
    assert history.alerts()["partitions_unassigned"] == (None, "t", None, 1, 0, 300)
    history.partition(0, 0, topic_partitions=2)
    assert history.alerts() == {}


def test_a_partition_that_nobody_has_ever_had_is_unassigned(history: Samples) -> None:
    """A moment after a topic has grown it is no fault."""
    history.sample(130)
    history.instance(60)
    history.partition(60, topic_partitions=2)
    history.sample(0)
    assert history.alerts() == {}
    history.connection.execute("UPDATE pgsluice.consumer_lag_history SET topic_partitions = 2")
    history.connection.execute("UPDATE pgsluice.consumer_partitions SET topic_partitions = 2")
    assert history.alerts()["partitions_unassigned"][:5] == (None, "t", None, 1, 0)


def test_records_dead_lettered(history: Samples) -> None:
    history.sample(800, dead_letters=7)
    assert "records_dead_lettered" not in history.alerts()  # they were before
    history.sample(700, dead_letters=9)
    history.sample(0, dead_letters=9)
    assert history.alerts() == {"records_dead_lettered": (None, "t", None, 2, 0, 700)}
    history.set(dead_letters_window="'10 minutes'")
    assert "records_dead_lettered" not in history.alerts()


def test_a_sink_that_goes_wrong_and_right_again(
    mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]
) -> None:
    mock.create_topic("t", 1)
    database.query("CREATE TABLE t (id int CHECK (id > 0))")
    env = {"SINK_HISTORY_INTERVAL_MS": 200, "SINK_LAG_INTERVAL_MS": 500, "SINK_BATCH_TIMEOUT_MS": 200, **SERVED}
    sink = start_sink(mock, topics="t", postgres=database, env=env)

    def produce(number: int, count: int) -> None:
        mock.produce("t", [Record(b'{"id": %d}' % number, partition=0)] * count)

    def names() -> set[str]:
        return {row[0] for row in database.query("SELECT alert FROM pgsluice.v_consumer_alerts")}

    def comes(*alerts: str) -> None:
        wait_until(lambda: names() >= set(alerts), 60, what=lambda: f"{alerts}, but {names()}")

    def goes(*alerts: str) -> None:
        wait_until(lambda: not names() & set(alerts), 60, what=lambda: f"none of {alerts}, but {names()}")

    def settings(text: str) -> None:
        database.query(f"UPDATE pgsluice.consumer_settings SET {text}")

    produce(1, 5)
    sink.wait_until_caught_up("t", ends={0: 5})
    wait_until(lambda: database.scalar("SELECT lag FROM pgsluice.consumer_partitions") == 0, what="a sample")
    assert names() == set()
    settings("stalled_for = '1 s'")
    with database.connect(autocommit=False) as holder:
        holder.execute("LOCK TABLE t")
        produce(1, 1500)
        comes("partition_lag_high", "falling_behind", "progress_stalled")
        settings("rate_window = '1 s'")
        goes("falling_behind")  # nothing is produced any more
        holder.rollback()
    goes("partition_lag_high", "progress_stalled")
    produce(-1, 1)
    comes("records_dead_lettered", "offset_commit_failures")
    settings("commit_window = '1 s', dead_letters_window = '1 s', unassigned_for = '1 s'")
    goes("records_dead_lettered", "offset_commit_failures")
    assert sink.terminate() == 0
    comes("partitions_unassigned")
    sink.start()
    goes("partitions_unassigned")
