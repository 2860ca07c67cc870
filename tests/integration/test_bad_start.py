"""What is wrong at the start is said clearly, all of it at once, and ends with the right exit code.

Nothing has been read by then, so nothing can be lost: these tests are about what an operator reads.
"""

from __future__ import annotations

import copy
import resource
import socket
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import pytest
from cluster import Record
from dead_letters import dead_letters
from mock import MockKafka
from postgres import Postgres
from process import free_port
from sink import Sink, clean_environment, sink_program

DONE, UNREACHABLE, CONFIG = 0, 69, 78
SENTINEL = "s3ntinel-must-not-appear"
CONNECT_TIMEOUT_MS = 2000
ENOUGH_S = 6.0  # for a start that waits CONNECT_TIMEOUT_MS, on a busy machine

SECRETS = {"PGPASSWORD": SENTINEL, "KAFKA_SASL_PASSWORD": SENTINEL}


@dataclass(frozen=True)
class Refusal:
    """How a start ended: its exit code and the errors it logged."""

    code: int
    lines: list[dict[str, Any]]
    text: str

    @property
    def reasons(self) -> list[str]:
        return [line.get("reason", "") for line in self.lines]


@pytest.fixture
def refused(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> Callable[..., Refusal]:
    """Start a sink that can't start, and return what it said; no secret may be in it."""

    def run(topics: str, env: dict[str, object] | None = None, **options: Any) -> Refusal:
        settings = {**SECRETS, "SINK_CONNECT_TIMEOUT_MS": CONNECT_TIMEOUT_MS, **(env or {})}
        options.setdefault("postgres", database)
        sink = start_sink(options.pop("kafka", mock), topics=topics, env=settings, **options)
        code = sink.wait_exit(ENOUGH_S)
        text = sink.log_text()
        assert SENTINEL not in text
        errors = [line for line in sink.log_lines() if line["level"] == "error"]
        return Refusal(code, errors, text)

    return run


def role(database: Postgres, *grants: str) -> Postgres:
    """The database as a new role without any right sees it, after the grants TO it."""
    name = f"role_{database.database}"
    database.query(f"CREATE ROLE {name} LOGIN")
    for grant in grants:
        database.query(f"{grant} TO {name}")
    view = copy.copy(database)
    view.user = name
    return view


def drop_role(database: Postgres) -> None:
    name = f"role_{database.database}"
    database.query(f"DROP OWNED BY {name}; DROP ROLE {name}")


def migrate(database: Postgres) -> None:
    """The schema, made by the superuser."""
    env = {
        **clean_environment(),
        **database.env,
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
        "KAFKA_GROUP_ID": "g",
        "SINK_TOPICS": "t",
    }
    subprocess.run([sink_program(), "migrate"], env=env, check=True, capture_output=True, timeout=30)


# Tables


def test_missing_table(refused: Callable[..., Refusal], mock: MockKafka, database: Postgres) -> None:
    mock.create_topic("orders", 1)
    refusal = refused("orders")
    assert refusal.code == CONFIG
    (reason,) = refusal.reasons
    for part in ("orders", "does not exist", database.database, "create it", "SINK_TABLE"):
        assert part in reason


def test_missing_table_with_schema(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    mock.create_topic("orders", 1)
    refusal = refused("orders", env={"SINK_TABLE": "app.${topic}"})
    assert refusal.code == CONFIG
    for part in ('"orders"', 'schema "app"', "does not exist"):
        assert part in refusal.reasons[0]


def test_table_names_keep_their_case(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    """A topic Orders does not silently become the table orders."""
    database.query("CREATE TABLE orders (id int)")
    mock.create_topic("Orders", 1)
    refusal = refused("Orders")
    assert refusal.code == CONFIG
    assert "Orders" in refusal.reasons[0]


def test_what_is_no_table(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    """Each listed topic's problem is said, in one start."""
    database.query(
        "CREATE TABLE good (id int);"
        "CREATE VIEW a_view AS TABLE good;"
        "CREATE MATERIALIZED VIEW a_matview AS TABLE good;"
        "CREATE SEQUENCE a_sequence;"
        "CREATE INDEX an_index ON good (id);"
        "CREATE TABLE all_generated (a int GENERATED ALWAYS AS IDENTITY,"
        "                            b int GENERATED ALWAYS AS (1) STORED);"
        "CREATE TABLE no_columns ()"
    )
    words = {
        "a_view": "is a view",
        "a_matview": "is a materialized view",
        "a_sequence": "is a sequence",
        "an_index": "is an index",
        "all_generated": "no column",
        "no_columns": "no column",
        "missing": "does not exist",
    }
    for topic in [*words, "good"]:
        mock.create_topic(topic, 1)
    refusal = refused(",".join([*words, "good"]))
    assert refusal.code == CONFIG
    for (topic, word), reason in zip(words.items(), refusal.reasons):
        assert topic in reason and word in reason


def test_many_problems_are_all_said(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    """More than the log shows of one event in a moment."""
    topics = [f"missing_{i:02}" for i in range(40)]
    for topic in topics:
        mock.create_topic(topic, 1)
    refusal = refused(",".join(topics))
    assert refusal.code == CONFIG
    last = refusal.lines[-1]
    assert last["count"] == len(topics)
    assert last["topics"].split() == topics


def test_raw_without_any_of_its_columns(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    database.query("CREATE TABLE orders (id int, note text)")
    mock.create_topic("orders", 1)
    refusal = refused("orders", env={"SINK_VALUE_FORMAT": "raw"})
    assert refusal.code == CONFIG
    for part in ("orders", "topic, partition, offset, timestamp, key, value or headers"):
        assert part in refusal.reasons[0]


def test_raw_with_a_column_that_nothing_fills(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    database.query("CREATE TABLE orders (value text, shop int NOT NULL)")
    mock.create_topic("orders", 1)
    refusal = refused("orders", env={"SINK_VALUE_FORMAT": "raw"})
    assert refusal.code == CONFIG
    for part in ("orders", "shop", "NOT NULL", "DEFAULT"):
        assert part in refusal.reasons[0]


@pytest.mark.parametrize(
    "column", ['"offset" int', '"offset" bytea', "value int", "headers bytea", '"timestamp" date']
)
def test_raw_with_a_type_that_does_not_fit(
    column: str, refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    database.query(f"CREATE TABLE orders ({column})")
    mock.create_topic("orders", 1)
    refusal = refused("orders", env={"SINK_VALUE_FORMAT": "raw"})
    assert refusal.code == CONFIG
    name, type_name = column.split()
    assert name.strip('"') in refusal.reasons[0]
    assert {"int": "integer"}.get(type_name, type_name) in refusal.reasons[0]


# Names


@pytest.mark.parametrize(
    "table", ["t" * 64, "schema." + "t" * 64, "s" * 64 + ".t", "é" * 32, "${topic}_" + "t" * 60]
)
def test_table_name_over_63_bytes(table: str, refused: Callable[..., Refusal]) -> None:
    refusal = refused("orders", env={"SINK_TABLE": table})
    assert refusal.code == CONFIG
    for part in ("SINK_TABLE", "bytes", "63"):
        assert part in refusal.text


def test_topic_name_over_63_bytes_as_table(refused: Callable[..., Refusal]) -> None:
    topic = "t" * 64
    refusal = refused(f"orders,{topic}")
    assert refusal.code == CONFIG
    for part in (topic, "64 bytes", "63"):
        assert part in refusal.text


def test_names_of_63_bytes_are_fine(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    table, topic = "é" * 31 + "x", "t" * 249
    database.query(f'CREATE TABLE "{table}" (id int)')
    mock.create_topic(topic, 1)
    sink = start_sink(mock, topics=topic, postgres=database, env={"SINK_TABLE": table})
    sink.wait_for(lambda: sink.positions(topic), what="a claim")
    assert sink.terminate() == DONE


# Kafka


def test_missing_topics(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    database.query("CREATE TABLE orders (id int); CREATE TABLE one (id int); CREATE TABLE two (id int)")
    mock.create_topic("orders", 1)
    refusal = refused("one,orders,two")
    assert refusal.code == CONFIG
    (reason,) = refusal.reasons
    for part in ('"one"', '"two"', "does not exist", "SINK_TOPICS"):
        assert part in reason
    assert '"orders"' not in reason


def test_unreachable_kafka(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    database.query("CREATE TABLE orders (id int)")
    address = f"127.0.0.1:{free_port()}"
    refusal = refused("orders", env={"KAFKA_BOOTSTRAP_SERVERS": address})
    assert refusal.code == UNREACHABLE
    assert address in refusal.reasons[0]


def test_silent_kafka(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    """Connections are taken, nothing ever answers."""
    database.query("CREATE TABLE orders (id int)")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        refusal = refused("orders", env={"KAFKA_BOOTSTRAP_SERVERS": address})
    assert refusal.code == UNREACHABLE
    assert address in refusal.reasons[0]


# The process


def test_a_limit_of_open_files_that_is_too_low(
    mock: MockKafka, database: Postgres
) -> None:
    """Whatever the limit, the start ends with words, never with an assertion; from 57 on it runs."""
    database.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    env = {
        **clean_environment(),
        **database.env,
        "KAFKA_BOOTSTRAP_SERVERS": mock.bootstrap,
        "KAFKA_GROUP_ID": "few-files",
        "SINK_TOPICS": "orders",
    }
    for limit in (16, 30, 56):
        command = f"ulimit -n {limit}; exec {sink_program()} run"
        result = subprocess.run(
            ["bash", "-c", command], env=env, capture_output=True, text=True, timeout=30
        )
        assert result.returncode == CONFIG, result.stderr
        for part in ("ulimit -n", f"is {limit}", "at least 57", "SINK_POOL_MAX=8"):
            assert part in result.stdout + result.stderr
    command = f"ulimit -n 88; exec {sink_program()} backfill --from earliest --parallel 3"
    result = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, timeout=30)
    assert result.returncode == CONFIG, result.stderr
    assert "at least 89" in result.stdout + result.stderr and "3 clients of Kafka" in result.stdout + result.stderr


def test_the_lowest_limit_of_open_files_is_enough(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """With every connection open; a soft limit below the hard one is raised."""
    topics = [f"t{i}" for i in range(8)]
    for topic in topics:
        database.query(f"CREATE TABLE {topic} (id int)")
        mock.create_topic(topic, 1)
    env = {"SINK_POOL_MIN": 8, "SINK_HISTORY_INTERVAL_MS": 100}
    sink = start_sink(mock, topics=",".join(topics), postgres=database, env=env)
    sink.wait_for(lambda: len(list(Path(f"/proc/{sink.pid}/fd").iterdir())) > 20, what="files")
    connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgsluice/%%'"
    sink.wait_for(lambda: database.scalar(connections) == 9, what="8 connections and that of the history")
    assert len(list(Path(f"/proc/{sink.pid}/fd").iterdir())) <= 57
    soft, hard = resource.prlimit(sink.pid, resource.RLIMIT_NOFILE)
    assert soft == hard
    assert sink.terminate() == DONE


# PostgreSQL


def test_unreachable_postgres(refused: Callable[..., Refusal]) -> None:
    port = free_port()
    refusal = refused("orders", env={"PGPORT": port})
    assert refusal.code == UNREACHABLE
    assert str(port) in refusal.reasons[0]


def test_silent_postgres(refused: Callable[..., Refusal]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        refusal = refused("orders", env={"PGPORT": port})
    assert refusal.code == UNREACHABLE
    assert str(port) in refusal.reasons[0]


def test_host_that_does_not_resolve(refused: Callable[..., Refusal]) -> None:
    refusal = refused("orders", env={"PGHOST": "no-such-host.invalid"})
    assert refusal.code == UNREACHABLE
    assert "no-such-host.invalid" in refusal.reasons[0]


@pytest.mark.parametrize("env", [{"PGDATABASE": "nowhere"}, {"PGUSER": "nobody"}])
def test_what_postgres_does_not_know(
    env: dict[str, object], refused: Callable[..., Refusal]
) -> None:
    refusal = refused("orders", env=env)
    assert refusal.code == CONFIG
    assert "does not exist" in refusal.reasons[0]


@pytest.fixture
def strict(own_postgres: Postgres) -> Postgres:
    """A server that wants a password, from the role sink with the password right."""
    own_postgres.query("CREATE ROLE sink LOGIN SUPERUSER PASSWORD 'right'; CREATE TABLE orders (id int)")
    rules = "host all sink 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust\n"
    (own_postgres.data / "pg_hba.conf").write_text(rules)
    own_postgres.query("SELECT pg_reload_conf()")
    return own_postgres


def test_passwords(
    refused: Callable[..., Refusal],
    start_sink: Callable[..., Sink],
    mock: MockKafka,
    strict: Postgres,
) -> None:
    mock.create_topic("orders", 1)
    user: dict[str, object] = {"PGUSER": "sink"}
    wrong = refused("orders", postgres=strict, env=user)
    assert wrong.code == CONFIG
    for part in ("password authentication failed", "sink"):
        assert part in wrong.reasons[0]

    file = strict.directory / "password"
    file.write_text(SENTINEL + "\n")
    from_file = {**user, "PGPASSWORD": None, "PGPASSWORD_FILE": file}
    of_file = refused("orders", postgres=strict, env=from_file)
    assert of_file.code == CONFIG
    assert "password authentication failed" in of_file.reasons[0]

    no_file = file.with_name("no_file")
    none = refused("orders", postgres=strict, env={**user, "PGPASSWORD": None, "PGPASSFILE": no_file})
    assert none.code == CONFIG
    assert "password" in none.reasons[0]

    file.write_text("right\n")
    sink = start_sink(mock, topics="orders", postgres=strict, env=from_file)
    sink.wait_for(lambda: sink.positions("orders"), what="a claim")
    assert sink.terminate() == DONE
    assert '"right"' not in sink.log_text()


# Rights


def test_no_right_to_insert(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    migrate(database)
    database.query("CREATE TABLE orders (id int, note text)")
    mock.create_topic("orders", 1)
    weak = role(database, "GRANT USAGE ON SCHEMA pgsluice", "GRANT SELECT ON pgsluice.migrations")
    refusal = refused("orders", postgres=weak)
    drop_role(database)
    assert refusal.code == CONFIG
    for part in ("orders", "INSERT", "GRANT"):
        assert part in refusal.reasons[0]


def test_no_right_on_a_needed_column(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    migrate(database)
    database.query("CREATE TABLE orders (id int NOT NULL, note text)")
    mock.create_topic("orders", 1)
    weak = role(
        database,
        "GRANT USAGE ON SCHEMA pgsluice",
        "GRANT SELECT ON pgsluice.migrations",
        "GRANT INSERT (note) ON orders",
    )
    refusal = refused("orders", postgres=weak)
    drop_role(database)
    assert refusal.code == CONFIG
    for part in ("orders", "id", "GRANT INSERT"):
        assert part in refusal.reasons[0]


def test_no_right_on_the_tables_schema(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    migrate(database)
    database.query("CREATE SCHEMA app; CREATE TABLE app.orders (id int)")
    mock.create_topic("orders", 1)
    weak = role(database, "GRANT USAGE ON SCHEMA pgsluice", "GRANT SELECT ON pgsluice.migrations")
    refusal = refused("orders", postgres=weak, env={"SINK_TABLE": "app.orders"})
    drop_role(database)
    assert refusal.code == CONFIG
    for part in ("orders", "permission denied", "app"):
        assert part in refusal.reasons[0]


@pytest.mark.parametrize("how", ["auto", "check"])
def test_no_right_on_the_schema_pgsluice(
    how: str, refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    migrate(database)
    database.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    weak = role(database, "GRANT INSERT ON orders")
    refusal = refused("orders", postgres=weak, env={"SINK_MIGRATE": how})
    drop_role(database)
    assert refusal.code == CONFIG
    for part in ("permission denied for schema pgsluice", "GRANT", weak.user):
        assert part in refusal.reasons[0]


@pytest.mark.parametrize("how", ["auto", "check", "off"])
def test_the_rights_that_are_enough(
    how: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Of a role that owns nothing: a row and a dead letter."""
    migrate(database)
    database.query("CREATE TABLE orders (id int, note text, secret text)")
    mock.create_topic("orders", 1)
    mock.produce("orders", [Record(b'{"id": 1, "secret": "x"}', None, 0), Record(b"not json", None, 0)])
    weak = role(
        database,
        "GRANT USAGE ON SCHEMA pgsluice",
        "GRANT SELECT ON pgsluice.migrations",
        "GRANT SELECT, INSERT, UPDATE ON pgsluice.offsets",
        "GRANT INSERT ON pgsluice.dead_letters",
        "GRANT INSERT (id, note) ON orders",
    )
    env = {"SINK_MIGRATE": how, "PGUSER": weak.user}
    sink = start_sink(mock, topics="orders", postgres=database, env=env)
    sink.wait_until_caught_up("orders")
    assert sink.terminate() == DONE
    assert database.query("SELECT id, secret FROM orders") == [(1, None)]
    assert [letter.offset for letter in dead_letters(database, sink.name)] == [1]
    drop_role(database)


def test_no_right_to_migrate(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    database.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    weak = role(database, "GRANT INSERT ON orders")
    for command in ("run", "migrate"):
        refusal = refused("orders", postgres=weak, command=command)
        assert refusal.code == CONFIG
        for part in ("permission denied", database.database, "GRANT"):
            assert part in refusal.reasons[0]
    drop_role(database)


def test_check_without_schema(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    mock.create_topic("orders", 1)
    refusal = refused("orders", env={"SINK_MIGRATE": "check"})
    assert refusal.code == CONFIG
    for part in ("pgsluice", database.database, "pgsluice migrate"):
        assert part in refusal.reasons[0]


def test_schema_of_somebody_else(
    refused: Callable[..., Refusal], mock: MockKafka, database: Postgres
) -> None:
    """A migration that was applied with another text is not trusted."""
    migrate(database)
    database.query("UPDATE pgsluice.migrations SET checksum = 'x' WHERE version = 1")
    mock.create_topic("orders", 1)
    for how in ("auto", "check"):
        refusal = refused("orders", env={"SINK_MIGRATE": how})
        assert refusal.code == CONFIG
        assert "0001" in refusal.reasons[0]
