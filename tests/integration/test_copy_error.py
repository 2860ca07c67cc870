"""PostgreSQL refuses a row while the rest of its batch, megabytes of it, is still on its way."""

from __future__ import annotations

import json
from typing import Callable

import pytest
from cluster import Record
from dead_letters import dead_letters
from mock import MockKafka
from postgres import Postgres
from sink import Sink

RECORDS = 4_000
NOTE = "x" * 1_000
REFUSED = 7


@pytest.mark.parametrize("form", ["", ", text_only interval"], ids=["binary", "text"])
def test_a_row_near_the_begin_of_a_large_batch(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query(f"CREATE TABLE orders (id int CHECK (id <> {REFUSED}), note text{form})")
    mock.create_topic("orders", 1)
    sink = start_sink(
        mock, topics="orders", postgres=database, env={"SINK_BATCH_TIMEOUT_MS": "1000"}
    )
    records = [Record(json.dumps({"id": i, "note": NOTE}).encode(), None, 0) for i in range(RECORDS)]
    mock.produce("orders", records)
    sink.wait_until_caught_up("orders", 30)
    assert database.scalar("SELECT count(*) FROM orders") == RECORDS - 1
    assert [letter.offset for letter in dead_letters(database, sink.name)] == [REFUSED]
    assert sink.terminate() == 0
