"""Does a peer work, and how fast, alone: Kafka, PostgreSQL, orders, and one peer after the other.

    tests/bench/peers/check.py NAME... --records 100000

Started with /usr/bin/python3, once ./dev build has made the producer of orders. The rates that count are
those of ./dev bench, where peers and pgsluice take turns.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent.parent
sys.path[:0] = [str(BENCH), str(BENCH.parent / "support")]

import checksum  # noqa: E402
import orders  # noqa: E402
import psycopg  # noqa: E402
import usage  # noqa: E402
from kafka import Kafka, Unavailable  # noqa: E402
from peers import PEERS, Peer  # noqa: E402
from postgres import Postgres  # noqa: E402
from process import unwind_on_terminate  # noqa: E402
from wait import wait_until  # noqa: E402

TOPIC = "orders"
DEADLINE_S = 600.0
STEADY_SHARE = 0.2  # the rows before which a peer may still be starting
POSTGRES = {
    "shared_buffers": "2GB",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    "synchronous_commit": "off",  # as pgsluice's sessions have it
    "max_parallel_workers_per_gather": "0",
}


class Sample(NamedTuple):
    at_s: float
    rows: int
    cpu_s: float
    postgres_s: float
    peak_kib: int


def sampler(
    peer: Peer, postgres: Postgres, connection: psycopg.Connection[Any], table: str
) -> Callable[[], Sample]:
    """Counts rows for at most a tenth of the time; CPU is what was used since."""
    used_s = usage.family_cpu_s(postgres.pid, [connection.info.backend_pid])
    peaks = usage.Peaks()
    rests_until_s = 0.0
    last = Sample(time.monotonic(), 0, 0.0, 0.0, 0)

    def sample() -> Sample:
        nonlocal last, rests_until_s
        begin_s = time.monotonic()
        if begin_s >= rests_until_s:
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert row is not None
            end_s = time.monotonic()
            rests_until_s = end_s + 9 * (end_s - begin_s)
            peer_s = sum(map(usage.cpu_s, peer.pids()))
            postgres_s = usage.family_cpu_s(postgres.pid, [connection.info.backend_pid])
            peaks.look(peer.pids())
            last = Sample(begin_s, row[0], peer_s, postgres_s - used_s, peaks.sum_kib)
        return last

    return sample


def drain(peer: Peer, kafka: Kafka, postgres: Postgres, records: int, table: str) -> list[Sample]:
    """Samples from the start until all rows are there."""
    with postgres.connect() as connection:
        sample = sampler(peer, postgres, connection, table)
        samples = [sample()]
        peer.start(kafka, postgres, TOPIC, table, table)

        def is_done() -> bool:
            peer.check()
            samples.append(sample())
            return samples[-1].rows >= records

        so_far = lambda: f"{records} rows; {samples[-1].rows} so far"  # noqa: E731
        wait_until(is_done, DEADLINE_S, so_far, 0.02)
        return samples


def describe(samples: list[Sample], records: int) -> str:
    """The whole run, and what is left of it without the start."""
    first, last = samples[0], samples[-1]
    text = "whole " + rate(first, last)
    steady = [sample for sample in samples if sample.rows >= STEADY_SHARE * records]
    if steady[0].rows < last.rows:
        text += "; steady " + rate(steady[0], last)
    return text


def rate(first: Sample, last: Sample) -> str:
    rows, seconds = last.rows - first.rows, last.at_s - first.at_s
    cpu_s = (last.cpu_s - first.cpu_s) * 1e6 / rows
    postgres_s = (last.postgres_s - first.postgres_s) * 1e6 / rows
    return (
        f"{rows / seconds:,.0f} rows/s, CPU s per million rows {cpu_s:.2f}"
        f" and PostgreSQL's {postgres_s:.2f}"
    )


def check(peer: Peer, kafka: Kafka, postgres: Postgres, records: int) -> bool:
    """One peer's line; whether its table holds the topic's orders, each once."""
    table = peer.name.replace("-", "_")
    versions = ", ".join(f"{name} {version}" for name, version in peer.versions.items())
    print(f"{peer.name} ({versions})\n  {peer.writes}; {peer.caveat}", flush=True)
    reason = peer.unavailable()
    if reason is not None:
        print(f"  unavailable: {reason}")
        return False
    orders.create_table(postgres, table)
    try:
        samples = drain(peer, kafka, postgres, records, table)
    except AssertionError as error:
        print(f"  FAILED: {error}\n{peer.log_text()}")
        return False
    finally:
        peer.stop()
    print(f"  {describe(samples, records)}; {samples[-1].peak_kib // 1024} MiB")
    try:
        found = checksum.assert_orders_match(kafka, TOPIC, postgres, table)
    except AssertionError as error:
        print(f"  WRONG: {error}")
        return False
    print(f"  {found.count:,} rows, each once and as it was sent", flush=True)
    return True


def parse_arguments() -> argparse.Namespace:
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("peers", nargs="*", metavar="NAME", help=f"{', '.join(names)} (all)")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--compression", default="none")
    options = parser.parse_args()
    unknown = set(options.peers) - set(names)
    if unknown:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    return options


def main() -> int:
    options = parse_arguments()
    unwind_on_terminate()
    os.environ.setdefault("PGSLUICE_SUPPORT_DIR", str(ROOT / "build/release/tests/support"))
    chosen = [peer for peer in PEERS if not options.peers or peer.name in options.peers]
    try:
        with Kafka(heap="1g") as kafka, Postgres(fsync=True, settings=POSTGRES) as postgres:
            kafka.create_topic(TOPIC, partitions=options.partitions)
            kafka.produce_orders(TOPIC, options.records, compression=options.compression)
            passed = [check(peer, kafka, postgres, options.records) for peer in chosen]
    except Unavailable as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
