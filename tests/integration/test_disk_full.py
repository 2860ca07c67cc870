"""A disk without room is an outage: everything waits, nothing is refused, and it goes on by itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import history
import pytest
from dead_letters import dead_letters
from faults import events
from mock import MockKafka
from postgres import Postgres
from process import TemporaryDirectory
from sink import Sink

NOTE_BYTES = 500
RECORDS = 20_000  # more than the small disk takes
DISK_FULL = "53100"


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of a few megabytes, where this process may mount one."""
    directory = TemporaryDirectory("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0777", "tmpfs", str(directory.path)]
    if subprocess.run(command, capture_output=True, timeout=30).returncode != 0:
        directory.close()
        pytest.skip("this process may not mount a file system")
    yield directory.path
    subprocess.run(["umount", "--lazy", str(directory.path)], check=True, timeout=30)
    directory.close()


def test_a_disk_that_is_full(
    small_disk: Path, start_sink: Callable[..., Sink], mock: MockKafka, own_postgres: Postgres
) -> None:
    """The table's own; it gets room while the sink waits."""
    place = small_disk / "tables"
    place.mkdir()
    owner = own_postgres.data.stat()
    os.chown(place, owner.st_uid, owner.st_gid)
    own_postgres.query(f"CREATE TABLESPACE small LOCATION '{place}'")
    history.create_table(own_postgres, "orders")
    own_postgres.query("ALTER TABLE orders SET TABLESPACE small")
    mock.create_topic("orders", 4)
    mock.produce_orders("orders", RECORDS, note_bytes=NOTE_BYTES)
    sink = start_sink(mock, topics="orders", postgres=own_postgres)
    sink.wait_for_log(DISK_FULL)
    history.assert_prefix(own_postgres, sink.name, "orders", "orders")
    command = ["mount", "-o", "remount,size=256m", str(small_disk)]
    subprocess.run(command, check=True, timeout=30)
    sink.wait_until_caught_up("orders")
    history.assert_exactly_once(mock, "orders", own_postgres, "orders", sink=sink.name)
    assert events(sink, "partition halted", "dead letters") == []
    assert sink.terminate() == 0


@pytest.mark.parametrize("code", ["53100", "53200", "53300", "58030"])
def test_what_the_server_lacks_is_no_fault_of_a_record(
    code: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """The server's disk, memory, connections or I/O, said with a line of COPY as for a bad row."""
    history.create_table(database, "orders")
    database.query(
        "CREATE FUNCTION lack() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$BEGIN RAISE EXCEPTION 'lacking' USING ERRCODE = '{code}'; END$$;"
        "CREATE TRIGGER lack BEFORE INSERT ON orders FOR EACH ROW WHEN (NEW.id = 500)"
        " EXECUTE FUNCTION lack()"
    )
    mock.create_topic("orders", 2)
    mock.produce_orders("orders", 1_000)
    sink = start_sink(mock, topics="orders", postgres=database)
    sink.wait_for(lambda: len(events(sink, "flush failed")) >= 2, what="two attempts")
    assert {line["class"] for line in events(sink, "flush failed")} == {"outage"}
    history.assert_prefix(database, sink.name, "orders", "orders")
    assert dead_letters(database, sink.name) == []
    database.query("DROP TRIGGER lack ON orders")
    sink.wait_until_caught_up("orders")
    history.assert_exactly_once(mock, "orders", database, "orders", sink=sink.name)
    assert events(sink, "partition halted", "dead letters") == []
    assert sink.terminate() == 0
