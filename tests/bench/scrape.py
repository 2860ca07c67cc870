"""What asking costs: a scrape with many partitions, a flood of requests and slow clients beside a drain.

    PGSLUICE_BIN=... PGSLUICE_SUPPORT_DIR=... python3 -B tests/bench/scrape.py scrape --partitions 1000
    PGSLUICE_BIN=... PGSLUICE_SUPPORT_DIR=... python3 -B tests/bench/scrape.py drain --requests 1000000
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import orders  # noqa: E402
from http_client import SERVED, Web  # noqa: E402
from mock import MockKafka  # noqa: E402
from postgres import Postgres  # noqa: E402
from sink import Sink  # noqa: E402
from wait import wait_until  # noqa: E402

RECORDS_PER_PARTITION = 16_000
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def measure_scrape(options: argparse.Namespace) -> None:
    """CPU seconds of a scrape: what the process used while it was asked, without what it uses idle."""
    with ExitStack() as stack:
        postgres = stack.enter_context(Postgres())
        kafka = stack.enter_context(MockKafka(topics={"orders": options.partitions}))
        orders.create_table(postgres, "orders")
        sink = stack.enter_context(Sink(kafka, postgres, "orders", "scrape", env=SERVED))
        web = Web(sink)
        lag = "pgsluice_consumer_lag_records"
        known = options.partitions
        wait_until(lambda: sum(k.startswith(lag) for k in web.metrics()) >= known, 120, "all are known")
        for path in ("/metrics", "/status", "/livez"):
            before = cpu_s(sink.pid)
            pause(options.scrapes * 0.3)
            idle = cpu_s(sink.pid) - before
            took = []
            before = cpu_s(sink.pid)
            for _ in range(options.scrapes):
                began = time.monotonic()
                size = len(web.get(path).body)
                took.append(time.monotonic() - began)
                pause(max(0.0, 0.3 - took[-1]))
            busy = cpu_s(sink.pid) - before - idle
            print(
                f"{path}: {size:,} bytes, {1000 * busy / options.scrapes:.2f} ms of CPU each,"
                f" {1000 * statistics.median(took):.1f} ms until it is here"
            )


class Flood:
    """Threads that ask as fast as they are answered."""

    def __init__(self, port: int, path: str, requests: int, threads: int) -> None:
        self._left = requests
        self._port = port
        self._path = path
        self.answered = 0
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        request = f"GET {self._path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        while not self._end.is_set() and self.answered < self._left:
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=10) as client:
                    client.sendall(request)
                    while client.recv(1 << 16):
                        pass
                self.answered += 1
            except OSError:
                pass

    def stop(self) -> int:
        self._end.set()
        for thread in self._threads:
            thread.join(15)
        return self.answered


def slow_clients(port: int, count: int, end: threading.Event) -> None:
    while not end.is_set():
        clients = []
        for _ in range(count):
            try:
                client = socket.create_connection(("127.0.0.1", port), timeout=1)
                client.sendall(b"GET /status HTTP/1.1\r\nX: ")
                clients.append(client)
            except OSError:
                pass
        for _ in range(4):
            end.wait(1)
            for client in clients:
                try:
                    client.send(b"a")
                except OSError:
                    pass
        for client in clients:
            client.close()


def drain(options: argparse.Namespace, kafka: MockKafka, kind: str) -> None:
    """One drain, with who asks beside it."""
    with ExitStack() as stack:
        postgres = stack.enter_context(Postgres())
        orders.create_table(postgres, "orders")
        total = sum(kafka.end_offsets("orders").values())
        sink = stack.enter_context(Sink(kafka, postgres, "orders", f"drain-{time.time_ns()}", env=SERVED))
        web = Web(sink)
        wait_until(lambda: web.metric("pgsluice_rows_written_total") > 0, 60, interval_s=0.01)
        end = threading.Event()
        stack.callback(end.set)
        flood = Flood(web.port, "/status", options.requests, 4) if kind == "flood" else None
        if kind == "slow":
            threading.Thread(target=slow_clients, args=(web.port, 200, end), daemon=True).start()
        began, cpu = time.monotonic(), cpu_s(sink.pid)
        first = web.metric("pgsluice_rows_written_total")
        lives = []

        def done() -> bool:
            asked = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
            connection.request("GET", "/livez")
            assert connection.getresponse().status == 200
            connection.close()
            lives.append(time.monotonic() - asked)
            return sum(sink.positions("orders").values()) >= total

        wait_until(done, 600, interval_s=0.1)
        took = time.monotonic() - began
        used = cpu_s(sink.pid) - cpu
        answered = flood.stop() if flood else 0
        print(
            f"{kind}: {(total - first) / took:,.0f} rows/s, {1e6 * used / (total - first):.2f} us of CPU a row,"
            f" {answered:,} answers, /livez {1000 * statistics.median(lives):.1f} ms, at most"
            f" {1000 * max(lives):.1f}, memory {sink.memory_kib(peak=True) // 1024} MiB"
        )


def measure_drain(options: argparse.Namespace) -> None:
    partitions = 100
    with MockKafka(topics={"orders": partitions}) as kafka:
        kafka.produce_orders("orders", partitions * RECORDS_PER_PARTITION)
        for _ in range(options.rounds):
            for kind in ("quiet", "slow", "flood"):
                drain(options, kafka, kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("scrape", "drain"))
    parser.add_argument("--partitions", type=int, default=1000)
    parser.add_argument("--scrapes", type=int, default=40)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    measure_scrape(options) if options.what == "scrape" else measure_drain(options)


if __name__ == "__main__":
    main()
