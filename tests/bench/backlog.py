"""The same drain over longer and longer backlogs: does a record cost more when millions came before it?

Each has a topic of its own, so that the shortest and the longest are drained in the same rounds. Rows are
checked by their ids alone: what the other columns hold is checked where there are fewer.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Callable, Sequence

import drain
from canary import Canary
from growth import ONE_CONNECTION, Series, series
from postgres import Postgres
from reference import Reference
from run import Run
from testbed import Testbed
from workload import W2, produce

SIZES = (1_000_000, 10_000_000, 50_000_000)
QUICK_SIZES = (1_000_000, 4_000_000)


class Backlog(Reference):
    """A topic whose records have the ids from 0 on."""

    def __init__(self, bed: Testbed, records: int) -> None:
        super().__init__(W2.sized(records, name=f"backlog_{records}"))
        self._bed = bed
        (self._topic,) = self.workload.topics
        bed.kafka.create_topic(self._topic.name, self.workload.partitions)
        bed.postgres.query(self.workload.ddl(self._topic.name))
        produce(bed.kafka, self.workload, self._topic)
        self.sums[self._topic.name] = (records, 0)

    def fault(self, postgres: Postgres) -> str | None:
        name = self._topic.name
        found = postgres.query(f"SELECT count(*), sum(id), sum(hashint8extended(id, 0)) FROM {name}")
        expected = postgres.query(
            "SELECT count(*), sum(id), sum(hashint8extended(id, 0))"
            f" FROM generate_series(0, {self.rows} - 1::bigint) AS id"
        )
        return None if found == expected else f"{name} has {found[0]} for {expected[0]}"

    def close(self) -> None:
        self._bed.postgres.query(f"DROP TABLE {self._topic.name}")
        self._bed.kafka.delete_topic(self._topic.name)


def drain_and_empty(bed: Testbed, backlog: Backlog, start_s: float) -> Run:
    """Tables of many millions would fill the disk together."""
    run = drain.drain(bed, backlog, ONE_CONNECTION)
    run.start_cpu_s = start_s
    bed.clear(backlog.workload.tables)
    return run


def measure(bed: Testbed, canary: Canary, rounds: int, sizes: Sequence[int]) -> Series:
    start_s = drain.start_cpu_s(bed, W2.partitions, ONE_CONNECTION, rounds)
    with ExitStack() as stack:
        subjects: dict[str, Callable[[], Run]] = {}
        for size in sizes:
            backlog = Backlog(bed, size)
            stack.callback(backlog.close)
            subjects[f"{size:,} records"] = partial(drain_and_empty, bed, backlog, start_s)
        return series(canary, "records", "records in the topic, W2, one connection", subjects, rounds)
