"""A canary in every setting that can hold a secret is found nowhere, and passwords can change at any time."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest
from cluster import Record
from mock import MockKafka
from postgres import Postgres
from sink import Sink, clean_environment, sink_program

CANARY = "c4nary-must-not-appear"
DONE = 0

# Whether they are used or not: who prints all settings would print them.
CANARIES = {
    "KAFKA_SASL_PASSWORD": CANARY,
    "KAFKA_SASL_USERNAME": "sink",
    "KAFKA_SSL_KEY_PASSWORD": CANARY,
    "KAFKA_SSL_KEYSTORE_PASSWORD": CANARY,
    "KAFKA_SASL_OAUTHBEARER_CONFIG": CANARY,
    "KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET": CANARY,
    "KAFKA_SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE": CANARY,
    "KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL": f"https://user:{CANARY}@idp/token?secret={CANARY}",
    "PGOPTIONS": f"-c my.password={CANARY}",
}
LOUD = {"SINK_LOG_LEVEL": "debug", "KAFKA_DEBUG": "all"}


@pytest.fixture
def strict(own_postgres: Postgres) -> Iterator[Postgres]:
    """A server that wants the role sink's password over TCP."""
    own_postgres.query(
        f"CREATE ROLE sink LOGIN PASSWORD '{CANARY}'; GRANT CREATE ON DATABASE postgres TO sink;"
        "CREATE TABLE orders (id int); GRANT INSERT ON orders TO sink"
    )
    rules = "host all sink 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n"
    (own_postgres.data / "pg_hba.conf").write_text(rules)
    own_postgres.query("SELECT pg_reload_conf()")
    yield own_postgres


def end_sessions(postgres: Postgres) -> None:
    postgres.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sink'"
    )


def assert_nowhere(sink: Sink) -> None:
    assert CANARY not in sink.log_text()
    assert CANARY not in Path(f"/proc/{sink.pid}/cmdline").read_text()
    activity = sink.postgres.query("SELECT application_name, query FROM pg_stat_activity")
    assert any("pgsluice" in row[0] for row in activity)
    assert CANARY not in str(activity)


@pytest.mark.parametrize("form", ["text", "json"])
def test_canaries_are_found_nowhere(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, strict: Postgres, tmp_path: Path
) -> None:
    """At work, while PostgreSQL and Kafka are away, and in what `config` prints."""
    file = tmp_path / "password"
    file.write_text(CANARY)
    mock.create_topic("orders", 1)
    env = {**CANARIES, **LOUD, "PGUSER": "sink", "PGPASSWORD_FILE": file, "SINK_LOG_FORMAT": form}
    sink = start_sink(mock, topics="orders", postgres=strict, env=env)
    mock.produce("orders", [Record(b'{"id": 1}', None, 0), Record(b"not json", None, 0)])
    sink.wait_until_caught_up("orders")
    assert_nowhere(sink)
    strict.query("ALTER ROLE sink PASSWORD 'another'")
    end_sessions(strict)
    sink.wait_for_log("password authentication failed")
    mock.broker_down()
    sink.wait_for_log("brokers are down")
    assert CANARY not in sink.log_text()
    shown = subprocess.run(
        [sink_program(), "config"], env={**clean_environment(), **sink.settings},
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert shown.returncode == DONE
    assert CANARY not in shown.stdout + shown.stderr


def test_the_password_changes_while_it_runs(
    start_sink: Callable[..., Sink], mock: MockKafka, strict: Postgres, tmp_path: Path
) -> None:
    """The server's first, the file's later, and a file that is away for a while: each is an outage."""
    file = tmp_path / "password"
    file.write_text(CANARY + "\n")
    mock.create_topic("orders", 1)
    env = {"PGUSER": "sink", "PGPASSWORD_FILE": file}
    sink = start_sink(mock, topics="orders", postgres=strict, env=env)
    mock.produce("orders", [Record(b'{"id": 0}', None, 0)])
    sink.wait_until_caught_up("orders")
    for i, password in enumerate(("second", "third"), start=1):
        strict.query(f"ALTER ROLE sink PASSWORD '{password}'")
        if password == "third":
            file.unlink()
        end_sessions(strict)
        mock.produce("orders", [Record(b'{"id": %d}' % i, None, 0)])
        sink.wait_for_log(
            "PGPASSWORD_FILE" if password == "third" else "password authentication failed"
        )
        new = file.with_name("new")
        new.write_text(password + "\n")
        os.replace(new, file)
        sink.wait_until_caught_up("orders")
    assert strict.query("SELECT id FROM orders ORDER BY id") == [(0,), (1,), (2,)]
    assert sink.terminate() == DONE
    assert not any(word in sink.log_text() for word in (CANARY, '"second"', '"third"'))
