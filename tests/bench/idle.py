"""What the sink costs when there is little to do: partitions without records, and flushes of one row.

Such a flush is measured twice. Steady: one after the other, as fast as they go, and that is what a flush
costs. Now and then: 250 a second, where processors have gone to sleep in between, and their caches have
forgotten; SELECT 1 at the same pace stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

import drain
import reference
import report
import usage
from drain import Meter
from faults import let_pass
from load import Load
from progress import Watch
from run import settle
from testbed import Testbed
from workload import W2

PARTITIONS = (1, 100, 1_000)
SETTLE_S = 3.0
STEADY, NOW_AND_THEN, SELECT_ONE = "one after the other", "250 a second", "SELECT 1, 250 a second"
STEADY_RECORDS, QUICK_STEADY_RECORDS = 50_000, 20_000
SINGLES_S, QUICK_SINGLES_S, QUICK_SELECT_S = 30.0, 5.0, 3.0
SINGLE_RATE = 250
SINGLE_BATCH_MS = 40  # ten records

# A flush takes all that is ready up to SINK_BATCH_BYTES, so a row as large as that is always alone.
LONELY: Mapping[str, object] = {
    "SINK_BATCH_SIZE": 1,
    "SINK_BATCH_BYTES": "1KiB",
    "SINK_POOL_MAX": 1,
}
LONELY_NOTE_BYTES = 1024

FLUSH_COLUMNS = ("a flush of one row", "times", "client us", "PostgreSQL us", "CPU us")
IDLE_COLUMNS = ("idle with", "RSS", "peak RSS", "CPU, share of a core")


@dataclass(frozen=True)
class Idle:
    """A sink whose partitions are empty."""

    partitions: int
    rss_kib: int
    peak_rss_kib: int
    cores: float

    def as_json(self) -> dict[str, Any]:
        return {
            "partitions": self.partitions,
            "rss_kib": self.rss_kib,
            "peak_rss_kib": self.peak_rss_kib,
            "cpu_cores": round(self.cores, 5),
        }


def measure_idle(bed: Testbed, partitions: int, seconds: float) -> Idle:
    with drain.placed_sink(bed, partitions, {}) as sink:
        let_pass(SETTLE_S)
        before_s = usage.cpu_s(sink.pid)
        let_pass(seconds)
        used_s = usage.cpu_s(sink.pid) - before_s
        return Idle(partitions, sink.memory_kib(), sink.memory_kib(peak=True), used_s / seconds)


def measure_all(bed: Testbed, quick: bool) -> list[Idle]:
    report.heading("Idle: a sink with empty partitions")
    sizes: Sequence[int] = PARTITIONS[-1:] if quick else PARTITIONS
    found = [measure_idle(bed, size, 5.0 if quick else 20.0) for size in sizes]
    rows = [
        [
            f"{each.partitions:,} partitions",
            report.mebibytes(each.rss_kib),
            report.mebibytes(each.peak_rss_kib),
            f"{100 * each.cores:.2f} %",
        ]
        for each in found
    ]
    report.table(IDLE_COLUMNS, rows)
    return found


# --- One row, one flush -------------------------------------------------------------------------


@dataclass(frozen=True)
class Flush:
    """What a flush of one row takes, in microseconds of CPU."""

    name: str
    flushes: int = 0
    sink_us: float = 0.0
    postgres_us: float = 0.0
    void: str | None = None

    @property
    def cpu_us(self) -> float:
        return self.sink_us + self.postgres_us

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "flushes": self.flushes,
            "cpu_us": round(self.cpu_us, 1),
            "sink_us": round(self.sink_us, 1),
            "postgres_us": round(self.postgres_us, 1),
            "void": self.void,
        }


def measure_flushes(bed: Testbed, quick: bool) -> list[Flush]:
    report.heading("Small flushes: one row each")
    found = [
        measure_steady(bed, QUICK_STEADY_RECORDS if quick else STEADY_RECORDS),
        measure_now_and_then(bed, QUICK_SINGLES_S if quick else SINGLES_S),
        measure_select_one(bed, QUICK_SELECT_S if quick else SINGLES_S),
    ]
    rows = [
        [
            each.name,
            report.thousands(each.flushes),
            f"{each.sink_us:.0f}",
            f"{each.postgres_us:.0f}",
            f"{each.cpu_us:.0f}",
        ]
        for each in found
        if not each.void
    ]
    report.table(FLUSH_COLUMNS, rows)
    for each in found:
        if each.void:
            report.say(f"  void, {each.name}: {each.void}")
    return found


def measure_steady(bed: Testbed, records: int) -> Flush:
    """A topic of one partition, drained; between the first tenth and the last. Its records count, too."""
    lonely = W2.sized(records, name="lonely", partitions=1, note_bytes=LONELY_NOTE_BYTES)
    truth = reference.build(bed, lonely, dumps=False)
    try:
        run = drain.drain(bed, truth, LONELY)
    finally:
        reference.drop(bed, truth)
    if run.void:
        return Flush(STEADY, void=run.void)
    flushes = run.details["flushes"]
    settled = settle(run.samples)
    if flushes != run.rows or not settled:
        return Flush(STEADY, void=f"{flushes:,} flushes for {run.rows:,} rows")
    return Flush(STEADY, flushes, settled.cpu_per_million, settled.postgres_cpu_per_million)


@dataclass(frozen=True)
class Rated:
    """What records at a certain rate came to."""

    flushes: int
    sink_s: float
    postgres_s: float


def measure_now_and_then(bed: Testbed, seconds: float) -> Flush:
    """Beyond what the records take: the same are flushed in tens, and fetched at the same pace."""
    alone = _measure_rate(bed, seconds, {"SINK_BATCH_TIMEOUT_MS": 0})
    together = _measure_rate(bed, seconds, {"SINK_BATCH_TIMEOUT_MS": SINGLE_BATCH_MS})
    flushes = alone.flushes - together.flushes
    if flushes <= 0:
        return Flush(NOW_AND_THEN, void=f"{alone.flushes:,} flushes for {together.flushes:,} of ten")
    return Flush(
        NOW_AND_THEN,
        flushes,
        (alone.sink_s - together.sink_s) * 1e6 / flushes,
        (alone.postgres_s - together.postgres_s) * 1e6 / flushes,
    )


def measure_select_one(bed: Testbed, seconds: float) -> Flush:
    """The least that PostgreSQL can be asked, as often: by poll_query, since the pace is all that matters."""
    with Watch(bed.pg_env, "SELECT 1", 1000 / SINGLE_RATE) as watch:
        before_s = usage.cpu_s(watch.pid), usage.cpu_s(watch.backend)
        let_pass(seconds)
        after_s = usage.cpu_s(watch.pid), usage.cpu_s(watch.backend)
    times = int(SINGLE_RATE * seconds)
    client_us, postgres_us = (
        (after - before) * 1e6 / times for before, after in zip(before_s, after_s)
    )
    return Flush(SELECT_ONE, times, client_us, postgres_us)


def _measure_rate(bed: Testbed, seconds: float, env: Mapping[str, object]) -> Rated:
    records = int(SINGLE_RATE * seconds)
    with drain.placed_sink(bed, 1, env) as sink:
        topic = sink.settings["SINK_TOPICS"]
        with Watch(bed.pg_env, drain.position_sql(sink.name), 50) as watch:
            meter = Meter(bed, lambda: [sink.pid], watch)
            before = meter.sample(0, 0)
            with Load(bed.kafka, topic, records, rate=SINGLE_RATE, linger_ms=0) as load:
                load.wait(seconds + 60)
            drain.watch_until(records, watch, meter, [], sink.child.check_alive)
            after = meter.sample(0, 0)
        sink.terminate()
        return Rated(
            drain.stopped_line(sink)["flushes"],
            after.subject_s - before.subject_s,
            after.postgres_s - before.postgres_s,
        )
