"""kcat | psql: the shell's way.

COPY takes a record per line as CSV whose delimiter and quote are characters that JSON text can not
hold, so backslashes stay what they are. For a table of one column that is all. For typed columns the
lines go to a temporary table, from which PostgreSQL's json_populate_record makes the rows: kcat knows
no columns, and jq in between would cost more than all the rest.

It reads a topic to its end, in one transaction, and has no memory: the next run begins anew.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Mapping

from kafka import Unavailable

from peers.base import Job, Peer

PACKAGES = {"kcat": "kcat", "psql": "postgresql-client"}
LINES = r"(FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01')"

# Else librdkafka's queue is full all the time, and in Debian's version it then waits for a second.
KCAT = (
    *("-X", "queued.min.messages=1000000"),
    *("-X", "queued.max.messages.kbytes=1000000"),
    *("-X", "fetch.message.max.bytes=4194304"),
)


class KcatPsql(Peer):
    name = "kcat-psql"
    writes = "COPY, then INSERT .. SELECT FROM json_populate_record"
    caveat = "one transaction, at the end of the topic; no offsets: each run begins at the first record"
    ends_by_itself = True

    @property
    def versions(self) -> Mapping[str, str]:
        return {program: version(program) for program in PACKAGES}

    def fetch(self) -> None:
        for program, package in PACKAGES.items():
            if shutil.which(program) is None:
                raise Unavailable(f"{program} is missing: install the package {package}")

    def launch(self, job: Job) -> None:
        """Two processes and a pipe that has a name, so that each is a child of ours."""
        pipe = self.directory / "pipe"
        os.mkfifo(pipe)
        kcat = ["kcat", "-C", "-q", "-e", "-o", "beginning", "-f", r"%s\n", *KCAT]
        kcat += ["-b", job.kafka.bootstrap, "-t", job.topic]
        psql = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"]
        for command in statements(job, str(pipe)):
            psql += ["-c", command]
        self.run(["sh", "-c", 'exec "$@" >pipe', "sh", *kcat])
        self.run(psql, job.postgres.socket_env)


def statements(job: Job, pipe: str) -> list[str]:
    """What psql is to do with the lines."""
    if len(columns_of(job)) == 1:
        return [rf"\copy {job.table} FROM '{pipe}' WITH {LINES}"]
    return [
        "CREATE TEMP TABLE lines (line text)",
        rf"\copy lines FROM '{pipe}' WITH {LINES}",
        f"INSERT INTO {job.table} SELECT record.* FROM lines,"
        f" json_populate_record(NULL::{job.table}, line::json) record",
    ]


def columns_of(job: Job) -> list[str]:
    sql = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
    return [name for (name,) in job.postgres.query(sql, [job.table])]


def version(program: str) -> str:
    """A program's own word."""
    try:
        result = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=60)
    except OSError:
        return "missing"
    numbers = re.findall(r"(?:librdkafka )?\d+\.\d[\d.]*", result.stdout + result.stderr)
    return ", ".join(dict.fromkeys(numbers))
