"""The load that a shop has all day: eight sources, three replicas, the lag of each partition every second.

First a burst, then a steady rate. Positions are PostgreSQL's and are read before the ends, which are the
broker's: what is told as lag is never less than it was. It counts what is on its way in the moment it is
looked, so even a sink that is never behind shows some records.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import report
from confluent_kafka import Consumer, TopicPartition
from load import Load
from process import ProcessDied
from run import FAILURES
from sink import Sink
from testbed import Testbed
from wait import wait_until
from workload import W2

SOURCES = 8
REPLICAS = 3
PARTITIONS = 12
BURST = 10_000
RATE = 1_200
SECONDS, QUICK_SECONDS = 600, 15
SAMPLE_S = 1.0
ARRIVAL_S = 60.0


@dataclass
class Sustained:
    """One run. Lags are of the worst partition in each sample."""

    seconds: int
    burst_s: float = 0.0
    records: int = 0
    lags: list[int] = field(default_factory=list)
    void: str | None = None

    @property
    def most_lag(self) -> int:
        return max(self.lags)

    @property
    def usual_lag(self) -> float:
        return statistics.median(self.lags)

    def as_json(self) -> dict[str, Any]:
        figures = {} if self.void else {"most_lag": self.most_lag, "usual_lag": self.usual_lag}
        return {
            "seconds": self.seconds,
            "sources": SOURCES,
            "replicas": REPLICAS,
            "partitions": PARTITIONS,
            "records_per_s": RATE,
            "burst_records": BURST,
            "burst_s": round(self.burst_s, 3),
            "records": self.records,
            "samples": len(self.lags),
            **figures,
            "void": self.void,
        }


class LagWatch:
    """Asks both servers, with connections of its own."""

    def __init__(self, bed: Testbed, sink: Sink, topic: str, stack: ExitStack) -> None:
        self._sink = sink
        self._topic = topic
        self._consumer: Consumer = bed.kafka.consumer()
        stack.callback(self._consumer.close)

    def worst(self) -> int:
        positions = self._sink.positions(self._topic)
        return max(self._end(partition) - positions[partition] for partition in range(PARTITIONS))

    def _end(self, partition: int) -> int:
        ends = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=10)
        return int(ends[1])


# --- A run --------------------------------------------------------------------------------------


def start_sources(bed: Testbed, topic: str, first: int, each: int, rate: int, stack: ExitStack) -> list[Load]:
    """Each has numbers of its own, from `first` on; rate 0: as fast as it can."""
    options = {"rate": rate} if rate else {}
    return [
        stack.enter_context(
            Load(bed.kafka, topic, each, first=first + source * each, seed=source, linger_ms=0, **options)
        )
        for source in range(SOURCES)
    ]


def start_replicas(bed: Testbed, topic: str, stack: ExitStack) -> list[Sink]:
    group = bed.name("sustained")
    sinks = [bed.sink(topic, group, {}, instance=f"sink-{number}") for number in range(REPLICAS)]
    for sink in sinks:
        stack.callback(sink.close)
        sink.start()
    sinks[0].wait_for(lambda: len(sinks[0].positions(topic)) == PARTITIONS, what="all partitions placed")
    return sinks


def burst(bed: Testbed, topic: str, watch: LagWatch, result: Sustained, stack: ExitStack) -> None:
    started_s = time.monotonic()
    for load in start_sources(bed, topic, 0, BURST // SOURCES, 0, stack):
        load.wait(ARRIVAL_S)
    wait_until(lambda: watch.worst() == 0, ARRIVAL_S, "the burst's last records", 0.01)
    result.burst_s = time.monotonic() - started_s
    result.records += BURST


def keep_on(bed: Testbed, topic: str, watch: LagWatch, result: Sustained, stack: ExitStack) -> None:
    each = RATE * result.seconds // SOURCES
    loads = start_sources(bed, topic, BURST, each, RATE // SOURCES, stack)

    def sample() -> bool:
        running = all(load.running for load in loads)
        if running:
            result.lags.append(watch.worst())
        return not running

    wait_until(sample, result.seconds + ARRIVAL_S, "the sources' end", SAMPLE_S)
    for load in loads:
        load.wait(ARRIVAL_S)
    wait_until(lambda: watch.worst() == 0, ARRIVAL_S, "the last records")
    result.records += each * SOURCES


def judge(bed: Testbed, topic: str, sinks: list[Sink], result: Sustained) -> None:
    for sink in sinks:
        if sink.terminate() != 0:
            raise ProcessDied(f"a sink exited {sink.exit_code}")
    count, distinct = bed.postgres.query(f"SELECT count(*), count(DISTINCT id) FROM {topic}")[0]
    if count != result.records or distinct != result.records:
        result.void = f"{count:,} rows of {distinct:,} records for {result.records:,}"


def run(bed: Testbed, topic: str, result: Sustained) -> None:
    with ExitStack() as stack:
        sinks = start_replicas(bed, topic, stack)
        watch = LagWatch(bed, sinks[0], topic, stack)
        burst(bed, topic, watch, result, stack)
        keep_on(bed, topic, watch, result, stack)
        judge(bed, topic, sinks, result)


def measure(bed: Testbed, quick: bool) -> Sustained:
    report.heading(f"Sustained: {SOURCES} sources, {REPLICAS} replicas, {RATE:,} records/s")
    result = Sustained(QUICK_SECONDS if quick else SECONDS)
    topic = bed.name("sustained")
    bed.kafka.create_topic(topic, PARTITIONS)
    bed.postgres.query(W2.ddl(topic))
    bed.clear([topic])
    try:
        run(bed, topic, result)
    except FAILURES as error:
        result.void = str(error)
    bed.postgres.query(f"DROP TABLE {topic}")
    bed.kafka.delete_topic(topic)
    report.say(f"  void: {result.void}" if result.void else "  " + told(result.as_json()))
    return result


def told(figures: dict[str, Any]) -> str:
    """Of as_json()."""
    return (
        f"{figures['burst_records']:,} records at once from {figures['sources']} sources are in the table after"
        f" {figures['burst_s']:.2f} s, the producers' start included. Then {figures['records_per_s']:,} records/s"
        f" for {figures['seconds']:,} s: the worst partition's lag is {figures['usual_lag']:g} in the middle of"
        f" {figures['samples']:,} samples, {figures['most_lag']:,} at most. {figures['records']:,} rows for as"
        " many records."
    )
