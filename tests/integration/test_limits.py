"""More of something than anybody needs, in one record: it is kept whole nevertheless."""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Callable

import pytest
from cluster import Record
from dead_letters import dead_letters, messages
from mock import MockKafka
from postgres import Postgres
from sink import Sink

MIB = 1 << 20
MANY = tuple((f"name-{i % 7}", b"%d" % i * 20) for i in range(2_000))
LARGE = (("text", b"x\n" * (MIB // 2)), ("bytes", b"\xff\0" * (MIB // 2)))
NONE = tuple(("", None) for _ in range(100))
TO_BOTH = {"SINK_DEAD_LETTERS": "both", "SINK_DEAD_LETTER_TOPIC": "dead"}


def as_bytes(header: dict[str, Any]) -> tuple[str, bytes | None]:
    if "base64" in header:
        return header["key"], b64decode(header["base64"])
    value = header["value"]
    return header["key"], None if value is None else value.encode()


@pytest.mark.parametrize("headers", [MANY, LARGE, NONE], ids=["many", "large", "none"])
def test_headers_of_a_dead_letter(
    headers: tuple[tuple[str, bytes]], start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """In the table and in the topic, in their order; the neighbours are rows."""
    database.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    mock.create_topic("dead", 1)
    bad = Record(b"not json", b"key", 0, headers)
    mock.produce("orders", [Record(b'{"id": 1}', None, 0), bad, Record(b'{"id": 2}', None, 0)])
    sink = start_sink(mock, topics="orders", postgres=database, env=TO_BOTH)
    sink.wait_until_caught_up("orders")
    assert sink.terminate() == 0
    (letter,) = dead_letters(database, sink.name)
    assert letter.headers is not None
    assert [as_bytes(header) for header in letter.headers] == list(headers)
    (message,) = messages(mock, "dead")
    assert message.headers()[: len(headers)] == list(headers)
    assert database.query("SELECT id FROM orders ORDER BY id") == [(1,), (2,)]
