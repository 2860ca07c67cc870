"""What `pgsluice backfill` says and does where something is not as it was, or not as it was thought to be."""

from __future__ import annotations

import os
import subprocess
from typing import Any, Callable

import backfills
import pytest
from faults import events
from http_client import SERVED, Web
from mock import MockKafka
from postgres import Postgres
from sink import Sink, clean_environment, sink_program
from wait import wait_until

DONE, LETTERS, INTERNAL, CONFIG = 0, 65, 70, 78
RECORDS = 20
SECOND = "backfill --from earliest --index 1 --of 2 --json"

Start = Callable[..., Sink]


@pytest.fixture
def start(mock: MockKafka, database: Postgres, start_sink: Start) -> Start:
    """start("backfill --from 0") with the topic t, of two partitions, and its table."""
    mock.create_topic("t", 2)
    database.query("CREATE TABLE t (id int)")
    for partition in (0, 1):
        mock.produce_ids("t", 0, RECORDS, partition)

    def run(command: str, **env: object) -> Sink:
        return start_sink(mock, postgres=database, topics="t", command=command, env={"SINK_NAME": "it", **env})

    return run


def half_done(start: Start) -> None:
    """Partition 0 of each topic is loaded, the others are not begun: they are for `SECOND`."""
    assert start("backfill --from earliest --index 0 --of 2").wait_exit() == DONE


def refused(run: Sink, *words: str) -> None:
    """With an error that has these words."""
    assert run.wait_exit() == CONFIG
    [error] = events(run, "backfill")
    assert all(word in error["reason"] for word in words), error["reason"]


def warnings(run: Sink, part: str) -> list[dict[str, Any]]:
    return [line for line in run.log_lines() if line.get("level") == "warn" and part in line["event"]]


# --- Topics ---------------------------------------------------------------------------------------


def test_until_live_is_of_the_topic_that_the_sink_began_with(mock: MockKafka, start: Start) -> None:
    """Made anew, it has other records at those offsets, of which the sink may load any again. Once the sink was told
    where to go on, that is where it began."""
    live = start("run", SINK_START="latest")
    live.wait_for_log("first start at the ends of the logs")
    live.kill()
    assert start("backfill --from 0 --until-live --dry-run").wait_exit() == DONE
    mock.delete_topic("t")
    mock.create_topic("t", 2)
    for partition in (0, 1):
        mock.produce_ids("t", 100, 2 * RECORDS, partition)
    refused(start("backfill --from 0 --until-live"), "sink it began with another topic t", "--to OFFSET")
    wait_until_gone(live)
    assert start("offsets reset --topic t --to latest --yes").wait_exit() == DONE
    run = start("backfill --from 0 --until-live --json")
    assert run.wait_exit() == DONE
    assert backfills.summary(run)["rows"] == 2 * 2 * RECORDS


def wait_until_gone(sink: Sink) -> None:
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgsluice/%%' AND datname = %s"
    left = [sink.postgres.database]
    wait_until(lambda: sink.postgres.scalar(sessions, left) == 0, 30, "the end of its sessions")


@pytest.mark.parametrize("anew", (False, True), ids=("gone", "made anew"))
def test_a_topic_is_not_there_any_more(mock: MockKafka, start: Start, anew: bool) -> None:
    """It would wait for it for ever. What is complete needs none."""
    half_done(start)
    mock.delete_topic("t")
    if anew:
        mock.create_topic("t", 2)
    words = ("t was deleted and made anew", "another --name") if anew else ('topic "t" does not exist',)
    refused(start(SECOND), *words)
    half_done(start)


def test_a_topic_of_a_regular_expression_is_gone(mock: MockKafka, database: Postgres, start_sink: Start) -> None:
    for topic in ("t", "u"):
        mock.create_topic(topic, 2)
    database.query("CREATE TABLE t (id int)")
    mock.produce_ids("u", 0, RECORDS, 1)

    def run(command: str) -> Sink:
        env = {"SINK_NAME": "it", "SINK_TABLE": "t"}
        return start_sink(mock, postgres=database, topics="^[tu]$", command=command, env=env)

    half_done(run)
    mock.delete_topic("u")
    refused(run(SECOND), "backfill it can't go on", "topic u")


# --- Offsets --------------------------------------------------------------------------------------


def test_what_retention_takes_is_seen_at_once(mock: MockKafka, database: Postgres, start: Start) -> None:
    """Not only when it is complete."""
    half_done(start)
    mock.command("delete-records", "t", 1, 15)
    with database.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE t IN SHARE MODE")
        run = start(SECOND, **SERVED)
        web = Web(run)
        run.wait_for(lambda: status_of(web)["offsets_gone_to_retention"], what="what is gone")
        told = status_of(web)
        assert (told["offsets_gone_to_retention"], told["offsets_without_record"]) == (15, 0)
    assert run.wait_exit() == DONE
    told = backfills.summary(run)
    assert (told["offsets_gone_to_retention"], told["rows"]) == (15, 2 * RECORDS - 15)


def status_of(web: Web) -> dict[str, Any]:
    told: dict[str, Any] = web.json("/status")["backfill"]
    return told


@pytest.mark.parametrize("to", ("30", "2100-01-01"))
def test_an_end_that_is_not_there_yet(start: Start, to: str) -> None:
    run = start(f"backfill --from 0 --to {to} --dry-run")
    assert run.wait_exit() == DONE
    told = warnings(run, "what comes later is no part of it")
    assert [(one["topic"], one["partition"], one["to"], one["log_end_offset"]) for one in told] == [
        ("t", partition, to, RECORDS) for partition in (0, 1)
    ]


def test_an_end_before_the_beginning(start: Start) -> None:
    run = start("backfill --from 25 --partitions 1 --dry-run")
    assert run.wait_exit() == DONE
    [told] = warnings(run, "--from is behind the end")
    assert (told["partition"], told["from_offset"], told["to_offset"]) == (1, 25, RECORDS)


def test_an_end_that_is_there_is_not_warned_of(start: Start) -> None:
    for bounds in ("--from 0 --to 20", "--from earliest", "--from -1h --to -0s"):
        run = start(f"backfill {bounds} --dry-run")
        assert run.wait_exit() == DONE
        assert not warnings(run, "")


# --- Tables ---------------------------------------------------------------------------------------


def test_columns_may_be_added_but_not_changed(database: Postgres, start: Start) -> None:
    half_done(start)
    database.query("ALTER TABLE t ALTER id TYPE bigint")
    refused(start(SECOND), "the mapping was", '"id" bigint', "make the tables as they were")
    database.query("ALTER TABLE t ALTER id TYPE int, ADD colour text, ADD sum numeric(9,2)")
    run = start(SECOND)
    assert run.wait_exit() == DONE
    assert warnings(run, "columns were added since it was begun")
    assert '"sum" numeric(9,2)' in database.scalar("SELECT mapping FROM pgsluice.backfills")
    assert database.scalar("SELECT count(*) FROM t") == 2 * RECORDS


# --- Words ----------------------------------------------------------------------------------------


def test_a_share_is_complete_and_another_has_not_begun(start: Start) -> None:
    run = start("backfill --from 0 --json --index 1 --of 2")
    assert run.wait_exit() == DONE
    assert backfills.summary(run)["state"] == "incomplete"
    [told] = events(run, "share complete: the backfill is when the others are")
    assert (told["index"], told["of"], told["incomplete"]) == (1, 2, "0")


def test_nothing_is_forgotten_by_a_start_that_is_refused(start: Start) -> None:
    assert start("backfill --from 0").wait_exit() == DONE
    again = start("backfill --from 0 --restart --partitions 7")
    assert again.wait_exit() == CONFIG
    assert not warnings(again, "are loaded again")


def test_the_summary_can_not_be_written(mock: MockKafka, start: Start) -> None:
    """Which does not hide that there are dead letters."""
    assert into_nothing(start("backfill --from 0")) == INTERNAL
    mock.produce_values("t", 0, [b"no JSON"])
    assert into_nothing(start("backfill --from 0 --name other")) == LETTERS


def into_nothing(run: Sink) -> int:
    """Once more, with a full disk as standard output."""
    run.wait_exit()
    argv = [str(sink_program()), *run.command.split()]
    with open("/dev/full", "wb") as full:
        env = {**clean_environment(), **run.settings}
        return subprocess.run(argv, env=env, stdout=full, stderr=subprocess.DEVNULL, timeout=30, check=False).returncode


def test_a_name_that_is_no_text(start: Start) -> None:
    """Refused at once, not tried again until SINK_CONNECT_TIMEOUT_MS is over."""
    run = start("backfill --from 0 --dry-run", SINK_CONNECT_TIMEOUT_MS=60_000)
    assert run.wait_exit() == DONE
    argv = [os.fsencode(sink_program()), b"backfill", b"--from", b"0", b"--name", b"\xff"]
    env = {**clean_environment(), **run.settings}
    assert subprocess.run(argv, env=env, capture_output=True, timeout=30, check=False).returncode == CONFIG
