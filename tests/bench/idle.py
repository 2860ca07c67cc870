"""What the sink costs when there is little to do: partitions without records, and records one by one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, Sequence

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
PLACED_S = 120.0
SETTLE_S = 3.0
SINGLE_RATE = 250
SINGLE_BATCH_MS = 40  # ten records

SINGLE_COLUMNS = ("", "records", "flushes", "sink us", "PostgreSQL us")
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
            sink.wait_for(
                lambda: len(sink.positions(topic)) == partitions, PLACED_S, "all partitions placed"
            )
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
class Rated:
    """What records at a certain rate came to."""

    records: int
    flushes: int
    sink_s: float
    postgres_s: float

    @property
    def cpu_s(self) -> float:
        return self.sink_s + self.postgres_s

    @property
    def record_us(self) -> float:
        return self.cpu_s * 1e6 / self.records


@dataclass(frozen=True)
class Singles:
    """Records at a low rate on one partition: each in a flush of its own, and ten in one."""

    alone: Rated
    together: Rated

    def flush_us(self, of: Callable[[Rated], float]) -> float:
        """CPU of a flush beyond its records: the rate is the same, so fetching costs the same in both."""
        flushes = self.alone.flushes - self.together.flushes
        return (of(self.alone) - of(self.together)) * 1e6 / flushes if flushes > 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "flush_us": round(self.flush_us(lambda rated: rated.cpu_s), 1),
            "flush_sink_us": round(self.flush_us(lambda rated: rated.sink_s), 1),
            "flush_postgres_us": round(self.flush_us(lambda rated: rated.postgres_s), 1),
            "record_alone_us": round(self.alone.record_us, 1),
            "record_of_ten_us": round(self.together.record_us, 1),
            "flushes": [self.alone.flushes, self.together.flushes],
        }


def measure_singles(bed: Testbed, seconds: float) -> Singles:
    report.heading(f"Small flushes: {SINGLE_RATE} records/s on one partition")
    found = Singles(
        alone=_measure_rate(bed, seconds, {"SINK_BATCH_TIMEOUT_MS": 0}),
        together=_measure_rate(bed, seconds, {"SINK_BATCH_TIMEOUT_MS": SINGLE_BATCH_MS}),
    )
    rows = [
        [
            name,
            report.thousands(each.records),
            report.thousands(each.flushes),
            f"{each.sink_s * 1e6 / each.records:.0f}",
            f"{each.postgres_s * 1e6 / each.records:.0f}",
        ]
        for name, each in (("one by one", found.alone), ("ten by ten", found.together))
    ]
    report.table(SINGLE_COLUMNS, rows)
    figures = found.as_json()
    report.say(
        f"  so a flush takes {figures['flush_us']:.0f} us of CPU:"
        f" {figures['flush_sink_us']:.0f} the sink's, {figures['flush_postgres_us']:.0f} PostgreSQL's"
    )
    return found


def _measure_rate(bed: Testbed, seconds: float, env: Mapping[str, object]) -> Rated:
    records = int(SINGLE_RATE * seconds)
    with placed_sink(bed, 1, env) as sink:
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
            records,
            drain.stopped_line(sink)["flushes"],
            after.subject_s - before.subject_s,
            after.postgres_s - before.postgres_s,
        )
