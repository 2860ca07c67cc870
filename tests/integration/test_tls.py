"""Hosts that are not local have to prove who they are, unless the settings say otherwise.

The server listens on a loopback address, as a tunnel's end does: PGHOST is the name that its
certificate has to have, PGHOSTADDR where it is.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Callable, Iterator

import pytest
from authority import Authority
from mock import MockKafka
from postgres import Postgres
from process import TemporaryDirectory
from sink import Sink

DONE, CONFIG = 0, 78
HOST = "db.example"
HINTS = ("PGSSLMODE=verify-full", "PGSSLROOTCERT", "verify-ca, require or disable")


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    directory = TemporaryDirectory("tls")
    yield Authority(directory.path, "right")
    directory.close()


def install(server: Postgres, certificate: Path, key: Path) -> None:
    """Make it the server's; a running one takes it with its next connection."""
    owner = server.data.stat()
    for source, name in ((certificate, "server.crt"), (key, "server.key")):
        target = server.data / name
        shutil.copy(source, target)
        os.chown(target, owner.st_uid, owner.st_gid)
        target.chmod(0o600)


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[Postgres]:
    postgres = Postgres(settings={"ssl": "on"})
    try:
        install(postgres, *authority.sign(HOST))
        postgres.start()
        postgres.query("CREATE TABLE orders (id int)")
        yield postgres
    finally:
        postgres.close()


@pytest.fixture
def start(
    start_sink: Callable[..., Sink], mock: MockKafka, server: Postgres
) -> Callable[..., Sink]:
    """A sink that connects to HOST; its home has no certificates."""
    mock.create_topic("orders", 1)

    def run(**env: object) -> Sink:
        place = {"PGHOST": HOST, "PGHOSTADDR": "127.0.0.1", "PGPORT": server.port, "HOME": "/nonexistent"}
        return start_sink(mock, topics="orders", postgres=server, env={**place, **env})

    return run


def assert_refused(sink: Sink, *words: str) -> None:
    """At once: no waiting mends it."""
    assert sink.wait_exit(15) == CONFIG
    (line,) = [line for line in sink.log_lines() if line["level"] == "error"]
    for word in (*words, *HINTS):
        assert word in line["reason"], line["reason"]


def assert_runs(sink: Sink, encrypted: bool) -> None:
    sink.wait_for(lambda: sink.positions("orders"), what="a claim")
    sql = (
        "SELECT bool_and(ssl), bool_or(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        " WHERE application_name LIKE 'pgsluice/%%'"
    )
    assert sink.postgres.query(sql) == [(encrypted, encrypted)]
    assert sink.terminate() == DONE


def test_without_the_authoritys_certificate(start: Callable[..., Sink]) -> None:
    assert_refused(start(), "root certificate file", "does not exist")


def test_with_it(start: Callable[..., Sink], authority: Authority) -> None:
    assert_runs(start(PGSSLROOTCERT=authority.certificate), encrypted=True)


def test_another_authority(start: Callable[..., Sink], authority: Authority) -> None:
    other = Authority(authority.directory, "other")
    assert_refused(start(PGSSLROOTCERT=other.certificate), "certificate verify failed")


def test_another_host(start: Callable[..., Sink], authority: Authority) -> None:
    sink = start(PGHOST="other.example", PGSSLROOTCERT=authority.certificate)
    assert_refused(sink, f'server certificate for "{HOST}" does not match host name "other.example"')


def test_an_expired_certificate(
    start: Callable[..., Sink], authority: Authority, server: Postgres
) -> None:
    install(server, *authority.sign(HOST, days=-1))
    server.query("SELECT pg_reload_conf()")
    try:
        assert_refused(start(PGSSLROOTCERT=authority.certificate), "certificate verify failed")
    finally:
        install(server, *authority.sign(HOST))
        server.query("SELECT pg_reload_conf()")


def test_a_server_without_tls(
    start: Callable[..., Sink], authority: Authority, postgres: Postgres
) -> None:
    sink = start(PGPORT=postgres.port, PGSSLROOTCERT=authority.certificate)
    assert_refused(sink, "server does not support SSL")


@pytest.mark.parametrize(
    ("mode", "encrypted"), [("disable", False), ("prefer", True), ("require", True)]
)
def test_what_the_user_says_goes(mode: str, encrypted: bool, start: Callable[..., Sink]) -> None:
    assert_runs(start(PGSSLMODE=mode), encrypted)


def test_what_the_service_file_says_goes(
    start: Callable[..., Sink], server: Postgres, tmp_path: Path
) -> None:
    file = tmp_path / "pg_service.conf"
    lines = ("[shop]", f"host={HOST}", "hostaddr=127.0.0.1", f"port={server.port}", "sslmode=prefer")
    file.write_text("\n".join(lines) + "\n")
    unset = {"PGHOST": None, "PGHOSTADDR": None, "PGPORT": None}
    assert_runs(start(PGSERVICE="shop", PGSERVICEFILE=file, **unset), encrypted=True)
