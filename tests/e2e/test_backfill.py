"""A backfill loads what lies between its bounds once, however often it is killed, beside a live sink
or not, and ends by itself.

More and larger: PGSLUICE_TIMES=10 PGSLUICE_BACKFILL_RECORDS=5000000 with -k killed.
"""

import json
import os
import random
import time
from datetime import datetime, timezone

import backfills
import history
import pytest
from cluster import Record
from confluent_kafka import Producer, TopicPartition
from faults import application_name, events, let_pass, slow_flushes
from load import Load, order_texts
from repeat import times
from wait import wait_until

PARTITIONS = 12
SEED = 20261120
RECORDS = int(os.environ.get("PGSLUICE_BACKFILL_RECORDS", 120_000))
KILLS = times(3)
LONG_S = max(120, RECORDS // 5_000)  # on a machine with others
# Small flushes and few sessions, so that a kill always meets it at work.
FLUSH_KIB = max(64, RECORDS // 4_000)
SLOW = {
    "SINK_POOL_MAX": 2,
    "SINK_BATCH_SIZE": FLUSH_KIB * 4,
    "SINK_BATCH_BYTES": f"{FLUSH_KIB}KiB",
    "SINK_MEMORY_LIMIT": "16MiB",
}


@pytest.fixture
def table(kafka1, postgres, names):
    kafka1.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    return names.table


def took_s(action):
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def reconciles(told):
    """What was read became rows or dead letters, and what was not read has its reason."""
    assert told["records"] == told["rows"] + told["skipped"] + told["dead_letters"]
    explained = told["records"] + told["offsets_without_record"] + told["offsets_gone_to_retention"]
    assert told["offsets_in_range"] == explained + told["offsets_left"]
    return told


def test_offsets(kafka1, postgres, names, table, start_sink):
    """From an offset to another one, what lies between; the second start finds it done."""
    kafka1.produce_orders(names.topic, 12_000, poison_every=997)
    run = start_sink(kafka1, command="backfill --from 100 --to 700 --json")
    assert run.wait_exit() == 65, "it has dead letters"
    bounds = {p: (100, 700) for p in range(PARTITIONS)}
    rows = backfills.loaded(kafka1, names.topic, postgres, table, bounds)
    told = reconciles(backfills.summary(run))
    assert (told["rows"], told["records"]) == (rows, PARTITIONS * 600)
    letters = "SELECT DISTINCT backfill FROM pgsluice.dead_letters WHERE topic = %s"
    assert postgres.query(letters, [names.topic]) == [(names.group,)]
    assert run.positions(names.topic) == {}, "a sink's positions are no affair of it"
    assert run.start().wait_exit() == 65
    assert backfills.summary(run)["rows"] == rows


# --- Kills ----------------------------------------------------------------------------------------


def offsets_at(kafka, topic, time_ms):
    """Each partition's first record of that time or later, as another client finds it; else its end."""
    consumer = kafka.consumer()
    try:
        wanted = [TopicPartition(topic, p, time_ms) for p in range(PARTITIONS)]
        found = {one.partition: one.offset for one in consumer.offsets_for_times(wanted, timeout=30)}
    finally:
        consumer.close()
    return {p: at if at >= 0 else kafka.end_offsets(topic)[p] for p, at in found.items()}


def now_ms():
    return int(datetime.now(timezone.utc).timestamp() * 1000)


def iso(time_ms):
    return datetime.fromtimestamp(time_ms / 1000, timezone.utc).isoformat(timespec="milliseconds")


def kill_at_work(run, postgres, rng):
    """Once it has written something since it was started."""
    before = backfills.written(postgres, run.name)
    run.wait_for(lambda: backfills.written(postgres, run.name) > before, 60, "it writes", 0.01)
    let_pass(rng.uniform(0.001, 0.3))
    run.kill()


@pytest.mark.limit(2 * LONG_S)
@pytest.mark.parametrize("parallel", (1, 3))
def test_killed_again_and_again(parallel, kafka1, postgres, names, table, start_sink):
    """A range of time, in which nothing is missing and nothing doubled."""
    rng = random.Random(SEED)
    cuts = []
    for first, part in enumerate((RECORDS // 6, RECORDS // 6 * 4, RECORDS // 6)):
        kafka1.produce_orders(names.topic, part, first=first * RECORDS, poison_every=4_999)
        cuts.append(now_ms() + 1)
        wait_until(lambda: now_ms() >= cuts[-1], 5, "a later time", interval_s=0.001)
    slow_flushes(postgres, table, before_ms=30, after_ms=30)
    words = f"backfill --from {iso(cuts[0])} --to {iso(cuts[1])} --parallel {parallel} --json"
    run = start_sink(kafka1, command=words, env=SLOW)

    def load_under_kills():
        for _ in range(KILLS):
            kill_at_work(run, postgres, rng)
            run.start()
        assert run.wait_exit(LONG_S) == 65

    load_s = took_s(load_under_kills)
    begins, ends = (offsets_at(kafka1, names.topic, at) for at in cuts[:2])
    bounds = {p: (begins[p], ends[p]) for p in range(PARTITIONS)}
    rows = []
    compare_s = took_s(lambda: rows.append(backfills.loaded(kafka1, names.topic, postgres, table, bounds)))
    assert reconciles(backfills.summary(run))["rows"] == rows[0]
    order_s = took_s(lambda: history.assert_order(postgres, table)) if parallel == 1 else 0
    print(
        f"parallel {parallel}: {rows[0]} rows of {RECORDS} records, {KILLS} kills; "
        f"loaded in {load_s:.0f} s, compared in {compare_s:.0f} s, order checked in {order_s:.0f} s"
    )


@pytest.mark.limit(120)
def test_beside_a_live_sink(kafka1, postgres, names, table, start_sink):
    """Both are killed; they meet where the live one has begun."""
    rng = random.Random(SEED)
    kafka1.produce_orders(names.topic, 60_000, poison_every=4_999)
    slow_flushes(postgres, table, before_ms=30, after_ms=30)
    live = start_sink(kafka1, env={**SLOW, "SINK_START": "latest"})
    live.wait_for_log("first start at the ends of the logs")
    began = live.positions(names.topic)
    assert began == kafka1.end_offsets(names.topic)
    with Load(kafka1, names.topic, rate=5_000, first=10_000_000, poison_every=499) as load:
        words = "backfill --from earliest --until-live --name old --json"
        run = start_sink(kafka1, command=words, env=SLOW, instance="old")
        run.name = "old"
        for _ in range(KILLS):
            kill_at_work(run, postgres, rng)
            live.kill()
            live.start()
            run.start()
        load.stop()
    assert run.wait_exit(60) == 65
    live.wait_until_caught_up(names.topic)
    bounds = kafka1.watermarks(names.topic)
    rows = backfills.loaded(kafka1, names.topic, postgres, table, bounds)
    assert {row["partition"]: row["end_offset"] for row in backfills.ranges(postgres, "old")} == began
    print(f"{rows} rows, {backfills.summary(run)['rows']} of them by the backfill")
    assert live.terminate() == 0


# --- Ends -----------------------------------------------------------------------------------------


def test_transactions_and_an_empty_partition(kafka1, postgres, names, start_sink):
    """Markers and aborted records at the end are no reason to wait; an open transaction is the end."""
    kafka1.create_topic(names.topic, 2)
    history.create_table(postgres, names.table)
    producer = Producer(kafka1.client_conf(**{"transactional.id": names.topic}))
    producer.init_transactions(30)
    for number in range(6):
        producer.begin_transaction()
        for text in order_texts(number * 100, 100):
            producer.produce(names.topic, text.encode(), partition=0)
        producer.flush(30)
        if number % 2:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    producer.begin_transaction()
    producer.produce(names.topic, b"{}", partition=0)
    producer.flush(30)
    for bound in ("607", "5000", iso(now_ms() + 1)):
        ahead = start_sink(kafka1, command=f"backfill --from earliest --to {bound} --dry-run")
        assert ahead.wait_exit() == 75, "it would end before what was asked for"
        assert f"{names.topic}[0]" in ahead.log_text() and "open from offset 606 on" in ahead.log_text()
    run = start_sink(kafka1, command="backfill --from earliest --json")
    assert run.wait_exit() == 0
    producer.abort_transaction(30)
    rows = backfills.loaded(kafka1, names.topic, postgres, names.table, {0: (0, 606), 1: (0, 0)})
    told = reconciles(backfills.summary(run))
    assert (rows, told["rows"], told["offsets_without_record"]) == (300, 300, 306)


def delete_records(kafka, topic, before, directory):
    partitions = [{"topic": topic, "partition": p, "offset": at} for p, at in before.items()]
    path = directory / "delete.json"
    path.write_text(json.dumps({"partitions": partitions, "version": 1}))
    kafka.tool("delete-records", "--offset-json-file", path)


def test_a_truncated_beginning(kafka1, postgres, names, start_sink, tmp_path):
    """What is gone is counted: before the first start, and while it was away."""
    kafka1.create_topic(names.topic, 2)
    history.create_table(postgres, names.table)
    kafka1.produce_orders(names.topic, 8_000)
    delete_records(kafka1, names.topic, {0: 100}, tmp_path)
    slow_flushes(postgres, names.table, before_ms=100, after_ms=100)
    env = {"SINK_BATCH_SIZE": 500, "SINK_BATCH_BYTES": "64KiB", "SINK_POOL_MAX": 1}
    run = start_sink(kafka1, command="backfill --from 0 --json", env=env)
    kill_at_work(run, postgres, random.Random(SEED))
    delete_records(kafka1, names.topic, {0: 3_500}, tmp_path)
    assert run.start().wait_exit() == 0
    told = reconciles(backfills.summary(run))
    below = f"SELECT count(*) FROM {names.table} WHERE __connect_partition = 0 AND __connect_offset < 3500"
    gone = 3_500 - postgres.scalar(below)
    assert gone > 100, "it was done before it was killed"
    assert (told["offsets_gone_to_retention"], told["rows"]) == (gone, 8_000 - gone)
    assert postgres.scalar(f"SELECT count(DISTINCT id) FROM {names.table}") == 8_000 - gone
    assert "the beginning is gone" in run.log_text() and "records lost" in run.log_text()


def test_a_compacted_log(kafka1, postgres, names, start_sink):
    """Its gaps are offsets without a record."""
    config = {
        "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "100",
        "min.compaction.lag.ms": "0", "max.compaction.lag.ms": "200",
    }  # fmt: skip
    kafka1.create_topic(names.topic, 1, config=config)
    history.create_table(postgres, names.table)
    texts = list(order_texts(0, 600))
    for first in range(0, 600, 100):
        values = texts[first : first + 100]
        keys = [b"key-%d" % (number % 50) for number in range(100)]
        kafka1.produce(names.topic, [Record(v.encode(), key) for v, key in zip(values, keys)])

    def compacted():
        kafka1.produce(names.topic, [Record(texts[0].encode(), b"last")])  # what was rolled off is cleaned
        return sum(1 for _ in backfills.read_topic(kafka1, names.topic)) < 200

    wait_until(compacted, 60, "a compacted log", interval_s=0.5)
    run = start_sink(kafka1, command="backfill --from 0 --to 600 --json")
    assert run.wait_exit() == 0
    told = reconciles(backfills.summary(run))
    assert 0 < told["rows"] < 200 and told["offsets_in_range"] == 600


# --- One partition --------------------------------------------------------------------------------


@pytest.mark.limit(60)
def test_one_partition_in_four_ranges(kafka1, postgres, names, start_sink):
    """Loaded in one piece, by a sink, and in four pieces: the same rows. How long each takes is printed."""
    records = RECORDS // 4
    kafka1.create_topic(names.topic, 1)
    kafka1.produce_orders(names.topic, records)
    seconds = {}
    for parallel in (1, 4) * times(1):
        table = f"{names.table}_{len(seconds)}_{parallel}"
        history.create_table(postgres, table)
        words = f"backfill --from earliest --name {table} --parallel {parallel}"
        run = start_sink(kafka1, command=words, env={"SINK_TABLE": table})
        seconds[table] = took_s(lambda run=run: run.wait_exit(60 * times(1)))
        assert run.exit_code == 0
        backfills.loaded(kafka1, names.topic, postgres, table, {0: (0, records)})
        assert len(backfills.ranges(postgres, table)) == parallel
    history.create_table(postgres, names.table)
    sink = start_sink(kafka1)
    seconds["run"] = took_s(lambda: sink.wait_until_caught_up(names.topic))
    assert sink.terminate() == 0
    backfills.loaded(kafka1, names.topic, postgres, names.table, {0: (0, records)})
    for name, took in seconds.items():
        print(f"{name.removeprefix(names.table)}: {records / took:,.0f} rows/s")


# --- Several processes ----------------------------------------------------------------------------


def test_processes_share_it(kafka1, postgres, names, table, start_sink):
    """Each ends when its share is done; it is complete when all are. A second one for a share is refused,
    and so is a new beginning while one works."""
    kafka1.produce_orders(names.topic, 24_000)
    slow_flushes(postgres, table, before_ms=50, after_ms=50)

    def start(words, **env):
        return start_sink(kafka1, command=f"backfill --from earliest --json {words}", env={**SLOW, **env})

    slow = start("--index 1 --of 3")
    slow.wait_for(lambda: backfills.written(postgres, slow.name) > 0, 60, "it writes")
    slow.pause()
    for words in ("--index 1 --of 3", "--restart"):
        refused = start(words, SINK_CONNECT_TIMEOUT_MS=1_000)
        assert refused.wait_exit() == 75
        assert "--index 1, is loaded by another process already (pgsluice/" in refused.log_text()
    shares = [start(f"--index {i} --of 3") for i in (0, 2)]
    assert [share.wait_exit() for share in shares] == [0, 0]
    shares.append(start("--index 1 --of 3 --dry-run"))
    assert shares[-1].wait_exit() == 0
    assert [backfills.summary(share)["state"] for share in shares] == ["running"] * 3
    slow.resume()
    assert slow.wait_exit() == 0
    assert backfills.summary(slow)["state"] == "complete"
    backfills.loaded(kafka1, names.topic, postgres, table, kafka1.watermarks(names.topic))
    finished = "SELECT finished_at IS NOT NULL FROM pgsluice.backfills WHERE name = %s"
    assert postgres.scalar(finished, [names.group])
    owners = {row["partition"] % 3: row["owner"] for row in backfills.ranges(postgres, names.group)}
    assert owners == {0: "sink-4", 1: "sink-1", 2: "sink-5"}


def test_what_was_asked_before_is_kept_to(kafka1, postgres, names, table, start_sink):
    """Another range under the same name is refused; --restart loads all of it again, and says so."""
    kafka1.produce_orders(names.topic, 2_400)
    first = start_sink(kafka1, command="backfill --from 0 --to 100")
    assert first.wait_exit() == 0
    other = start_sink(kafka1, command="backfill --from 0 --to 150 --partitions 3")
    assert other.wait_exit() == 78
    assert "--to was 100 and is 150" in other.log_text() and "--partitions" in other.log_text()
    cut = start_sink(kafka1, command="backfill --from 0 --to 100 --parallel 2")
    assert cut.wait_exit() == 78
    assert "--parallel was 1 and is 2" in cut.log_text()
    again = start_sink(kafka1, command="backfill --from 0 --to 100 --restart")
    assert again.wait_exit() == 0
    assert "are loaded again" in again.log_text()
    counted = f"SELECT count(*), count(DISTINCT (__connect_partition, __connect_offset)) FROM {table}"
    assert postgres.query(counted) == [(2 * PARTITIONS * 100, PARTITIONS * 100)]


def test_interrupted_it_drains_and_goes_on(kafka1, postgres, names, table, start_sink):
    """A second one is refused all the while, also after PostgreSQL has ended the session with the lock."""
    kafka1.produce_orders(names.topic, 30_000)
    slow_flushes(postgres, table, before_ms=50, after_ms=50)
    run = start_sink(kafka1, command="backfill --from earliest --json", env=SLOW)
    run.wait_for(lambda: backfills.written(postgres, run.name) > 0, 60, "it writes")
    end_hold(postgres, run)
    run.wait_for_log("the backfill's lock is ours again")
    second = start_sink(kafka1, command="backfill --from earliest", env={"SINK_CONNECT_TIMEOUT_MS": 1_000})
    assert second.wait_exit() == 75
    assert "loaded by another process already (pgsluice/" in second.log_text()
    assert run.terminate() == 75
    assert backfills.summary(run)["state"] == "interrupted"
    assert run.start().wait_exit(60) == 0
    backfills.loaded(kafka1, names.topic, postgres, table, kafka1.watermarks(names.topic))


def test_what_has_to_be_mended_is_said(kafka1, postgres, names, table, start_sink):
    kafka1.produce(names.topic, [Record(b'{"id": 1}', None, 0), Record(b'{"colour": "red"}', None, 5)])
    env = {"SINK_UNKNOWN_FIELDS": "stop"}
    run = start_sink(kafka1, command="backfill --from earliest --json", env=env)
    run.wait_for_log('"partition halted"')
    assert run.terminate() == 75
    told = reconciles(backfills.summary(run))
    halted = {one["partition"]: one["ranges"][0]["reason"] for one in told["partitions"] if one["state"] == "halted"}
    assert list(halted) == [5] and "colour" in halted[5]
    mend = events(run, "halted: mend this, then run it again with the same options, without --restart")
    assert [(line["partition"], line["reason"], line["ranges_halted"]) for line in mend] == [(5, halted[5], 1)]
    postgres.query(f"ALTER TABLE {table} ADD COLUMN colour text")
    assert run.start().wait_exit() == 0
    assert backfills.summary(run)["rows"] == 2


# --- Frozen processes -----------------------------------------------------------------------------


def end_sessions(postgres, run, also=""):
    """PostgreSQL ends them, as when the network is cut; how many those were."""
    sql = (
        "SELECT count(*) FROM (SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity AS a"
        f" WHERE a.application_name = left(%s, 63) {also}) AS ended"
    )
    return postgres.scalar(sql, [application_name(run)])


def end_hold(postgres, run):
    """That which has the lock."""
    holds = "AND EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = a.pid AND l.locktype = 'advisory')"
    assert end_sessions(postgres, run, holds) == 1


def test_one_that_was_frozen_ends_when_another_has_taken_over(kafka1, postgres, names, table, start_sink):
    kafka1.produce_orders(names.topic, 30_000)
    slow_flushes(postgres, table, before_ms=50, after_ms=50)
    words = "backfill --from earliest --json"
    frozen = start_sink(kafka1, command=words, env=SLOW)
    frozen.wait_for(lambda: backfills.written(postgres, frozen.name) > 0, 60, "it writes")
    frozen.pause()
    end_hold(postgres, frozen)
    second = start_sink(kafka1, command=words, env=SLOW)
    owners = "SELECT count(*) FROM pgsluice.backfill_ranges WHERE backfill = %s AND owner = 'sink-2'"
    second.wait_for(lambda: postgres.scalar(owners, [names.group]) == PARTITIONS, 60, "it has all")
    frozen.resume()
    assert frozen.wait_exit(60) == 75
    assert "loaded by another process already (pgsluice/" in frozen.log_text()
    assert second.wait_exit(60) == 0
    backfills.loaded(kafka1, names.topic, postgres, table, kafka1.watermarks(names.topic))


def test_one_that_was_frozen_does_nothing_in_a_plan_that_is_not_its_own(kafka1, postgres, names, table, start_sink):
    """Begun anew while it was frozen, by one that was killed: nobody has the lock."""
    kafka1.produce_orders(names.topic, 24_000)
    slow_flushes(postgres, table, before_ms=50, after_ms=50)
    words = "backfill --from earliest --json"
    frozen = start_sink(kafka1, command=words, env=SLOW)
    frozen.wait_for(lambda: backfills.written(postgres, frozen.name) > 0, 60, "it writes")
    frozen.pause()
    assert end_sessions(postgres, frozen) > 1
    anew = start_sink(kafka1, command=f"{words} --restart", env=SLOW)
    kill_at_work(anew, postgres, random.Random(SEED))
    wait_until(lambda: end_sessions(postgres, anew) == 0, 30, "the end of its last transaction")
    written = backfills.written(postgres, names.group)
    frozen.resume()
    assert frozen.wait_exit(60) == 75
    assert "the plan is gone" in frozen.log_text() and "has begun it anew" in frozen.log_text()
    assert backfills.written(postgres, names.group) == written
    assert all(row["owner"] == "sink-2" for row in backfills.ranges(postgres, names.group))
