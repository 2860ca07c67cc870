"""Redpanda Connect (Benthos): what most who have no JVM run.

It has no COPY. What its documentation has is sql_insert, which makes one INSERT of each batch: all of a
record is parsed and its fields are parameters, of which PostgreSQL takes 65,535. In a single try
the pgx driver took more CPU than postgres.

The second peer is the fastest way that was found: records stay text, a batch is put together as one JSON
array, and PostgreSQL makes the rows of it. That moves most of the work to PostgreSQL, and one record that
is not JSON makes its whole batch fail, over and over.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Mapping

import orders
from postgres import Postgres

from peers.base import Job, Peer
from peers.cache import built
from peers.golang import STRIPPED, go

MODULE = Path(__file__).parent
SOURCES = ("go.mod", "main.go")
PROGRAM = "redpanda-connect"

BATCH_RECORDS = 5000
IN_FLIGHT = 4
DRIVER = "postgres"


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
        self._home = built(f"{PROGRAM}-{pinned()}", recipe, build)

    def launch(self, job: Job) -> None:
        # JSON is YAML.
        config = self.write("config.yaml", json.dumps(self._config(job), indent=2))
        self.run([self._home / PROGRAM, "run", config])

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
                    "batching": {
                        "count": BATCH_RECORDS,
                        "period": "100ms",
                        "processors": self._processors(),
                    },
                }
            },
            "output": self._output(job),
        }

    def _processors(self) -> list[dict[str, object]]:
        return []

    def _output(self, job: Job) -> dict[str, object]:
        columns = [column.name for column in orders.COLUMNS]
        fields = ", ".join(f"this.{column}" for column in columns)
        return {
            "sql_insert": {
                "driver": DRIVER,
                "dsn": dsn(job.postgres),
                "table": job.table,
                "columns": columns,
                "args_mapping": f"root = [{fields}]",
                "max_in_flight": IN_FLIGHT,
            }
        }


class RedpandaConnectJson(RedpandaConnect):
    name = "redpanda-connect-json"
    writes = f"INSERT .. SELECT FROM json_populate_recordset, {BATCH_RECORDS} rows"

    def _processors(self) -> list[dict[str, object]]:
        return [{"archive": {"format": "lines"}}]

    def _output(self, job: Job) -> dict[str, object]:
        array = r'"[" + content().string().replace_all("\n", ",") + "]"'
        rows = f"json_populate_recordset(NULL::{job.table}, $1::text::json)"
        return {
            "sql_raw": {
                "driver": DRIVER,
                "dsn": dsn(job.postgres),
                "query": f"INSERT INTO {job.table} SELECT * FROM {rows}",
                "args_mapping": f"root = [{array}]",
                "max_in_flight": IN_FLIGHT,
            }
        }


def dsn(postgres: Postgres) -> str:
    host, port = postgres.directory, postgres.port
    return f"host={host} port={port} user={postgres.user} dbname={postgres.database} sslmode=disable"


def build(folder: Path) -> None:
    module = folder / "module"
    module.mkdir()
    for source in SOURCES:
        shutil.copy(MODULE / source, module)
    go(["build", "-mod=mod", *STRIPPED, "-o", str(folder / PROGRAM), "."], module)
