"""The commands of README.md and docs/*.md are run, page by page, as they stand there: with a real Kafka and PostgreSQL.

A page has a database of its own, `shop`, whose owner is the role `sink`; Kafka has the topic `orders`. Blocks of sh and sql are
run in their order, exports last for the rest of the page, and `pgsluice run` goes on until its section ends, where it
has to end with 0. Only ports are not those of the page.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Iterator

import pages
import pytest
from confluent_kafka import TopicPartition
from kafka import TOOLS, Kafka
from pages import Block
from postgres import Postgres
from process import Child, free_port, tail
from sink import clean_environment, sink_program
from wait import wait_until

PARTITIONS, RECORDS = 3, 3_000
TAKEN_OVER = {"connect-orders-sink": 400}  # the group's offset in each partition
NO_COMMANDS = ("", "text")  # pictures, and what a command has printed

# (page, a part of the block): why it is not run here. It is only read by the shell.
ELSEWHERE = {
    ("README.md", "./dev demo"): "installs packages; test_docs.py of integration looks whether dev has the commands",
    ("docs/deploying.md", "systemctl enable"): "./dev package does it, in a bare Debian with its systemd",
    ("docs/deploying.md", "docker build"): "Docker is not here; ./dev image makes the same without, and runs it",
    ("docs/deploying.md", "skopeo copy"): "there is no registry",
    ("docs/deploying.md", "docker compose"): "Docker is not here; integration/test_compose.py reads the file",
    ("docs/deploying.md", "helm install"): "there is no cluster; ./dev chart looks at what it renders",
    ("docs/security.md", "CREATE ROLE sink"): "tests/support/role.py makes it, for every end-to-end test",
    ("docs/security.md", "kafka-acls.sh"): "wants a broker with an authorizer, as e2e/test_sasl.py has it",
    ("docs/from-kafka-connect.md", "http://connect:8083"): "Kafka Connect is not here",
}


def elsewhere(block: Block) -> str | None:
    found = [why for (page, part), why in ELSEWHERE.items() if page == block.page and part in block.text]
    return found[0] if found else None


class Reader:
    """Somebody who follows a page, in a folder of their own."""

    def __init__(self, folder: Path, kafka: Kafka, postgres: Postgres) -> None:
        self.folder = folder
        self.kafka = kafka
        self.postgres = postgres
        self.http = f"127.0.0.1:{free_port()}"
        self.sinks: list[Child] = []
        self._tools()
        (folder / "exports").touch()

    def _tools(self) -> None:
        """On the reader's PATH: the program, whose run has a port and notes its process id, and Kafka's tools."""
        scripts = {
            "pgsluice": f'[ "$1" != run ] || {{ echo $$ >running; export SINK_HTTP_ADDRESS={self.http}; }}\nexec {sink_program()} "$@"'
        }
        for name in TOOLS:
            scripts[f"kafka-{name}.sh"] = f'exec {shlex.join(self.kafka.tool_argv(name))} "$@"'
        (self.folder / "bin").mkdir()
        for name, text in scripts.items():
            path = self.folder / "bin" / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        environment = clean_environment()
        del environment["SINK_HTTP_ADDRESS"]
        return {
            **environment,
            "HOME": str(self.folder),
            "PATH": f"{self.folder}/bin:{self.postgres.bindir}:{os.environ['PATH']}",
            "PGPORT": str(self.postgres.port),
        }

    def follow(self, block: Block) -> None:
        text = block.text.replace("localhost:9092", self.kafka.bootstrap).replace("localhost:8080", self.http)
        if block.language == "sql":
            user = "postgres" if "CREATE ROLE" in text else "sink"
            self.postgres.psql("-h", "localhost", "-U", user, "-d", "shop", input_text=text)
        elif text.rstrip().endswith("pgsluice run"):
            self._start(block, text)
        else:
            self._run(block, text)

    def _script(self, text: str) -> list[str]:
        return ["bash", "-c", f"set -euo pipefail\n. ./exports\n{text}\nexport -p >exports"]

    def _run(self, block: Block, text: str) -> None:
        done = subprocess.run(
            self._script(text), cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
        )
        print(f"--- {block}\n{done.stdout}{done.stderr}")
        assert done.returncode == 0, f"{block} exited {done.returncode}:\n{done.stderr}"

    def _start(self, block: Block, text: str) -> None:
        """The last command goes on; what comes before it is for the whole page."""
        lines = text.rstrip().splitlines()
        last = max((i + 1 for i, line in enumerate(lines[:-1]) if not line.endswith("\\")), default=0)
        if last:
            self._run(block, "\n".join(lines[:last]))
        script = self._script("\n".join(lines[last:]))
        log = self.folder / f"run-{block.line}.log"
        (self.folder / "running").unlink(missing_ok=True)
        sink = Child(script, log, env=self.environment, cwd=self.folder)
        self.sinks.append(sink)
        wait_until(lambda: self._is_done(sink), 60, lambda: f"{block} has loaded the topic:\n{tail(log)}")

    def _is_done(self, sink: Child) -> bool:
        sink.check_alive()
        ends = sum(self.kafka.end_offsets("orders").values())
        if self.postgres.query("SELECT to_regclass('pgsluice.offsets')", database="shop") == [(None,)]:
            return False
        sums = "SELECT sum(next_offset) FROM pgsluice.offsets WHERE topic = 'orders' GROUP BY sink"
        return (ends,) in self.postgres.query(sums, database="shop")

    def end_section(self) -> None:
        for sink in self.sinks:
            os.kill(int((self.folder / "running").read_text()), signal.SIGTERM)
            assert sink.wait(40) == 0, tail(sink.log)
        self.sinks.clear()

    def close(self) -> None:
        for sink in self.sinks:
            if sink.alive:
                os.killpg(sink.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def kafka(kafka1: Kafka) -> Kafka:
    kafka1.create_topic("orders", PARTITIONS)
    kafka1.create_topic("orders.dead", PARTITIONS)
    kafka1.produce_orders("orders", RECORDS)
    for group, offset in TAKEN_OVER.items():
        consumer = kafka1.consumer(**{"group.id": group})
        offsets = [TopicPartition("orders", partition, offset) for partition in range(PARTITIONS)]
        consumer.commit(offsets=offsets, asynchronous=False)
        consumer.close()
    return kafka1


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as server:
        server.query("CREATE ROLE sink LOGIN")
        yield server


@pytest.fixture
def shop(server: Postgres) -> Iterator[Postgres]:
    server.query("CREATE DATABASE shop OWNER sink")
    yield server
    server.query("DROP DATABASE shop WITH (FORCE)")


@pytest.fixture
def reader(tmp_path: Path, kafka: Kafka, shop: Postgres) -> Iterator[Reader]:
    reader = Reader(tmp_path, kafka, shop)
    yield reader
    reader.close()


def with_commands() -> list[str]:
    return [page for page in pages.PAGES if any(b.language not in NO_COMMANDS for b in pages.blocks(page))]


@pytest.mark.parametrize("page", with_commands())
def test_commands(page: str, reader: Reader) -> None:
    section = ""
    for block in pages.blocks(page):
        if block.section != section:
            reader.end_section()
            section = block.section
        if block.language not in NO_COMMANDS and not elsewhere(block):
            assert block.language in ("sh", "sql"), f"{block}: nobody knows how to run {block.language}"
            reader.follow(block)
    reader.end_section()
    check(page, reader)


def check(page: str, reader: Reader) -> None:
    """What the page promises, where that is more than that its commands end well."""
    rows = {
        "README.md": RECORDS,
        "docs/dead-letters.md": RECORDS,
        "docs/from-kafka-connect.md": RECORDS - PARTITIONS * sum(TAKEN_OVER.values()),
    }
    if page in rows:
        assert reader.postgres.query("SELECT count(*) FROM orders", database="shop") == [(rows[page],)]
    if page == "docs/dead-letters.md":
        refused = "SELECT count(*) FROM orders WHERE amount >= 990"  # by the page's rule, and replayed
        assert reader.postgres.query(refused, database="shop")[0][0] > 0


def test_what_is_not_run_is_there_and_can_be_read() -> None:
    """A line of the list that fits no block any more goes; a block that is not run is at least no nonsense."""
    blocks = [block for page in pages.PAGES for block in pages.blocks(page)]
    for page, part in ELSEWHERE:
        assert [b for b in blocks if b.page == page and part in b.text], (page, part)
    for block in blocks:
        if elsewhere(block) and block.language == "sh":
            subprocess.run(["bash", "-n"], input=block.text, text=True, check=True, timeout=10)
