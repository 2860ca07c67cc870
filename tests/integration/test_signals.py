"""Signals that mean nothing to it, and calls that they interrupt."""

from __future__ import annotations

import signal
from threading import Event, Thread
from typing import Callable, Iterator

import history
import pytest
from faults import events
from mock import MockKafka
from postgres import Postgres
from sink import Sink

PARTITIONS, RECORDS = 4, 30_000
DONE = 0


class Storm:
    """Stops and continues a process without end, so that its calls are interrupted (EINTR, by signal(7)), and
    tells it of pipes and children that are none of its business."""

    SIGNALS = (signal.SIGSTOP, signal.SIGPIPE, signal.SIGCONT, signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG)

    def __init__(self, sink: Sink) -> None:
        self.sent = 0
        self._sink = sink
        self._over = Event()
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(0.002):
            for number in self.SIGNALS:
                self._sink.send(number)
            self.sent += 1

    def __enter__(self) -> "Storm":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def orders(mock: MockKafka, database: Postgres) -> Iterator[Postgres]:
    mock.create_topic("orders", PARTITIONS)
    history.create_table(database, "orders")
    yield database


def test_a_storm_of_signals_loses_nothing(
    start_sink: Callable[..., Sink], mock: MockKafka, orders: Postgres
) -> None:
    """Under load and in the drain. A SIGPIPE that it did not ignore would be its end."""
    env = {"SINK_BATCH_SIZE": 500}
    sink = start_sink(mock, topics="orders", postgres=orders, env=env)
    load = Thread(target=mock.produce_orders, args=("orders", RECORDS), kwargs={"rate": 15_000})
    load.start()
    sink.wait_for(lambda: sum(sink.positions("orders").values()) > 0, what="rows")
    with Storm(sink) as storm:
        sink.wait_for(lambda: storm.sent > 100, what="a storm")
        assert sink.terminate() == DONE
    load.join()
    history.assert_prefix(orders, sink.name, "orders", "orders")
    sink.start()
    sink.wait_until_caught_up("orders")
    history.assert_exactly_once(mock, "orders", orders, "orders", sink=sink.name)
    assert sink.terminate() == DONE
    assert all(line["dead_letters"] == 0 for line in events(sink, "stopped"))
