"""A drain: topics that are full, a new consumer group, and the time until the last row is visible.

Whoever moves the rows is watched the same way: PostgreSQL is asked from outside how far it is, and CPU
clocks are read at each answer. Tables are empty and a checkpoint has been made before.
"""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, Callable, Iterator, Mapping, Sequence

import usage
from process import ProcessDied
from progress import Watch
from reference import Reference
from run import FAILURES, Run, Sample
from sink import Sink
from testbed import Testbed
from workload import W2

STALLED_S = 60.0
SLICE_S = 0.5
BALANCED_S = 60.0
PLACED_S = 120.0


class Meter:
    """What everybody has used since the meter was made."""

    def __init__(self, bed: Testbed, pids: Callable[[], Sequence[int]], watch: Watch | None) -> None:
        """`pids`: the subject's processes, started after the meter so that all of theirs counts."""
        self._bed = bed
        self._pids = pids
        self._peaks = usage.Peaks()
        self._watchers = [watch.pid, watch.backend] if watch else []
        self._machine = usage.Machine.now()
        self._postgres_s = bed.postgres_cpu_s(self._watchers)
        self._broker_s = bed.broker_cpu_s()
        self._observers_s = self._watching_s()

    def sample(self, at_s: float, rows: int) -> Sample:
        subject_s = sum(map(usage.cpu_s, self._pids()))
        postgres_s = self._bed.postgres_cpu_s(self._watchers) - self._postgres_s
        return Sample(at_s, rows, subject_s, postgres_s, self._bed.broker_cpu_s() - self._broker_s)

    def look(self) -> None:
        """Where processes may end before the last sample: afterwards nobody knows their memory."""
        self._peaks.look(self._pids())

    def ignore(self, watch: Watch) -> None:
        """Another observer, who has only just come."""
        self._watchers += [watch.pid, watch.backend]

    def finish(self, run: Run, last: Sample) -> None:
        """Right after the last sample, while the processes live."""
        self.look()
        switches = usage.switches(self._pids())
        watching_s = self._watching_s() - self._observers_s
        ours_s = last.subject_s + last.postgres_s + last.broker_s + watching_s
        run.disturbance = usage.disturbance(self._machine, usage.Machine.now(), ours_s)
        run.cpu_s, run.postgres_cpu_s, run.broker_cpu_s = last[2:]
        run.peak_rss_kib = self._peaks.sum_kib
        run.voluntary_switches, run.involuntary_switches = switches

    def _watching_s(self) -> float:
        return usage.own_cpu_s() + sum(map(usage.cpu_s, self._watchers))


def watch_until(
    goal: int, watch: Watch, meter: Meter, samples: list[Sample], check: Callable[[], Any]
) -> Sample:
    """Sample until the goal is visible; `check` raises when the subject has died."""
    deadline_s = time.monotonic() + STALLED_S
    while True:
        seen = watch.next(SLICE_S)
        if seen is not None:
            samples.append(meter.sample(seen.at_ns / 1e9, seen.value))
            if seen.value >= goal:
                return samples[-1]
            deadline_s = time.monotonic() + STALLED_S
        check()
        if time.monotonic() > deadline_s:
            raise ProcessDied(f"stalled at {samples[-1].rows if samples else 0:,} of {goal:,}")


# --- The sink -----------------------------------------------------------------------------------


def position_sql(group: str) -> str:
    """The sum of positions, which begin at 0: how many records are done."""
    return (
        "SELECT coalesce(sum(next_offset), 0)::bigint FROM pgsluice.offsets"
        f" WHERE sink = '{group}'"
    )


def drain(
    bed: Testbed,
    reference: Reference,
    env: Mapping[str, object] | None = None,
    replicas: int = 1,
    pg_env: Mapping[str, str] | None = None,
) -> Run:
    """The sink drains the reference's topics; a run that does not end as it must is void."""
    workload = reference.workload
    run = Run("pgsluice", rows=reference.records)
    group = bed.name("bench")
    settings = {**workload.env, **(env or {})}
    bed.clear(workload.tables)
    with ExitStack() as stack:
        watch = stack.enter_context(Watch(bed.pg_env, position_sql(group)))
        sinks = [
            bed.sink(workload.topic_list, group, settings, f"sink-{number}", pg_env)
            for number in range(1, replicas + 1)
        ]
        for sink in sinks:
            stack.callback(sink.close)
        try:
            _drain(bed, run, watch, sinks)
        except FAILURES as error:
            run.void = str(error)
    run.void = run.void or reference.fault(bed.postgres) or reference.dead_letter_fault(bed.postgres)
    return run


def _drain(bed: Testbed, run: Run, watch: Watch, sinks: Sequence[Sink]) -> None:
    meter = Meter(bed, lambda: [sink.pid for sink in sinks if sink.alive], watch)
    started_s = time.time()
    released_s = start(bed, sinks)

    def check() -> None:
        for sink in sinks:
            sink.child.check_alive()

    last = watch_until(run.rows, watch, meter, run.samples, check)
    meter.finish(run, last)
    for sink in sinks:
        if sink.terminate() != 0:
            raise ProcessDied(f"the sink exited {sink.exit_code}:\n{sink.log_text()[-2000:]}")
    begin_s = released_s or assigned_at(sinks[0])
    run.seconds = last.at_s - begin_s
    run.details["start_s"] = round(begin_s - started_s, 4)
    run.details["first_rows_s"] = round(
        next((s.at_s for s in run.samples if s.rows), last.at_s) - started_s, 4
    )
    run.details["flushes"] = sum(stopped_line(sink).get("flushes", 0) for sink in sinks)
    run.details["worst_second"] = run.worst_second()


def start(bed: Testbed, sinks: Sequence[Sink]) -> float | None:
    """One starts at once. Several wait until they share the partitions, for else the first would be done
    before the last has come: nobody can claim while the table of positions is locked. Returns the moment
    when it no longer is."""
    if len(sinks) == 1:
        sinks[0].start()
        return None
    with bed.postgres.connect(autocommit=False) as connection:
        connection.execute("LOCK TABLE pgsluice.offsets IN EXCLUSIVE MODE")
        for sink in sinks:
            sink.start()
        sinks[0].wait_for(lambda: are_balanced(sinks), BALANCED_S, "partitions shared evenly")
        connection.rollback()
        return time.time()


def are_balanced(sinks: Sequence[Sink]) -> bool:
    counts = list(map(held_partitions, sinks))
    return min(counts) > 0 and max(counts) - min(counts) <= 1


def held_partitions(sink: Sink) -> int:
    signs = {"assigned": 1, "revoked": -1}
    return sum(signs.get(line.get("event", ""), 0) * line.get("count", 0) for line in sink.log_lines())


@contextmanager
def placed_sink(bed: Testbed, partitions: int, env: Mapping[str, object]) -> Iterator[Sink]:
    """A sink that has found its place in a topic without records."""
    topic = bed.name("empty")
    bed.kafka.create_topic(topic, partitions)
    bed.postgres.query(W2.ddl(topic))
    try:
        with bed.sink(topic, bed.name("empty"), env) as sink:
            sink.wait_for(
                lambda: len(sink.positions(topic)) == partitions, PLACED_S, "all partitions placed"
            )
            yield sink
            sink.terminate()
    finally:
        bed.postgres.query(f"DROP TABLE {topic}")
        bed.kafka.delete_topic(topic)


def start_cpu_s(bed: Testbed, partitions: int, env: Mapping[str, object], times: int) -> float:
    """What a start costs until it would fetch. There is nothing to fetch, or that would count, too."""

    def measure() -> float:
        with placed_sink(bed, partitions, env) as sink:
            return usage.cpu_s(sink.pid)

    return statistics.median(measure() for _ in range(times))


def assigned_at(sink: Sink) -> float:
    """When it was given its partitions: from then on it fetches."""
    for line in sink.log_lines():
        if line.get("event") == "assigned":
            return datetime.fromisoformat(line["time"]).timestamp()
    raise ProcessDied("the sink was never assigned a partition")


def stopped_line(sink: Sink) -> dict[str, Any]:
    lines = [line for line in sink.log_lines() if line.get("event") == "stopped"]
    return lines[-1] if lines else {}
