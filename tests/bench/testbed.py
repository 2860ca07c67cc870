"""The servers that everything is measured on: one Kafka, real or mock, and one PostgreSQL."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from pathlib import Path
from typing import Iterable, Mapping

import usage
from kafka import Kafka
from mock import MockKafka
from postgres import Postgres
from process import TemporaryDirectory
from sink import Sink

# As a server that takes such a load would be set up. Checkpoints and vacuum would fall on some runs and
# not on others: a checkpoint is made before each run, and what is vacuumed was written by another run.
POSTGRES = {
    "shared_buffers": "2GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "synchronous_commit": "off",  # pgsluice's own sessions have it; so have all others then
}
BROKER_HEAP = "1g"

# What tests/support sets for quick rebalances goes back to librdkafka's defaults, which users have.
DEFAULTS: Mapping[str, object] = {
    "KAFKA_SESSION_TIMEOUT_MS": None,
    "KAFKA_HEARTBEAT_INTERVAL_MS": None,
    "KAFKA_FETCH_WAIT_MAX_MS": None,
}


class Testbed:
    """Both servers, while `with` lasts."""

    def __init__(self, mock: bool, tcp: bool) -> None:
        """`tcp`: PostgreSQL over loopback instead of its unix socket."""
        self.is_mock = mock
        self.is_tcp = tcp
        self._stack = ExitStack()
        self._numbers = itertools.count(1)

    def __enter__(self) -> "Testbed":
        try:
            self._temporary = TemporaryDirectory("bench")
            self._stack.callback(self._temporary.close)
            self.postgres = self._stack.enter_context(Postgres(fsync=True, settings=POSTGRES))
            self.kafka: Kafka | MockKafka = self._stack.enter_context(
                MockKafka() if self.is_mock else Kafka(heap=BROKER_HEAP)
            )
            return self
        except BaseException:
            self._stack.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def directory(self) -> Path:
        return self._temporary.path

    @property
    def server_directory(self) -> Path:
        """Where PostgreSQL, too, may write files."""
        return self.postgres.directory

    @property
    def pg_env(self) -> dict[str, str]:
        return self.postgres.env if self.is_tcp else self.postgres.socket_env

    def name(self, prefix: str) -> str:
        """A name that was not used before: of a group, a topic, a table."""
        return f"{prefix}_{next(self._numbers)}"

    def sink(
        self,
        topics: str,
        group: str,
        env: Mapping[str, object],
        instance: str = "sink-1",
        pg_env: Mapping[str, str] | None = None,
    ) -> Sink:
        """One that is not started yet."""
        settings = {**DEFAULTS, **(pg_env or self.pg_env), **env}
        return Sink(self.kafka, self.postgres, topics, group, settings, instance=instance)

    # --- what the servers use -------------------------------------------------------------------

    @property
    def broker_pid(self) -> int:
        return self.kafka.pid if isinstance(self.kafka, MockKafka) else self.kafka.brokers[1].pid

    def broker_cpu_s(self) -> float:
        return usage.cpu_s(self.broker_pid)

    def postgres_cpu_s(self, without: Iterable[int]) -> float:
        """Postmaster, backends, WAL writer and the rest, but these backends."""
        return usage.family_cpu_s(self.postgres.pid, without)

    # --- between runs ---------------------------------------------------------------------------

    def migrate(self) -> None:
        """Make the sink's schema, so that its tables can be watched from the start."""
        migrate = Sink(self.kafka, self.postgres, "none", "none", DEFAULTS, command="migrate")
        with migrate:
            code = migrate.wait_exit()
        if code != 0:
            raise RuntimeError(f"pgsluice migrate exited {code}")

    def clear(self, tables: list[str]) -> None:
        """Empty tables, and nothing left to be written from before."""
        names = ", ".join([*tables, "pgsluice.offsets", "pgsluice.dead_letters"])
        self.postgres.query(f"TRUNCATE {names}")
        self.postgres.query("CHECKPOINT")
