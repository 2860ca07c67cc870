"""`pgsluice lag`, beside a sink that runs and when none does."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from fixtures import Names
from mock import MockKafka
from postgres import Postgres
from process import Child
from sink import Sink, sink_program
from wait import wait_until


def produce(kafka: MockKafka, topic: str, partition: int, count: int) -> None:
    kafka.produce_ids(topic, 0, count, partition)


def lag(sink: Sink, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(sink_program()), "lag", *words],
        env=sink.settings, capture_output=True, text=True, timeout=60, check=False,
    )


def rows(sink: Sink) -> dict[int, dict[str, Any]]:
    answer = lag(sink, "--json")
    assert answer.returncode == 0, answer.stderr
    found = [json.loads(line) for line in answer.stdout.splitlines()]
    return {row["partition"]: row for row in found}


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_beside_a_sink_and_without_one(
    delivery: str,
    mock: MockKafka,
    postgres: Postgres,
    names: Names,
    start_sink: Callable[..., Sink],
) -> None:
    mock.create_topic(names.topic, 2)
    postgres.query(f"CREATE TABLE {names.topic} (id int)")
    produce(mock, names.topic, 0, 10)
    sink = start_sink(mock, env={"SINK_DELIVERY": delivery})
    wait_until(lambda: postgres.scalar(f"SELECT count(*) FROM {names.topic}") == 10)
    # With at_least_once the position is what Kafka was told, some seconds later.
    wait_until(lambda: rows(sink)[0]["lag"] == 0, what="no lag")
    assert sink.terminate() == 0
    produce(mock, names.topic, 1, 7)
    produce(mock, names.topic, 0, 3)
    found = rows(sink)
    assert {p: (row["lag"], row["end"]) for p, row in found.items()} == {0: (3, 13), 1: (7, 7)}
    assert found[0]["committed"] == 10
    if delivery == "exactly_once":
        assert found[0]["owner"] == "sink-1"
    text = lag(sink).stdout.splitlines()
    assert text[0].split() == ["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "OWNER", "WRITTEN"]
    assert text[-1].split() == ["all", "10"]


def test_before_the_first_start(
    mock: MockKafka, postgres: Postgres, names: Names, start_sink: Callable[..., Sink]
) -> None:
    """All of it is still to come."""
    mock.create_topic(names.topic, 1)
    produce(mock, names.topic, 0, 5)
    sink = Sink(mock, postgres, names.topic, names.group)
    subprocess.run([sink_program(), "migrate"], env=sink.settings, check=True, timeout=60)
    assert rows(sink)[0] == {
        "topic": names.topic, "partition": 0, "committed": None, "end": 5, "lag": 5, "owner": None, "written_at": None
    }
    sink.close()


def looks(log: Path) -> str:
    """Each look's lag, a digit; r: it has read on from a position."""
    found = re.findall(r'"lag": (\d)|(r)eading tails', log.read_text())
    return "".join(lag or read for lag, read in found)


def test_watching(mock: MockKafka, postgres: Postgres, names: Names, tmp_path: Path) -> None:
    """It goes on by itself, follows what is produced, and reads no more than it must."""
    mock.create_topic(names.topic, 1)
    sink = Sink(mock, postgres, names.topic, names.group)
    subprocess.run([sink_program(), "migrate"], env=sink.settings, check=True, timeout=60)
    log = tmp_path / "watch.log"
    env = {**sink.settings, "SINK_LOG_LEVEL": "debug"}
    child = Child([str(sink_program()), "lag", "--watch", "--json"], log, env=env)
    wait_until(lambda: '"lag": 0' in log.read_text(), what="a first look")
    produce(mock, names.topic, 0, 4)
    wait_until(lambda: '"lag": 4' in log.read_text(), what="another one")
    # One that stands was read once: its record is still there.
    wait_until(lambda: "44" in looks(log), what="a look without reading")
    child.send(signal.SIGTERM)
    child.wait()
    sink.close()


def test_kafka_is_away(mock: MockKafka, postgres: Postgres, names: Names) -> None:
    sink = Sink(
        mock, postgres, names.topic, names.group,
        env={"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "SINK_CONNECT_TIMEOUT_MS": 1000},
    )
    answer = lag(sink)
    assert answer.returncode == 69
    assert "lag can't be shown" in answer.stdout + answer.stderr
    sink.close()
