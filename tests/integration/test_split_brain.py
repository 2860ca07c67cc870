"""Two servers that take writes: only the one that was promoted last is written to, and no other cluster."""

from __future__ import annotations

from typing import Callable, Iterator

import pytest
from cluster import Record
from faults import events, flushes_of
from mock import MockKafka
from postgres import Postgres, hosts, wait_for_replay
from role import run_sinks_as_role
from sink import Sink

DONE = 0


@pytest.fixture
def standby(own_postgres: Postgres) -> Iterator[Postgres]:
    with Postgres(standby_of=own_postgres) as server:
        yield server


def record(number: int) -> Record:
    return Record(b'{"id": %d}' % number, None, 0)


def rows(server: Postgres, table: str = "orders") -> list[int]:
    return [row[0] for row in server.query(f"SELECT id FROM {table} ORDER BY id")]


def positions(server: Postgres) -> list[tuple[object, ...]]:
    return server.query("SELECT topic, partition, next_offset, epoch FROM pgsluice.offsets ORDER BY 1, 2")


def end_sessions(server: Postgres, condition: str = "true") -> None:
    server.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE application_name LIKE 'pgsluice/%' AND {condition}"
    )


def test_a_former_primary_that_comes_back_is_not_written_to(
    start_sink: Callable[..., Sink], mock: MockKafka, own_postgres: Postgres, standby: Postgres
) -> None:
    """It is named first, so that each new connection reaches it. Asked as the role that docs/security.md describes."""
    former = own_postgres
    run_sinks_as_role(former)
    former.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    mock.produce("orders", [record(0)])
    env = {**hosts(former, standby), "SINK_SYNCHRONOUS_COMMIT": "on"}  # so that the crash loses nothing
    sink = start_sink(mock, topics="orders", postgres=former, env=env)
    sink.wait_until_caught_up("orders")
    wait_for_replay(standby, former)
    former.kill()
    standby.promote()
    sink.postgres = standby
    mock.produce("orders", [record(1)])
    sink.wait_until_caught_up("orders")
    former.start()
    before = positions(former)
    assert before == [("orders", 0, 1, 1)]
    end_sessions(standby)
    sink.wait_for_log("it is a former primary (timeline 1) that still takes writes")
    mock.produce("orders", [record(2)])
    sink.wait_until_caught_up("orders")
    assert sink.terminate() == DONE
    assert rows(standby) == [0, 1, 2]
    assert (rows(former), positions(former)) == ([0], before)
    assert f"127.0.0.1 port {former.port}" in sink.log_text()


def test_sessions_with_a_former_primary_end_when_the_new_one_is_seen(
    start_sink: Callable[..., Sink], mock: MockKafka, own_postgres: Postgres, standby: Postgres
) -> None:
    """Nobody has stopped it, and a flush is under way there when another connection finds the new one."""
    former = own_postgres
    former.query("CREATE TABLE orders (id int); CREATE TABLE others (id int)")
    for topic in ("orders", "others"):
        mock.create_topic(topic, 1)
    sink = start_sink(mock, topics="orders,others", postgres=former, env=hosts(standby, former))
    sink.wait_for(lambda: sink.positions("orders") and sink.positions("others"), what="claims")
    with former.connect(autocommit=False) as lock, former.connect() as looker:
        lock.execute("LOCK TABLE orders")
        mock.produce("orders", [record(0)])
        sink.wait_for(lambda: flushes_of(looker, sink), what="a flush that waits")
        wait_for_replay(standby, former)
        standby.promote()
        end_sessions(former, "state = 'idle'")  # those that the claims have opened: one more is wanted
        mock.produce("others", [record(1)])
        sink.wait_for_log('"another primary has taken over"')
        sink.postgres = standby
        for topic in ("orders", "others"):
            sink.wait_until_caught_up(topic)
        lock.rollback()
    assert sink.terminate() == DONE
    assert (rows(standby, "orders"), rows(standby, "others")) == ([0], [1])
    assert (rows(former, "orders"), rows(former, "others")) == ([], [])


def test_another_cluster_is_not_written_to_before_a_restart(
    start_sink: Callable[..., Sink], mock: MockKafka, own_postgres: Postgres
) -> None:
    """At the same address, with a table of that name: it has none of the positions that were written."""
    mock.create_topic("orders", 1)
    mock.produce("orders", [record(0)])
    own_postgres.query("CREATE TABLE orders (id int)")
    sink = start_sink(mock, topics="orders", postgres=own_postgres)
    sink.wait_until_caught_up("orders")
    with Postgres() as other:
        other.query("CREATE TABLE orders (id int)")
        other.stop()
        own_postgres.stop("immediate")
        other.move_to(own_postgres.port)
        mock.produce("orders", [record(1)])
        sink.wait_for_log("it is another cluster (system identifier")
        assert rows(other) == []
        assert other.scalar("SELECT to_regclass('pgsluice.offsets')") is None
        sink.kill()  # a drain would wait for the right one
        sink.start()
        sink.postgres = other
        sink.wait_until_caught_up("orders")
        assert rows(other) == [0, 1]
        assert sink.terminate() == DONE
    assert not events(sink, "database went back in time")
