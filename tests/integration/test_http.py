"""What the sink serves over HTTP: probes, and who must not disturb them."""

from __future__ import annotations

import json
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Iterator

import pytest
from cluster import support_program
from fixtures import Names
from http_client import SERVED, Web
from mock import MockKafka
from postgres import Postgres
from process import Child
from sink import Sink
from wait import wait_until

CONFIG = 78
REQUEST_BYTES = 8 * 1024


@pytest.fixture
def sink(mock: MockKafka, postgres: Postgres, names: Names, start_sink: Callable[..., Sink]) -> Iterator[Sink]:
    """One that has written ten records, and is ready."""
    mock.create_topic(names.topic, 2)
    postgres.query(f"CREATE TABLE {names.topic} (id int)")
    mock.produce_values(names.topic, 0, [json.dumps({"id": i}).encode() for i in range(10)])
    sink = start_sink(mock, env=SERVED)
    sink.wait_until_caught_up(names.topic)
    Web(sink).wait_until_ready()
    yield sink


def test_probes(sink: Sink) -> None:
    web = Web(sink)
    assert web.get("/livez").body == "ok\n"
    assert web.get("/healthz").status == 200
    answer = web.get("/readyz?verbose")
    assert answer.status == 200
    checks = {line.split()[1]: line[:3] for line in answer.body.splitlines()[:-1]}
    assert checks == dict.fromkeys(["loop", "kafka", "group", "postgres", "progress"], "[+]")
    assert web.get("/readyz").body == "ready\n"


def test_what_is_not_there_or_not_allowed(sink: Sink) -> None:
    web = Web(sink)
    missing = web.get("/nothing")
    assert missing.status == 404
    assert "/metrics" in missing.body
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        refused = web.get("/livez", method)
        assert refused.status == 405
        assert refused.headers["Allow"] == "GET, HEAD"
    head = web.get("/metrics", "HEAD")
    assert head.status == 200
    assert head.body == ""
    assert int(head.headers["Content-Length"]) > 0


def test_a_halted_partition_is_not_ready(sink: Sink, mock: MockKafka, names: Names, postgres: Postgres) -> None:
    """And it is again when the table is mended."""
    web = Web(sink)
    postgres.query(f"ALTER TABLE {names.topic} RENAME TO {names.topic}_gone")
    mock.produce_values(names.topic, 1, [b'{"id": 11}'])
    sink.wait_for(lambda: web.get("/readyz").status == 503, what="not ready")
    assert "[-] progress 1 of 2 partitions are halted" in web.get("/readyz").body
    assert web.get("/livez").status == 200
    postgres.query(f"ALTER TABLE {names.topic}_gone RENAME TO {names.topic}")
    web.wait_until_ready()


def test_postgres_is_away(own_postgres: Postgres, mock: MockKafka, start_sink: Callable[..., Sink]) -> None:
    """The check fails at once; for a moment that is no reason to be taken out of service."""
    mock.create_topic("t", 1)
    own_postgres.query("CREATE TABLE t (id int)")
    sink = start_sink(mock, postgres=own_postgres, topics="t", env=SERVED)
    web = Web(sink)
    web.wait_until_ready()
    own_postgres.stop()
    sink.wait_for(lambda: web.metric('pgsluice_check_ok{check="postgres"}') == 0, what="away")
    assert web.get("/readyz").status == 200
    assert "postgres away for" in web.get("/readyz?verbose").body
    own_postgres.start()
    sink.wait_for(lambda: web.metric('pgsluice_check_ok{check="postgres"}') == 1, what="back")


def test_a_replica_without_a_partition_is_ready(
    mock: MockKafka, postgres: Postgres, names: Names, start_sink: Callable[..., Sink]
) -> None:
    mock.create_topic(names.topic, 1)
    postgres.query(f"CREATE TABLE {names.topic} (id int)")
    replicas = [Web(start_sink(mock, env=SERVED)) for _ in range(2)]
    for web in replicas:
        web.wait_until_ready()
    texts = sorted(web.get("/readyz?verbose").body.splitlines()[2] for web in replicas)
    assert texts == ["[+] group    has 1 partitions", "[+] group    stands by, without a partition"]


def test_a_port_that_is_taken(sink: Sink, mock: MockKafka, start_sink: Callable[..., Sink]) -> None:
    """The start ends with words that name the setting."""
    port = Web(sink).port
    second = start_sink(mock, env={"SINK_HTTP_ADDRESS": f"127.0.0.1:{port}"})
    assert second.wait_exit() == CONFIG
    assert f"SINK_HTTP_ADDRESS: can't listen at 127.0.0.1 port {port}" in second.log_text()


# --- Those who are slow, or mean -------------------------------------------------------------------


def connect(stack: ExitStack, port: int) -> socket.socket:
    return stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))


def test_slow_clients_do_not_keep_the_probe_out(sink: Sink) -> None:
    """More connections than there may be, none of which ever asks to the end. The first ones take their memory; those
    that come after them find it there, and take no more."""
    web = Web(sink)
    memory = [sink.memory_kib()]
    for _ in range(3):
        with ExitStack() as stack:
            for number in range(400):
                connect(stack, web.port).sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ")
                if number % 10 == 0:
                    assert web.get("/livez").status == 200
            assert web.get("/livez").status == 200
            memory.append(sink.memory_kib())
    assert memory[1] < memory[0] + 4 * 1024, memory
    assert memory[3] < memory[1] + 1024, memory


def test_a_client_that_sends_one_byte_now_and_then_is_dropped(sink: Sink) -> None:
    """Seconds after it came, whatever it sends meanwhile."""
    with ExitStack() as stack:
        client = connect(stack, Web(sink).port)
        client.setblocking(False)
        client.send(b"GET /")

        def is_dropped() -> bool:
            try:
                client.send(b"a")
                return client.recv(1) == b""
            except BlockingIOError:
                return False
            except ConnectionError:
                return True

        sink.wait_for(is_dropped, 20, "dropped", interval_s=0.5)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 100 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * (4 * REQUEST_BYTES) + b"\r\n\r\n",
        b"GET /" + b"a" * (4 * REQUEST_BYTES) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n" * REQUEST_BYTES,
    ],
    ids=["tls", "long-header", "long-path", "no-host", "huge-body", "huge-chunk", "nul", "newlines"],
)
def test_odd_requests(sink: Sink, request_bytes: bytes) -> None:
    """Each is refused or dropped; the sink goes on."""
    web = Web(sink)
    with ExitStack() as stack:
        client = connect(stack, web.port)
        answer = b""
        try:
            client.sendall(request_bytes)
            while piece := client.recv(65536):
                answer += piece
        except ConnectionError:
            pass
    assert not answer.startswith(b"HTTP/1.1 200"), answer
    assert web.get("/livez").status == 200


def open_files(sink: Sink) -> int:
    return len(list(Path(f"/proc/{sink.pid}/fd").iterdir()))


def test_a_drain_goes_on_beside_a_flood(
    sink: Sink, mock: MockKafka, postgres: Postgres, names: Names, tmp_path: Path
) -> None:
    """64 who ask without end, 200 who never finish, and the probe. ./dev bench http measures what they cost."""
    usual = open_files(sink)
    program = support_program("x").parent.parent / "bench" / "http_attack"
    argv = [str(program), str(Web(sink).port), "64", "200", "50"]
    attack = Child(argv, tmp_path / "attack.log", pipes=True)
    sink.wait_for(lambda: open_files(sink) > usual + 200, what="all are there")
    mock.produce_orders(names.topic, 30_000)
    sink.wait_until_caught_up(names.topic)
    assert postgres.scalar(f"SELECT count(*) FROM {names.topic}") == 30_010
    sink.wait_for(lambda: open_files(sink) > usual, what="they are still there")
    attack.stdin.close()
    figures = json.loads(attack.stdout.readline())
    attack.stop()
    assert figures["answered"] > 0 and figures["probes"] > 0
    sink.wait_for(lambda: open_files(sink) <= usual + 1, what="nothing is left of them")
    assert Web(sink).get("/livez").status == 200


# --- Metrics --------------------------------------------------------------------------------------


def test_metrics_are_as_prometheus_wants_them(sink: Sink, names: Names) -> None:
    answer = Web(sink).get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    check = subprocess.run(
        ["promtool", "check", "metrics"], input=answer.body, text=True, capture_output=True, check=False
    )
    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")
    metrics = Web(sink).metrics()
    assert metrics["pgsluice_ready"] == 1
    topic = f'topic="{names.topic}"'
    assert metrics[f'pgsluice_consumer_committed_offset{{{topic},partition="0"}}'] == 10
    assert metrics[f"pgsluice_consumer_assigned_partitions{{{topic}}}"] == 2


def test_the_end_is_told(sink: Sink, postgres: Postgres, names: Names, mock: MockKafka) -> None:
    """While a drain waits for PostgreSQL, it is alive and not ready."""
    web = Web(sink)
    with postgres.connect() as connection:
        connection.autocommit = False
        connection.execute(f"LOCK TABLE {names.topic}")
        mock.produce_values(names.topic, 0, [b'{"id": 12}'])
        wait_until(lambda: web.metric('pgsluice_pg_connections{state="busy"}') > 0)
        sink.send(15)
        sink.wait_for(lambda: web.get("/readyz").status == 503, what="not ready")
        assert "[-] loop     draining" in web.get("/readyz").body
        assert web.get("/livez").status == 200
        connection.rollback()
    assert sink.wait_exit() == 0
