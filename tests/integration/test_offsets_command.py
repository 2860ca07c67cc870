"""`pgsluice offsets show` and `offsets reset`: what they print, set and refuse."""

from __future__ import annotations

import json
import subprocess
from typing import Any, Callable

import pytest
from mock import MockKafka
from postgres import Postgres
from sink import Sink, clean_environment, sink_program

DONE, USAGE, UNREACHABLE, TEMPORARY, CONFIG = 0, 64, 69, 75, 78
NAME = "it's %_a sink"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def produce(kafka: MockKafka, partition: int, first: int, count: int) -> None:
    kafka.produce_ids("t", first, count, partition)


def ids(postgres: Postgres) -> list[int]:
    return [row[0] for row in postgres.query("SELECT id FROM t ORDER BY id")]


def wait_for_ids(sink: Sink, expected: list[int]) -> None:
    sink.wait_for(lambda: len(ids(sink.postgres)) >= len(expected), 60, f"{expected} in t")
    assert ids(sink.postgres) == expected


def epochs(sink: Sink) -> dict[int, int]:
    return dict(sink.postgres.query("SELECT partition, epoch FROM pgsluice.offsets"))


@pytest.fixture
def running(mock: MockKafka, database: Postgres, start_sink: Callable[..., Sink]) -> Sink:
    """A sink that has read 0..9 from partition 0 of t, 10..14 from partition 1, and runs."""
    mock.create_topic("t", 2)
    database.query("CREATE TABLE t (id int)")
    produce(mock, 0, 0, 10)
    produce(mock, 1, 10, 5)
    sink = start_sink(mock, postgres=database, topics="t", env={"SINK_NAME": NAME})
    wait_for_ids(sink, list(range(15)))
    return sink


@pytest.fixture
def stopped(running: Sink) -> Sink:
    assert running.terminate() == DONE
    return running


@pytest.fixture
def offsets(mock: MockKafka, database: Postgres) -> Run:
    """offsets("show", "--json") runs it with the settings of the sink."""

    def run(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": mock.bootstrap,
            "KAFKA_GROUP_ID": "any",
            "SINK_TOPICS": "t",
            "SINK_NAME": NAME,
            "SINK_LOG_FORMAT": "json",
            "SINK_CONNECT_TIMEOUT_MS": "3000",
            **database.env,
            **env,
        }
        return subprocess.run(
            [str(sink_program()), "offsets", *words],
            env={**clean_environment(), **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


# Show


def test_show_for_people(offsets: Run, stopped: Sink) -> None:
    result = offsets("show")
    assert result.returncode == DONE, result.stderr
    titles, *lines = result.stdout.splitlines()
    assert titles.split()[:5] == ["TOPIC", "PARTITION", "COMMITTED", "LOST", "OWNER"]
    assert [line.split()[:5] for line in lines] == [
        ["t", "0", "10", "0", "sink-1"],
        ["t", "1", "5", "0", "sink-1"],
    ]


def test_show_for_programs(offsets: Run, stopped: Sink) -> None:
    result = offsets("show", "--json", "--topic", "t", "--partition", "1")
    assert result.returncode == DONE, result.stderr
    (row,) = [json.loads(line) for line in result.stdout.splitlines()]
    expected: dict[str, Any] = {"topic": "t", "partition": 1, "committed": 5, "lost_count": 0}
    assert {name: row[name] for name in expected} == expected
    assert row["topic_id"] and row["leader_epoch"] >= 0 and row["owner"] == "sink-1"


def test_show_while_it_runs_and_nothing_of_another_sink(offsets: Run, running: Sink) -> None:
    assert len(offsets("show", "--json").stdout.splitlines()) == 2
    assert offsets("show", "--json", SINK_NAME="other").stdout == ""


# Reset


def test_nothing_is_changed_unless_it_is_said(offsets: Run, stopped: Sink) -> None:
    before = epochs(stopped)
    result = offsets("reset", "--topic", "t", "--to", "earliest")
    assert result.returncode == DONE, result.stderr
    assert result.stdout.splitlines() == [
        "t[0]  10 -> 0",
        "t[1]  5 -> 0",
        "Nothing was changed: --yes does it.",
    ]
    assert stopped.positions("t") == {0: 10, 1: 5}
    assert epochs(stopped) == before


@pytest.mark.parametrize(
    "to, expected",
    (("earliest", {0: 0, 1: 0}), ("latest", {0: 12, 1: 5}), ("3", {0: 3, 1: 3})),
    ids=("earliest", "latest", "offset"),
)
def test_all_partitions_are_set(
    offsets: Run, stopped: Sink, mock: MockKafka, to: str, expected: dict[int, int]
) -> None:
    """Epochs rise: whoever has claimed them before is fenced."""
    produce(mock, 0, 50, 2)
    before = epochs(stopped)
    result = offsets("reset", "--topic", "t", "--to", to, "--yes")
    assert result.returncode == DONE, result.stderr
    assert "Nothing was changed" not in result.stdout
    assert stopped.positions("t") == expected
    assert all(epochs(stopped)[partition] > epoch for partition, epoch in before.items())


def test_the_sink_goes_on_there(
    offsets: Run,
    stopped: Sink,
    mock: MockKafka,
    database: Postgres,
    start_sink: Callable[..., Sink],
) -> None:
    """One partition; the other is as it was."""
    assert offsets("reset", "--topic", "t", "--partition=0", "--to=7", "--yes").returncode == DONE
    assert stopped.positions("t") == {0: 7, 1: 5}
    env = {"SINK_NAME": NAME}
    sink = start_sink(mock, postgres=database, topics="t", env=env, group="again")
    wait_for_ids(sink, sorted([*range(15), 7, 8, 9]))


def test_a_topic_that_was_made_anew_is_taken(
    offsets: Run,
    stopped: Sink,
    mock: MockKafka,
    database: Postgres,
    start_sink: Callable[..., Sink],
) -> None:
    """As the message of its halted partitions says."""
    mock.delete_topic("t")
    mock.create_topic("t", 2)
    produce(mock, 0, 100, 3)
    result = offsets("reset", "--topic", "t", "--to", "earliest", "--yes")
    assert result.returncode == DONE, result.stderr
    env = {"SINK_NAME": NAME}
    sink = start_sink(mock, postgres=database, topics="t", env=env, group="again")
    wait_for_ids(sink, [*range(15), 100, 101, 102])


def test_a_partition_without_a_position_gets_one(offsets: Run, stopped: Sink) -> None:
    stopped.postgres.query("DELETE FROM pgsluice.offsets WHERE partition = 1")
    result = offsets("reset", "--topic", "t", "--to", "latest", "--yes")
    assert "t[1]  none -> 5" in result.stdout
    assert stopped.positions("t") == {0: 10, 1: 5}


# Refused


def refusal(result: "subprocess.CompletedProcess[str]", code: int) -> str:
    assert (result.returncode, result.stdout) == (code, ""), result.stderr
    return result.stderr


def test_a_running_sink_is_left_alone(offsets: Run, running: Sink) -> None:
    reason = refusal(offsets("reset", "--topic", "t", "--to", "earliest", "--yes"), TEMPORARY)
    assert "runs" in reason and "sink-1" in reason
    assert running.positions("t") == {0: 10, 1: 5}
    assert offsets("reset", "--topic", "t", "--to", "earliest").returncode == DONE


@pytest.mark.parametrize(
    "words",
    (
        ("reset",),
        ("reset", "--topic", "t"),
        ("reset", "--to", "latest"),
        ("reset", "--topic", "t", "--to", "later"),
        ("reset", "--topic", "t", "--to", "-1"),
        ("reset", "--topic", "t", "--to", "99999999999999999999"),
        ("reset", "--topic", "t", "--to", "2026-13-01"),
        ("show", "--yes"),
        ("forget",),
    ),
    ids=" ".join,
)
def test_usage(offsets: Run, words: tuple[str, ...]) -> None:
    assert "--help" in refusal(offsets(*words), USAGE)


def test_what_does_not_fit_the_topic(offsets: Run, stopped: Sink) -> None:
    """Each is named with what would be right, and nothing is set."""
    wrong = {
        ("--topic", "missing", "--to", "latest"): ("missing",),
        ("--topic", "t", "--partition", "7", "--to", "latest"): ("partitions 0 to 1", "7"),
        ("--topic", "t", "--to", "6"): ("t[1]", "0 to before 5", "6"),
    }
    for words, parts in wrong.items():
        reason = refusal(offsets("reset", *words, "--yes"), CONFIG)
        assert all(part in reason for part in parts), reason
    assert stopped.positions("t") == {0: 10, 1: 5}


def test_at_least_once_has_its_positions_elsewhere(offsets: Run, stopped: Sink) -> None:
    words = ("reset", "--topic", "t", "--to", "latest", "--yes")
    reason = refusal(offsets(*words, SINK_DELIVERY="at_least_once"), CONFIG)
    assert "kafka-consumer-groups" in reason


def test_servers_that_are_away(offsets: Run, stopped: Sink) -> None:
    words = ("reset", "--topic", "t", "--to", "latest", "--yes")
    env = {"SINK_CONNECT_TIMEOUT_MS": "1000"}
    refusal(offsets(*words, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", **env), UNREACHABLE)
    refusal(offsets("show", PGPORT="1", **env), UNREACHABLE)


def test_an_instance_that_is_not_seen_writes_nothing_under_its_former_claim(
    offsets: Run, running: Sink, mock: MockKafka
) -> None:
    """It is frozen, and its sessions were cut: afterwards it claims again, and goes on from there."""
    running.pause()
    running.postgres.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'pgsluice/%' AND datname = current_database()"
    )
    produce(mock, 0, 100, 5)
    words = ("reset", "--topic", "t", "--to", "4", "--yes")
    result = offsets(*words)
    assert result.returncode == DONE, result.stderr
    before = epochs(running)
    running.resume()
    running.wait_until_caught_up("t", ends={0: 15, 1: 5})
    assert ids(running.postgres) == sorted([*range(15), *range(4, 10), 14, *range(100, 105)])
    assert all(epochs(running)[partition] > epoch for partition, epoch in before.items())
