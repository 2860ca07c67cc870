"""What becomes of the figures when something grows: partitions, connections, replicas, flushes, backlog."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any, Callable, Mapping, Sequence

import drain
import limits
import reference
import report
from canary import Canary
from interleave import ATTEMPTS, Spread, Turns, take_turns
from reference import Reference
from run import Run
from testbed import Testbed
from workload import W2

PARTITIONS = (1, 4, 12, 60, 240, 1_000)
QUICK_PARTITIONS = (1, 60)
CONNECTIONS = (1, 2, 4, 8)
REPLICAS = (1, 2, 4)
FLUSH_ROWS = (10, 100, 1_000, 10_000, 100_000)
ENCODED_BYTES = 177  # about, of a row of W2
ONE_CONNECTION: Mapping[str, object] = {"SINK_POOL_MAX": 1}

COLUMNS = (
    "",
    "rows/s",
    "CPU s/M",
    "later",
    "least",
    "most",
    "PostgreSQL s/M",
    "RSS",
    "rows/flush",
)


class Series:
    """The same work at several sizes, in turns. `later` CPU is that without the start."""

    def __init__(self, name: str, title: str, turns: Turns) -> None:
        self.name = name
        self.title = title
        self.turns = turns

    def as_json(self) -> dict[str, Any]:
        spreads = {name: self.cpu_ratio(name) for name in self.turns.rounds[0].runs}
        ratios = {name: spread.as_json() for name, spread in spreads.items() if spread}
        return {
            "name": self.name,
            "title": self.title,
            "cpu_over_first": ratios,
            **self.turns.as_json(),
        }

    def cpu_ratio(self, size: str) -> Spread | None:
        """Over the first size."""
        first = next(iter(self.turns.rounds[0].runs))
        return self.turns.ratio(size, first, lambda run: run.later_cpu_per_million)

    def rows(self) -> list[list[str]]:
        return [self._row(name) for name in self.turns.rounds[0].runs]

    def _row(self, name: str) -> list[str]:
        later = self.turns.figure(name, lambda run: run.later_cpu_per_million)
        if later is None:
            return [name, "void", *[""] * (len(COLUMNS) - 2)]
        return [
            name,
            self._text(name, lambda run: run.rate, report.thousands),
            self._text(name, lambda run: run.cpu_per_million, report.seconds),
            report.seconds(later.median),
            report.seconds(later.low),
            report.seconds(later.high),
            self._text(name, lambda run: run.postgres_cpu_per_million, report.seconds),
            self._text(name, lambda run: run.peak_rss_kib, report.mebibytes),
            self._text(name, rows_per_flush, report.thousands),
        ]

    def _text(self, name: str, of: Callable[[Run], float], form: Callable[[float], str]) -> str:
        spread = self.turns.figure(name, of)
        return form(spread.median) if spread and spread.median else "-"


def rows_per_flush(run: Run) -> float:
    flushes = run.details.get("flushes")
    return run.rows / flushes if flushes else 0.0


def series(
    canary: Canary,
    name: str,
    title: str,
    subjects: dict[str, Callable[[], Run]],
    rounds: int,
) -> Series:
    """With --quick, one round has to do."""
    report.heading(f"Growth: {title}")
    attempts = ATTEMPTS if rounds > 1 else 1
    found = Series(name, title, take_turns(canary, subjects, rounds, attempts=attempts))
    report.table(COLUMNS, found.rows())
    report.say(f"  {found.turns.described()}")
    for text in found.turns.voids():
        report.say(f"  void, {text}")
    return found


# --- The series ---------------------------------------------------------------------------------


def over_partitions(bed: Testbed, canary: Canary, records: int, rounds: int, sizes: Sequence[int]) -> Series:
    """Each size has a topic of its own, with the same records."""

    def measure(truth: Reference, start_s: float) -> Run:
        run = drain.drain(bed, truth, ONE_CONNECTION)
        run.start_cpu_s = start_s
        return run

    with ExitStack() as stack:
        subjects: dict[str, Callable[[], Run]] = {}
        for size in sizes:
            truth = reference.build(bed, W2.sized(records, partitions=size), dumps=False)
            stack.callback(reference.drop, bed, truth)
            start_s = drain.start_cpu_s(bed, size, ONE_CONNECTION, rounds)
            subjects[f"{size:,} partitions"] = partial(measure, truth, start_s)
        title = f"partitions, W2, {records:,} records, one connection"
        return series(canary, "partitions", title, subjects, rounds)


def over_connections(bed: Testbed, canary: Canary, truth: Reference, rounds: int) -> Series:
    """COPY binary beside it: what more connections can bring on this machine."""
    subjects: dict[str, Callable[[], Run]] = {}
    for size in CONNECTIONS:
        env = {"SINK_POOL_MAX": size}
        subjects[f"{size} connections"] = partial(drain.drain, bed, truth, env)
        subjects[f"{size} COPY binary"] = partial(limits.copy, bed, truth, True, size)
    return series(canary, "connections", "connections, W2", subjects, rounds)


def over_replicas(bed: Testbed, canary: Canary, truth: Reference, rounds: int) -> Series:
    """CPU and memory are sums over the replicas, which begin at the same moment."""
    subjects: dict[str, Callable[[], Run]] = {
        f"{size} replicas": partial(drain.drain, bed, truth, ONE_CONNECTION, size)
        for size in REPLICAS
    }
    return series(canary, "replicas", "replicas, W2, one connection each", subjects, rounds)


def over_flush_rows(bed: Testbed, canary: Canary, truth: Reference, rounds: int) -> Series:
    """A flush takes all batches that are ready, up to SINK_BATCH_BYTES of encoded rows. That is a few rows
    at least: flushes of one row, whose row is larger, are idle.py's."""
    subjects: dict[str, Callable[[], Run]] = {
        f"{size:,} rows": partial(drain.drain, bed, truth, {**ONE_CONNECTION, **flush_env(size)})
        for size in FLUSH_ROWS
    }
    return series(canary, "flush_rows", "rows of a flush, W2, one connection", subjects, rounds)


def flush_env(rows: int) -> Mapping[str, object]:
    """Ten batches fill a flush, and the limit lies in the middle of the last."""
    batch_rows = rows // 10
    limit_bytes = max(ENCODED_BYTES * (rows - batch_rows // 2), 1024)
    return {"SINK_BATCH_SIZE": batch_rows, "SINK_BATCH_BYTES": limit_bytes}
