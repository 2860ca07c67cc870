"""How long a record takes from where it should have been sent to where everybody can see its row.

Open loop: the producer sends on an absolute schedule, whatever is slow meanwhile, and puts the intended
time into the record. So a stall is felt by every record that falls into it. An observer with a connection
of its own asks PostgreSQL every millisecond for the highest id of each partition; rows of a partition come
in order, so all ids up to it are visible then. The index that answers him is the table's only one.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Mapping, Sequence

import drain
import report
import usage
from load import Load
from process import ProcessDied
from progress import Watch
from run import FAILURES
from sink import Sink
from testbed import Testbed
from wait import wait_until
from workload import W2

PARTITIONS = 12
INTERVAL_MS = 1
WARM_S = 2.0  # at the begin, left out
BROKER_WARM_S = 8.0
STALL_S = 0.2
STALL_EVERY_S = 3.0
EVENTS_S = 12.0  # at least, for runs in which something happens
ARRIVAL_S = 60.0

POLL_OPTIONS = "-c enable_seqscan=off -c enable_bitmapscan=off"  # planned while the table is empty

QUICKEST = {"SINK_BATCH_TIMEOUT_MS": 2}
RATES = (100, 1_200, 20_000)


@dataclass
class Latency:
    """One run."""

    name: str
    rate: int
    seconds: float
    percentiles: dict[str, float] = field(default_factory=dict)  # milliseconds
    records: int = 0
    sink_cores: float = 0.0  # CPU seconds each second
    postgres_cores: float = 0.0
    void: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "records_per_s": self.rate,
            "seconds": self.seconds,
            "records": self.records,
            "milliseconds": {name: round(value, 3) for name, value in self.percentiles.items()},
            "sink_cores": round(self.sink_cores, 4),
            "postgres_cores": round(self.postgres_cores, 4),
            "void": self.void,
        }


# --- The observer -------------------------------------------------------------------------------


def visible_sql(table: str) -> str:
    parts = (
        f"(SELECT max(id) FROM {table} WHERE id % {PARTITIONS} = {partition})"
        for partition in range(PARTITIONS)
    )
    return "SELECT " + ", ".join(parts)


class Observer:
    """Reads what poll_query says, in a thread, and keeps it."""

    def __init__(self, bed: Testbed, table: str) -> None:
        env = {**bed.pg_env, "PGOPTIONS": POLL_OPTIONS}
        self.watch = Watch(env, visible_sql(table), INTERVAL_MS)
        self.rows: list[list[str]] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def highest(self) -> list[int]:
        """Of each partition, as of now."""
        return _ids(self.rows[-1]) if self.rows else [-1] * PARTITIONS

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self.watch.close()

    def _read(self) -> None:
        while not self._ending.is_set():
            row = self.watch.next_row(0.1)
            if row is not None:
                self.rows.append(row)


def _ids(row: Sequence[str]) -> list[int]:
    return [int(value) if value else -1 for value in row[1:]]


def latencies_ms(rows: Iterable[Sequence[str]], rate: int, start_ns: int, first_id: int) -> list[float]:
    """For each id from first_id on, when it was seen less when it should have been sent."""
    reached = [partition - PARTITIONS for partition in range(PARTITIONS)]
    found = []
    for row in rows:
        seen_ns = int(row[0])
        for partition, highest in enumerate(_ids(row)):
            if highest <= reached[partition] or highest < 0:
                continue
            for number in range(reached[partition] + PARTITIONS, highest + 1, PARTITIONS):
                if number >= first_id:
                    due_ns = start_ns + number * 1_000_000_000 // rate
                    found.append((seen_ns - due_ns) / 1e6)
            reached[partition] = highest
    return found


def percentiles(values: Iterable[float]) -> dict[str, float]:
    ordered = sorted(values)
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    last = len(ordered) - 1
    found = {name: ordered[round(share * last)] for name, share in shares.items()}
    return {**found, "max": ordered[-1]}


# --- What happens meanwhile ---------------------------------------------------------------------

# Returns how often it happened: a run in which it did not is void.
Event = Callable[[Testbed, Sink, threading.Event, ExitStack], int]


def stalls(bed: Testbed, sink: Sink, ended: threading.Event, stack: ExitStack) -> int:
    """Now and then the sink's backends stand still."""
    sql = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgsluice/%'"
    count = 0
    with bed.postgres.connect() as connection:
        while not ended.wait(STALL_EVERY_S):
            backends = [pid for (pid,) in connection.execute(sql).fetchall()]
            usage.stop_for(backends, STALL_S)
            count += bool(backends)
    return count


def rebalances(bed: Testbed, sink: Sink, ended: threading.Event, stack: ExitStack) -> int:
    """A second instance joins, and leaves again."""
    ended.wait(STALL_EVERY_S)
    second = bed.sink(sink.settings["SINK_TOPICS"], sink.group, {}, instance="sink-2")
    stack.callback(second.close)
    second.start()
    if not ended.wait(3 * STALL_EVERY_S):
        second.terminate()
    return [line.get("event") for line in second.log_lines()].count("assigned")


# --- A run --------------------------------------------------------------------------------------


def measure(
    bed: Testbed,
    name: str,
    rate: int,
    seconds: float,
    env: Mapping[str, object],
    event: Event | None = None,
) -> Latency:
    result = Latency(name, rate, seconds, records=int(rate * (seconds + WARM_S)))
    topic = bed.name("latency")
    bed.kafka.create_topic(topic, PARTITIONS)
    bed.postgres.query(W2.ddl(topic))
    bed.postgres.query(f"CREATE INDEX ON {topic} ((id % {PARTITIONS}), id)")
    bed.clear([topic])
    try:
        with ExitStack() as stack:
            _run(bed, result, topic, env, event, stack)
    except FAILURES as error:
        result.void = str(error)
    bed.postgres.query(f"DROP TABLE {topic}")
    bed.kafka.delete_topic(topic)
    return result


def _run(
    bed: Testbed,
    result: Latency,
    topic: str,
    env: Mapping[str, object],
    event: Event | None,
    stack: ExitStack,
) -> None:
    sink = bed.sink(topic, bed.name("latency"), env)
    stack.callback(sink.close)
    sink.start()
    sink.wait_for(lambda: len(sink.positions(topic)) == PARTITIONS, what="all partitions placed")
    observer = Observer(bed, topic)
    stack.callback(observer.close)
    meter = drain.Meter(bed, lambda: [sink.pid], observer.watch)
    before = meter.sample(0, 0)
    _produce(bed, result, topic, sink, observer, event, stack)
    after = meter.sample(0, 0)
    elapsed_s = result.records / result.rate
    result.sink_cores = (after.subject_s - before.subject_s) / elapsed_s
    result.postgres_cores = (after.postgres_s - before.postgres_s) / elapsed_s
    if sink.terminate() != 0:
        raise ProcessDied(f"the sink exited {sink.exit_code}")
    _judge(bed, result, topic, observer)


def _produce(
    bed: Testbed,
    result: Latency,
    topic: str,
    sink: Sink,
    observer: Observer,
    event: Event | None,
    stack: ExitStack,
) -> None:
    """Until the last record is visible."""
    ended = threading.Event()
    with (
        ThreadPoolExecutor(1) as executor,
        Load(bed.kafka, topic, result.records, rate=result.rate, stamp=True, linger_ms=0) as load,
    ):
        meanwhile = executor.submit(event, bed, sink, ended, stack) if event else None
        try:
            load.wait(result.seconds + ARRIVAL_S)
            lowest = result.records - PARTITIONS  # of the last ones
            wait_until(lambda: min(observer.highest()) >= lowest, ARRIVAL_S, "the last records")
        finally:
            ended.set()
        if meanwhile and not meanwhile.result():
            raise RuntimeError("nothing happened meanwhile")


def _judge(bed: Testbed, result: Latency, topic: str, observer: Observer) -> None:
    count, distinct = bed.postgres.query(f"SELECT count(*), count(DISTINCT id) FROM {topic}")[0]
    if count != result.records or distinct != result.records:
        result.void = f"{count:,} rows of {distinct:,} records for {result.records:,}"
        return
    micros = bed.postgres.scalar(
        f"SELECT (extract(epoch FROM created_at) * 1000000)::bigint FROM {topic} WHERE id = 0"
    )
    found = latencies_ms(observer.rows, result.rate, micros * 1000, int(WARM_S * result.rate))
    result.percentiles = percentiles(found)


# --- All of them --------------------------------------------------------------------------------


def measure_all(bed: Testbed, quick: bool) -> list[Latency]:
    report.heading("Latency: from the intended time of sending to visible in PostgreSQL")
    seconds = 8.0 if quick else 60.0
    rates = (1_200,) if quick else RATES
    plan: list[tuple[str, int, Mapping[str, object], Event | None]] = []
    for rate in rates:
        plan += [("default", rate, {}, None), ("2 ms batches", rate, QUICKEST, None)]
    plan += [("200 ms stalls", 1_200, {}, stalls), ("rebalances", 1_200, {}, rebalances)]
    results = []
    measure(bed, "warm-up", 1_200, BROKER_WARM_S, {})  # or the first would pay for the broker's compiler
    for name, rate, env, event in plan:
        length = max(seconds, EVENTS_S) if event else seconds
        results.append(measure(bed, name, rate, length, env, event))
        if results[-1].void:
            report.say(f"  void, {name} at {rate:,}: {results[-1].void}")
    show(results)
    return results


COLUMNS = ("", "records/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "sink cores", "PostgreSQL cores")


def table_rows(results: Sequence[Latency]) -> list[list[str]]:
    return [
        [
            each.name,
            report.thousands(each.rate),
            *(report.milliseconds(value) for value in each.percentiles.values()),
            f"{each.sink_cores:.3f}",
            f"{each.postgres_cores:.3f}",
        ]
        for each in results
        if not each.void
    ]


def show(results: Sequence[Latency]) -> None:
    report.table(COLUMNS, table_rows(results))
