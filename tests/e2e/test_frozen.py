"""A replica stops like a stone (SIGSTOP) with its transaction open: another one takes over."""

import functools
import time

import history
import pytest
from faults import CONSUMER_PROTOCOL, application_name, events, flushes_of, let_pass, set_session_ms
from load import Load
from repeat import spread, times
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


def owned_by(postgres, sink):
    sql = "SELECT partition FROM pgsluice.offsets WHERE sink = %s AND owner = %s ORDER BY 1"
    return [row[0] for row in postgres.query(sql, [sink.name, sink.settings["SINK_INSTANCE_ID"]])]


def refused(sink):
    return [line for line in events(sink, "flush failed") if line["class"] == "fenced"]


def wait_for_owners(postgres, sinks, expected):
    """Wait until the partitions are owned by these instances, each with its share."""
    share = PARTITIONS // len(expected)
    shares = {sink.settings["SINK_INSTANCE_ID"]: share for sink in expected}

    def owners():
        if postgres.scalar("SELECT to_regclass('pgsluice.offsets')") is None:
            return {}
        sql = "SELECT owner, count(*) FROM pgsluice.offsets WHERE sink = %s GROUP BY owner"
        return dict(postgres.query(sql, [sinks[0].name]))

    def explanation():
        states = {sink.settings["SINK_INSTANCE_ID"]: sink.child.state for sink in sinks}
        return f"owners {owners()}, not {shares}; states of the processes: {states}"

    wait_until(lambda: owners() == shares, 30, explanation)


def freeze_inside_a_flush(sink, table, postgres, connection):
    """Stop it while its flush waits for the table, then free the table; the pids that now wait for its COPY."""
    with postgres.connect() as holder, holder.transaction():
        holder.execute(f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE')
        blocked = functools.partial(flushes_of, connection, sink, "relation")
        sink.wait_for(blocked, 10, "a flush that waits for the table", interval_s=0.02)
        sink.pause()
    frozen = functools.partial(flushes_of, connection, sink, "ClientRead")
    return sink.wait_for(frozen, 10, "a session that waits for its COPY")


def end_offsets_of(kafka, topic, partitions):
    return {p: end for p, end in kafka.end_offsets(topic).items() if p in partitions}


def reached(sink, topic, goal):
    at = sink.positions(topic)
    return all(at.get(partition, 0) >= end for partition, end in goal.items())


def take_over(kafka1, postgres, topic, table, first, second):
    """The first is frozen inside of a flush, the second must write what was its; the seconds that it took."""
    with postgres.connect() as connection:
        pids = freeze_inside_a_flush(first, table, postgres, connection)
        frozen_at = time.monotonic()
        orphans = owned_by(postgres, first)
        ended_before = events(second, "frozen owner ended")
        let_pass(0.5)  # records that it has never seen
        goal = end_offsets_of(kafka1, topic, orphans)
        second.wait_for(
            lambda: reached(second, topic, goal),
            SESSION_MS / 1000 + TAKEOVER_S,
            f"partitions {orphans} taken over up to {goal}",
        )
        took_s = time.monotonic() - frozen_at
        wait_for_owners(postgres, (first, second), [second])
        still = set(pids) & set(flushes_of(connection, first))
        assert not still, f"the frozen replica's sessions {still} still hold their transactions"
    ended = events(second, "frozen owner ended")[len(ended_before) :]
    owners = {line["application_name"] for line in ended}
    assert owners == {application_name(first)}, f"sessions of {owners} were ended"
    return took_s


def test_frozen_inside_a_flush_it_is_replaced(kafka1, postgres, names, table, start_sink):
    """Its rows are freed by ending its session; awake again, it writes nothing that is not its own."""
    first, second = both = start_sink(kafka1, env=ENV), start_sink(kafka1, env=ENV)
    bystander = postgres.connect(application_name="pgsluice/another/sink-1")
    took_s = []
    with Load(kafka1, names.topic, rate=2_000) as load:
        for _ in range(times(1)):
            wait_for_owners(postgres, both, both)
            took_s.append(take_over(kafka1, postgres, names.topic, table, first, second))
            history.assert_prefix(postgres, first.name, names.topic, table)
            first.resume()
            wait_for_owners(postgres, both, both)
            history.assert_prefix(postgres, first.name, names.topic, table)
        load.stop()
    assert bystander.execute("SELECT 1").fetchone() == (1,), "another sink's session was ended"
    assert not events(second, "connection lost"), "the successor has lost sessions of its own"
    second.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka1, names.topic, postgres, table, sink=first.name)
    print(spread("frozen inside of a flush to taken over", took_s))
    assert (first.terminate(), second.terminate()) == (0, 0)


def test_a_flush_of_one_that_has_slept_is_refused(kafka1, postgres, names, table, start_sink):
    """It wakes with a batch open, and mostly sends it before the broker says that its session is over.

    Batches are small, so that they are encoded and sent in one turn of the loop.
    """
    env = {**CONSUMER_PROTOCOL, "SINK_BATCH_TIMEOUT_MS": 1_000}
    set_session_ms(kafka1, names.group, SESSION_MS)
    first, second = both = start_sink(kafka1, env=env), start_sink(kafka1, env=env)
    with Load(kafka1, names.topic, rate=600) as load:
        for _ in range(5):
            wait_for_owners(postgres, both, both)
            let_pass(0.7)
            first.pause()
            wait_for_owners(postgres, both, [second])
            let_pass(0.7)
            first.resume()
            wait_for_owners(postgres, both, both)
            history.assert_prefix(postgres, first.name, names.topic, table)
            if refused(first):
                break
        load.stop()
    assert refused(first), "in five sleeps it has never woken up with a flush to send"
    second.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka1, names.topic, postgres, table, sink=first.name)
    assert (first.terminate(), second.terminate()) == (0, 0)


def test_one_that_wakes_up_alone_goes_on(kafka1, postgres, names, table, start_sink):
    """Its session with the group is over, but nobody has taken its place."""
    sink = start_sink(kafka1, env=ENV)
    connection = postgres.connect()
    with Load(kafka1, names.topic, rate=2_000) as load:
        sink.wait_for(lambda: len(sink.positions(names.topic)) == PARTITIONS, 30, "all are claimed")
        for _ in range(times(2)):
            freeze_inside_a_flush(sink, table, postgres, connection)
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
