"""pgsluice and its peers on W2, in turns: same topic, same table, same machine.

Peers are watched from outside by the size of the table, since they keep no positions there; the end is
when the last row can be counted. A peer's rate and CPU are told between the first tenth and the last, or
from when it is warm, so that the start of a virtual machine is nobody's burden. pgsluice bears its own
start: it reads ahead, and while its rows go from the first tenth to the last, part of its work is done.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Callable

import drain
import reference
import report
from canary import Canary
from drain import Meter
from interleave import Figure, Turns, take_turns
from peers import PEERS, Peer
from process import ProcessDied
from progress import Watch
from reference import Reference
from run import FAILURES, Run, Sample, settle
from testbed import Testbed
from workload import W2

SINK = "pgsluice"
STALLED_S = 180.0
SLICE_S = 0.5
SIZE_MS = 50
COUNT_MS = 200
NEARLY = 0.95  # of the table's size: from there on rows are counted
RECORDS, QUICK_RECORDS = 3_000_000, 1_000_000  # a JVM needs hundreds of thousands to get warm
ROUNDS, QUICK_ROUNDS = 5, 1
SERIAL = {"PGOPTIONS": "-c max_parallel_workers_per_gather=0"}  # counting must not take both cores

RATIOS: dict[str, Figure] = {
    "rows/s": lambda run: run.rate,
    "CPU": lambda run: run.cpu_per_million,
    "PostgreSQL CPU": lambda run: run.postgres_cpu_per_million,
}

COLUMNS = ("", "rows/s", "CPU s/M", "whole run", "PostgreSQL s/M", "RSS", "first row s")


@dataclass
class Contest:
    turns: Turns
    left_out: dict[str, str] = field(default_factory=dict)  # peer -> why
    writes: dict[str, str] = field(default_factory=dict)  # those that were left out have it, too
    caveats: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "left_out": self.left_out,
            "writes": self.writes,
            "caveats": self.caveats,
            "versions": self.versions,
            "ratios": self._ratios(),
            **self.turns.as_json(),
        }

    def _ratios(self) -> dict[str, Any]:
        """The sink over each of its peers."""
        spreads = {
            f"{figure} / {peer}": self.turns.ratio(SINK, peer, of)
            for peer in self.versions
            for figure, of in RATIOS.items()
        }
        return {name: spread.as_json() for name, spread in spreads.items() if spread}


def run_peer(bed: Testbed, truth: Reference, peer: Peer) -> Run:
    run = Run(peer.name, rows=truth.rows)
    bed.clear(truth.workload.tables)
    try:
        with ExitStack() as stack:
            stack.callback(peer.stop)
            _watch_peer(bed, truth, run, peer, stack)
    except FAILURES as error:
        run.void = str(error)
    run.void = run.void or truth.fault(bed.postgres)
    return run


def _watch_peer(bed: Testbed, truth: Reference, run: Run, peer: Peer, stack: ExitStack) -> None:
    (table,) = truth.workload.tables
    sql = f"SELECT pg_relation_size('{table}')"
    size = stack.enter_context(Watch(bed.pg_env, sql, SIZE_MS))
    meter = Meter(bed, peer.pids, size)
    started_s = time.time()
    peer.start(bed.kafka, bed.postgres, table, table, bed.name("peer"))
    _watch_size(run, size, meter, peer, truth)
    last = _count(bed, run, meter, table, peer)
    meter.finish(run, last)
    first_s = next(sample.at_s for sample in run.samples if sample.rows)
    run.details["first_rows_s"] = round(first_s - started_s, 3)
    # What has an end of its own becomes visible there, all at once.
    run.seconds = last.at_s - (started_s if peer.ends_by_itself else first_s)
    if not peer.ends_by_itself:
        run.settled = settle(run.samples, peer.warm_up_s)


def _watch_size(run: Run, watch: Watch, meter: Meter, peer: Peer, truth: Reference) -> None:
    """Rows are guessed from bytes until nearly all are there."""
    deadline_s = time.monotonic() + STALLED_S
    rows = 0
    while rows < NEARLY * truth.rows:
        peer.check()
        meter.look()
        seen = watch.next(SLICE_S)
        if seen is not None:
            rows = min(seen.value * truth.rows // truth.table_bytes, truth.rows)
            run.samples.append(meter.sample(seen.at_ns / 1e9, rows))
            deadline_s = time.monotonic() + STALLED_S
        elif time.monotonic() > deadline_s:
            raise ProcessDied(f"stalled at about {rows:,} of {run.rows:,} rows:\n{peer.log_text()}")


def _count(bed: Testbed, run: Run, meter: Meter, table: str, peer: Peer) -> Sample:
    env = {**bed.pg_env, **SERIAL}
    with Watch(env, f"SELECT count(*) FROM {table}", COUNT_MS) as count:
        meter.ignore(count)
        last = drain.watch_until(run.rows, count, meter, [], peer.check)
    run.samples.append(last)
    return last


def measure(bed: Testbed, canary: Canary, rounds: int, quick: bool) -> Contest:
    report.heading("Peers: W2, in turns")
    with ExitStack() as stack:
        truth = reference.build(bed, W2.sized(QUICK_RECORDS if quick else RECORDS, name="peers"))
        stack.callback(reference.drop, bed, truth)
        contest = Contest(Turns())
        subjects: dict[str, Callable[[], Run]] = {SINK: partial(drain.drain, bed, truth)}
        for peer in PEERS:
            contest.writes[peer.name] = peer.writes
            reason = peer.unavailable()
            if reason is not None:
                contest.left_out[peer.name] = reason
                continue
            subjects[peer.name] = partial(run_peer, bed, truth, peer)
            contest.caveats[peer.name] = peer.caveat
            contest.versions[peer.name] = dict(peer.versions)
        contest.turns = take_turns(canary, subjects, rounds, attempts=1)
    show(contest)
    return contest


def show(contest: Contest) -> None:
    turns = contest.turns
    report.table(COLUMNS, [_row(turns, name) for name in turns.rounds[0].runs])
    report.say(f"  {turns.described()}")
    for name, reason in contest.left_out.items():
        report.say(f"  left out, {name}: {reason}")
    for text in turns.voids():
        report.say(f"  void, {text}")


def _row(turns: Turns, name: str) -> list[str]:
    text = partial(turns.text, name)
    return [
        name,
        text(lambda run: run.rate, report.thousands),
        text(lambda run: run.cpu_per_million, report.seconds),
        text(lambda run: run.whole_cpu_per_million, report.seconds),
        text(lambda run: run.postgres_cpu_per_million, report.seconds),
        text(lambda run: run.peak_rss_kib, report.mebibytes),
        text(lambda run: run.details.get("first_rows_s", 0.0), lambda number: f"{number:.1f}"),
    ]
