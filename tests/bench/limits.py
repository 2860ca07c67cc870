"""What the sink is held against: the parts of its work done alone, by programs that do nothing else.

    COPY text, COPY binary    the very rows, encoded before, are sent: what PostgreSQL can take
    consume and drop          the very records are fetched, with the sink's librdkafka and settings
    encode only               records become COPY bytes, from memory to memory
    kcat | psql               what a shell user would run: whole records into one json column
"""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Mapping, Sequence

import usage
from drain import Meter
from peers.kcat_psql import KCAT, LINES
from process import Child, TemporaryDirectory
from programs import bench_program
from reference import Reference
from run import Run
from sink import clean_environment
from testbed import Testbed
from wait import wait_until

LIMIT_S = 900.0
ROWS_PER_COPY = 10_000
PIPE_LOOK_S = 0.02


class Program:
    """A program that prints one line of JSON when its work is done, and waits for the end of stdin."""

    def __init__(self, argv: Sequence[str | Path], env: Mapping[str, str]) -> None:
        self._temporary = TemporaryDirectory("limit")
        words = [str(word) for word in argv]
        self._child = Child(words, self._temporary.path / "log", env, pipes=True)

    @property
    def pid(self) -> int:
        return self._child.pid

    def summary(self) -> dict[str, Any]:
        readable, _, _ = select.select([self._child.stdout], [], [], LIMIT_S)
        line = self._child.stdout.readline() if readable else ""
        if not line:
            self._child.wait()
            self._child.check_alive()
        summary: dict[str, Any] = json.loads(line)
        return summary

    def close(self) -> None:
        self._child.stdin.close()
        self._child.stop()
        self._temporary.close()

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _measured(
    bed: Testbed, run: Run, argv: Sequence[str | Path], env: Mapping[str, str]
) -> dict[str, Any]:
    """Its own summary tells seconds and CPU, since only it knows where preparation ends."""
    pids: list[int] = []
    meter = Meter(bed, lambda: pids, None)
    with Program(argv, env) as program:
        pids.append(program.pid)
        summary = program.summary()
        meter.finish(run, meter.sample(time.time(), run.rows))
    run.seconds, run.cpu_s = summary["seconds"], summary["cpu_s"]
    return summary


# --- PostgreSQL alone ---------------------------------------------------------------------------


def copy(bed: Testbed, reference: Reference, binary: bool, connections: int = 1) -> Run:
    """The very rows, already encoded."""
    run = Run("COPY binary" if binary else "COPY text", rows=reference.rows)
    files = reference.binary_files if binary else reference.text_files
    argv: list[str | Path] = [bench_program("copy_rows"), "--connections", str(connections)]
    argv += ["--rows-per-copy", str(ROWS_PER_COPY), *(["--binary"] if binary else [])]
    argv += [f"{table}={path}" for table, path in files.items()]
    bed.clear(reference.workload.tables)
    _measured(bed, run, argv, {**os.environ, **bed.pg_env})
    run.void = reference.fault(bed.postgres)
    return run


# --- Kafka alone --------------------------------------------------------------------------------


def consume(bed: Testbed, reference: Reference) -> Run:
    """Fetch and drop, in the sink's own configuration."""
    run = Run("consume and drop", rows=reference.records)
    workload = reference.workload
    settings = bed.sink(workload.topic_list, bed.name("drop"), workload.env).settings
    argv = [bench_program("consume_drop"), str(reference.records)]
    summary = _measured(bed, run, argv, {**clean_environment(), **settings})
    if summary["bytes"] != reference.bytes:
        run.void = f"{summary['bytes']:,} bytes for {reference.bytes:,}"
    return run


# --- Neither ------------------------------------------------------------------------------------


def encode(reference: Reference) -> Run:
    """Records of the sample to COPY bytes, as CPU time of the median round."""
    workload = reference.workload
    run = Run("encode only", rows=reference.records)
    argv = [str(bench_program("bench_encode")), *(["--raw"] if workload.is_raw else [])]
    argv += [str(reference.sample), *(f"{name}:{kind}" for name, kind in workload.columns)]
    output = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=LIMIT_S)
    summary = json.loads(output.stdout)
    run.cpu_s = run.seconds = summary["median_ns"] * run.rows / 1e9
    run.details["bytes_per_row"] = round(summary["bytes"] / summary["records"], 1)
    # What does not become a row costs less, or more.
    if (summary["dead"] > 0) != (workload.poison_every > 0):
        run.void = f"{summary['dead']:,} of {summary['records']:,} records became no rows"
    return run


# --- The shell ----------------------------------------------------------------------------------


def kcat_unavailable() -> str | None:
    return None if shutil.which("kcat") else "kcat is not installed"


def kcat_psql(bed: Testbed, reference: Reference) -> Run:
    """One topic, whole records into one column: less work than the sink's, and no guarantee."""
    run = Run("kcat | psql", rows=reference.records)
    kind = "jsonb" if reference.workload.is_raw else "json"
    bed.clear([])
    bed.postgres.query(f"DROP TABLE IF EXISTS kcat_rows; CREATE TABLE kcat_rows (value {kind})")
    temporary = TemporaryDirectory("kcat")
    try:
        code = _pipe(bed, run, reference.workload.topics[0].name, temporary.path)
    finally:
        temporary.close()
    found = bed.postgres.scalar("SELECT count(*) FROM kcat_rows")
    bed.postgres.query("DROP TABLE kcat_rows")
    if code != 0 or found != run.rows:
        run.void = f"exit code {code}, {found:,} rows for {run.rows:,}"
    return run


def _pipe(bed: Testbed, run: Run, topic: str, directory: Path) -> int:
    """All rows become visible at the end, in one transaction."""
    script = directory / "kcat_psql.sh"
    script.write_text(_kcat_script(bed, topic))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    meter = Meter(bed, lambda: [], None)
    started_s = time.monotonic()
    child = Child(["bash", str(script)], directory / "log", {**os.environ, **bed.pg_env})
    peaks = usage.Peaks()

    def has_ended() -> bool:
        peaks.look(usage.descendants(child.pid))
        return not child.alive

    try:
        wait_until(has_ended, LIMIT_S, "the end of kcat | psql", PIPE_LOOK_S)
    finally:
        code = child.kill()
    run.seconds = time.monotonic() - started_s
    _finish_pipe(run, meter, before)
    run.peak_rss_kib = peaks.sum_kib
    return code


def _finish_pipe(run: Run, meter: Meter, before: resource.struct_rusage) -> None:
    """What children have used is known when they have ended: bash and below."""
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    meter.finish(run, meter.sample(time.time(), run.rows)._replace(subject_s=used_s))
    run.voluntary_switches = after.ru_nvcsw - before.ru_nvcsw
    run.involuntary_switches = after.ru_nivcsw - before.ru_nivcsw


def _kcat_script(bed: Testbed, topic: str) -> str:
    """As the peer of that name does it for a table with one column."""
    return (
        "set -o pipefail\n"
        f"kcat -C -q -e -b {bed.kafka.bootstrap} -t {topic} -o beginning {' '.join(KCAT)} |\n"
        f"    {bed.postgres.bindir / 'psql'} -X -q -v ON_ERROR_STOP=1 -c"
        f' "COPY kcat_rows FROM STDIN {LINES}"\n'
    )
