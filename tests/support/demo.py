"""What `./dev demo` shows: 100,000 orders go from Kafka to PostgreSQL, on this machine.

Everything is thrown away at the end; --keep leaves it running to look around in. The exit code is
0 only when every order has arrived exactly once and the sink has ended cleanly.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import signal
import sys
import threading
import time
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Iterable, Sequence

import checksum
import orders
import psycopg
from kafka import Kafka, Unavailable
from mock import MockKafka
from postgres import Postgres
from process import ProcessDied, free_port, tail, unwind_on_terminate
from sink import Sink, sink_program

TOPIC = TABLE = "orders"
GROUP = "demo"
PARTITIONS = 12
RECORDS_PER_MOCK_PARTITION = 16_000  # it keeps 5 MiB per partition
DEADLINE_S = 120.0
BAR_WIDTH = 24
LINE_WIDTH = 79


class DemoFailed(Exception):
    """Something is missing; the message says what."""


# --- Output -------------------------------------------------------------------------------------


def say(text: str = "") -> None:
    print(text, flush=True)


def heading(text: str) -> None:
    say(f"\n{text}\n{'-' * len(text)}")


def step(what: str, detail: str, seconds: float | None = None) -> None:
    took = "" if seconds is None else f"  {seconds:.1f} s"
    say(f"  {what:<11} {detail}{took}")


def cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03d}"
    return " ".join(str(value).split())


def fitted(line: str) -> str:
    return line if len(line) <= LINE_WIDTH else line[: LINE_WIDTH - 3] + "..."


def table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows below their names: numbers to the right, the rest to the left."""
    values = [list(row) for row in rows]
    texts = [[cell(value) for value in row] for row in values]
    widths = [max(map(len, column)) for column in zip(names, *texts)]
    numeric = [type(value) in (int, float) for value in (values[0] if values else names)]

    def line(cells: Sequence[str]) -> str:
        parts = [c.rjust(w) if n else c.ljust(w) for c, w, n in zip(cells, widths, numeric)]
        return fitted(("  " + "  ".join(parts)).rstrip())

    say(line(names))
    for text in texts:
        say(line(text))


class Progress:
    """One line that is written over, on a terminal only."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._text = ""

    def show(self, text: str) -> None:
        if self._terminal and text != self._text:
            self._text = text
            print(f"\r  {text:<76}", end="", flush=True)

    def clear(self) -> None:
        if self._text:
            self.show("")
            print("\r", end="", flush=True)


# --- The parts ----------------------------------------------------------------------------------


def start_postgres(stack: ExitStack) -> Postgres:
    began = time.monotonic()
    postgres = stack.enter_context(Postgres())
    version = postgres.scalar("SHOW server_version").split()[0]
    step("PostgreSQL", f"{version} on port {postgres.port}", time.monotonic() - began)
    orders.create_table(postgres, TABLE)
    return postgres


def start_mock(stack: ExitStack, partitions: int) -> MockKafka:
    kafka = stack.enter_context(MockKafka(topics={TOPIC: partitions}))
    step("Kafka", f"mock broker at {kafka.bootstrap} (--kafka starts a real one)")
    return kafka


def start_kafka(stack: ExitStack, partitions: int) -> Kafka:
    began = time.monotonic()
    step("Kafka", "Apache Kafka is starting; its jars are fetched the first time")
    kafka = stack.enter_context(Kafka())
    kafka.create_topic(TOPIC, partitions)
    step("", f"one broker at {kafka.bootstrap}", time.monotonic() - began)
    return kafka


def produce(kafka: Kafka | MockKafka, records: int, partitions: int) -> dict[int, int]:
    """Produce the orders and return the end offsets."""
    summary = kafka.produce_orders(TOPIC, records)
    megabytes = summary["bytes"] / 1e6
    step("Orders", f"{records:,} in {partitions} partitions, {megabytes:.1f} MB", summary["seconds"])
    return kafka.end_offsets(TOPIC)


def wait_until_written(sink: Sink, ends: dict[int, int]) -> float:
    """Watch the positions until all are at their end; returns the seconds since the call."""
    began = time.monotonic()
    total = sum(ends.values())
    progress = Progress()
    with sink.postgres.connect() as connection:

        def caught_up() -> bool:
            written = written_so_far(connection)
            progress.show(f"{written:,} of {total:,} written, {time.monotonic() - began:.1f} s")
            return written >= total

        try:
            sink.wait_for(caught_up, DEADLINE_S, "all orders in PostgreSQL", interval_s=0.02)
        finally:
            progress.clear()
    return time.monotonic() - began


def written_so_far(connection: psycopg.Connection[Any]) -> int:
    """The sum of positions, which here begin at 0; the sink makes its schema when it starts."""
    try:
        sql = "SELECT coalesce(sum(next_offset), 0) FROM pgsluice.offsets WHERE sink = %s"
        row = connection.execute(sql, [GROUP]).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return 0
    return int(row[0]) if row else 0


# --- What came of it ----------------------------------------------------------------------------


def show_positions(sink: Sink, ends: dict[int, int]) -> None:
    heading("Positions: pgsluice.offsets beside Kafka's end offsets")
    at = sink.positions(TOPIC)
    rows = [(p, at.get(p, 0), end, end - at.get(p, 0)) for p, end in sorted(ends.items())]
    table(("partition", "next_offset", "end offset", "left"), rows[:PARTITIONS])
    if len(rows) > PARTITIONS:
        left = sum(row[3] for row in rows[PARTITIONS:])
        say(f"  and {len(rows) - PARTITIONS} more partitions, {left} left in them")


def show_sources(postgres: Postgres) -> None:
    heading("Rows by source")
    sql = f"SELECT source, count(*), sum(amount) FROM {TABLE} GROUP BY source ORDER BY 2 DESC, 1"
    rows = postgres.query(sql)
    most = max((row[1] for row in rows), default=1)
    names = ("source", "rows", "sum(amount)", "")
    table(names, [(*row, "#" * round(BAR_WIDTH * row[1] / most)) for row in rows])


def show_rows(postgres: Postgres) -> None:
    heading(f"Some rows of {TABLE}")
    names = [column.name for column in orders.COLUMNS]
    table(names, postgres.query(f"SELECT {', '.join(names)} FROM {TABLE} ORDER BY id LIMIT 5"))


def check(kafka: Kafka | MockKafka, postgres: Postgres) -> None:
    """Compare the table with the topic as another client reads it."""
    heading("Check")
    try:
        found = checksum.assert_orders_match(kafka, TOPIC, postgres, TABLE)
    except AssertionError as error:
        raise DemoFailed(str(error)) from None
    say(f"  each of the {found.count:,} orders is there exactly once (checksums agree)")


# --- The end ------------------------------------------------------------------------------------


def stop_sink(sink: Sink) -> None:
    heading("Stop")
    began = time.monotonic()
    code = sink.terminate()
    say(f"  pgsluice ended {time.monotonic() - began:.2f} s after SIGTERM with exit code {code}\n")
    if code != 0:
        raise DemoFailed(f"the sink's exit code is {code}:\n{tail(sink.log)}")


def look_around(sink: Sink, broker_pid: int) -> None:
    """Say where everything is and wait for Ctrl-C."""
    env = sink.postgres.env
    producer = shlex.quote(os.environ["PGSLUICE_SUPPORT_DIR"] + "/produce_orders")
    heading("It goes on running: Ctrl-C ends it")
    say(f"  psql -h {env['PGHOST']} -p {env['PGPORT']} -U {env['PGUSER']} -d {env['PGDATABASE']}")
    say(f"  Kafka at {sink.kafka.bootstrap}, topic {TOPIC}")
    say("  more orders, one in 100 of them bad:")
    say(f"  {producer} \\")
    partitions = len(sink.kafka.partitions(TOPIC))
    say(f"    --bootstrap {sink.kafka.bootstrap} --topic {TOPIC} \\")
    say(f"    --partitions {partitions} --first 1000000 --records 1000 --poison-every 100")
    say(f"  status page: http://{sink.settings['SINK_HTTP_ADDRESS']}/")
    say(f"  sink's log: {sink.log}")
    say(f"  processes: pgsluice {sink.pid}, PostgreSQL {sink.postgres.pid}, Kafka {broker_pid}")
    forever = threading.Event()
    try:
        while not forever.wait(1):
            sink.child.check_alive()
    except KeyboardInterrupt:
        say("\n")


def run(stack: ExitStack, options: argparse.Namespace) -> None:
    if not os.access(sink_program(), os.X_OK):
        raise DemoFailed(f"there is no program {sink_program()}: run ./dev build")
    partitions = PARTITIONS
    if not options.kafka:
        partitions = max(partitions, math.ceil(options.records / RECORDS_PER_MOCK_PARTITION))

    heading(f"pgsluice: {options.records:,} orders from Kafka to PostgreSQL")
    postgres = start_postgres(stack)
    kafka = (start_kafka if options.kafka else start_mock)(stack, partitions)
    ends = produce(kafka, options.records, partitions)

    env = {"SINK_LOG_FORMAT": "text", "SINK_HTTP_ADDRESS": f"127.0.0.1:{free_port()}"}
    sink = stack.enter_context(Sink(kafka, postgres, topics=TOPIC, group=GROUP, env=env))
    seconds = wait_until_written(sink, ends)
    rows = postgres.scalar(f"SELECT count(*) FROM {TABLE}")
    rate = rows / seconds
    step("pgsluice", f"{rows:,} rows, {rate:,.0f} a second from its start to the last", seconds)

    show_positions(sink, ends)
    show_sources(postgres)
    show_rows(postgres)
    check(kafka, postgres)
    if options.keep:
        look_around(sink, kafka.brokers[1].pid if isinstance(kafka, Kafka) else kafka.pid)
    stop_sink(sink)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000, help="how many orders (100000)")
    parser.add_argument("--kafka", action="store_true", help="a real Apache Kafka, not the mock")
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    options = parser.parse_args()
    if options.records < 1:
        parser.error("--records must be at least 1")
    return options


def main() -> int:
    options = parse_arguments()
    unwind_on_terminate()
    try:
        with ExitStack() as stack:
            run(stack, options)
    except KeyboardInterrupt:
        say("\ninterrupted")
        return 128 + signal.SIGINT
    except (DemoFailed, AssertionError, ProcessDied, RuntimeError, OSError, Unavailable) as error:
        print(f"\ndemo failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
