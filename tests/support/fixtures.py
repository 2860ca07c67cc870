"""The fixtures of pytest, for a conftest.py to import: servers, unique names, sinks, time limits.

Servers live as long as the session, so every test uses names of its own in them.
"""

from __future__ import annotations

import re
import signal
import uuid
from dataclasses import dataclass
from types import FrameType
from typing import Any, Callable, Iterator

import pytest
from cluster import Cluster
from kafka import Kafka, Unavailable
from mock import MockKafka
from postgres import Postgres
from repeat import times
from sink import Sink

DEFAULT_LIMIT_S = 180


@dataclass(frozen=True)
class Names:
    """Names that no other test has."""

    topic: str
    table: str
    group: str

    @classmethod
    def unique(cls, test: str) -> "Names":
        word = re.sub(r"\W+", "_", test.lower()).strip("_")[:40]
        name = f"{word}_{uuid.uuid4().hex[:6]}"
        return cls(topic=name, table=name, group=name)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"limit(seconds): fail when the test takes longer ({DEFAULT_LIMIT_S} by default)"
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """The time limit of every test; setting up servers is bounded by their own deadlines."""
    marker = item.get_closest_marker("limit")
    seconds = (marker.args[0] if marker else DEFAULT_LIMIT_S) * times(1)

    def on_alarm(signum: int, frame: FrameType | None) -> None:
        pytest.fail(f"took longer than its limit of {seconds} s")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server for one test, which may crash it."""
    with Postgres() as server:
        yield server


def _real_kafka(brokers: int) -> Iterator[Kafka]:
    try:
        kafka = Kafka(brokers)
    except Unavailable as reason:
        pytest.skip(f"no real Kafka: {reason}")
    with kafka:
        yield kafka


@pytest.fixture(scope="session")
def kafka1() -> Iterator[Kafka]:
    """A real Kafka of one broker."""
    yield from _real_kafka(1)


@pytest.fixture(scope="session")
def kafka3() -> Iterator[Kafka]:
    """A real Kafka of three brokers; a test that ends one starts it again."""
    yield from _real_kafka(3)


@pytest.fixture
def mock() -> Iterator[MockKafka]:
    with MockKafka() as kafka:
        yield kafka


@pytest.fixture
def names(request: pytest.FixtureRequest) -> Names:
    return Names.unique(request.node.name)


@pytest.fixture
def start_sink(
    request: pytest.FixtureRequest, postgres: Postgres, names: Names
) -> Iterator[Callable[..., Sink]]:
    """start_sink(kafka, **settings of Sink) -> a started Sink that ends with the test.

    Topic and group default to `names`; the table is the topic's name unless SINK_TABLE says else.
    """
    sinks: list[Sink] = []

    def start(kafka: Cluster, **options: Any) -> Sink:
        options.setdefault("postgres", postgres)
        options.setdefault("topics", names.topic)
        options.setdefault("group", names.group)
        options.setdefault("instance", f"sink-{len(sinks) + 1}")
        sink = Sink(kafka, **options)
        sinks.append(sink)
        return sink.start()

    yield start
    for sink in sinks:
        _report_log(request, sink)
        sink.close()


def _report_log(request: pytest.FixtureRequest, sink: Sink) -> None:
    """Kept among the test's captured output: pytest shows it when the test has failed."""
    request.node.add_report_section("teardown", "sink log", sink.log_text()[-20_000:])
