"""What the sink costs when there is little to do: partitions without records, and records one by one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

import drain
import report
import usage
from drain import Meter
from faults import let_pass
from load import Load
from progress import Watch
from sink import Sink
from testbed import Testbed
from workload import W2

PARTITIONS = (1, 100, 1_000)
SETTLE_S = 3.0
SINGLE_RATE = 250
SINGLE_BATCH_MS = 40  # ten records

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


@contextmanager
def placed_sink(bed: Testbed, partitions: int, env: Mapping[str, object]) -> Iterator[Sink]:
    """A sink that has found its place in a topic without records."""
    topic = bed.name("idle")
    bed.kafka.create_topic(topic, partitions)
    bed.postgres.query(W2.ddl(topic))
    try:
        with bed.sink(topic, bed.name("idle"), env) as sink:
            sink.wait_for(lambda: len(sink.positions(topic)) == partitions, what="partitions placed")
            yield sink
            sink.terminate()
    finally:
        bed.postgres.query(f"DROP TABLE {topic}")
        bed.kafka.delete_topic(topic)


def measure_idle(bed: Testbed, partitions: int, seconds: float) -> Idle:
    with placed_sink(bed, partitions, {}) as sink:
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


# --- One record, one flush ----------------------------------------------------------------------


@dataclass(frozen=True)
class Singles:
    """Records at a low rate on one partition, first each in a flush of its own, then ten in one."""

    alone: "Usage"
    together: "Usage"

    @property
    def flush_us(self) -> float:
        """CPU of the sink and of PostgreSQL that a flush costs, beyond its records."""
        flushes = self.alone.flushes - self.together.flushes
        return (self.alone.cpu_s - self.together.cpu_s) * 1e6 / flushes if flushes > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "flush_us": round(self.flush_us, 1),
            "record_alone_us": round(self.alone.record_us, 1),
            "record_of_ten_us": round(self.together.record_us, 1),
            "flushes": [self.alone.flushes, self.together.flushes],
        }


@dataclass(frozen=True)
class Usage:
    records: int
    flushes: int
    cpu_s: float

    @property
    def record_us(self) -> float:
        return self.cpu_s * 1e6 / self.records


def measure_singles(bed: Testbed, seconds: float) -> Singles:
    """The rate is the same, so what fetching costs is the same in both."""
    report.heading(f"Small flushes: {SINGLE_RATE} records/s on one partition")
    found = Singles(
        alone=_measure_rate(bed, seconds, {"SINK_BATCH_TIMEOUT_MS": 0}),
        together=_measure_rate(bed, seconds, {"SINK_BATCH_TIMEOUT_MS": SINGLE_BATCH_MS}),
    )
    for name, each in (("one by one", found.alone), ("ten by ten", found.together)):
        report.say(f"  {name}: {each.records:,} records, {each.flushes:,} flushes, {each.record_us:.0f} us each")
    report.say(f"  a flush: {found.flush_us:.0f} us of CPU, the sink's and PostgreSQL's")
    return found


def _measure_rate(bed: Testbed, seconds: float, env: Mapping[str, object]) -> Usage:
    records = int(SINGLE_RATE * seconds)
    with placed_sink(bed, 1, env) as sink:
        topic = sink.settings["SINK_TOPICS"]
        with Watch(bed.pg_env, drain.position_sql(sink.name)) as watch:
            meter = Meter(bed, lambda: [sink.pid], watch)
            before = meter.sample(0, 0)
            with Load(bed.kafka, topic, records, rate=SINGLE_RATE, linger_ms=0) as load:
                load.wait(seconds + 60)
            drain.watch_until(records, watch, meter, [], sink.child.check_alive)
            after = meter.sample(0, 0)
        sink.terminate()
        cpu_s = after.subject_s - before.subject_s + after.postgres_s - before.postgres_s
        return Usage(records, drain.stopped_line(sink)["flushes"], cpu_s)
