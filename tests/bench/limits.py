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

from drain import Meter
from process import Child, TemporaryDirectory
from programs import bench_program
from reference import Reference
from run import Run, Sample
from sink import clean_environment
from testbed import Testbed

LIMIT_S = 900.0
ROWS_PER_COPY = 10_000

# Else librdkafka 2.0.2, which Debian's kcat has, waits a second whenever its small queue was full.
KCAT_PROPERTIES = {
    "queued.max.messages.kbytes": 1 << 20,
    "queued.min.messages": 1_000_000,
    "fetch.message.max.bytes": 4 << 20,
}


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


def _measured(bed: Testbed, run: Run, argv: Sequence[str | Path], env: Mapping[str, str]) -> None:
    """Its own summary tells seconds and CPU, since only it knows where preparation ends."""
    pids: list[int] = []
    meter = Meter(bed, lambda: pids, None)
    with Program(argv, env) as program:
        pids.append(program.pid)
        summary = program.summary()
        meter.finish(run, meter.sample(time.time(), run.rows))
    run.seconds, run.cpu_s = summary["seconds"], summary["cpu_s"]


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
    _measured(bed, run, argv, {**clean_environment(), **settings})
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
    code = child.wait(LIMIT_S)
    run.seconds = time.monotonic() - started_s
    meter.finish(run, _after(meter, before, run))
    return code


def _after(meter: Meter, before: resource.struct_rusage, run: Run) -> Sample:
    """The CPU time of children is known when they have ended: bash and below."""
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sample = meter.sample(time.time(), run.rows)
    return sample._replace(subject_s=used_s)


def _kcat_script(bed: Testbed, topic: str) -> str:
    """CSV with a quote and a delimiter that no JSON text holds takes lines as they are."""
    properties = " ".join(f"-X {name}={value}" for name, value in KCAT_PROPERTIES.items())
    return (
        "set -o pipefail\n"
        f"kcat -C -q -e -b {bed.kafka.bootstrap} -t {topic} -o beginning {properties} |\n"
        f"    {bed.postgres.bindir / 'psql'} -X -q -v ON_ERROR_STOP=1 -c"
        " \"COPY kcat_rows FROM STDIN (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')\"\n"
    )
