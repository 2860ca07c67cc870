"""Kafka Connect, standalone, with Debezium's JDBC sink: what most run.

The sink can not take JSON without a schema. Since Connect 4.2 the JSON converter can be told one
(schema.content), so the peer reads the same records as the others; before, each record had to carry
its schema, twice its own size. Timestamps are Debezium's ZonedTimestamp, ISO 8601 text that the
sink binds as such, so no digit is lost.

Debezium's sink has batches of 500 rows and JDBC's one row per statement by default: here they are 5000
and UNNEST, one statement per batch, and the consumer's settings let batches become that large.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Mapping
from xml.etree import ElementTree

import orders
from kafka import COPY_GOAL, LOG4J, Unavailable
from process import free_port

from peers.base import Job, Peer
from peers.cache import built, run_tool

POM = Path(__file__).parent / "pom.xml"
MAIN = "org.apache.kafka.connect.cli.ConnectStandalone"

# In a single try, less CPU than with G1, which Connect's own scripts choose.
JVM = ("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC")
TASKS = os.cpu_count() or 1  # on two cores, one task cost about as much CPU per row

SCHEMA_TYPES = {
    "bigint": {"type": "int64"},
    "text": {"type": "string"},
    "double precision": {"type": "double"},
    "boolean": {"type": "boolean"},
    "timestamptz": {"type": "string", "name": "io.debezium.time.ZonedTimestamp"},
}


def pinned(name: str) -> str:
    """A version in the pom."""
    element = ElementTree.parse(POM).getroot().find(f".//{{*}}{name}.version")
    assert element is not None and element.text is not None
    return element.text


def order_schema() -> dict[str, Any]:
    """An order in the words of Connect's JSON converter."""
    fields = [
        {"field": column.name, "optional": True, **SCHEMA_TYPES[column.type]}
        for column in orders.COLUMNS
    ]
    return {"type": "struct", "name": "order", "optional": False, "fields": fields}


class KafkaConnect(Peer):
    name = "kafka-connect"
    writes = "INSERT .. SELECT FROM UNNEST, 5000 rows"
    caveat = "at least once: offsets are committed to Kafka every 60 s, apart from the rows"
    warm_up_s = 60.0

    @property
    def versions(self) -> Mapping[str, str]:
        return {
            "Kafka Connect": pinned("kafka"),
            "Debezium JDBC sink": pinned("debezium"),
        }

    def fetch(self) -> None:
        if shutil.which("java") is None:
            raise Unavailable("java is missing")
        version = f"{pinned('kafka')}-debezium-{pinned('debezium')}"
        self._home = built(f"{self.name}-{version}", POM.read_bytes(), fetch_jars)

    def launch(self, job: Job) -> None:
        worker = self.write("worker.properties", properties(self._worker(job)))
        sink = self.write("sink.properties", properties(self._sink(job)))
        argv: list[str | Path] = ["java", *JVM, f"-Dlog4j2.configurationFile={LOG4J}"]
        argv += ["-cp", f"{self._home / 'lib'}/*", MAIN, worker, sink]
        self.run(argv)

    def _worker(self, job: Job) -> dict[str, object]:
        return {
            "bootstrap.servers": job.kafka.bootstrap,
            "listeners": f"http://127.0.0.1:{free_port()}",
            "plugin.path": self._home / "plugins",
            "plugin.discovery": "service_load",
            "offset.storage.file.filename": self.directory / "offsets",
            "connector.client.config.override.policy": "All",
            "key.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "true",
            "value.converter.schema.content": json.dumps(order_schema()),
        }

    def _sink(self, job: Job) -> dict[str, object]:
        pg = job.postgres
        return {
            "name": self.name,
            "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
            "tasks.max": TASKS,
            "topics": job.topic,
            "connection.url": f"jdbc:postgresql://127.0.0.1:{pg.port}/{pg.database}",
            "connection.username": pg.user,
            "connection.password": "",
            "collection.name.format": job.table,
            "insert.mode": "insert",
            "primary.key.mode": "none",
            "schema.evolution": "none",
            "batch.size": 5000,
            "dialect.postgres.unnest.insert.enabled": "true",
            "consumer.override.group.id": job.group,
            "consumer.override.auto.offset.reset": "earliest",
            "consumer.override.max.poll.records": 10_000,
            "consumer.override.fetch.min.bytes": 1 << 20,
            "consumer.override.max.partition.fetch.bytes": 4 << 20,
        }


def properties(settings: dict[str, object]) -> str:
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def fetch_jars(folder: Path) -> None:
    """lib/ has Connect, plugins/ the sink."""
    lib, plugins = folder / "lib", folder / "plugins"
    plugins.mkdir()
    argv: list[str | Path] = ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", POM, COPY_GOAL]
    run_tool([*argv, f"-DoutputDirectory={lib}"], cwd=folder)
    for archive in lib.glob("*.tar.gz"):
        run_tool(["tar", "-x", "-f", archive, "-C", plugins], cwd=folder)
        archive.unlink()
