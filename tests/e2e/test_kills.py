"""Replicas are killed, join, leave and die under load: nothing is lost, nothing comes twice."""

import random

import history
import pytest
from faults import (
    CONSUMER_PROTOCOL,
    IMPATIENT,
    events,
    flushes_of,
    let_pass,
    set_session_ms,
    slow_flushes,
)
from load import Load
from repeat import times
from wait import wait_until

PARTITIONS = 12
KILLS = times(20)
RECORDS = 1_000_000
SEED = 20260801

# Small flushes and few sessions, so that a backlog lasts; then a kill always meets one at work.
SLOW = {**IMPATIENT, "SINK_MEMORY_LIMIT": "16MiB", "SINK_POOL_MAX": "2"}

PROTOCOLS = {
    "cooperative": {},
    "range": {"KAFKA_PARTITION_ASSIGNMENT_STRATEGY": "range"},
    "consumer": CONSUMER_PROTOCOL,
}


@pytest.fixture
def table(kafka3, postgres, names):
    kafka3.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    slow_flushes(postgres, names.table, before_ms=30, after_ms=40)
    return names.table


def left_over(kafka, sink, topic):
    """Records in the log that are above the positions."""
    at = sink.positions(topic)
    return sum(end - at.get(partition, 0) for partition, end in kafka.end_offsets(topic).items())


def wait_for_progress(sink, topic):
    """Until it has written something since now."""
    before = sum(sink.positions(topic).values())
    sink.wait_for(
        lambda: sum(sink.positions(topic).values()) > before, 30, f"{sink.name} writes", 0.01
    )


class Killer:
    """Kills sinks at moments of its own choice and starts them again."""

    def __init__(self, kafka, postgres, topic, table):
        self.kafka, self.postgres, self.topic, self.table = kafka, postgres, topic, table
        self.random = random.Random(SEED)
        self.connection = postgres.connect()
        self.in_flush = 0
        self.amid = 0  # that came before everything was written

    def strike(self, sink):
        """Three in four while it writes, the fourth while it starts, joins or claims."""
        early = self.random.random() < 0.25
        if not early:
            wait_for_progress(sink, self.topic)
        let_pass(self.random.uniform(0, 2.5 if early else 0.5))
        assert sink.alive, f"the sink has ended by itself with {sink.exit_code}"
        self.in_flush += bool(flushes_of(self.connection, sink))
        sink.kill()
        self.amid += left_over(self.kafka, sink, self.topic) > 0
        sink.start()
        history.assert_prefix(self.postgres, sink.name, self.topic, self.table)


@pytest.mark.limit(420)
def test_twenty_kills_lose_and_double_nothing(kafka3, postgres, names, table, start_sink):
    killer = Killer(kafka3, postgres, names.topic, table)
    kafka3.produce_orders(names.topic, 600_000, poison_every=997, compression="lz4")
    sink = start_sink(kafka3, env=SLOW)
    with Load(kafka3, names.topic, rate=6_000, first=10_000_000, poison_every=499) as load:
        for _ in range(KILLS):
            killer.strike(sink)
        load.stop()
    missing = RECORDS - sum(kafka3.end_offsets(names.topic).values())
    if missing > 0:
        kafka3.produce_orders(names.topic, missing, first=20_000_000, compression="zstd")
    sink.wait_until_caught_up(names.topic)
    found = history.assert_exactly_once(kafka3, names.topic, postgres, table, sink=sink.name)
    print(f"{found.count} rows; {killer.in_flush} of {KILLS} kills met a flush")
    assert killer.amid >= KILLS // 2, f"only {killer.amid} of {KILLS} kills met work"
    assert killer.in_flush >= KILLS // 5, f"only {killer.in_flush} of {KILLS} kills met a flush"
    assert sink.terminate() == 0


def owners(postgres, sink):
    """How many partitions each instance has claimed last."""
    if postgres.scalar("SELECT to_regclass('pgsluice.offsets')") is None:
        return {}
    sql = "SELECT owner, count(*) FROM pgsluice.offsets WHERE sink = %s GROUP BY owner"
    return dict(postgres.query(sql, [sink.name]))


def wait_for_owners(postgres, sink, expected):
    names = {one.settings["SINK_INSTANCE_ID"] for one in expected}
    wait_until(
        lambda: set(owners(postgres, sink)) == names,
        40,
        lambda: f"partitions are owned by {owners(postgres, sink)}, not by {sorted(names)}",
    )


@pytest.mark.limit(240)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_replicas_join_leave_and_die(protocol, kafka3, postgres, names, table, start_sink):
    """1 -> 3 -> 2 -> 1 replicas, then a few kills of one of two."""
    env = {**SLOW, **PROTOCOLS[protocol]}
    if protocol == "consumer":
        set_session_ms(kafka3, names.group, 1_500)
    killer = Killer(kafka3, postgres, names.topic, table)
    kafka3.produce_orders(names.topic, 50_000, poison_every=997)
    first = start_sink(kafka3, env=env)

    def check(replicas):
        wait_for_owners(postgres, first, replicas)
        for one in replicas:
            wait_for_progress(one, names.topic)
        wait_until(lambda: left_over(kafka3, first, names.topic) > 0, 10, "a load on the replicas")
        history.assert_prefix(postgres, first.name, names.topic, table)

    with Load(kafka3, names.topic, rate=15_000, first=1_000_000, poison_every=499) as load:
        check([first])
        second, third = start_sink(kafka3, env=env), start_sink(kafka3, env=env)
        check([first, second, third])
        assert second.terminate(10) == 0, "a replica that leaves exits 0"
        check([first, third])
        third.kill()
        check([first])
        second.start()
        for victim in (first, second):
            killer.strike(victim)
        load.stop()
    first.wait_until_caught_up(names.topic)
    found = history.assert_exactly_once(kafka3, names.topic, postgres, table, sink=first.name)
    print(f"{protocol}: {found.count} rows")
    assert events(third, "assigned"), "the third replica never had a partition"
    for one in (first, second):
        assert one.terminate() == 0
        assert events(one, "stopped")[-1]["rows"] > 0, "a replica that had partitions wrote nothing"
