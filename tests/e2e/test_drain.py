"""SIGTERM under load: the sink writes what it has, leaves the group and exits 0, in seconds."""

import signal
import time

import history
import pytest
from faults import events, flushes_of, group_of, let_pass, slow_flushes
from load import Load
from repeat import spread, times
from wait import wait_until

PARTITIONS = 12
DRAINS = times(6)
WITHIN_S = 10
DRAIN_MS = 4_000


@pytest.fixture
def table(kafka1, postgres, names):
    kafka1.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    slow_flushes(postgres, names.table, before_ms=20, after_ms=20)
    return names.table


def written(sink, topic):
    return sum(sink.positions(topic).values())


def wait_for_progress(sink, topic):
    before = written(sink, topic)
    sink.wait_for(lambda: written(sink, topic) > before, 30, "records are written", 0.01)


def terminate(sink):
    """SIGTERM; the exit code and the seconds it took."""
    started = time.monotonic()
    code = sink.terminate(WITHIN_S)
    return code, time.monotonic() - started


def test_terminated_under_load_again_and_again(kafka1, postgres, names, table, start_sink):
    """The group is left each time: a member that is gone by itself would hold up the next start."""
    sink = start_sink(kafka1, env={"KAFKA_SESSION_TIMEOUT_MS": "30000"})
    took_s: list[float] = []
    left: list[int] = []
    kafka1.produce_orders(names.topic, 200_000, poison_every=997)
    with Load(kafka1, names.topic, rate=20_000, first=1_000_000) as load, postgres.connect() as own:
        for number in range(DRAINS):
            wait_for_progress(sink, names.topic)
            sink.wait_for(lambda: flushes_of(own, sink), 10, "a flush under way", interval_s=0.002)
            code, seconds = terminate(sink)
            took_s.append(seconds)
            assert code == 0, f"drain {number} ended with {code}"
            left.append(sum(kafka1.end_offsets(names.topic).values()) - written(sink, names.topic))
            group = group_of(kafka1, names.group)
            assert not group.members, f"the group still has {[m.id for m in group.members]}"
            history.assert_prefix(postgres, sink.name, names.topic, table)
            committed = kafka1.group_offsets(names.group) if number == 0 else None
            if committed:
                at = sink.positions(names.topic)
                told = {partition: row[0] for (_, partition), row in committed.items()}
                assert told == at, f"Kafka was told {told}, the positions are {at}"
            sink.start()
        load.stop()
    assert any(left), f"nothing was left to do after any of the drains: this was no load, {left}"
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka1, names.topic, postgres, table, sink=sink.name)
    assert sink.terminate() == 0
    dropped = [line for line in events(sink, "drain timeout")]
    print(spread("SIGTERM to exit 0", took_s))
    assert not dropped, f"a drain ran into its time limit: {dropped}"
    shown = kafka1.tool("consumer-groups", "--describe", "--group", names.group, "--members")
    assert names.group not in shown, f"kafka-consumer-groups shows members:\n{shown}"


@pytest.mark.parametrize("signum", (signal.SIGTERM, signal.SIGINT))
def test_an_idle_sink_ends_at_once(signum, kafka1, postgres, names, table, start_sink):
    kafka1.produce_orders(names.topic, 1_000)
    sink = start_sink(kafka1)
    sink.wait_until_caught_up(names.topic)
    started = time.monotonic()
    sink.send(signum)
    assert sink.wait_exit(WITHIN_S) == 0
    assert time.monotonic() - started < 3, "an idle sink took seconds to end"
    assert not group_of(kafka1, names.group).members, "the group was not left"


def test_a_batch_that_still_fills_is_written(kafka1, postgres, names, table, start_sink):
    """SINK_BATCH_TIMEOUT_MS would hold it back for a minute."""
    sink = start_sink(kafka1, env={"SINK_BATCH_TIMEOUT_MS": "60000"})
    sink.wait_for(lambda: len(sink.positions(names.topic)) == PARTITIONS, 30, "all are claimed")
    kafka1.produce_orders(names.topic, 1_200)
    let_pass(1)
    assert written(sink, names.topic) == 0, "a batch was flushed before its time"
    code, seconds = terminate(sink)
    assert code == 0 and seconds < 5, f"exit {code} after {seconds:.1f} s"
    history.assert_exactly_once(kafka1, names.topic, postgres, table, sink=sink.name)


def start_without_postgres(kafka, postgres, names, start_sink, mode="immediate"):
    """A sink with records in memory whose PostgreSQL is away."""
    kafka.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    slow_flushes(postgres, names.table, before_ms=50, after_ms=50)
    kafka.produce_orders(names.topic, 200_000)
    env = {"SINK_DRAIN_TIMEOUT_MS": DRAIN_MS, "SINK_MEMORY_LIMIT": "16MiB"}
    sink = start_sink(kafka, postgres=postgres, env=env)
    wait_for_progress(sink, names.topic)
    postgres.stop(mode)
    sink.wait_for_log("PostgreSQL is away")
    return sink


def test_a_drain_without_postgres_ends_in_time(kafka1, own_postgres, names, start_sink):
    """What could not be written is read again by the next owner."""
    sink = start_without_postgres(kafka1, own_postgres, names, start_sink)
    code, seconds = terminate(sink)
    print(f"exit {code} after {seconds:.2f} s")
    assert code == 0, f"exit code {code}"
    assert seconds < DRAIN_MS / 1000 + 1, f"it took {seconds:.1f} s, allowed are {DRAIN_MS} ms"
    assert not group_of(kafka1, names.group).members, "the group was not left"
    own_postgres.start()
    sink.start()
    sink.wait_until_caught_up(names.topic)
    history.assert_exactly_once(kafka1, names.topic, own_postgres, names.table, sink=sink.name)
    assert sink.terminate() == 0


def test_a_drain_goes_on_when_postgres_is_back(kafka1, own_postgres, names, start_sink):
    """Within the time limit everything that was read is written.

    A crash of PostgreSQL may take the latest commits back, and a sink that drains reads nothing again.
    """
    sink = start_without_postgres(kafka1, own_postgres, names, start_sink, "fast")
    sink.send(signal.SIGTERM)
    sink.wait_for_log("draining")
    own_postgres.start()
    before = history.assert_prefix(own_postgres, sink.name, names.topic, names.table)
    assert sink.wait_exit(WITHIN_S) == 0
    assert not events(sink, "drain timeout"), "it did not use the time that it had"
    after = history.assert_prefix(own_postgres, sink.name, names.topic, names.table)
    assert sum(after.values()) > sum(before.values()), "nothing more was written"


def test_a_second_signal_ends_it_at_once(kafka1, own_postgres, names, start_sink):
    sink = start_without_postgres(kafka1, own_postgres, names, start_sink)
    sink.send(signal.SIGTERM)
    sink.wait_for_log("draining")
    started = time.monotonic()

    def signalled_again_and_gone() -> bool:
        """One that comes with the first is the same one, as timeout(1) sends it twice."""
        if sink.alive:
            sink.send(signal.SIGTERM)
        return not sink.alive

    wait_until(signalled_again_and_gone, 2, "the end after the second signal", interval_s=0.05)
    assert time.monotonic() - started < 1, "the second signal was not obeyed at once"
    assert sink.exit_code == 75, f"exit code {sink.exit_code}"
