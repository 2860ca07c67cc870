"""Redpanda Connect (Benthos): what most who have no JVM run.

It has no COPY. sql_insert makes one INSERT of each batch, which PostgreSQL's 65,535 parameters limit;
with batches of one size and the pgx driver it is a prepared statement.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Mapping

import orders

from peers.base import Job, Peer
from peers.cache import built
from peers.golang import RUNTIME, STRIPPED, go

MODULE = Path(__file__).parent
SOURCES = ("go.mod", "main.go")
PROGRAM = "redpanda-connect"

BATCH_RECORDS = 5000


def pinned() -> str:
    found = re.search(r"redpanda-data/connect/v4 v(\S+)", (MODULE / "go.mod").read_text())
    assert found is not None
    return found[1]


class RedpandaConnect(Peer):
    name = "redpanda-connect"
    writes = f"INSERT .. VALUES, {BATCH_RECORDS} rows"
    caveat = "at least once: offsets are committed to Kafka every 5 s, apart from the rows"

    @property
    def versions(self) -> Mapping[str, str]:
        return {"Redpanda Connect": pinned()}

    def fetch(self) -> None:
        recipe = b"".join((MODULE / source).read_bytes() for source in SOURCES)
        self._home = built(f"{self.name}-{pinned()}", recipe, build)

    def launch(self, job: Job) -> None:
        # JSON is YAML.
        config = self.write("config.yaml", json.dumps(self._config(job), indent=2))
        self.run([self._home / PROGRAM, "run", config], RUNTIME)

    def _config(self, job: Job) -> dict[str, object]:
        return {
            "http": {"enabled": False},
            "logger": {"level": "WARN"},
            "input": {
                "kafka_franz": {
                    "seed_brokers": job.kafka.bootstrap.split(","),
                    "topics": [job.topic],
                    "consumer_group": job.group,
                    "checkpoint_limit": 100_000,
                    "batching": {"count": BATCH_RECORDS, "period": "100ms"},
                }
            },
            "output": self._output(job),
        }

    def _output(self, job: Job) -> dict[str, object]:
        pg = job.postgres
        columns = [column.name for column in orders.COLUMNS]
        fields = ", ".join(f"this.{column}" for column in columns)
        return {
            "sql_insert": {
                "driver": "pgx",
                "dsn": f"host={pg.directory} port={pg.port} user={pg.user} dbname={pg.database}",
                "table": job.table,
                "columns": columns,
                "args_mapping": f"root = [{fields}]",
                "max_in_flight": 4,
            }
        }


def build(folder: Path) -> None:
    module = folder / "module"
    module.mkdir()
    for source in SOURCES:
        shutil.copy(MODULE / source, module)
    go(["build", "-mod=mod", *STRIPPED, "-o", str(folder / PROGRAM), "."], module)
