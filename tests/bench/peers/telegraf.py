"""Telegraf: kafka_consumer, the json_v2 parser and the postgresql output, which uses COPY BINARY.

Each order is a metric; its time is the order's created_at. Others than these three plugins are left out
of the program by Telegraf's own build tags.
"""

from __future__ import annotations

from pathlib import Path
from typing import Mapping

import orders

from peers.base import Job, Peer
from peers.cache import built
from peers.golang import RUNTIME, STRIPPED, go

VERSION = "1.39.3"
PACKAGE = f"github.com/influxdata/telegraf/cmd/telegraf@v{VERSION}"
TAGS = "custom,inputs.kafka_consumer,outputs.postgresql,parsers.json_v2"
PROGRAM = "telegraf"

TIME_COLUMN = "created_at"
FIELD_TYPES = {
    "bigint": "int",
    "text": "string",
    "double precision": "float",
    "boolean": "bool",
}

CONFIG = """
[agent]
  interval = "1s"
  flush_interval = "{flush_interval}"
  metric_batch_size = 10000
  metric_buffer_limit = 200000
  precision = "1us"
  omit_hostname = true
  quiet = true

[[inputs.kafka_consumer]]
  brokers = {brokers}
  topics = ["{topic}"]
  consumer_group = "{group}"
  kafka_version = "3.6.0"
  offset = "oldest"
  max_undelivered_messages = 100000
  max_processing_time = "60s"
  data_format = "json_v2"

  [[inputs.kafka_consumer.json_v2]]
    measurement_name = "{table}"
    timestamp_path = "{time}"
    timestamp_format = "2006-01-02T15:04:05.999999Z07:00"
{fields}

[[outputs.postgresql]]
  connection = "{dsn} pool_max_conns={connections}"
  timestamp_column_name = "{time}"
  timestamp_column_type = "timestamp with time zone"
  create_templates = []
  add_column_templates = []
"""

FIELD = """
    [[inputs.kafka_consumer.json_v2.field]]
      path = "{name}"
      type = "{type}"
      optional = true
"""


class Telegraf(Peer):
    name = "telegraf"
    writes = "COPY BINARY, 10000 rows"
    caveat = (
        "may lose rows: a batch that PostgreSQL refuses is dropped, and with more than one connection"
        " offsets are committed before the rows"
    )

    @property
    def versions(self) -> Mapping[str, str]:
        return {"Telegraf": VERSION}

    def fetch(self) -> None:
        self._home = built(f"{self.name}-{VERSION}", f"{PACKAGE} {TAGS}".encode(), build)

    def launch(self, job: Job) -> None:
        config = self.write("telegraf.conf", self._config(job))
        self.run([self._home / PROGRAM, "--config", config], RUNTIME)

    def _config(self, job: Job) -> str:
        pg = job.postgres
        fields = [column for column in orders.COLUMNS if column.name != TIME_COLUMN]
        brokers = ", ".join(f'"{address}"' for address in job.kafka.bootstrap.split(","))
        return CONFIG.format(
            flush_interval="100ms",
            brokers=f"[{brokers}]",
            topic=job.topic,
            group=job.group,
            table=job.table,
            time=TIME_COLUMN,
            fields="".join(FIELD.format(name=c.name, type=FIELD_TYPES[c.type]) for c in fields),
            dsn=f"host={pg.directory} port={pg.port} user={pg.user} dbname={pg.database}",
            connections=4,
        )


def build(folder: Path) -> None:
    go(["install", *STRIPPED, "-tags", TAGS, PACKAGE], folder, GOBIN=str(folder))
