"""Several hosts: the sink finds the one that takes writes, follows a failover, and notices a server that
is behind what it has written."""

from __future__ import annotations

from threading import Thread
from typing import Any, Callable, Iterator

import checksum
import history
import pytest
from cluster import Record
from faults import events
from mock import MockKafka
from postgres import Postgres, hosts, wait_for_replay
from process import free_port
from sink import Sink

UNREACHABLE = 69
PARTITIONS = 6
RECORDS = 40_000
RATE = 12_000


@pytest.fixture
def standby(own_postgres: Postgres) -> Iterator[Postgres]:
    with Postgres(standby_of=own_postgres) as server:
        yield server


class Load:
    """Records that come in the background, as many as a mock keeps."""

    def __init__(self, mock: MockKafka, topic: str) -> None:
        keywords = {"rate": RATE}
        self._thread = Thread(target=mock.produce_orders, args=(topic, RECORDS), kwargs=keywords)
        self._thread.start()

    def assert_running(self) -> None:
        assert self._thread.is_alive(), "the load ended before the fault"

    def wait(self) -> None:
        self._thread.join()


def written(server: Postgres, sink: Sink, topic: str) -> int:
    return sum(checksum.positions(server, sink.name, topic).values())


def wait_for_progress(server: Postgres, sink: Sink, topic: str) -> int:
    before = written(server, sink, topic)
    sink.wait_for(lambda: written(server, sink, topic) > before, what="progress")
    return written(server, sink, topic)


def finish(mock: MockKafka, topic: str, server: Postgres, sink: Sink) -> dict[str, Any]:
    """Everything is there once, on this server; what the sink says about itself."""
    sink.postgres = server
    sink.wait_until_caught_up(topic)
    history.assert_exactly_once(mock, topic, server, topic, sink=sink.name)
    assert sink.terminate() == 0
    return events(sink, "stopped")[0]


def test_failover_to_a_synchronous_standby(
    start_sink: Callable[..., Sink], mock: MockKafka, own_postgres: Postgres, standby: Postgres
) -> None:
    """Under load, by names: what was committed is there after it, and nothing is read again."""
    primary = own_postgres
    mock.create_topic("orders", PARTITIONS)
    history.create_table(primary, "orders")
    primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.query("SELECT pg_reload_conf()")
    env = {**hosts(primary, standby, host="localhost"), "SINK_SYNCHRONOUS_COMMIT": "on"}
    load = Load(mock, "orders")
    sink = start_sink(mock, topics="orders", postgres=primary, env=env)
    sink.wait_for(lambda: sink.positions("orders"), what="claims")
    synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    sink.wait_for(lambda: primary.scalar(synchronous) == 1, what="a synchronous standby")
    committed = wait_for_progress(primary, sink, "orders")
    load.assert_running()
    primary.kill()
    standby.promote()
    assert written(standby, sink, "orders") >= committed
    wait_for_progress(standby, sink, "orders")
    load.wait()
    stopped = finish(mock, "orders", standby, sink)
    assert stopped["rewinds"] == 0
    assert stopped["dead_letters"] == 0


def test_failover_to_a_standby_that_is_behind(
    start_sink: Callable[..., Sink], mock: MockKafka, own_postgres: Postgres, standby: Postgres
) -> None:
    """Its positions are behind, so are its rows: both are read again from there."""
    primary = own_postgres
    mock.create_topic("orders", PARTITIONS)
    history.create_table(primary, "orders")
    load = Load(mock, "orders")
    sink = start_sink(mock, topics="orders", postgres=primary, env=hosts(standby, primary))
    sink.wait_for(lambda: len(sink.positions("orders")) == PARTITIONS, what="claims")
    sink.wait_for(lambda: written(standby, sink, "orders") > 0, what="a standby that follows")
    standby.stop("immediate")
    committed = wait_for_progress(primary, sink, "orders")
    load.assert_running()
    primary.kill()
    standby.start()
    standby.promote()
    assert written(standby, sink, "orders") < committed
    load.wait()
    stopped = finish(mock, "orders", standby, sink)
    assert stopped["rewinds"] > 0
    assert stopped["dead_letters"] == 0
    assert events(sink, "database went back in time")


@pytest.mark.parametrize(
    ("start", "restart"), [("earliest", False), ("latest", True), ("committed", True)]
)
def test_a_primary_restored_from_before_the_sink(
    start: str,
    restart: bool,
    start_sink: Callable[..., Sink],
    mock: MockKafka,
    own_postgres: Postgres,
    standby: Postgres,
) -> None:
    """At the same address, without positions: everything is read again.

    By then Kafka was told of positions that no longer hold, and `latest` is not what it was.
    """
    mock.create_topic("orders", PARTITIONS)
    mock.produce_orders("orders", 600)
    settings = {"topics": "orders", "postgres": own_postgres, "env": {"SINK_START": start}}
    history.create_table(own_postgres, "orders")
    assert start_sink(mock, **settings, command="migrate").wait_exit() == 0
    wait_for_replay(standby, own_postgres)
    standby.stop("immediate")
    sink = start_sink(mock, **settings)
    sink.wait_until_caught_up("orders")
    sink.wait_for(lambda: len(sink.positions("orders")) == PARTITIONS, what="claims")
    if restart:
        assert sink.terminate() == 0
        sink.start()
        sink.wait_for(lambda: len(events(sink, "assigned")) == 2, what="partitions")
    mock.produce_orders("orders", 600, first=600)
    sink.wait_until_caught_up("orders")
    standby.replace(own_postgres)
    mock.produce_orders("orders", 600, first=1200)
    sink.postgres = standby
    sink.wait_until_caught_up("orders")
    history.assert_exactly_once(mock, "orders", standby, "orders", sink=sink.name)
    assert sink.terminate() == 0


def test_a_lone_standby_is_no_place_to_start(
    start_sink: Callable[..., Sink], mock: MockKafka, own_postgres: Postgres, standby: Postgres
) -> None:
    own_postgres.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    env = {**hosts(standby), "SINK_CONNECT_TIMEOUT_MS": "1000"}
    sink = start_sink(mock, topics="orders", postgres=standby, env=env)
    assert sink.wait_exit() == UNREACHABLE
    assert "session is read-only" in sink.log_text()


def test_a_server_that_becomes_read_only_is_away(
    start_sink: Callable[..., Sink], mock: MockKafka, own_postgres: Postgres
) -> None:
    """Sessions that stand are given up, no record is refused, and it goes on when writes are taken."""
    own_postgres.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    mock.produce("orders", [Record(b'{"id": 1}', None, 0)])
    env = hosts(own_postgres, own_postgres)
    sink = start_sink(mock, topics="orders", postgres=own_postgres, env=env)
    sink.wait_until_caught_up("orders")
    own_postgres.query("ALTER SYSTEM SET default_transaction_read_only = on")
    own_postgres.query("SELECT pg_reload_conf()")
    sink.wait_for(
        lambda: own_postgres.scalar("SHOW default_transaction_read_only") == "on", what="read-only"
    )
    mock.produce("orders", [Record(b'{"id": 2}', None, 0)])
    sink.wait_for_log('"PostgreSQL is away"')
    with own_postgres.connect(options="-c default_transaction_read_only=off") as connection:
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")
    sink.wait_until_caught_up("orders")
    assert own_postgres.query("SELECT id FROM orders ORDER BY id") == [(1,), (2,)]
    assert own_postgres.scalar("SELECT count(*) FROM pgsluice.dead_letters") == 0
    assert sink.terminate() == 0


def test_a_host_that_is_not_there_or_not_known_is_passed_over(
    start_sink: Callable[..., Sink], mock: MockKafka, own_postgres: Postgres
) -> None:
    own_postgres.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    env = {
        "PGHOST": f"no-such-host.invalid,127.0.0.1,{own_postgres.directory}",
        "PGPORT": f"5432,{free_port()},{own_postgres.port}",
        "PGSSLMODE": "prefer",
    }
    sink = start_sink(mock, topics="orders", postgres=own_postgres, env=env)
    mock.produce("orders", [Record(b'{"id": 1}', None, 0)])
    sink.wait_until_caught_up("orders")
    assert sink.terminate() == 0
    assert "no-such-host.invalid" in sink.log_text()
