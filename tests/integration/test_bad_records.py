"""Records that can not become rows: each is kept whole with its reason, and its neighbours arrive.

Good and bad records alternate in one partition, so that every bad one has good ones around it in
the same batch, the same COPY and the same transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Iterator

import pytest
from cluster import Record
from dead_letters import DeadLetter, dead_letters
from mock import MockKafka
from postgres import Postgres
from sink import Sink

SENTINEL = "S3NTINEL"
MIB = 1 << 20

COLUMNS = """
    id bigint NOT NULL,
    small smallint,
    whole integer,
    ratio double precision,
    single real,
    amount numeric,
    price numeric(6,2),
    short varchar(5),
    code char(2),
    flag boolean,
    day date,
    at timestamptz,
    uid uuid,
    doc jsonb,
    raw json,
    blob bytea,
    note text,
    must text NOT NULL,
    usual text DEFAULT 'usual',
    seven integer NOT NULL DEFAULT 7
"""

# One column that only travels as text makes the whole COPY text: the server then reads the strings.
TABLES = {"binary": f"({COLUMNS})", "text": f"({COLUMNS}, span interval)"}


@dataclass(frozen=True)
class Bad:
    """A value that is no row; `column` is whom the dead letter blames, `says` is in its reason."""

    value: bytes | None
    says: str = ""
    column: str | None = None


def order(**fields: Any) -> bytes:
    """A good record but for these fields."""
    return json.dumps({"id": 1, "must": "be", "note": SENTINEL, **fields}).encode()


def number(column: str, text: str) -> bytes:
    """A good record with a number in its own words."""
    return b'{"id": 1, "must": "be", "%s": %s}' % (column.encode(), text.encode())


NOT_JSON = {
    "words": Bad(b"not json " + SENTINEL.encode()),
    "empty": Bad(b""),
    "spaces": Bad(b"  \n"),
    "tombstone": Bad(None, "null"),
    "array": Bad(b'[{"id": 1, "must": "be"}]', "object"),
    "string": Bad(b'"S3NTINEL"', "object"),
    "number": Bad(b"1", "object"),
    "true": Bad(b"true", "object"),
    "null": Bad(b"null", "object"),
    "cut": Bad(b'{"id": 1, "must": "be'),
    "two": Bad(order() + b" " + order()),
    "comma": Bad(b'{"id": 1, "must": "be",}'),
    "single quotes": Bad(b"{'id': 1, 'must': 'be'}"),
    "comment": Bad(b'{"id": 1, "must": "be"} // S3NTINEL'),
    "NaN": Bad(number("ratio", "NaN")),
    "Infinity": Bad(number("ratio", "-Infinity")),
    "leading zero": Bad(number("whole", "01")),
    "plus": Bad(number("whole", "+1")),
    "raw newline": Bad(b'{"id": 1, "must": "be\n"}'),
    "raw NUL": Bad(b'{"id": 1, "must": "b\0e"}'),
    "NUL at the end": Bad(order() + b"\0"),
    "escaped NUL": Bad(b'{"id": 1, "must": "b\\u0000e"}'),
    "escaped NUL unwanted": Bad(b'{"id": 1, "must": "be", "other": ["\\u0000"]}'),
    "escaped NUL in a document": Bad(b'{"id": 1, "must": "be", "doc": {"a": "\\u0000"}}'),
    "high surrogate": Bad(b'{"id": 1, "must": "\\ud800"}'),
    "low surrogate": Bad(b'{"id": 1, "must": "\\udc00"}'),
    "surrogates swapped": Bad(b'{"id": 1, "must": "\\udc00\\ud800"}'),
    "surrogate in a document": Bad(b'{"id": 1, "must": "be", "doc": ["\\ud83dx"]}'),
    "latin1": Bad(b'{"id": 1, "must": "caf\xe9"}', "UTF-8"),
    "latin1 unwanted": Bad(b'{"id": 1, "must": "be", "other": "caf\xe9"}', "UTF-8"),
    "overlong": Bad(b'{"id": 1, "must": "\xc0\xaf"}', "UTF-8"),
    "encoded surrogate": Bad(b'{"id": 1, "must": "\xed\xa0\x80"}', "UTF-8"),
    "too high": Bad(b'{"id": 1, "must": "\xf4\x90\x80\x80"}', "UTF-8"),
    "cut character": Bad(b'{"id": 1, "must": "\xe2\x82"}', "UTF-8"),
    "UTF-16": Bad(order().decode().encode("utf-16")),
    "byte order mark": Bad(b"\xef\xbb\xbf" + order()),
    "random bytes": Bad(bytes(range(256))),
    "deep": Bad(b'{"id": 1, "must": "be", "doc": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "deep"),
    "deep and cut": Bad(b'{"a":' * 10_000, "deep"),
}

NOT_A_COLUMN = {
    "missing id": Bad(b'{"must": "be"}', "NOT NULL", "id"),
    "missing must": Bad(b'{"id": 1}', "NOT NULL", "must"),
    "null must": Bad(order(must=None), "null", "must"),
    "null with a default": Bad(order(seven=None), "null", "seven"),
    "empty object": Bad(b"{}", "NOT NULL", "id"),
    "fraction in bigint": Bad(number("id", "12345678901234567890.123456789"), "", "id"),
    "too large for bigint": Bad(number("id", "9223372036854775808"), "range", "id"),
    "too small for bigint": Bad(number("id", "-9223372036854775809"), "range", "id"),
    "huge for bigint": Bad(number("id", "1e400"), "range", "id"),
    "too large for integer": Bad(order(whole=2147483648), "range", "whole"),
    "too small for smallint": Bad(order(small=-32769), "range", "small"),
    "fraction in integer": Bad(order(whole=1.5), "integer", "whole"),
    "too large for double": Bad(number("ratio", "1e400"), "range", "ratio"),
    "too small for double": Bad(number("ratio", "-1e-400"), "range", "ratio"),
    "too large for real": Bad(number("single", "1e39"), "range", "single"),
    "too large for numeric(6,2)": Bad(order(price=12345.67), "", "price"),
    "rounds to too large": Bad(number("price", "9999.995"), "", "price"),
    "too large for numeric": Bad(number("amount", "1e200000"), "", "amount"),
    "too long for varchar": Bad(order(short="123456"), "too long", "short"),
    "too long for char": Bad(order(code="ä€ö"), "too long", "code"),
    "boolean in integer": Bad(order(whole=True), "boolean", "whole"),
    "object in integer": Bad(order(whole={"a": SENTINEL}), "", "whole"),
    "array in text date": Bad(order(day=[SENTINEL]), "", "day"),
    "object in timestamp": Bad(order(at={"a": 1}), "", "at"),
    "number in boolean": Bad(order(flag=2), "boolean", "flag"),
    "number in uuid": Bad(order(uid=1), "uuid", "uid"),
    "boolean in date": Bad(order(day=True), "", "day"),
    # In text COPY, the server judges these.
    "words in integer": Bad(order(whole=SENTINEL), "", "whole"),
    "words in boolean": Bad(order(flag=SENTINEL), "", "flag"),
    "words in uuid": Bad(order(uid=SENTINEL), "", "uid"),
    "words in date": Bad(order(day=SENTINEL), "", "day"),
    "no such day": Bad(order(day="2025-02-30"), "", "day"),
    "words in timestamp": Bad(order(at=SENTINEL), "", "at"),
    "words in numeric": Bad(order(amount=SENTINEL), "", "amount"),
    "words in double": Bad(order(ratio=SENTINEL), "", "ratio"),
    "large words in double": Bad(order(ratio="1e400"), "", "ratio"),
    "odd hex in bytea": Bad(order(blob="\\x123"), "", "blob"),
    "empty integer": Bad(order(whole=""), "", "whole"),
}


def interleave(bad: dict[str, Bad]) -> Iterator[tuple[str | None, Record]]:
    """(name of a bad one or None, record): good, bad, good ... each record different."""
    for i, (name, one) in enumerate(bad.items()):
        yield None, Record(order(id=1000 + i), b"good", 0)
        headers = (("case", name.encode()), ("bytes", b"\xff\0"), ("none", None), ("case", b"2"))
        key = None if i % 3 == 0 else b"\0\xff" + name.encode()
        yield name, Record(one.value, key, 0, headers, 1_700_000_000_000 + i)
    yield None, Record(order(id=999), b"good", 0)


def header(name: str, value: bytes | None) -> dict[str, Any]:
    """As include/kafka/headers.h documents it."""
    if value == b"\xff\0":
        return {"key": name, "base64": "/wA="}
    return {"key": name, "value": None if value is None else value.decode()}


def assert_kept(letter: DeadLetter, record: Record, bad: Bad, name: str) -> None:
    """The dead letter has the whole record and says why."""
    assert letter.value == record.value, name
    assert letter.key == record.key, name
    assert letter.headers == [header(key, value) for key, value in record.headers], name
    assert letter.time is not None
    assert round(letter.time.timestamp() * 1000) == record.timestamp_ms, name
    assert bad.says in letter.reason, f"{name}: {letter.reason}"
    assert letter.column == bad.column, f"{name}: {letter.reason}"
    assert SENTINEL not in letter.reason, name
    assert letter.instance == "sink-1"


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("cases", [NOT_JSON, NOT_A_COLUMN], ids=["not_json", "not_a_column"])
def test_bad_records_are_kept_whole(
    cases: dict[str, Bad],
    form: str,
    start_sink: Callable[..., Sink],
    mock: MockKafka,
    database: Postgres,
) -> None:
    database.query(f"CREATE TABLE orders {TABLES[form]}")
    mock.create_topic("orders", 2)
    produced = list(interleave(cases))
    mock.produce("orders", [record for _, record in produced])
    sink = start_sink(
        mock, topics="orders", postgres=database, env={"SINK_LOG_LEVEL": "debug"}
    )
    sink.wait_until_caught_up("orders")
    assert sink.terminate() == 0

    good = [json.loads(record.value or b"")["id"] for name, record in produced if name is None]
    assert [row[0] for row in database.query("SELECT id FROM orders ORDER BY ctid")] == good
    letters = {letter.offset: letter for letter in dead_letters(database, sink.name)}
    assert sorted(letters) == [i for i, (name, _) in enumerate(produced) if name is not None]
    for offset, (name, record) in enumerate(produced):
        if name is not None:
            assert letters[offset].table == '"public"."orders"'
            assert_kept(letters[offset], record, cases[name], name)
    assert sink.positions("orders")[0] == len(produced)
    assert SENTINEL not in sink.log_text()
    assert "public" in sink.log_text()
