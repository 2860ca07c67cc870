"""PostgreSQL or Kafka goes away under load and comes back: the sink stays, and goes on by itself."""

import os
import time
from pathlib import Path

import history
import pytest
from dead_letters import dead_letters
from faults import IMPATIENT, events, flushes_of, full_speed, group_of, member_ids, slow_flushes
from load import Load
from repeat import spread, times
from wait import wait_until

PARTITIONS = 12
OUTAGE_S = max(60, 6 * times(10))  # ten minutes in ./dev soak 100
ENDED_SESSIONS = 40
NOTE_BYTES = 1_000
LIMIT_MIB = 64
AROUND_MIB = 64  # what lies beside the records: program, fetches under way, what malloc's arenas keep
REBALANCES = ("assigned", "revoked", "lost")

# A consumer that stops polling for 10 s would be thrown out of the group during the outage.
PATIENT = {"KAFKA_MAX_POLL_INTERVAL_MS": "10000", "SINK_MEMORY_LIMIT": f"{LIMIT_MIB}MiB"}


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rebalances(sink):
    return [(line["event"], line["partitions"]) for line in events(sink, *REBALANCES)]


def assert_memory(sink, when):
    peak_mib = sink.memory_kib(peak=True) // 1024
    assert peak_mib <= LIMIT_MIB + AROUND_MIB, (
        f"{when}: the sink's memory peaked at {peak_mib} MiB, SINK_MEMORY_LIMIT is {LIMIT_MIB} MiB"
    )
    return peak_mib


def written(sink, topic):
    return sum(sink.positions(topic).values())


def wait_for_progress(sink, topic, deadline_s=30):
    before = written(sink, topic)
    sink.wait_for(lambda: written(sink, topic) > before, deadline_s, "records are written", 0.02)


@pytest.mark.limit(240 + OUTAGE_S)
def test_postgres_is_away_for_long(kafka3, own_postgres, names, start_sink):
    """No exit, no rebalance, no busy loop, memory within the budget, nothing lost or doubled."""
    postgres = own_postgres
    kafka3.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    slow_flushes(postgres, names.table, before_ms=50, after_ms=50)
    kafka3.produce_orders(names.topic, 100_000, note_bytes=NOTE_BYTES)
    sink = start_sink(kafka3, postgres=postgres, env=PATIENT)
    wait_for_progress(sink, names.topic)
    members, before = member_ids(kafka3, names.group), rebalances(sink)
    assert len(members) == 1 and before, f"members {members}, rebalances {before}"

    with Load(kafka3, names.topic, 150_000, first=1_000_000, note_bytes=NOTE_BYTES) as load:
        wait_for_progress(sink, names.topic)
        positions = sink.positions(names.topic)
        postgres.stop("immediate")
        stopped = time.monotonic()
        load.wait()
        backlog = sum(kafka3.end_offsets(names.topic).values()) - sum(positions.values())
        assert backlog * NOTE_BYTES > (LIMIT_MIB + AROUND_MIB) << 20, f"a backlog of {backlog} is too small"
        wait_until(lambda: time.monotonic() > stopped + 20, 30, "20 s of the outage")
        cpu_before = cpu_seconds(sink.pid)
        wait_until(lambda: time.monotonic() > stopped + OUTAGE_S, OUTAGE_S, "the outage's end")
        assert sink.alive, f"the sink has ended with {sink.exit_code}"
        cpu = (cpu_seconds(sink.pid) - cpu_before) / (OUTAGE_S - 20)
        peak_mib = assert_memory(sink, "during the outage")
        assert member_ids(kafka3, names.group) == members, "the sink has left and joined its group"
        assert rebalances(sink) == before, "the group was rebalanced during the outage"

    postgres.start()
    back = time.monotonic()
    wait_for_progress(sink, names.topic)
    resumed_s = time.monotonic() - back
    full_speed(postgres, names.table)
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka3, names.topic, postgres, names.table, sink=sink.name)
    assert rebalances(sink) == before, "the group was rebalanced after the outage"
    peak_after_mib = assert_memory(sink, "after the outage")
    print(
        f"backlog {backlog}, peak {peak_mib} MiB in the outage and {peak_after_mib} MiB behind it, "
        f"{cpu:.2%} CPU, writing again after {resumed_s:.1f} s"
    )
    assert cpu < 0.05, f"the sink took {cpu:.1%} of a core while it could do nothing"
    assert resumed_s < 15, f"the sink wrote again {resumed_s:.1f} s after PostgreSQL was back"
    assert sink.terminate() == 0


@pytest.fixture
def table(postgres, names):
    history.create_table(postgres, names.table)
    slow_flushes(postgres, names.table, before_ms=20, after_ms=20)
    return names.table


@pytest.mark.parametrize("mode", ("fast", "immediate"))
def test_postgres_restarts_under_load(mode, kafka3, own_postgres, names, start_sink):
    postgres = own_postgres
    kafka3.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    slow_flushes(postgres, names.table, before_ms=20, after_ms=20)
    sink = start_sink(kafka3, postgres=postgres, env=PATIENT)
    back_s = []
    with Load(kafka3, names.topic, rate=15_000) as load:
        for _ in range(times(3)):
            wait_for_progress(sink, names.topic)
            postgres.restart(mode)
            back = time.monotonic()
            wait_for_progress(sink, names.topic)
            back_s.append(time.monotonic() - back)
            history.assert_prefix(postgres, sink.name, names.topic, names.table)
        load.stop()
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka3, names.topic, postgres, names.table, sink=sink.name)
    print(spread(f"{mode} restart to the first commit", back_s))
    assert not dead_letters(postgres, sink.name), "an outage has made dead letters"
    assert len(rebalances(sink)) == 1, f"the group was rebalanced: {rebalances(sink)}"
    assert sink.terminate() == 0


def test_sessions_are_ended_in_their_flushes(kafka3, postgres, names, table, start_sink):
    """As an administrator does; the sink asks what was committed before it goes on."""
    kafka3.create_topic(names.topic, PARTITIONS)
    sink = start_sink(kafka3, env=PATIENT)
    ended = set()
    with Load(kafka3, names.topic, rate=15_000) as load, postgres.connect() as connection:
        while len(ended) < ENDED_SESSIONS:
            pids = sink.wait_for(
                lambda: set(flushes_of(connection, sink)) - ended, 30, "a flush", interval_s=0.003
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [list(pids)]
            )
            ended |= pids
        wait_for_progress(sink, names.topic)
        load.stop()
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka3, names.topic, postgres, table, sink=sink.name)
    print(f"{len(ended)} sessions ended")
    assert len(rebalances(sink)) == 1, f"the group was rebalanced: {rebalances(sink)}"
    assert sink.terminate() == 0


def test_a_broker_is_killed(kafka3, postgres, names, table, start_sink):
    """The one that is the group's coordinator and leads a third of the partitions."""
    kafka3.create_topic(names.topic, PARTITIONS)
    sink = start_sink(kafka3)
    with Load(kafka3, names.topic, rate=15_000) as load:
        wait_for_progress(sink, names.topic)
        node = group_of(kafka3, names.group).broker.id
        kafka3.kill(node)
        for _ in range(5):
            wait_for_progress(sink, names.topic)
        kafka3.start_broker(node)
        kafka3.wait_for_replicas(names.topic)
        load.stop()
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka3, names.topic, postgres, table, sink=sink.name)
    assert sink.terminate() == 0


def test_the_only_broker_is_killed_and_restarted(kafka1, postgres, names, table, start_sink):
    kafka1.create_topic(names.topic, PARTITIONS)
    sink = start_sink(kafka1, env=IMPATIENT)
    with Load(kafka1, names.topic, rate=15_000):
        wait_for_progress(sink, names.topic)
        kafka1.kill()
    kafka1.start_broker(1)
    kafka1.produce_orders(names.topic, 10_000, first=10_000_000)
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka1, names.topic, postgres, table, sink=sink.name)
    assert sink.terminate() == 0
