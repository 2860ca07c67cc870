"""Telegraf: kafka_consumer, the json parser and the postgresql output, which uses COPY BINARY.

Each order is a metric; its time is the order's created_at. Other plugins than these three are left out
of the program by Telegraf's own build tags. The json_v2 parser has types, where json makes all numbers
floating point, but in a single try took half as much CPU again; orders' ids are small enough to stay
exact. With one connection there were fewer rows and no less CPU per row.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Mapping

import orders

from peers.base import Job, Peer
from peers.cache import built
from peers.golang import STRIPPED, go

VERSION = "1.39.3"
PACKAGE = f"github.com/influxdata/telegraf/cmd/telegraf@v{VERSION}"
TAGS = "custom,inputs.kafka_consumer,outputs.postgresql,parsers.json"
PROGRAM = "telegraf"

TIME_COLUMN = "created_at"
IGNORED_UNLESS_NAMED = ("text", "boolean")  # fields of the json parser

CONFIG = """
[agent]
  interval = "1s"
  flush_interval = "100ms"
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
  name_override = "{table}"
  data_format = "json"
  json_string_fields = {named}
  json_time_key = "{time}"
  json_time_format = "2006-01-02T15:04:05.999999Z07:00"

[[outputs.postgresql]]
  connection = "{dsn} pool_max_conns=4"
  timestamp_column_name = "{time}"
  timestamp_column_type = "timestamp with time zone"
  create_templates = []
  add_column_templates = []
"""


class Telegraf(Peer):
    name = "telegraf"
    writes = "COPY BINARY, 10000 rows"
    caveat = (
        "may lose rows: a batch that PostgreSQL refuses is dropped, and with more than one connection"
        " offsets are committed before the rows; integers beyond 2^53 are rounded"
    )

    @property
    def versions(self) -> Mapping[str, str]:
        return {"Telegraf": VERSION}

    def fetch(self) -> None:
        self._home = built(f"{self.name}-{VERSION}", f"{PACKAGE} {TAGS}".encode(), build)

    def launch(self, job: Job) -> None:
        config = self.write("telegraf.conf", self._config(job))
        self.run([self._home / PROGRAM, "--config", config])

    def _config(self, job: Job) -> str:
        pg = job.postgres
        named = [column.name for column in orders.COLUMNS if column.type in IGNORED_UNLESS_NAMED]
        return CONFIG.format(
            brokers=json.dumps(job.kafka.bootstrap.split(",")),
            topic=job.topic,
            group=job.group,
            table=job.table,
            time=TIME_COLUMN,
            named=json.dumps(named),
            dsn=f"host={pg.directory} port={pg.port} user={pg.user} dbname={pg.database}",
        )


def build(folder: Path) -> None:
    go(["install", *STRIPPED, "-tags", TAGS, PACKAGE], folder, GOBIN=str(folder))
