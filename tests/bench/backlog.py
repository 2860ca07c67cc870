"""The same drain over a backlog that grows: does a record cost more when millions came before it?

One topic grows; each time it is drained from its first record on, by a new group. Rows are checked by
their ids alone: what the other columns hold is checked where there are fewer.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, Sequence

import drain
from canary import Canary
from growth import ONE_CONNECTION, Series, series
from postgres import Postgres
from reference import Reference
from run import Run
from testbed import Testbed
from workload import W2, Topic, produce

SIZES = (1_000_000, 5_000_000, 10_000_000, 50_000_000)
QUICK_SIZES = (1_000_000, 3_000_000)


class Backlog(Reference):
    """A topic whose records have the ids from 0 on."""

    def __init__(self, bed: Testbed) -> None:
        super().__init__(W2.sized(0, name="backlog"))
        self._bed = bed
        (self._topic,) = self.workload.topics
        bed.kafka.create_topic(self._topic.name, self.workload.partitions)
        bed.postgres.query(self.workload.ddl(self._topic.name))
        self.sums[self._topic.name] = (0, 0)

    def grow(self, records: int) -> None:
        missing = records - self.rows
        if missing > 0:
            produce(self._bed.kafka, self.workload, Topic(self._topic.name, missing), self.rows)
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


def measure(bed: Testbed, canary: Canary, sizes: Sequence[int]) -> Series:
    backlog = Backlog(bed)

    def grow_and_drain(size: int) -> Run:
        backlog.grow(size)
        return drain.drain(bed, backlog, ONE_CONNECTION)

    subjects: dict[str, Callable[[], Run]] = {
        f"{size:,} records": partial(grow_and_drain, size) for size in sizes
    }
    try:
        return series(canary, "records", "records in the topic, W2, one connection", subjects, 1, 1)
    finally:
        backlog.close()
