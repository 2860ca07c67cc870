"""What the chart renders, run as processes: the migration first, then replicas that come, go and die.

`./dev chart run` does more of it for longer. `./dev chart` sees to it that tests/chart/rendered is what helm renders.
"""

import backfills
import history
import pytest
from cluster import Record
from faults import IMPATIENT, slow_flushes
from load import Load
from postgres import Postgres
from releases import SINK, TABLE, TOPIC, prepare, released
from wait import wait_until

PARTITIONS = 12
# Small flushes and no time to drain, so that a pod that is killed or evicted leaves something to do.
SMALL = {"SINK_BATCH_SIZE": "1000", "SINK_DRAIN_TIMEOUT_MS": "0"}


@pytest.fixture
def empty_postgres():
    """Without the sink's schema: the release has to make it."""
    with Postgres() as server:
        prepare(server)
        yield server


@pytest.fixture
def topic(kafka1):
    kafka1.create_topic(TOPIC, PARTITIONS)
    yield TOPIC
    kafka1.delete_topic(TOPIC)


def position(postgres):
    return postgres.scalar("SELECT coalesce(sum(next_offset), 0) FROM pgsluice.offsets")


def wait_for_progress(postgres):
    before = position(postgres)
    wait_until(lambda: position(postgres) > before, 60, "records are written")


def assert_probed(pod):
    """It was asked as a kubelet asks, once it was up it never said no, and it never died."""
    assert {outcome.probe for outcome in pod.outcomes} == {"startup", "liveness", "readiness"}
    assert pod.failures("liveness") == []
    assert pod.failures("readiness") == []
    assert pod.restarts == 0


@pytest.mark.limit(150)
def test_rolled_killed_and_scaled(kafka1, empty_postgres, topic):
    with released("stream", kafka1, empty_postgres, IMPATIENT) as release:
        release.migrate()
        replicas = release.replicas(min_ready_s=0.5)
        replicas.scale(replicas.asked_for)
        first = list(replicas.pods)
        with Load(kafka1, topic, rate=4_000, poison_every=499) as load:
            wait_for_progress(empty_postgres)
            replicas.roll()
            assert not set(first) & set(replicas.pods)
            replicas.pods[0].kill_container()
            wait_for_progress(empty_postgres)
            replicas.scale(1)
            history.assert_prefix(empty_postgres, SINK, topic, TABLE)
            load.stop()
        ends = kafka1.end_offsets(topic)
        wait_until(lambda: position(empty_postgres) == sum(ends.values()), 60, "caught up")
        found = history.assert_exactly_once(kafka1, topic, empty_postgres, TABLE, sink=SINK)
        for pod in first:
            assert_probed(pod)
        for pod in replicas.former:
            assert (pod.ended.exit_code, pod.ended.killed) == (0, False)
        print(f"{found.count} rows; drained in {max(pod.ended.seconds for pod in replicas.former):.1f} s at most")


@pytest.mark.limit(120)
def test_a_backfill_whose_pods_are_killed_and_evicted(kafka1, empty_postgres, topic):
    """By index: one is killed, one evicted, one has dead letters."""
    kafka1.produce_orders(topic, 120_000)
    kafka1.produce(topic, [Record(b"no order", partition=0)])
    slow_flushes(empty_postgres, TABLE, before_ms=20, after_ms=20)
    with released("backfill", kafka1, empty_postgres, SMALL) as release:
        release.migrate()
        job = release.job().start()
        wait_until(lambda: backfills.written(empty_postgres, "everything") > 0, 60, "it writes", 0.01)
        job.running[1].child.kill()
        job.evict(2)
        job.wait(60)
        bounds = {partition: (0, end) for partition, end in kafka1.end_offsets(topic).items()}
        rows = backfills.loaded(kafka1, topic, empty_postgres, TABLE, bounds)
        assert (job.complete, job.failed) == ({1, 2}, {0}), job.exits
        assert (0, 65) in job.exits, "dead letters fail the index, after all is loaded"
        assert (2, 75) in job.exits, "an eviction met it at work"
        assert job.counted == {0: 0, 1: 1, 2: 0}, "an eviction is no failure"
        print(f"{rows} rows; exits {job.exits}, counted {job.counted}")
