"""The first figure: W2 from the embedded Kafka on one connection, in seconds and without a real broker.

The mock keeps 5 MiB per partition, so 12 partitions hold 192,000 records and the drain is over before it
has settled; with 60 partitions it lasts five times as long. CPU is told without that of a start, which
for so few rows would count as much as they do; the column beside it has the whole run's.
"""

from __future__ import annotations

import statistics

import drain
import reference
import report
from run import Run
from testbed import Testbed
from workload import W2

RECORDS_PER_PARTITION = 16_000
STARTS = 3
ONE_CONNECTION = {"SINK_POOL_MAX": 1}
COLUMNS = (
    "W2",
    "rows",
    "rows/s",
    "best",
    "sink CPU s/M",
    "least",
    "whole run",
    "PostgreSQL s/M",
    "RSS",
)


def measure(bed: Testbed, partitions: int, rounds: int) -> list[Run]:
    size = RECORDS_PER_PARTITION * partitions
    truth = reference.build(bed, W2.sized(size, partitions=partitions), dumps=False)
    start_s = drain.start_cpu_s(bed, partitions, ONE_CONNECTION, STARTS)
    runs = [drain.drain(bed, truth, ONE_CONNECTION) for _ in range(rounds)]
    reference.drop(bed, truth)
    for run in runs:
        run.start_cpu_s = start_s
    return runs


def row(name: str, runs: list[Run]) -> list[str]:
    """Medians; and the best, since what disturbs a run only makes it slower."""
    good = [run for run in runs if not run.void]
    if not good:
        return [name, "-", "void", *[""] * (len(COLUMNS) - 3)]
    cpu = [run.later_cpu_per_million for run in good]
    return [
        name,
        report.thousands(good[0].rows),
        report.thousands(statistics.median(run.rate for run in good)),
        report.thousands(max(run.rate for run in good)),
        report.seconds(statistics.median(cpu)),
        report.seconds(min(cpu)),
        report.seconds(statistics.median(run.whole_cpu_per_million for run in good)),
        report.seconds(statistics.median(run.postgres_cpu_per_million for run in good)),
        report.mebibytes(max(run.peak_rss_kib for run in good)),
    ]


def show(rounds: int = 5) -> dict[str, list[Run]]:
    report.heading("First figure: 8 typed columns, 256 B JSON, exactly once, one connection, embedded Kafka")
    results = {}
    with Testbed(mock=True, tcp=False) as bed:
        bed.migrate()
        for partitions in (12, 60):
            results[f"{partitions} partitions"] = measure(bed, partitions, rounds)
    report.table(COLUMNS, [row(name, runs) for name, runs in results.items()])
    for runs in results.values():
        for run in runs:
            if run.void:
                report.say(f"  void: {run.void}")
    return results
