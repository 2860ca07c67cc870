"""A broker that wants TLS and a login, and lets nobody do what it was not told to."""

from __future__ import annotations

import os

import pytest
from authority import Authority
from cluster import Record
from faults import events
from kafka import Kafka, Unavailable
from process import free_port

HOST, USER = "localhost", "sink"
CONFIG = 78
FIRST, SECOND = "first-secret", "second-secret"
OLD = 5_000  # records of a backfill
PREFIX = "test_"  # of the topics and groups that it may read, which are named after their tests
REAUTH_MS = 1_500  # a session that has not logged in again by then is ended


class LoginKafka(Kafka):
    """Sinks come in by TLS and SCRAM; the tests by the plain listener, and may do everything."""

    format_arguments = ("--add-scram", f"SCRAM-SHA-256=[name={USER},password={FIRST}]")

    def __init__(self, authority: Authority) -> None:
        self.login_port = free_port()
        self.authority = authority
        super().__init__()

    @property
    def environment(self) -> dict[str, object]:
        """librdkafka's part of a sink's settings, but for the password."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{self.login_port}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SSL_CA_LOCATION": self.authority.certificate,
        }

    def set_password(self, password: str) -> None:
        """There is one at a time: the former one is no longer taken."""
        config = f"SCRAM-SHA-256=[iterations=4096,password={password}]"
        entity = ("--entity-type", "users", "--entity-name", USER)
        self.tool("configs", "--alter", *entity, "--add-config", config)

    def rights(self, *what: str) -> None:
        """As kafka-acls wants it."""
        self.tool("org.apache.kafka.tools.AclCommand", "--force", *what)

    def _write_properties(self, broker, config) -> None:
        certificate, key = self.authority.sign(HOST)
        keystore = broker.directory / "keystore.pem"
        keystore.write_text(key.read_text() + certificate.read_text())
        listeners = f"PLAINTEXT://{broker.address},CONTROLLER://127.0.0.1:{broker.controller_port}"
        login = {
            "listeners": f"{listeners},LOGIN://127.0.0.1:{self.login_port}",
            "advertised.listeners": f"PLAINTEXT://{broker.address},LOGIN://{HOST}:{self.login_port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_SSL",
            "sasl.enabled.mechanisms": "SCRAM-SHA-256",
            "listener.name.login.scram-sha-256.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "listener.name.login.ssl.keystore.type": "PEM",
            "listener.name.login.ssl.keystore.location": keystore,
            "connections.max.reauth.ms": REAUTH_MS,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
        super()._write_properties(broker, {**login, **config})


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    try:
        server = LoginKafka(Authority(tmp_path_factory.mktemp("tls"), "kafka"))
    except Unavailable as reason:
        pytest.skip(f"no real Kafka: {reason}")
    with server:
        ours = ("--resource-pattern-type", "prefixed", "--topic", PREFIX, "--group", PREFIX)
        server.rights("--add", "--allow-principal", f"User:{USER}", "--consumer", *ours)
        yield server


@pytest.fixture
def orders(kafka, postgres, names):
    """A topic with a record, and its table."""
    postgres.query(f"CREATE TABLE {names.table} (id int)")
    kafka.create_topic(names.topic, 1)
    kafka.produce(names.topic, [record(0)])
    return names.topic


def record(number: int) -> Record:
    return Record(b'{"id": %d}' % number, None, 0)


def rows(postgres, table):
    return [row[0] for row in postgres.query(f"SELECT id FROM {table} ORDER BY id")]


def replace(file, text):
    """At once, as whoever rotates secrets does it."""
    new = file.with_name("new")
    new.write_text(text)
    os.replace(new, file)


def test_a_login_that_is_refused_is_said(kafka, names, postgres, start_sink):
    postgres.query(f"CREATE TABLE {names.table} (id int)")
    sink = start_sink(kafka, env={**kafka.environment, "KAFKA_SASL_PASSWORD": "wrong"})
    sink.wait_for_log("Authentication failed during authentication due to invalid credentials")
    sink.kill()


def test_rights_that_are_missing_are_named(kafka, postgres, orders, names, start_sink):
    """The topic's and the group's at the start, the topic's while it runs; given back, it goes on."""
    env = {**kafka.environment, "KAFKA_SASL_PASSWORD": FIRST}
    hidden = f"hidden_{names.topic}"
    postgres.query(f"CREATE TABLE {hidden} (id int)")
    kafka.create_topic(hidden, 1)
    sink = start_sink(kafka, topics=hidden, env=env)
    assert sink.wait_exit() == CONFIG
    assert f'topic \\"{hidden}\\" does not exist, or this client may not describe it' in sink.log_text()

    sink = start_sink(kafka, group="strangers", env=env)
    sink.wait_for_log("GROUP_AUTHORIZATION_FAILED")
    assert any(line.get("group") == "strangers" for line in sink.log_lines())
    assert sink.terminate() == 0

    sink = start_sink(kafka, env=env)
    sink.wait_until_caught_up(orders)
    denial = ("--deny-principal", f"User:{USER}", "--operation", "Read", "--topic", orders)
    kafka.rights("--add", *denial)
    sink.wait_for_log("TOPIC_AUTHORIZATION_FAILED")
    kafka.produce(orders, [record(1)])
    sink.wait_for_log('"partition halted"')
    halted = events(sink, "partition halted")[0]
    assert halted["reason"].startswith(f"{orders}[0]@1: TOPIC_AUTHORIZATION_FAILED")
    kafka.rights("--remove", *denial)
    sink.wait_until_caught_up(orders)
    assert sink.terminate() == 0
    assert rows(postgres, names.table) == [0, 1]


def start_backfill(kafka, connection, topic, start_sink, env):
    """More than its memory holds, in two lanes; it can not write before the connection's transaction ends."""
    kafka.create_topic(topic, 1)
    kafka.produce(topic, [Record(b'{"id": %d, "note": "%05000d"}' % (i, i), None, 0) for i in range(OLD)])
    connection.execute(f"LOCK TABLE {topic} IN SHARE MODE")
    command = "backfill --from earliest --parallel 2 --json"
    return start_sink(kafka, topics=topic, command=command, env={**env, "SINK_MEMORY_LIMIT": "16MiB"})


def test_the_password_is_rotated(kafka, postgres, orders, names, start_sink, tmp_path):
    """The broker has the new one first, and ends sessions of the former; then the file follows: of a sink, and of
    each lane of a backfill that goes on beside it. The last test: the others use the first password."""
    file = tmp_path / "password"
    replace(file, FIRST)
    env = {**kafka.environment, "KAFKA_SASL_PASSWORD_FILE": file}
    sink = start_sink(kafka, env=env)
    sink.wait_until_caught_up(orders)
    old = f"{orders}_old"
    postgres.query(f"CREATE TABLE {old} (id int)")
    with postgres.connect() as connection, connection.transaction():
        backfill = start_backfill(kafka, connection, old, start_sink, env)
        kafka.set_password(SECOND)
        for one in (sink, backfill):
            one.wait_for_log("SASL authentication error")
        replace(file, SECOND)
        changed = "login of Kafka has changed"
        sink.wait_for(lambda: len(events(sink, changed)) == 1, what="the new login")
        backfill.wait_for(lambda: len(events(backfill, changed)) == 2, what="a new login of both lanes")
    kafka.produce(orders, [record(1)])
    sink.wait_until_caught_up(orders)
    assert sink.terminate() == 0
    assert rows(postgres, names.table) == [0, 1]
    assert backfill.wait_exit() == 0
    assert rows(postgres, old) == list(range(OLD))
    assert not any(secret in one.log_text() for secret in (FIRST, SECOND) for one in (sink, backfill))
