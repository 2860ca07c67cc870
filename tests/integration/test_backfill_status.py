"""`pgsluice backfill status`: what it says of runs, from the tables alone and of one that goes on."""

from __future__ import annotations

import json
import subprocess
from typing import Any, Callable

import pytest
from cluster import Record
from mock import MockKafka
from postgres import Postgres
from sink import Sink, clean_environment, sink_program

DONE, USAGE, UNREACHABLE, CONFIG = 0, 64, 69, 78

Status = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def status(database: Postgres) -> Status:
    """status("nightly", "--json") runs it with the settings of PostgreSQL and no others."""

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sink_program(), "backfill", "status", *words],
            env={**clean_environment(), **database.env, **env},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


@pytest.fixture
def schema(database: Postgres) -> Postgres:
    env = {**clean_environment(), **database.env}
    subprocess.run([sink_program(), "migrate"], env=env, check=True, capture_output=True, timeout=30)
    return database


def begin(postgres: Postgres, name: str, started: str = "2026-11-20 05:00:00Z", processes: int = 1) -> None:
    postgres.query(
        "INSERT INTO pgsluice.backfills (name, sink, topics, asked_from, asked_to, partitions, parallel, processes,"
        " mapping, created_at) VALUES (%s, 'live', 'orders', 'earliest', 'latest', '', 1, %s, '', %s)",
        [name, processes, started],
    )


def add(postgres: Postgres, name: str, partition: int, next_offset: int, **columns: Any) -> None:
    """A range from 1000 to 2000 that is done up to next_offset, with a record at each offset."""
    count = next_offset - 1000
    values = {
        "range": 0,
        "rows_count": count,
        "bytes": count * 100,
        "first_offset": 1000 if count else None,
        "last_offset": next_offset - 1 if count else None,
        "first_timestamp_ms": 1795150800000 if count else None,
        "last_timestamp_ms": 1795154400000 if count else None,
        **columns,
    }
    names = ", ".join(values)
    places = ", ".join(["%s"] * len(values))
    postgres.query(
        "INSERT INTO pgsluice.backfill_ranges (backfill, topic, partition, start_offset, end_offset, next_offset,"
        f" {names}) VALUES (%s, 'orders', %s, 1000, 2000, %s, {places})",
        [name, partition, next_offset, *values.values()],
    )


def end(postgres: Postgres, name: str, at: str = "2026-11-20 05:00:10Z") -> None:
    postgres.query("UPDATE pgsluice.backfills SET finished_at = %s WHERE name = %s", [at, name])


def test_a_complete_run(schema: Postgres, status: Status) -> None:
    begin(schema, "nightly")
    add(schema, "nightly", 0, 2000, rows_count=980, skipped_count=4, dead_letters_count=6)
    add(schema, "nightly", 1, 2000, rows_count=700, lost_count=300)
    end(schema, "nightly")
    result = status("nightly")
    assert (result.returncode, result.stderr) == (DONE, "")
    assert result.stdout.splitlines() == [
        "Backfill nightly is complete: 1,680 rows in 10 s, 168 a second",
        "",
        "  rows written                        1,680",
        "  skipped                                 4",
        "  dead letters                            6",
        "  = records read                      1,690",
        "  offsets without a record               10  (markers, aborted or compacted records)",
        "  gone to retention unread              300  THESE RECORDS ARE MISSING",
        "  = offsets in range                  2,000",
        "",
        "PARTITION  RECORDS  FIRST  LAST  FIRST TIME (UTC)     LAST TIME (UTC)",
        "orders[0]      990   1000  1999  2026-11-20 05:00:00  2026-11-20 06:00:00",
        "orders[1]      700   1000  1999  2026-11-20 05:00:00  2026-11-20 06:00:00",
    ]


def test_json_says_the_same(schema: Postgres, status: Status) -> None:
    begin(schema, "nightly")
    add(schema, "nightly", 0, 1600)
    found = json.loads(status("nightly", "--json").stdout)
    assert (found["name"], found["state"], found["rows"], found["offsets_left"]) == ("nightly", "interrupted", 600, 400)
    assert found["adds_up"] is True
    [partition] = found["partitions"]
    assert (partition["topic"], partition["partition"], partition["state"]) == ("orders", 0, "waiting")
    assert (partition["first_offset"], partition["last_offset"]) == (1000, 1599)
    assert (partition["first_timestamp_ms"], partition["last_timestamp_ms"]) == (1795150800000, 1795154400000)


def take(postgres: Postgres, name: str, index: int) -> Any:
    """As the process does that has this index; the connection ends it."""
    connection = postgres.connect()
    connection.execute(
        "SELECT pg_advisory_lock(hashtextextended('pgsluice backfill ' || %s || ' ' || %s, 0))", [str(index), name]
    )
    return connection


def test_whether_it_runs_is_seen_by_its_locks(schema: Postgres, status: Status) -> None:
    begin(schema, "nightly", processes=2)
    for partition, next_offset in enumerate((1500, 1500, 2000)):
        add(schema, "nightly", partition, next_offset)
    with take(schema, "nightly", 1):
        found = json.loads(status("nightly", "--json").stdout)
        assert found["state"] == "running"
        assert [partition["state"] for partition in found["partitions"]] == ["waiting", "loading", "complete"]
    assert json.loads(status("nightly", "--json").stdout)["state"] == "interrupted"


def test_another_backfills_lock_is_not_its_own(schema: Postgres, status: Status) -> None:
    begin(schema, "nightly")
    add(schema, "nightly", 0, 1000)
    with take(schema, "weekly", 0):
        assert json.loads(status("nightly", "--json").stdout)["state"] == "planned"


def test_all_runs(schema: Postgres, status: Status) -> None:
    begin(schema, "second", "2026-11-20 06:00:00Z")
    add(schema, "second", 0, 1250)
    begin(schema, "first größer", "2026-11-20 05:00:00Z")
    add(schema, "first größer", 0, 2000, rows_count=999, dead_letters_count=1)
    end(schema, "first größer")
    begin(schema, "empty", "2026-11-20 07:00:00Z")
    end(schema, "empty", "2026-11-20 07:00:00Z")
    lines = status().stdout.splitlines()
    assert lines[0].split("  ")[0] == "NAME"
    assert [line.split("  ")[0] for line in lines[1:]] == ["first größer", "second", "empty"]
    assert "complete" in lines[1] and "100.0 %" in lines[1] and lines[1].endswith("2026-11-20 05:00:00  10 s")
    assert "interrupted" in lines[2] and " 25.0 %" in lines[2]
    named = [json.loads(line)["name"] for line in status("--json").stdout.splitlines()]
    assert named == ["first größer", "second", "empty"]


def test_it_agrees_with_the_run(
    database: Postgres, status: Status, mock: MockKafka, start_sink: Callable[..., Sink]
) -> None:
    mock.create_topic("t", 2)
    database.query("CREATE TABLE t (id int)")
    values = [b'{"id": %d}' % number for number in range(99)] + [b"no JSON"]
    mock.produce("t", [Record(value, partition=number % 2) for number, value in enumerate(values)])
    command = "backfill --from earliest --name nightly --json"
    run = start_sink(mock, postgres=database, topics="t", command=command)
    assert run.wait_exit() == 65
    found = json.loads(status("nightly", "--json").stdout)
    assert (found["state"], found["records"], found["rows"], found["dead_letters"]) == ("complete", 100, 99, 1)
    [told] = [line for line in run.log_lines() if line.get("name") == "nightly" and "adds_up" in line]
    assert {**told, "took_ms": 0, "rows_per_s": 0} == {**found, "took_ms": 0, "rows_per_s": 0}


def test_there_is_none(schema: Postgres, status: Status) -> None:
    assert (status().returncode, status("--json").stdout) == (DONE, "")
    result = status("nightly")
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert "there is no such backfill" in result.stderr and "nightly" in result.stderr


def test_there_is_no_schema(database: Postgres, status: Status) -> None:
    for words in ((), ("nightly",)):
        result = status(*words)
        assert (result.returncode, result.stdout) == (CONFIG, "")
        assert "pgsluice migrate" in result.stderr


def test_the_server_is_away(database: Postgres, status: Status) -> None:
    result = status(PGPORT="1", SINK_CONNECT_TIMEOUT_MS="1000")
    assert (result.returncode, result.stdout) == (UNREACHABLE, "")


def test_words_that_it_does_not_take(status: Status) -> None:
    for words in (("nightly", "weekly"), ("--name", "nightly"), ("--jsn",)):
        assert status(*words).returncode == USAGE
