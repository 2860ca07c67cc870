"""Whether, in one snapshot of PostgreSQL, every partition holds what lies below its position.

    rows and dead letters of a partition = its deliverable records below its position, each once,
    as they are, rows in the order of their offsets; and none at or above it

A snapshot is boiled down to counts and sums by PostgreSQL and compared with the same sums over the
log (truth.py). Rows that were found right once are only counted afterwards, until the last check
reads everything again. Where sums differ, the records themselves are compared, to say which.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Callable

import psycopg
from records import ROW_IS_RIGHT, Topic
from truth import BINDER, DIGEST_DIGITS, WORD, Sums, Truth

INTERVAL_S = 0.5
WORK_SHARE = 2  # it rests twice as long as it works
STANDBY_EVERY = 4  # so many snapshots are of the standby, which is to be right as well
EXAMPLES = 10
LOCK_TIMEOUT_S = 3

Place = tuple[str, int]
Connect = Callable[[], psycopg.Connection[Any]]

POSITIONS = "SELECT topic, partition, next_offset FROM pgsluice.offsets WHERE sink = %s"

LETTERS = (
    "SELECT topic, partition, count(*), sum(record_offset),"
    f" sum(('x0' || left(md5(coalesce(value, '')), {DIGEST_DIGITS}))::bit(64)::bigint)"
    " FROM pgsluice.dead_letters WHERE sink = %s GROUP BY 1, 2"
)

TOTALS = "SELECT __connect_partition, count(*) FROM {table} GROUP BY 1"

# Of the rows from `at` on; those below it are known already.
TAILS = (
    "SELECT known.partition, tail.* FROM unnest(%s::integer[], %s::bigint[]) AS known (partition, at),"
    " LATERAL (SELECT count(*), coalesce(sum(mark), 0),"
    f" coalesce(sum(mark # (__connect_offset * {BINDER})), 0),"
    f" count(*) FILTER (WHERE ({ROW_IS_RIGHT}) IS NOT TRUE),"
    " count(*) FILTER (WHERE before >= __connect_offset)"
    " FROM (SELECT *, lag(__connect_offset) OVER (ORDER BY inserted) AS before FROM {table}"
    " WHERE __connect_partition = known.partition AND __connect_offset >= known.at) AS r) AS tail"
)


@dataclass
class Holding:
    """What one snapshot holds of a partition."""

    position: int = 0
    known: int = 0  # the rows below it were found right before
    rows: int = 0
    tail: tuple[int, int, int] = (0, 0, 0)  # rows from `known` on: count, marks, bound
    altered: int = 0
    disordered: int = 0
    letters: tuple[int, int, int] = (0, 0, 0)  # count, offsets, digests


@dataclass
class Snapshot:
    """Every partition at one moment, on the primary or on its standby."""

    held: dict[Place, Holding]
    of_standby: bool = False


@dataclass
class Violation:
    """A partition that was not what lies below its position."""

    topic: str
    partition: int
    position: int
    what: str

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}], position {self.position}: {self.what}"


@dataclass
class Findings:
    """What the checks came to."""

    snapshots: int = 0
    of_standby: int = 0  # among them
    missed: int = 0  # PostgreSQL did not answer
    rewinds: int = 0  # positions that had gone back since the snapshot before
    violations: list[Violation] = field(default_factory=list)
    # Records that our client has read from the log and Kafka's own reader has not: not counted.
    disputes: list[str] = field(default_factory=list)


class Checker:
    """Takes snapshots in a thread until stop(), then the last one by finish()."""

    def __init__(
        self, connect: Connect, connect_standby: Connect, truth: Truth, topics: list[Topic],
        sink: str,
    ) -> None:  # fmt: skip
        self.connect = connect
        self.connect_standby = connect_standby
        self.truth = truth
        self.topics = [topic.name for topic in topics]
        self.transactional = {topic.name for topic in topics if topic.transactional}
        self.sink = sink
        self.found = Findings()
        self.failure: BaseException | None = None
        self._known: dict[Place, int] = {}
        self._pending: list[Snapshot] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(120)
        if self.failure is not None:
            raise self.failure

    def positions(self) -> dict[Place, int]:
        with self.connect() as connection:
            return {(t, p): at for t, p, at in connection.execute(POSITIONS, [self.sink])}

    def is_drained(self) -> bool:
        """Whether every position is behind the last deliverable record."""
        try:
            at = self.positions()
        except psycopg.Error:
            return False
        ends = {place: partition.end for place, partition in self.truth.partitions.items()}
        return all(at.get(place, 0) >= end for place, end in ends.items())

    def finish(self) -> Findings:
        """Judge what is left, and everything once more from the first row on."""
        self._known.clear()
        self._pending.append(self._snapshot(of_standby=False))
        self._judge(wait=False)
        return self.found

    def _run(self) -> None:
        try:
            for number in itertools.count(1):
                if self._stopped.is_set():
                    return
                began = time.monotonic()
                try:
                    self._pending.append(self._snapshot(number % STANDBY_EVERY == 0))
                except psycopg.Error:
                    self.found.missed += 1
                self._judge(wait=True)
                took_s = time.monotonic() - began
                self._stopped.wait(max(INTERVAL_S, took_s * WORK_SHARE))
        except BaseException as error:
            self.failure = error

    # --- one snapshot ---------------------------------------------------------------------------

    def _snapshot(self, of_standby: bool) -> Snapshot:
        with (self.connect_standby if of_standby else self.connect)() as connection:
            self._begin(connection)
            return Snapshot(self._read(connection), of_standby)

    def _begin(self, connection: psycopg.Connection[Any]) -> None:
        """A table that is written anew after the snapshot would look empty: it is locked before."""
        connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        tables = ", ".join([*self.topics, "pgsluice.offsets", "pgsluice.dead_letters"])
        connection.execute(f"LOCK TABLE {tables} IN ACCESS SHARE MODE")

    def _read(self, connection: psycopg.Connection[Any]) -> dict[Place, Holding]:
        held = {place: Holding() for place in self.truth.partitions}
        for topic, partition, position in connection.execute(POSITIONS, [self.sink]):
            known = min(position, self._known.get((topic, partition), 0))
            held[topic, partition] = Holding(position, known)
        for topic, partition, *sums in connection.execute(LETTERS, [self.sink]):
            held.setdefault((topic, partition), Holding()).letters = _whole(sums)
        for topic in self.topics:
            self._read_rows(connection, topic, held)
        return held

    def _read_rows(
        self, connection: psycopg.Connection[Any], topic: str, held: dict[Place, Holding]
    ) -> None:
        for partition, rows in connection.execute(TOTALS.format(table=topic)):
            held.setdefault((topic, partition), Holding()).rows = rows
        here = {partition: held[t, partition] for t, partition in held if t == topic}
        known = [list(here), [holding.known for holding in here.values()]]
        for partition, count, marks, bound, altered, disordered in connection.execute(
            TAILS.format(table=topic), known
        ):
            here[partition].tail = _whole([count, marks, bound])
            here[partition].altered = altered
            here[partition].disordered = disordered

    # --- judging --------------------------------------------------------------------------------

    def _judge(self, wait: bool) -> None:
        """Those snapshots whose records have all been read from the log; without `wait`, all.

        One violation is enough: what is found next to it is found slowly, and says no more.
        """
        while self._pending and (not wait or self._is_ready(self._pending[0].held)):
            snapshot = self._pending.pop(0)
            self.found.snapshots += 1
            self.found.of_standby += snapshot.of_standby
            for place, holding in sorted(snapshot.held.items()):
                self._judge_partition(place, holding, snapshot.of_standby)
                if self.found.violations:
                    return

    def _is_ready(self, held: dict[Place, Holding]) -> bool:
        self.truth.check()
        read = self.truth.partitions
        return all(p in read and read[p].end >= h.position for p, h in held.items())

    def _judge_partition(self, place: Place, holding: Holding, of_standby: bool) -> None:
        complaints = self._compare_sums(place, holding)
        if complaints and place in self.truth.partitions and place[0] in self.transactional:
            complaints = self._settled(place, holding, complaints)
        if complaints:
            where = ["on the standby"] if of_standby else []
            what = "; ".join([*where, *complaints, *self._examples(place)])
            self.found.violations.append(Violation(*place, holding.position, what))
        if not of_standby:
            self.found.rewinds += holding.position < self._known.get(place, 0)
            self._known[place] = holding.position

    def _compare_sums(self, place: Place, holding: Holding) -> list[str]:
        with self.truth.lock:
            partition = self.truth.partitions.get(place)
            below = partition.below(holding.position) if partition else Sums(0, 0, 0, 0, 0, 0)
            known = partition.below(holding.known) if partition else below
            return list(_complaints(holding, below, known, partition.end if partition else 0))

    def _settled(self, place: Place, holding: Holding, complaints: list[str]) -> list[str]:
        """What is left to complain about after Kafka's own reader has been asked.

        Only readers of transactions can disagree: in other topics every offset has its record.
        """
        try:
            forgotten = self.truth.settle(*place)
        except Exception as error:
            return [*complaints, f"Kafka's own reader was not asked: {error}"]
        if forgotten:
            self.found.disputes.append(f"{place[0]}[{place[1]}]: {forgotten} records")
        return self._compare_sums(place, holding)

    def _examples(self, place: Place) -> list[str]:
        """The offsets in question, as the database is now."""
        try:
            with self.connect() as connection:
                self._begin(connection)
                return self._compare_records(connection, place)
        except psycopg.Error as error:
            return [f"not compared: {' '.join(str(error).split())}"]

    def _compare_records(self, connection: psycopg.Connection[Any], place: Place) -> list[str]:
        topic, partition = place
        sql = f"SELECT __connect_offset FROM {topic} WHERE __connect_partition = %s"
        rows = Counter(row[0] for row in connection.execute(sql, [partition]))
        sql = (
            "SELECT record_offset FROM pgsluice.dead_letters"
            " WHERE sink = %s AND topic = %s AND partition = %s"
        )
        letters = Counter(row[0] for row in connection.execute(sql, [self.sink, *place]))
        at = {(t, p): at for t, p, at in connection.execute(POSITIONS, [self.sink])}.get(place, 0)
        with self.truth.lock:
            found = self.truth.partitions.get(place)
            good = [o for o in found.good.offsets if o < at] if found else []
            bad = [o for o in found.bad.offsets if o < at] if found else []
        sets = {
            "lost rows": set(good) - set(rows),
            "rows twice": {offset for offset, count in rows.items() if count > 1},
            "rows that should not be": set(rows) - set(good),
            "lost dead letters": set(bad) - set(letters),
            "dead letters twice": {offset for offset, count in letters.items() if count > 1},
            "dead letters that should not be": set(letters) - set(bad),
        }
        return [
            f"{len(offsets)} {name}: {', '.join(map(str, sorted(offsets)[:EXAMPLES]))}"
            for name, offsets in sets.items()
            if offsets
        ]


def _whole(sums: list[Any]) -> tuple[int, int, int]:
    first, second, third = (int(value) % WORD for value in sums)
    return first, second, third


def _complaints(holding: Holding, below: Sums, known: Sums, end: int) -> Any:
    """What is wrong with it, in words."""
    if holding.position > end:
        yield f"the log ends at {end}"
    if holding.rows != below.rows:
        yield f"{holding.rows} rows instead of {below.rows}"
    tail = (below.rows - known.rows, (below.marks - known.marks) % WORD)
    if holding.tail != (*tail, (below.bound - known.bound) % WORD):
        yield f"other rows from offset {holding.known} on ({holding.tail[0]} instead of {tail[0]})"
    if holding.altered:
        yield f"{holding.altered} altered rows"
    if holding.disordered:
        yield f"{holding.disordered} rows out of order"
    if holding.letters != (below.letters, below.letter_offsets, below.digests):
        yield f"{holding.letters[0]} dead letters instead of {below.letters}, or other ones"
