"""A backfill on a terminal, as somebody sees it who starts it there: the block, SIGTERM, and the end."""

from __future__ import annotations

import signal

from cluster import Record
from mock import MockKafka
from postgres import Postgres
from sink import clean_environment, sink_program
from terminal import Terminal

DONE, TEMPORARY = 0, 75
RECORDS = 1000


def start(mock: MockKafka, database: Postgres) -> Terminal:
    env = {
        **clean_environment(),
        **database.env,
        "TERM": "xterm",
        "KAFKA_BOOTSTRAP_SERVERS": mock.bootstrap,
        "KAFKA_GROUP_ID": "nightly",
        "SINK_TOPICS": "t",
        "SINK_DRAIN_TIMEOUT_MS": "1000",
    }
    return Terminal([sink_program(), "backfill", "--from", "earliest"], env, columns=100, rows=24)


def has_block(lines: list[str]) -> bool:
    return any(line.startswith("nightly  [") for line in lines) and "t: 2 partitions, 2 loading" in lines


def test_it_is_ended_and_run_again(mock: MockKafka, database: Postgres) -> None:
    mock.create_topic("t", 2)
    mock.produce("t", [Record(b'{"id": %d}' % number, partition=number % 2) for number in range(RECORDS)])
    database.query("CREATE TABLE t (id int)")
    with database.connect() as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        terminal = start(mock, database)
        try:
            lines = terminal.wait_for(has_block, "the block")
            assert "  0.0 %" in next(line for line in lines if line.startswith("nightly  ["))
            code, output = terminal.end(signal.SIGTERM)
            lines = terminal.lines()
        finally:
            terminal.close()
        holder.execute("ROLLBACK")
    assert code == TEMPORARY
    assert not any(line.startswith(("nightly", "[0]", "t: 2")) for line in lines), "\n".join(lines)
    assert any("draining" in line for line in lines)

    terminal = start(mock, database)
    try:
        code, output = terminal.end()
        lines = terminal.lines()
    finally:
        terminal.close()
    assert code == DONE
    assert output.startswith(f"Backfill nightly is complete: {RECORDS:,} rows")
    [in_range] = [line.split()[-1] for line in output.splitlines() if "= offsets in range" in line]
    assert in_range == f"{RECORDS:,}"
    assert not any(line.startswith("nightly") for line in lines), "\n".join(lines)
