"""Each shipped alert is caused on real servers and replicas, and a real Prometheus fires it.

Several sinks run side by side, each a job of its own to Prometheus. First all is well, under load: nothing fires.
Then each gets its fault, all at about the same time, and every alert that belongs to a fault has to fire for the
job that has it, and no other one there.

The rules' minutes are seconds here (SCALE): tests/support/prometheus.py divides the durations of the shipped file
and leaves the expressions alone. Thresholds in seconds are not divided: to be a quarter of an hour behind, records
are produced with timestamps of an hour ago; the two minutes after which ends are stale pass in `./dev alerts` alone.

PGSLUICE_ALERTS=alone is the long form, of `./dev alerts`: one fault after the other, each mended before the next
one, and a quiet hour (scaled, too).
"""

import json
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Callable

import dashboard
import orders
import pytest
from cluster import Record
from faults import full_speed, slow_flushes
from http_client import Web
from load import Load
from process import free_port
from prometheus import Prometheus
from wait import wait_until

ALONE = os.environ.get("PGSLUICE_ALERTS") == "alone"
SCALE = 60
QUIET_S = 3600 / SCALE if ALONE else 6
FIRES_S = 60  # the longest of the rules takes 30 minutes, scaled
STALE_S = 240
HOUR_MS = 3_600_000
RATE = 200
SHARED = {"SINK_LAG_INTERVAL_MS": 500, "KAFKA_SESSION_TIMEOUT_MS": 20_000}


@dataclass
class Fault:
    """What is done to the sink of one job, and what has to come of it."""

    job: str
    what: str
    alerts: set[str]
    strike: Callable[[], None]
    mend: Callable[[], None]
    along: frozenset[str] = frozenset()  # alerts that may fire as well


class Stage:
    """The sinks by job, with their topics, tables and loads."""

    def __init__(self, kafka, start_sink, prefix):
        self.kafka = kafka
        self.start_sink = start_sink
        self.prefix = prefix
        self.sinks = {}
        self.addresses = {}
        self.loads = {}
        self.cleanup = ExitStack()

    def topic(self, job):
        return f"{self.prefix}_{job}"

    def add(self, job, postgres, replicas=1, partitions=4, topics=1, env=None):
        """Without replicas, whoever is wanted is started later."""
        names = [self.topic(job)] + [f"{self.topic(job)}_{number}" for number in range(1, topics)]
        for name in names:
            orders.create_table(postgres, name)
            self.kafka.create_topic(name, partitions)
        self.addresses[job] = [f"127.0.0.1:{free_port()}" for _ in range(replicas or 1)]
        for _ in range(replicas):
            self.start(job, postgres, topics=",".join(names), env=env)

    def start(self, job, postgres, topics=None, env=None, **options):
        """The next one of the job."""
        sinks = self.sinks.setdefault(job, [])
        settings = {**SHARED, "SINK_HTTP_ADDRESS": self.addresses[job][len(sinks)], **(env or {})}
        options |= {"topics": topics or self.topic(job), "group": self.topic(job), "env": settings}
        sinks.append(self.start_sink(self.kafka, postgres=postgres, instance=f"{job}-{len(sinks)}", **options))

    def web(self, job, number=0):
        return Web(self.sinks[job][number])

    def settle(self):
        """Every sink is ready, and no partition is without an owner."""
        for job, sinks in self.sinks.items():
            for sink in sinks:
                Web(sink).wait_until_ready()
            wait_until(lambda: self.owned(job) == self.partitions(job), 60, f"owners of {job}")

    def owned(self, job):
        alive = [sink for sink in self.sinks[job] if sink.alive and sink.child.state != "T"]
        return sum(Web(sink).metric("pgsluice_consumer_assigned_partitions") for sink in alive)

    def partitions(self, job):
        return self.web(job).metric("pgsluice_topic_partitions")

    def load(self, job, **options):
        load = Load(self.kafka, self.topic(job), rate=RATE, **options)
        self.loads.setdefault(job, []).append(self.cleanup.enter_context(load))

    def stop_load(self, job):
        for load in self.loads.pop(job, []):
            load.stop()

    def stop(self):
        self.cleanup.close()
        for sinks in self.sinks.values():
            for sink in sinks:
                if sink.alive:
                    sink.kill()


# --- The faults -----------------------------------------------------------------------------------


def outage(stage, postgres):
    """What comes meanwhile is an hour old, and more than fits into memory."""
    topic = stage.topic("outage")

    def strike():
        stage.stop_load("outage")
        stage.sinks["outage"][0].wait_until_caught_up(topic)
        postgres.stop("immediate")
        old = int(time.time() * 1000) - HOUR_MS
        text = json.dumps({"id": 1, "note": "x" * 3000}).encode()
        records = [Record(text, partition=i % 4, timestamp_ms=old) for i in range(6000)]
        stage.kafka.produce(topic, records)

    writing = {"PostgresUnreachable", "ProgressStalled", "PartitionLagHigh", "Backpressured"}
    return Fault(
        "outage",
        "PostgreSQL stopped",
        writing | {"LagSecondsHigh", "LagSecondsCritical"},
        strike,
        postgres.start,
        frozenset({"NotReady", "FallingBehind", "OffsetCommitFailures", "PostgresErrors"}),
    )


def slow_table(stage, postgres):
    """One connection, four partitions, and a statement that takes a second: each waits for the others."""

    def strike():
        slow_flushes(postgres, stage.topic("slow"), 1100, 0)
        stage.load("slow", first=10_000_000)
        stage.load("slow", first=20_000_000)

    def mend():
        stage.stop_load("slow")
        full_speed(postgres, stage.topic("slow"))

    return Fault(
        "slow",
        "a trigger of 1.1 s a statement",
        {"FallingBehind", "Saturated", "PoolExhausted", "PartitionLagHigh"},
        strike,
        mend,
        frozenset({"Backpressured", "ProgressStalled"}),
    )


def hot_partition(stage, postgres):
    """All records have one key, and its partition does not get on."""

    def strike():
        slow_flushes(postgres, stage.topic("hot"), 1000, 0)
        records = [Record(b'{"id": 1}', partition=2) for _ in range(20_000)]
        stage.kafka.produce(stage.topic("hot"), records)

    def mend():
        full_speed(postgres, stage.topic("hot"))

    along = frozenset({"FallingBehind", "Saturated", "Backpressured"})
    return Fault("hot", "one partition gets all, slowly", {"PartitionLagHigh"}, strike, mend, along)


def poison(stage, postgres):
    """One row in fifty is refused."""
    topic = stage.topic("poison")

    def strike():
        postgres.query(f"ALTER TABLE {topic} ADD CONSTRAINT even CHECK (id % 50 <> 0) NOT VALID")

    def mend():
        postgres.query(f"ALTER TABLE {topic} DROP CONSTRAINT even")

    alerts = {"RecordsDeadLettered", "PostgresErrors", "OffsetCommitFailures"}
    return Fault("poison", "a CHECK refuses one row in 50", alerts, strike, mend)


def refused_letter(stage, postgres):
    """The topic of dead letters takes nothing of this size."""
    topic = stage.topic("letters")
    limit = ("--alter", "--entity-type", "topics", "--entity-name", f"{topic}_dead", "--add-config")

    def strike():
        stage.kafka.produce(topic, [Record(b"not JSON" * 100, partition=0)])

    def mend():
        stage.kafka.tool("configs", *limit, "max.message.bytes=1000000")

    along = frozenset({"NotReady", "ProgressStalled", "PartitionLagHigh", "RecordsDeadLettered"})
    return Fault("letters", "the dead letter topic refuses", {"DeadLetterFailing"}, strike, mend, along)


def halted(stage, postgres):
    topic = stage.topic("halted")

    def strike():
        postgres.query(f"ALTER TABLE {topic} RENAME TO {topic}_away")

    def mend():
        postgres.query(f"ALTER TABLE {topic}_away RENAME TO {topic}")

    along = frozenset(
        {"ProgressStalled", "PartitionLagHigh", "FallingBehind", "OffsetCommitFailures", "PostgresErrors"}
    )
    return Fault("halted", "its table renamed", {"NotReady"}, strike, mend, along)


def uneven(stage, postgres):
    """Range gives the first of two replicas two of three partitions, for each topic again."""
    spare = stage.sinks["uneven"][1]
    spare.terminate()
    return Fault(
        "uneven",
        "four topics of three partitions, shared by range",
        {"AssignmentImbalanced"},
        lambda: spare.start() and None,
        lambda: spare.terminate() and None,
        frozenset({"PartitionsUnassigned"}),
    )


def killed(stage, postgres):
    """Its session is longer than the rule is patient."""
    sink = stage.sinks["killed"][1]
    return Fault(
        "killed",
        "one of two replicas killed",
        {"PartitionsUnassigned"},
        sink.kill,
        lambda: sink.start() and None,
    )


def frozen(stage, postgres):
    """The group gives it up, it comes back, and again."""
    sink = stage.sinks["frozen"][1]
    other = stage.web("frozen")

    def strike():
        for _ in range(4):
            sink.pause()
            wait_until(lambda: stage.owned("frozen") == 4, 30, "the other has all partitions")
            sink.resume()
            wait_until(lambda: other.metric("pgsluice_consumer_assigned_partitions") == 2, 30, "it is back")

    alerts = {"GroupSessionLost", "RebalancesFrequent"}
    along = frozenset({"PartitionsUnassigned"})
    return Fault("frozen", "a replica frozen 4 times", alerts, strike, lambda: None, along)


def backfill(stage, postgres):
    """Somebody holds its table."""
    topic = stage.topic("backfill")
    holder = ExitStack()

    def strike():
        stage.kafka.produce(topic, [Record(b'{"id": 1}', partition=i % 4) for i in range(400)])
        connection = holder.enter_context(postgres.connect(autocommit=False))
        connection.execute(f"LOCK TABLE {topic}")
        stage.start("backfill", postgres, command="backfill --from earliest --to latest")

    def mend():
        holder.close()
        stage.sinks["backfill"][0].wait_exit()

    return Fault("backfill", "the table of a backfill locked", {"BackfillStalled"}, strike, mend)


FAULTS = (backfill, outage, slow_table, hot_partition, poison, refused_letter, halted, uneven, killed, frozen)


# --- The tests ------------------------------------------------------------------------------------


@pytest.fixture
def stage(kafka1, postgres, own_postgres, names, start_sink):
    stage = Stage(kafka1, start_sink, names.topic[:30])
    little = {"SINK_MEMORY_LIMIT": "16MiB", "SINK_BATCH_BYTES": "64KiB"}
    one = {"SINK_POOL_MAX": 1, "SINK_BATCH_SIZE": 50, "SINK_BATCH_BYTES": "8KiB"}
    dead = {"SINK_DEAD_LETTERS": "topic", "SINK_DEAD_LETTER_TOPIC": stage.topic("letters_dead")}
    kafka1.create_topic(dead["SINK_DEAD_LETTER_TOPIC"], 1, config={"max.message.bytes": 300})
    stage.add("outage", own_postgres, 2, env=little)
    stage.add("slow", postgres, env=one)
    stage.add("hot", postgres, env=one)
    stage.add("poison", postgres)
    stage.add("letters", postgres, env=dead)
    stage.add("halted", postgres)
    stage.add("backfill", postgres, replicas=0)
    stage.add("uneven", postgres, 2, 3, 4, env={"KAFKA_PARTITION_ASSIGNMENT_STRATEGY": "range"})
    stage.add("killed", postgres, 2)
    stage.add("frozen", postgres, 2, env={"KAFKA_SESSION_TIMEOUT_MS": 2000, "KAFKA_HEARTBEAT_INTERVAL_MS": 300})
    stage.settle()
    yield stage
    stage.stop()


def name(alert):
    return alert.removeprefix("Pgsluice")


def firing(prometheus, job):
    return {name(alert) for alert, of in prometheus.firing() if of == job}


def stays_quiet(prometheus, seconds):
    """Nothing fires, for so long."""
    end = time.monotonic() + seconds
    wait_until(lambda: prometheus.firing() or time.monotonic() > end, seconds + 10, "time", interval_s=0.25)
    assert prometheus.firing() == set()


class Watch:
    """When which alert was first seen to fire, for which job."""

    def __init__(self, prometheus):
        self.prometheus = prometheus
        self.began = {}
        self.seconds = {}

    def strike(self, fault):
        self.began[fault.job] = time.monotonic()
        fault.strike()
        self.look()

    def look(self):
        for alert, job in self.prometheus.firing():
            if job in self.began:
                self.seconds.setdefault((job, name(alert)), time.monotonic() - self.began[job])

    def missing(self, faults):
        self.look()
        return {(f.job, alert) for f in faults for alert in f.alerts} - set(self.seconds)

    def wait(self, faults):
        """Until all of theirs fire; and none that does not belong to them."""
        wait_until(
            lambda: not self.missing(faults),
            FIRES_S,
            lambda: f"{self.missing(faults)}\n{self.prometheus.alerts()}",
            interval_s=0.25,
        )
        for fault in faults:
            foreign = firing(self.prometheus, fault.job) - fault.alerts - fault.along
            assert not foreign, f"{fault.what}: {foreign}"

    def table(self, faults):
        lines = [f"{'alert':24} {'seconds':>7}  cause"]
        for fault in faults:
            for alert in sorted(fault.alerts):
                lines.append(f"{alert:24} {self.seconds[fault.job, alert]:7.1f}  {fault.what}")
        return "\n".join(lines)


def all_alerts(prometheus):
    return {name(rule["name"]) for rule in prometheus.rules() if rule["type"] == "alerting"}


def start_loads(stage):
    for job in ("outage", "slow", "poison", "halted", "killed", "frozen", "uneven"):
        stage.load(job)


def make_faults(stage, postgres, own_postgres):
    return [make(stage, own_postgres if make is outage else postgres) for make in FAULTS]


def is_over(prometheus):
    wait_until(lambda: not prometheus.firing(), FIRES_S + 90, lambda: str(prometheus.firing()), 0.25)


def all_at_once(faults, watch):
    """But Kafka, which would have to be away for two minutes."""
    for fault in faults:
        watch.strike(fault)
    watch.wait(faults)
    return faults, {"Absent", "LagStale"}


def kafka_away(kafka, watch):
    """For so long that what is known of lag is not to be trusted."""
    fault = Fault("poison", "Kafka frozen", {"LagStale"}, kafka.pause, kafka.resume)
    watch.strike(fault)
    wait_until(lambda: not watch.missing([fault]), STALE_S, "LagStale", 0.25)
    fault.mend()
    is_over(watch.prometheus)
    return fault


def one_after_the_other(faults, watch, kafka):
    """When it is mended, its alerts end."""
    for fault in faults:
        watch.strike(fault)
        watch.wait([fault])
        fault.mend()
        is_over(watch.prometheus)
    return [*faults, kafka_away(kafka, watch)], {"Absent"}


def without_data(prometheus):
    """Queries of the dashboard that give nothing, although all of this has happened (but errors of Kafka's client)."""
    shown = dashboard.load()
    return [
        expression
        for _, expression in dashboard.queries(shown)
        if "consumer_errors" not in expression and not prometheus.query(dashboard.substitute(shown, expression))
    ]


@pytest.mark.limit(1800 if ALONE else 150)
def test_every_alert_fires_for_its_reason(stage, kafka1, postgres, own_postgres):
    faults = make_faults(stage, postgres, own_postgres)
    start_loads(stage)
    with Prometheus(stage.addresses, SCALE) as prometheus:
        stays_quiet(prometheus, QUIET_S)
        watch = Watch(prometheus)
        if ALONE:
            caused, left = one_after_the_other(faults, watch, kafka1)
        else:
            caused, left = all_at_once(faults, watch)
        print(f"\n{watch.table(caused)}")
        assert {alert for fault in caused for alert in fault.alerts} == all_alerts(prometheus) - left
        assert [rule for rule in prometheus.rules() if rule["health"] != "ok"] == []
        assert without_data(prometheus) == []
        stage.stop()
        wait_until(lambda: ("PgsluiceAbsent", "") in prometheus.firing(), FIRES_S, "nobody is there")
