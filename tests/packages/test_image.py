"""The image that `./dev image` has made, run as a container would: its file system alone, read-only, as its user."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any, Iterator

import checksum
import orders
import pytest
from authority import Authority
from kafka import Kafka
from postgres import Postgres
from process import Child, TemporaryDirectory, free_port, tail
from wait import wait_until

LAYOUT = os.environ.get("PGSLUICE_IMAGE", Path(__file__).resolve().parents[2] / "build" / "image")
RECORDS, PARTITIONS = 50_000, 6
PROGRAM = "/usr/bin/pgsluice"
PATH = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


class Container:
    """The unpacked image; what a runtime adds is added: /etc/hosts and /etc/resolv.conf."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        subprocess.run(["umoci", "unpack", "--image", f"{LAYOUT}:latest", directory / "bundle"], check=True, timeout=60)
        self.root = directory / "bundle" / "rootfs"
        self.process: dict[str, Any] = json.loads((directory / "bundle" / "config.json").read_text())["process"]
        for name in ("hosts", "resolv.conf"):
            shutil.copyfile(f"/etc/{name}", self.root / "etc" / name)

    def argv(self, *command: str) -> list[str]:
        """In place of the image's command; without more privileges, and with a root that takes no writes."""
        user = f"{self.process['user']['uid']}:{self.process['user']['gid']}"
        script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "${@:2}"'
        chroot = ["chroot", f"--userspec={user}", str(self.root), *(command or self.process["args"])]
        return [
            "unshare",
            "--mount",
            "bash",
            "-c",
            script,
            "bash",
            str(self.root),
            "setpriv",
            "--no-new-privs",
            *chroot,
        ]

    def run(self, *command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*command), env={**PATH, **(env or {})}, capture_output=True, text=True, timeout=60
        )

    def start(self, env: dict[str, str]) -> Child:
        return Child(self.argv(), self.directory / "container.log", env={**PATH, **env})


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    if os.geteuid() != 0:
        pytest.fail("an image is unpacked and entered by root only: sudo ./dev image")
    directory = TemporaryDirectory("image")
    yield Container(directory.path)
    directory.close()


def files(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    for path in root.rglob("*"):
        if not path.is_symlink():
            yield f"/{path.relative_to(root)}", path.lstat()


def test_what_it_starts_and_as_whom(container: Container) -> None:
    assert container.process["args"] == [PROGRAM, "run"]
    assert container.process["user"]["uid"] >= 1000 and container.process["user"]["gid"] >= 1000
    assert container.run(PROGRAM, "--version").stdout.startswith("pgsluice ")


def test_nothing_else_can_be_run_or_written(container: Container) -> None:
    """No shell, no interpreter; programs are ours and the loader. Only /tmp is anybody's."""
    found = list(files(container.root))
    is_library = lambda name: ".so" in Path(name).name  # noqa: E731
    programs = [n for n, s in found if stat.S_ISREG(s.st_mode) and s.st_mode & 0o111 and not is_library(n)]
    assert programs == [PROGRAM]
    assert [name for name, s in found if s.st_mode & (stat.S_ISUID | stat.S_ISGID)] == []
    assert [name for name, s in found if s.st_mode & 0o002] == ["/tmp"]
    assert container.run("/bin/sh", "-c", "true").returncode == 127


def test_every_library_is_there(container: Container) -> None:
    loader = next((container.root / "lib64").glob("ld-linux*"))
    said = container.run(f"/lib64/{loader.name}", "--list", PROGRAM)
    assert said.returncode == 0 and "libpq.so.5" in said.stdout and "not found" not in said.stdout


def test_licences_are_there(container: Container) -> None:
    for name in ("pgsluice/copyright", "pgsluice/librdkafka.LICENSES.txt", "libpq5/copyright", "libc6/copyright"):
        assert (container.root / "usr/share/doc" / name).is_file(), name


def test_it_loads_a_topic(container: Container, kafka1: Kafka, postgres: Postgres) -> None:
    http = f"127.0.0.1:{free_port()}"
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka1.bootstrap,
        "KAFKA_GROUP_ID": "image",
        "SINK_TOPICS": "orders",
        "SINK_HTTP_ADDRESS": http,
        **postgres.env,
    }
    orders.create_table(postgres, "orders")
    kafka1.create_topic("orders", PARTITIONS)
    kafka1.produce_orders("orders", RECORDS)
    ends = kafka1.end_offsets("orders")
    assert container.run(PROGRAM, "migrate", env=env).returncode == 0
    sink = container.start(env)
    wait_until(lambda: checksum.is_caught_up(postgres, "image", "orders", ends), 60, lambda: tail(sink.log))
    for check in (("health",), ("health", "--live")):
        assert container.run(PROGRAM, *check, env={"SINK_HTTP_ADDRESS": http}).returncode == 0
    checksum.assert_orders_match(kafka1, "orders", postgres, "orders")
    assert sink.stop(signal.SIGTERM, 40) == 0
    assert container.run(PROGRAM, *check, env={"SINK_HTTP_ADDRESS": http}).returncode == 69


# --- Certificates -------------------------------------------------------------------------------


def handshake(listener: socket.socket, context: ssl.SSLContext, seen: list[str]) -> None:
    """Take connections until one has told what it makes of the certificate."""
    while not seen:
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(1)
                seen.append("trusted")
        except ssl.SSLError as error:
            seen.append(error.reason or str(error))


@pytest.mark.parametrize("known", (True, False))
def test_cas_are_those_of_the_image(container: Container, tmp_path: Path, known: bool) -> None:
    """Kafka's client looks for them without being told where; an unknown one is refused."""
    authority = Authority(tmp_path, "test")
    bundle = container.root / "etc/ssl/certs/ca-certificates.crt"
    before = bundle.read_text()
    assert before.count("BEGIN CERTIFICATE") > 100
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("localhost"))
    seen: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=handshake, args=(listener, context, seen), daemon=True).start()
        try:
            bundle.write_text(before + (authority.certificate.read_text() if known else ""))
            env = {"KAFKA_BOOTSTRAP_SERVERS": f"localhost:{listener.getsockname()[1]}", "KAFKA_GROUP_ID": "g"}
            env |= {"SINK_TOPICS": "orders", "KAFKA_SECURITY_PROTOCOL": "SSL", "PGHOST": "127.0.0.1", "PGPORT": "1"}
            container.run(PROGRAM, "lag", env={**env, "SINK_CONNECT_TIMEOUT_MS": "2000"})
            wait_until(lambda: seen, 20, "a handshake")
        finally:
            bundle.write_text(before)
    assert (seen[0] == "trusted") == known, seen
