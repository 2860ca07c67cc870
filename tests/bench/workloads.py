"""W1 to W8, drained by the sink in turns with the limits."""

from __future__ import annotations

import argparse
import itertools
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Callable, Iterator, Sequence

import drain
import limits
import reference
import report
import workload
from canary import Canary
from interleave import ATTEMPTS, Figure, Round, Spread, Turns, take_turns
from reference import Reference
from run import Run
from testbed import Testbed
from workload import Workload

SINK = "pgsluice"
ROUNDS = 5
CANARY_RECORDS = 200_000
MOCK_PARTITION_BYTES = 4_300_000  # of 5 MiB, for the framing
MOCK_PARTITIONS = 60

# With --quick.
QUICK_RECORDS = {"W2": 700_000, "W6": 20_000}
QUICK_RECORDS_ELSE = 200_000
QUICK_ROUNDS = {"W2": 3}

POSTGRES_CPU = "PostgreSQL CPU"
RATIOS: dict[str, Figure] = {
    "rows/s": lambda run: run.rate,
    "CPU": lambda run: run.cpu_per_million,
    POSTGRES_CPU: lambda run: run.postgres_cpu_per_million,
}
WITHOUT_ROWS = ("consume and drop", "encode only")


@dataclass
class Result:
    """One workload with one codec."""

    workload: Workload
    records: int
    turns: Turns

    def as_json(self) -> dict[str, Any]:
        ratios = {
            f"{figure} / {other}": spread.as_json()
            for figure, other, spread in self.ratios()
        }
        return {
            "workload": self.workload.name,
            "title": self.workload.title,
            "codec": self.workload.codec,
            "partitions": self.workload.partitions,
            "records": self.records,
            "ratios": ratios,
            **self.turns.as_json(),
        }

    def ratios(self) -> Iterator[tuple[str, str, Spread]]:
        """The sink over each of the limits; PostgreSQL's CPU where the limit writes rows, too."""
        for other in self.turns.rounds[0].runs:
            for figure, of in RATIOS.items():
                if other == SINK or (figure == POSTGRES_CPU and other in WITHOUT_ROWS):
                    continue
                spread = self.turns.ratio(SINK, other, of)
                if spread is not None:
                    yield figure, other, spread


# --- Measuring ----------------------------------------------------------------------------------


@contextmanager
def canary_of(bed: Testbed) -> Iterator[Canary]:
    small = workload.W2.sized(CANARY_RECORDS, name="canary")
    truth = reference.build(bed, small)
    try:
        yield Canary(bed, truth)
    finally:
        reference.drop(bed, truth)


def subjects(bed: Testbed, truth: Reference, connections: int) -> dict[str, Callable[[], Run]]:
    """kcat can not do several topics, nor tell poison from rows."""
    env = {"SINK_POOL_MAX": connections}
    chosen: dict[str, Callable[[], Run]] = {
        SINK: partial(drain.drain, bed, truth, env),
        "COPY text": partial(limits.copy, bed, truth, False, connections),
        "COPY binary": partial(limits.copy, bed, truth, True, connections),
        "consume and drop": partial(limits.consume, bed, truth),
        "encode only": partial(limits.encode, truth),
    }
    plain = truth.workload.topic_count == 1 and not truth.workload.poison_every
    if plain and not limits.kcat_unavailable():
        chosen["kcat | psql"] = partial(limits.kcat_psql, bed, truth)
    return chosen


def sized(bed: Testbed, load: Workload, quick: bool) -> Workload:
    """Less of it with --quick, and no more than the mock keeps."""
    records = QUICK_RECORDS.get(load.name, QUICK_RECORDS_ELSE) if quick else load.records
    if not bed.is_mock:
        return load.sized(records)
    partitions = load.partitions if load.topic_count > 1 else MOCK_PARTITIONS
    largest = MOCK_PARTITION_BYTES * partitions // load.record_bytes
    return load.sized(min(records, largest), partitions=partitions)


def measure(
    bed: Testbed, canary: Canary, load: Workload, rounds: int, attempts: int, connections: int = 1
) -> Result:
    title = f"{load.name}: {load.title}, {load.codec}, {load.records:,} records"
    report.heading(f"{title}, {load.partitions} partitions, {connections} connection(s)")
    truth = reference.build(bed, load)
    try:
        turns = take_turns(
            canary, subjects(bed, truth, connections), rounds, show_round, attempts
        )
    finally:
        reference.drop(bed, truth)
    result = Result(load, truth.records, turns)
    show(result)
    return result


def measure_all(
    bed: Testbed, canary: Canary, loads: Sequence[Workload], options: argparse.Namespace
) -> list[Result]:
    quick = options.quick
    results = []
    for load, codec in itertools.product(loads, options.codecs):
        rounds = options.rounds or (QUICK_ROUNDS.get(load.name, 1) if quick else ROUNDS)
        load_now = replace(sized(bed, load, quick), codec=codec)
        results.append(measure(bed, canary, load_now, rounds, 1 if quick else ATTEMPTS))
    return results


# --- Showing ------------------------------------------------------------------------------------

COLUMNS = ("", "rows/s", "CPU s/M", "PostgreSQL s/M", "broker s/M", "RSS", "switches/k")
RATIO_COLUMNS = ("pgsluice / ...", "rows/s", "", "CPU", "", "PostgreSQL CPU", "")


def show_round(each: Round) -> None:
    for name, run in each.runs.items():
        if run.void:
            report.say(f"  void, {name}: {run.void}")


def figure_row(turns: Turns, name: str) -> list[str]:
    text = partial(turns.text, name)
    return [
        name,
        text(lambda run: run.rate, report.thousands),
        text(lambda run: run.cpu_per_million, report.seconds),
        text(lambda run: run.postgres_cpu_per_million, report.seconds),
        text(lambda run: run.broker_cpu_per_million, report.seconds),
        text(lambda run: run.peak_rss_kib, report.mebibytes),
        text(lambda run: run.switches_per_thousand, lambda number: f"{number:.1f}"),
    ]


def ratio_row(result: Result, other: str) -> list[str]:
    cells = {}
    for figure, name, spread in result.ratios():
        if name == other:
            cells[figure] = (report.times(spread.median), f"{spread.low:.2f}..{spread.high:.2f}")
    row = [other]
    for figure in RATIOS:
        row += cells.get(figure, ("-", ""))
    return row


def show(result: Result) -> None:
    turns = result.turns
    names = list(turns.rounds[0].runs)
    report.table(COLUMNS, [figure_row(turns, name) for name in names])
    report.say()
    report.table(RATIO_COLUMNS, [ratio_row(result, name) for name in names if name != SINK])
    report.say(f"  {turns.described()}")
