"""The servers of a chaos run: three Kafka brokers, two PostgreSQL servers, and the proxy before them.

Sinks come in through links of their own, so that each can be cut off alone: every broker has a
listener for each sink, which it advertises under the link's port. The harness itself, replication
and whatever passes between brokers take the direct way.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Mapping

import psycopg
from kafka import Broker, Kafka
from links import Links
from postgres import Postgres
from process import TemporaryDirectory, free_port
from wait import wait_until

SINKS = (1, 2, 3, 4)  # three that run, and one more when the fleet is scaled up

OUTER_MOUNTS = "CHAOS_OUTER_MOUNTS"  # names the namespace that we have left
DISK_BYTES = 6 << 30
ROLE = "sink"  # whom the sinks log in as

POSTGRES = {
    "shared_buffers": "256MB",
    "max_connections": "60",
    "max_wal_size": "2GB",
    "wal_keep_size": "1GB",  # what a former primary needs to be rewound
    "wal_log_hints": "on",  # so that it can be
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "200ms",
    "hot_standby": "on",
    "synchronous_standby_names": "*",
    "synchronous_commit": "local",  # the harness does not wait for a standby that is away
    "autovacuum_naptime": "5s",
    "max_slot_wal_keep_size": "1GB",
}


class ProxiedKafka(Kafka):
    """Brokers with one more listener for each sink."""

    def __init__(self, links: Links, brokers: int = 3) -> None:
        self.links = links
        self.sink_ports: dict[int, list[int]] = {sink: [] for sink in SINKS}
        super().__init__(brokers, config={"group.coordinator.threads": "1"}, heap="512m")

    def bootstrap_of(self, sink: int) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.sink_ports[sink])

    def _write_properties(self, broker: Broker, config: Mapping[str, Any]) -> None:
        listeners, advertised, protocols = [], [], []
        for sink in SINKS:
            name, port = f"SINK{sink}", free_port()
            at = self.links.open(f"sink-{sink}", f"kafka-{broker.node}", port)
            self.sink_ports[sink].append(at)
            listeners.append(f"{name}://127.0.0.1:{port}")
            advertised.append(f"{name}://127.0.0.1:{at}")
            protocols.append(f"{name}:PLAINTEXT")
        super()._write_properties(broker, config)
        text = broker.properties.read_text()
        for key, values in (
            ("listeners=", listeners),
            ("advertised.listeners=", advertised),
            ("listener.security.protocol.map=", protocols),
        ):
            lines = text.splitlines()
            at_line = next(i for i, line in enumerate(lines) if line.startswith(key))
            lines[at_line] = ",".join([lines[at_line], *values])
            text = "\n".join(lines) + "\n"
        broker.properties.write_text(text)


class DiskPostgres(Postgres):
    """A server on a file system of its own, where that can be had: one that can be filled."""

    def _make_data(self, argv: list[str]) -> None:
        if has_own_mounts() and not os.path.ismount(self.data):
            self.data.mkdir()
            options = f"size={DISK_BYTES},mode=700"
            subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "pgsluice", str(self.data)], check=True
            )
            _give(self, self.data)
        super()._make_data(argv)

    def close(self) -> None:
        if os.path.ismount(self.data):
            self.stop("immediate")
            subprocess.run(["umount", "--lazy", str(self.data)], check=False)
        super().close()


def _give(server: Postgres, path: Path) -> None:
    """To the account that the server runs as."""
    if server._account is not None:
        os.chown(path, server._account.pw_uid, server._account.pw_gid)


def mounts() -> str:
    """The name of this process's mount namespace."""
    return os.readlink("/proc/self/ns/mnt")


def has_own_mounts() -> bool:
    """Whether what we mount is seen by nobody else, and goes with us."""
    return os.environ.get(OUTER_MOUNTS, mounts()) != mounts()


def copy_anew(server: Postgres, primary: Postgres) -> None:
    """Make the stopped server's data anew: a base backup of the primary, to follow it."""
    for path in server.data.glob("*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    server._copy(primary)


def rewind(server: Postgres, primary: Postgres) -> None:
    """Undo what the stopped server has and the new primary has not, and follow that."""
    _run(server, "pg_rewind", "--target-pgdata", str(server.data), "--no-sync",
         "--source-server", primary.dsn)  # fmt: skip
    server._write_settings()
    signal_file = server.data / "standby.signal"
    signal_file.touch()
    _give(server, signal_file)
    # This file wins over the other one, and pg_basebackup writes there, too.
    (server.data / "postgresql.auto.conf").write_text(f"primary_conninfo = '{primary.dsn}'\n")


def _run(server: Postgres, program: str, *arguments: str) -> None:
    argv = server._as_account([str(server.bindir / program), *arguments])
    result = subprocess.run(argv, cwd=server.directory, capture_output=True, text=True, timeout=300)
    if result.returncode != 0:
        raise RuntimeError(f"{program} failed: {(result.stderr + result.stdout).strip()[-2000:]}")


class PostgresPair:
    """A primary and the synchronous standby that follows it, which change places at a failover."""

    def __init__(self, links: Links) -> None:
        self._stack = ExitStack()
        self.primary: Postgres = self._stack.enter_context(DiskPostgres(settings=POSTGRES))
        try:
            self.standby: Postgres = self._stack.enter_context(
                DiskPostgres(settings=POSTGRES, standby_of=self.primary)
            )
            self.links = links
            self.ports = {s: links.open(f"sink-{s}", "postgres", self.primary.port) for s in SINKS}
            self.wait_for_standby()
            self.primary.query(f"CREATE ROLE {ROLE} LOGIN")
            self.primary.query(f"GRANT CREATE ON DATABASE {self.primary.database} TO {ROLE}")
        except BaseException:
            self._stack.close()
            raise

    def start(self) -> None:
        """After the primary was stopped."""
        self.primary.start()
        self.wait_for_standby()

    def wal_receiver(self) -> int:
        """The process of the standby that gets the WAL."""
        pid = self.standby.scalar("SELECT pid FROM pg_stat_wal_receiver")
        assert pid is not None, "the standby gets no WAL"
        return int(pid)

    def promote(self) -> None:
        """The standby is the primary from now on; the other one is to be stopped before."""
        _run(self.standby, "pg_ctl", "promote", "-D", str(self.standby.data), "-w", "-t", "30")
        self.primary, self.standby = self.standby, self.primary
        self.links.retarget(self.links.of(server="postgres"), self.primary.port)

    def rebuild(self) -> str:
        """Make the stopped former primary a standby again; how."""
        self.primary.query("CHECKPOINT")  # before it, pg_rewind would not see the new timeline
        try:
            rewind(self.standby, self.primary)
            self.standby.start()
            self.wait_for_standby(20)
            return "pg_rewind"
        except (RuntimeError, AssertionError):
            self.standby.stop("immediate")
            copy_anew(self.standby, self.primary)
            self.standby.start()
            self.wait_for_standby()
            return "pg_basebackup"

    def is_replicating(self) -> bool:
        try:
            state = self.primary.scalar("SELECT state FROM pg_stat_replication")
        except psycopg.Error:
            return False
        return bool(state == "streaming")

    def wait_for_standby(self, deadline_s: float = 60.0) -> None:
        wait_until(self.is_replicating, deadline_s, "the standby follows")

    def close(self) -> None:
        self._stack.close()


class Servers:
    """Everything that a run needs, while `with` lasts."""

    def __enter__(self) -> "Servers":
        self._stack = ExitStack()
        try:
            self.links = Links()
            self._stack.callback(self.links.close)
            self._temporary = TemporaryDirectory("chaos")
            self._stack.callback(self._temporary.close)
            self._start()
            return self
        except BaseException:
            self._stack.close()
            raise

    def _start(self) -> None:
        """Kafka formats its storage and starts while PostgreSQL does the same."""
        failures: list[BaseException] = []

        def start_postgres() -> None:
            try:
                self.postgres = PostgresPair(self.links)
                self._stack.callback(self.postgres.close)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=start_postgres)
        thread.start()
        try:
            self.kafka = self._stack.enter_context(ProxiedKafka(self.links))
        finally:
            thread.join()
        if failures:
            raise failures[0]

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def directory(self) -> Path:
        return self._temporary.path

    def logs(self) -> dict[str, Path]:
        """Every server's log, by name."""
        found = {f"kafka-{node}": broker.log for node, broker in self.kafka.brokers.items()}
        found["postgres-a"] = self.postgres.primary.log
        found["postgres-b"] = self.postgres.standby.log
        return found

    def keep_partition(self, topic: str, partition: int, directory: Path) -> None:
        """Copy each broker's log of a partition, for kafka.tools.DumpLogSegments."""
        for node, broker in self.kafka.brokers.items():
            name = f"{topic}-{partition}"
            with suppress(OSError, shutil.Error):
                shutil.copytree(broker.directory / "data" / name, directory / f"kafka-{node}" / name)
