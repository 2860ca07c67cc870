"""`pgsluice health`: how a container without a shell, or a unit, asks an instance."""

from __future__ import annotations

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import pytest
from cluster import Record
from mock import MockKafka
from postgres import Postgres
from process import free_port
from sink import Sink, clean_environment, sink_program
from wait import wait_until

DONE, UNREACHABLE, TEMPORARY, CONFIG = 0, 69, 75, 78


def health(*arguments: str, address: str | None = None) -> subprocess.CompletedProcess[str]:
    env = clean_environment() | ({"SINK_HTTP_ADDRESS": address} if address else {})
    argv = [str(sink_program()), "health", *arguments]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30)


def test_one_that_works_and_one_that_is_halted(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """It is reached at 0.0.0.0, too, where it listens by default. Live it stays."""
    port = free_port()
    database.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    mock.produce("orders", [Record(b'{"id": 1}', None, 0)])
    env = {"SINK_HTTP_ADDRESS": f"0.0.0.0:{port}"}
    sink = start_sink(mock, topics="orders", postgres=database, env=env)
    sink.wait_until_caught_up("orders")
    sink.wait_for(lambda: health(address=env["SINK_HTTP_ADDRESS"]).returncode == DONE, what="health")
    assert "[+] postgres answers" in health(f"localhost:{port}").stdout

    database.query("DROP TABLE orders")
    mock.produce("orders", [Record(b'{"id": 2}', None, 0)])
    is_told = lambda found: found.returncode == TEMPORARY and "1 of 1 partitions are halted" in found.stdout  # noqa: E731
    sink.wait_for(lambda: is_told(health(f"127.0.0.1:{port}")), what="the halted partition")
    assert health(f"127.0.0.1:{port}", "--live").returncode == DONE


def test_nobody_is_there() -> None:
    found = health(f"127.0.0.1:{free_port()}")
    assert (found.returncode, found.stdout) == (UNREACHABLE, "")
    assert "nobody answers at 127.0.0.1" in found.stderr


def drip(listener: socket.socket) -> None:
    """Begins well and goes on byte by byte, without end, until the other one has enough."""
    peer, _ = listener.accept()
    peer.send(b"HTTP/1.0 200 OK\r\n\r\n")

    def is_alone() -> bool:
        try:
            return peer.send(b"x") == 0
        except OSError:
            return True

    with peer:
        wait_until(is_alone, 60, what="it hangs up")


def test_somebody_who_does_not_answer(mock: MockKafka) -> None:
    """A broker waits for more of what it takes for the length of a request; another one is slow without end."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
        dripping = pool.submit(drip, listener)
        for found in pool.map(health, [mock.bootstrap, f"127.0.0.1:{listener.getsockname()[1]}"]):
            assert (found.returncode, found.stdout) == (UNREACHABLE, "")
            assert "gives no answer" in found.stderr
        dripping.result()


@pytest.mark.parametrize("address", ("off", "localhost", "localhost:0", "localhost:x"))
def test_there_is_nothing_to_ask(address: str) -> None:
    found = health(address)
    assert found.returncode == CONFIG
    assert f'there is nobody to ask at "{address}"' in found.stderr
