"""SINK_VALUE_FORMAT=raw: the record itself becomes the row, byte for byte."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timezone
from typing import Any, Callable

import pytest
from cluster import Record
from dead_letters import dead_letters
from mock import MockKafka
from postgres import Postgres
from sink import Sink

Headers = tuple[tuple[str, bytes | None], ...]

# Every case of include/kafka/headers.h.
HEADERS: list[tuple[Headers, str | None]] = [
    ((), None),
    ((("trace", b"abc"),), '[{"key": "trace", "value": "abc"}]'),
    ((("raw", b"\xff"),), '[{"key": "raw", "base64": "/w=="}]'),
    ((("none", None),), '[{"key": "none", "value": null}]'),
    ((("empty", b""),), '[{"key": "empty", "value": ""}]'),
    ((("", b"no name"),), '[{"key": "", "value": "no name"}]'),
    (
        (("b", b"2"), ("a", b"1"), ("b", b"1")),
        '[{"key": "b", "value": "2"}, {"key": "a", "value": "1"}, {"key": "b", "value": "1"}]',
    ),
    ((("nul", b"a\0b"),), '[{"key": "nul", "base64": "YQBi"}]'),
    (
        (('quo"te\\', '\t"\\\n\x1f\x7f€😀'.encode()),),
        '[{"key": "quo\\"te\\\\", "value": "\\u0009\\"\\\\\\u000a\\u001f\x7f€😀"}]',
    ),
    (
        (("long", bytes(range(256))),),
        '[{"key": "long", "base64": "%s"}]' % base64.b64encode(bytes(range(256))).decode(),
    ),
    (
        tuple((f"h{i}", str(i).encode()) for i in range(100)),
        json.dumps([{"key": f"h{i}", "value": str(i)} for i in range(100)]),
    ),
    (
        (("cut", "€".encode()[:2]), ("ok", "€".encode())),
        '[{"key": "cut", "base64": "4oI="}, {"key": "ok", "value": "€"}]',
    ),
]


def land(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres, **env: object
) -> Sink:
    settings = {"SINK_VALUE_FORMAT": "raw", **env}
    sink = start_sink(mock, topics="events", postgres=database, env=settings)
    sink.wait_until_caught_up("events")
    assert sink.terminate() == 0
    return sink


def at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc)


@pytest.mark.parametrize("form", ["", ", more interval"], ids=["binary", "text"])
def test_every_column(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query(
        "CREATE TABLE events (topic text NOT NULL, partition int, \"offset\" bigint,"
        f' "timestamp" timestamptz, key bytea, value bytea, headers jsonb{form})'
    )
    mock.create_topic("events", 3)
    values = [b"", b"x", None, bytes(range(256)), b"\\x41\n\t\\N", b"{}"]
    records = [
        Record(values[i % 6], values[i * 5 % 7 % 6], i % 3, (("i", b"%d" % i),), 1_700_000_000_000 + i)
        for i in range(60)
    ]
    mock.produce("events", records)
    sink = land(start_sink, mock, database)
    rows = database.query('SELECT * FROM events ORDER BY "offset", partition')
    assert [row[:7] for row in rows] == [
        (
            "events", i % 3, i // 3, at(record.timestamp_ms), record.key, record.value,
            [{"key": "i", "value": str(i)}],
        )
        for i, record in enumerate(records)
    ]
    assert dead_letters(database, sink.name) == []


@pytest.mark.parametrize("form", ["", ", more interval"], ids=["binary", "text"])
def test_headers_are_exact(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """A json column keeps the text as it is; jsonb and text have the same."""
    database.query(f"CREATE TABLE events (\"offset\" bigint, value text, headers json{form})")
    mock.create_topic("events", 1)
    mock.produce("events", [Record(b"v", None, 0, headers) for headers, _ in HEADERS])
    land(start_sink, mock, database)
    rows = database.query('SELECT headers::text FROM events ORDER BY "offset"')
    assert [row[0] for row in rows] == [text for _, text in HEADERS]


@pytest.mark.parametrize("column", ["jsonb", "text", "varchar"])
def test_headers_in_other_types(
    column: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query(f'CREATE TABLE events ("offset" bigint, headers {column})')
    mock.create_topic("events", 1)
    mock.produce("events", [Record(b"v", None, 0, headers) for headers, _ in HEADERS])
    land(start_sink, mock, database)
    rows = database.query('SELECT headers::jsonb FROM events ORDER BY "offset"')
    assert [row[0] for row in rows] == [text and json.loads(text) for _, text in HEADERS]


# A value column of each type: what it makes of these, None for NULL, DEAD for a dead letter.
DEAD = "dead letter"
VALUES: list[tuple[bytes | None, dict[str, Any]]] = [
    (None, {"json": None, "jsonb": None, "text": None, "bytea": None}),
    (b"", {"json": DEAD, "jsonb": DEAD, "text": "", "bytea": b""}),
    (b"null", {"json": "null", "jsonb": "null", "text": "null", "bytea": b"null"}),
    (b' {"a" : [1e2, "\\u00e9"], "a": 2}\n',
     {"json": ' {"a" : [1e2, "\\u00e9"], "a": 2}\n', "jsonb": '{"a": 2}',
      "text": ' {"a" : [1e2, "\\u00e9"], "a": 2}\n', "bytea": b' {"a" : [1e2, "\\u00e9"], "a": 2}\n'}),
    (b"12345678901234567890.123456789",
     {"json": "12345678901234567890.123456789", "jsonb": "12345678901234567890.123456789",
      "text": "12345678901234567890.123456789", "bytea": b"12345678901234567890.123456789"}),
    (b"1e400", {"json": "1e400", "jsonb": "1" + "0" * 400, "text": "1e400", "bytea": b"1e400"}),
    (b'"text"', {"json": '"text"', "jsonb": '"text"', "text": '"text"', "bytea": b'"text"'}),
    (b"not json", {"json": DEAD, "jsonb": DEAD, "text": "not json", "bytea": b"not json"}),
    (b"NaN", {"json": DEAD, "jsonb": DEAD, "text": "NaN", "bytea": b"NaN"}),
    (b"{} {}", {"json": DEAD, "jsonb": DEAD, "text": "{} {}", "bytea": b"{} {}"}),
    (b'"\\u0000"', {"json": DEAD, "jsonb": DEAD, "text": '"\\u0000"', "bytea": b'"\\u0000"'}),
    (b'"\\ud800"', {"json": DEAD, "jsonb": DEAD, "text": '"\\ud800"', "bytea": b'"\\ud800"'}),
    (b"a\0b", {"json": DEAD, "jsonb": DEAD, "text": DEAD, "bytea": b"a\0b"}),
    (b"caf\xe9", {"json": DEAD, "jsonb": DEAD, "text": DEAD, "bytea": b"caf\xe9"}),
    (b"\xed\xa0\x80", {"json": DEAD, "jsonb": DEAD, "text": DEAD, "bytea": b"\xed\xa0\x80"}),
    ("ö€😀".encode(), {"json": DEAD, "jsonb": DEAD, "text": "ö€😀", "bytea": "ö€😀".encode()}),
    (b"tab\tnewline\nreturn\rbackslash\\N\\.",
     {"json": DEAD, "jsonb": DEAD, "text": "tab\tnewline\nreturn\rbackslash\\N\\.",
      "bytea": b"tab\tnewline\nreturn\rbackslash\\N\\."}),
    (b"\\N", {"json": DEAD, "jsonb": DEAD, "text": "\\N", "bytea": b"\\N"}),
    (b"\\.", {"json": DEAD, "jsonb": DEAD, "text": "\\.", "bytea": b"\\."}),
    (b"[" * 2000 + b"]" * 2000,
     {"json": "[" * 2000 + "]" * 2000, "jsonb": "[" * 2000 + "]" * 2000,
      "text": "[" * 2000 + "]" * 2000, "bytea": b"[" * 2000 + b"]" * 2000}),
    (b"[" * 10_000 + b"]" * 10_000,
     {"json": DEAD, "jsonb": DEAD, "text": "[" * 10_000 + "]" * 10_000,
      "bytea": b"[" * 10_000 + b"]" * 10_000}),
]


@pytest.mark.parametrize("form", ["", ", more interval"], ids=["binary", "text"])
@pytest.mark.parametrize("column", ["json", "jsonb", "text", "bytea"])
def test_values_and_keys(
    column: str, form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Each value once as the value and once as the key."""
    shown = "encode({0}, 'hex')" if column == "bytea" else "{0}::text"
    database.query(f'CREATE TABLE events ("offset" bigint, key {column}, value {column}{form})')
    mock.create_topic("events", 2)
    mock.produce("events", [Record(value, None, 0) for value, _ in VALUES])
    mock.produce("events", [Record(None, value, 1) for value, _ in VALUES])
    sink = land(start_sink, mock, database)
    wanted = [results[column] for _, results in VALUES]
    letters = dead_letters(database, sink.name)
    for partition, name in enumerate(["value", "key"]):
        dead = [letter for letter in letters if letter.partition == partition]
        assert [letter.offset for letter in dead] == [
            i for i, result in enumerate(wanted) if result == DEAD
        ]
        for letter in dead:
            assert letter.column == name
            assert (letter.value, letter.key)[partition] == VALUES[letter.offset][0]
    rows = database.query(
        f'SELECT "offset", {shown.format("value")}, {shown.format("key")} FROM events'
        ' ORDER BY "offset"'
    )
    found = [(offset, value if value is not None else key) for offset, value, key in rows]
    want = []
    for offset, result in enumerate(wanted):
        text = result.hex() if isinstance(result, bytes) else result
        want += [(offset, text)] * (0 if result == DEAD else 2)
    assert found == want


def test_not_null_value(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """A tombstone has no row in a table whose value must be one, and it is kept whole."""
    database.query("CREATE TABLE events (key text NOT NULL, value text NOT NULL)")
    mock.create_topic("events", 1)
    mock.produce("events", [
        Record(b"v", b"k", 0), Record(None, b"k", 0), Record(b"v", None, 0), Record(b"", b"", 0)
    ])
    sink = land(start_sink, mock, database)
    assert database.query("SELECT key, value FROM events ORDER BY key DESC") == [("k", "v"), ("", "")]
    letters = dead_letters(database, sink.name)
    assert [(letter.offset, letter.key, letter.value, letter.column) for letter in letters] == [
        (1, b"k", None, "value"), (2, None, b"v", "key")
    ]


def test_columns_in_other_types(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query(
        "CREATE TABLE events (topic varchar(20), partition bigint, \"offset\" numeric,"
        ' "timestamp" timestamp, key varchar(3), value text, extra text DEFAULT \'usual\','
        " seen timestamptz NOT NULL DEFAULT now(), id bigint GENERATED ALWAYS AS IDENTITY)"
    )
    mock.create_topic("events", 1)
    mock.produce("events", [
        Record(b"one", b"abc", 0, (), 1_700_000_000_123), Record(b"two", b"abcd", 0)
    ])
    sink = land(start_sink, mock, database)
    assert database.query(
        'SELECT topic, partition, "offset", "timestamp"::text, key, value, extra FROM events'
    ) == [("events", 0, 0, "2023-11-14 22:13:20.123", "abc", "one", "usual")]
    (letter,) = dead_letters(database, sink.name)
    assert (letter.offset, letter.column) == (1, "key")


def test_timestamps_as_other_types(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    texts = {
        "bigint": "1700000000123",
        "numeric": "1700000000123",
        "text": "2023-11-14T22:13:20.123",
        "timestamptz": "2023-11-14 22:13:20.123+00",
    }
    for column in texts:
        database.query(f'CREATE TABLE of_{column} ("timestamp" {column})')
        mock.create_topic(f"of_{column}", 1)
        mock.produce(f"of_{column}", [Record(b"one", None, 0, (), 1_700_000_000_123)])
    topics = [f"of_{column}" for column in texts]
    sink = start_sink(
        mock, topics=",".join(topics), postgres=database, env={"SINK_VALUE_FORMAT": "raw"}
    )
    for column, text in texts.items():
        sink.wait_until_caught_up(f"of_{column}")
        found = database.scalar(f'SELECT "timestamp"::text FROM of_{column}')
        assert found.startswith(text), column
