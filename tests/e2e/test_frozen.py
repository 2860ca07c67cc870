"""A replica stops like a stone (SIGSTOP) with its transaction open: another one takes over."""

import time

import history
import pytest
from faults import events, flushes_of, let_pass
from load import Load
from wait import wait_until

PARTITIONS = 12
SESSION_MS = 3_000
# Within this after the session's end: the rebalance, the wait for the row's lock (2 s), its end, the claim.
TAKEOVER_S = 8
ENV = {"KAFKA_SESSION_TIMEOUT_MS": SESSION_MS, "KAFKA_HEARTBEAT_INTERVAL_MS": 500}


@pytest.fixture
def table(kafka1, postgres, names):
    kafka1.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    return names.table


def owned_by(postgres, sink, instance):
    sql = "SELECT partition FROM pgsluice.offsets WHERE sink = %s AND owner = %s ORDER BY 1"
    return [row[0] for row in postgres.query(sql, [sink.name, instance])]


def wait_for_owners(postgres, sink, *expected):
    def owners():
        if postgres.scalar("SELECT to_regclass('pgsluice.offsets')") is None:
            return set()
        sql = "SELECT DISTINCT owner FROM pgsluice.offsets WHERE sink = %s"
        return {row[0] for row in postgres.query(sql, [sink.name])}

    wait_until(lambda: owners() == set(expected), 30, lambda: f"owners {owners()}, not {expected}")


def freeze_inside_a_flush(sink, connection):
    """Stop it until a stop meets a session that waits for the rest of its COPY; that session's pid."""

    def frozen():
        sink.pause()
        let_pass(0.1)  # the session takes in what is under way
        pids = flushes_of(connection, sink, waiting=True)
        if not pids:
            sink.resume()
        return pids

    return sink.wait_for(frozen, 60, "a stop inside of a flush", interval_s=0.013)


def end_offsets_beyond(kafka, topic, partitions):
    return {p: end for p, end in kafka.end_offsets(topic).items() if p in partitions}


def reached(sink, topic, goal):
    at = sink.positions(topic)
    return all(at.get(partition, 0) >= end for partition, end in goal.items())


@pytest.mark.parametrize("where", ("inside a flush", "anywhere"))
def test_a_frozen_replica_is_replaced(where, kafka1, postgres, names, table, start_sink):
    """Its rows are freed by ending its session; awake again, it writes nothing that is not its own."""
    first = start_sink(kafka1, env=ENV)
    second = start_sink(kafka1, env=ENV)
    ids = [sink.settings["SINK_INSTANCE_ID"] for sink in (first, second)]
    connection = postgres.connect()
    bystander = postgres.connect(application_name="pgsluice/another/sink-1")
    with Load(kafka1, names.topic, rate=12_000, note_bytes=1_000) as load:
        wait_for_owners(postgres, first, *ids)
        if where == "inside a flush":
            pids = freeze_inside_a_flush(first, connection)
        else:
            let_pass(0.5)
            first.pause()
            pids = []
        frozen_at = time.monotonic()
        orphans = owned_by(postgres, first, ids[0])
        assert orphans, "the frozen replica has no partitions"
        let_pass(0.5)  # records that it has never seen
        goal = end_offsets_beyond(kafka1, names.topic, orphans)
        second.wait_for(
            lambda: reached(second, names.topic, goal),
            SESSION_MS / 1000 + TAKEOVER_S,
            f"partitions {orphans} taken over up to {goal}",
        )
        took_s = time.monotonic() - frozen_at
        wait_for_owners(postgres, second, ids[1])
        still = [pid for pid in pids if pid in flushes_of(connection, first)]
        assert not still, f"the frozen replica's sessions {still} still hold their transactions"
        if pids:
            ended = {int(line["pid"]) for line in events(second, "frozen owner ended")}
            assert ended and ended <= set(pids), f"sessions {ended} were ended, {pids} were frozen"
        assert bystander.execute("SELECT 1").fetchone() == (1,), "another sink's session was ended"
        assert not events(second, "connection lost"), "the successor has lost sessions of its own"
        history.assert_prefix(postgres, first.name, names.topic, table)

        first.resume()
        wait_for_owners(postgres, first, *ids)
        history.assert_prefix(postgres, first.name, names.topic, table)
        load.stop()
    second.wait_until_caught_up(names.topic)
    found = history.assert_exactly_once(kafka1, names.topic, postgres, table, sink=first.name)
    print(f"{where}: {len(orphans)} partitions taken over in {took_s:.1f} s, {found.count} rows")
    assert (first.terminate(), second.terminate()) == (0, 0)


def test_one_that_wakes_up_alone_goes_on(kafka1, postgres, names, table, start_sink):
    """Its session with the group is over, but nobody has taken its place."""
    sink = start_sink(kafka1, env=ENV)
    connection = postgres.connect()
    with Load(kafka1, names.topic, rate=12_000, note_bytes=1_000) as load:
        sink.wait_for(lambda: len(sink.positions(names.topic)) == PARTITIONS, 30, "all are claimed")
        for _ in range(2):
            freeze_inside_a_flush(sink, connection)
            let_pass(SESSION_MS / 1000 + 1)
            sink.resume()
            before = sum(sink.positions(names.topic).values())
            sink.wait_for(
                lambda: sum(sink.positions(names.topic).values()) > before, 30, "it writes again"
            )
            history.assert_prefix(postgres, sink.name, names.topic, table)
        load.stop()
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka1, names.topic, postgres, table, sink=sink.name)
    assert sink.terminate() == 0
