"""Unusual records that are right: each becomes the row that PostgreSQL itself would make of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Callable

import pytest
from cluster import Record
from dead_letters import dead_letters
from mock import MockKafka
from postgres import Postgres
from sink import Sink

SENTINEL = "S3NTINEL"
MIB = 1 << 20
FORMS = pytest.mark.parametrize("form", ["", ", i interval"], ids=["binary", "text"])


def land(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres, **env: object
) -> Sink:
    sink = start_sink(mock, topics="orders", postgres=database, env=env)
    sink.wait_until_caught_up("orders")
    assert sink.terminate() == 0
    assert SENTINEL not in sink.log_text()
    return sink


def produce(mock: MockKafka, values: list[bytes | None]) -> None:
    mock.create_topic("orders", 1)
    mock.produce("orders", [Record(value, None, 0) for value in values])


# Numbers

NUMBERS = [
    "0", "-0", "0.0", "-0.0", "1", "-1", "1.50", "100", "1e2", "1E+2", "1e-2", "12345.678e-3",
    "12345678901234567890.123456789", "-12345678901234567890.123456789", "9223372036854775807",
    "9007199254740993", "0.1", "0.30000000000000004", "1e22", "1e23", "1e308", "5e-324", "1e-300",
    "123456789012345678901234567890123456789012345678901234567890", "0." + "0" * 300 + "1",
]
ONLY_NUMERIC = ["1e400", "-1e400", "1e-400", "9" * 2000, "1e16383", "0." + "9" * 1000]


@FORMS
def test_numbers_are_exact(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """numeric, double precision, text and jsonb get the digits as they stand in the record."""
    database.query(
        f"CREATE TABLE orders (id int, n numeric, f double precision, t text, j jsonb{form})"
    )
    values = []
    for i, number in enumerate(NUMBERS):
        values.append('{"id": %d, "n": %s, "f": %s, "t": %s, "j": %s}' % (i, *[number] * 4))
    for i, number in enumerate(ONLY_NUMERIC, len(NUMBERS)):
        values.append('{"id": %d, "n": %s, "t": %s, "j": %s}' % (i, *[number] * 3))
    produce(mock, [value.encode() for value in values])
    sink = land(start_sink, mock, database)
    assert dead_letters(database, sink.name) == []
    rows = database.query("SELECT n::text, f, t, j::text FROM orders ORDER BY id")
    for number, row in zip(NUMBERS + ONLY_NUMERIC, rows, strict=True):
        numeric = database.scalar("SELECT %s::numeric::text", [number])
        double = None if number in ONLY_NUMERIC else float(number)
        assert row == (numeric, double, number, numeric), number


@FORMS
def test_integers_in_other_words(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query(f"CREATE TABLE orders (id int, n bigint{form})")
    numbers = {
        "1e3": 1000, "1.0": 1, "-0": 0, "12.30e1": 123, "9223372036854775807": 2**63 - 1,
        "-9223372036854775808": -(2**63), "0e99999": 0, "9.223372036854775807e18": 2**63 - 1,
    }
    produce(mock, [b'{"id": %d, "n": %s}' % (i, n.encode()) for i, n in enumerate(numbers)])
    sink = land(start_sink, mock, database)
    assert dead_letters(database, sink.name) == []
    assert [row[0] for row in database.query("SELECT n FROM orders ORDER BY id")] == list(numbers.values())


@FORMS
def test_what_is_no_number_in_floats(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """NaN and Infinity are not JSON, but as strings they are PostgreSQL's."""
    database.query(f"CREATE TABLE orders (id int, f double precision, r real, n numeric{form})")
    words = ["NaN", "Infinity", "-Infinity"]
    produce(mock, [
        json.dumps({"id": i, "f": word, "r": word, "n": word}).encode() for i, word in enumerate(words)
    ])
    sink = land(start_sink, mock, database)
    assert dead_letters(database, sink.name) == []
    rows = database.query("SELECT f::text, r::text, n::text FROM orders ORDER BY id")
    assert rows == [(word, word, word) for word in words]


# Names


@FORMS
def test_fields_and_columns(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Repeated fields, escaped names, columns with odd names, fields that are no column."""
    odd = ['a b', 'a"b', "a'b", "a\\b", "SELECT", "ä€", "x" * 63, "tab\there", "%s$1", "ID"]
    columns = "".join(', "' + name.replace('"', '""') + '" int' for name in odd)
    with database.connect() as connection:
        connection.execute(f"CREATE TABLE orders (id int{columns}{form})")
    values = [
        b'{"id": 1, "id": 2, "a b": 1, "a b": null, "a b": 3}',
        b'{"\\u0069d": 3, "\\u0061\\u0020b": 4, "a\\"b": 5, "a\\\\b": 6, "\\u00e4\\u20ac": 7}',
        json.dumps({"id": 4, **{name: i for i, name in enumerate(odd)}}).encode(),
        json.dumps({"id": 5, **{name: i for i, name in enumerate(odd)}}, ensure_ascii=False).encode(),
        json.dumps({"other": {"id": 9}, "iD": 9, "id ": 9, "": 9, "id": 6, "ID": 7}).encode(),
        b' \r\n\t{ \n "id"\t:\r7 , "x":[ 1 , {"id" : 8} ] } \n',
    ]
    produce(mock, values)
    sink = land(start_sink, mock, database)
    assert dead_letters(database, sink.name) == []
    rows = [row[: len(odd) + 1] for row in database.query("SELECT * FROM orders ORDER BY id")]
    nothing = (None,) * len(odd)
    assert rows == [
        (2, 3, *nothing[1:]),
        (3, 4, 5, None, 6, None, 7, *nothing[6:]),
        (4, *range(len(odd))),
        (5, *range(len(odd))),
        (6, *nothing[1:], 7),
        (7, *nothing),
    ]


# Defaults


@FORMS
def test_defaults(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """An absent field gets its DEFAULT, a null stays null, whatever the neighbours have."""
    database.query(
        "CREATE SEQUENCE s; CREATE TABLE orders (id int, a int DEFAULT 7, b text DEFAULT 'usual',"
        f" c int NOT NULL DEFAULT 5, d int, n bigint NOT NULL DEFAULT nextval('s'){form})"
    )
    records = []
    for i in range(2000):
        note = None if i % 7 == 0 else f"b{i}"
        fields: dict[str, Any] = {"id": i, "a": i, "b": note, "c": -i, "d": i, "n": i}
        for bit, name in enumerate(["a", "b", "c", "d", "n"]):
            if (i * 2654435761 >> 8) >> bit & 1:
                del fields[name]
        records.append(fields)
    produce(mock, [json.dumps(record).encode() for record in records])
    sink = land(start_sink, mock, database)
    assert dead_letters(database, sink.name) == []
    rows = database.query("SELECT id, a, b, c, d, n FROM orders ORDER BY id")
    usual = {"a": 7, "b": "usual", "c": 5, "d": None}
    for record, row in zip(records, rows, strict=True):
        assert dict(zip("abcd", row[1:5])) == {name: record.get(name, usual[name]) for name in usual}
    serial = [row[5] for record, row in zip(records, rows) if "n" not in record]
    assert sorted(serial) == list(range(1, len(serial) + 1))


@FORMS
def test_absent_everywhere(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Empty objects are rows of defaults, where the table allows one."""
    database.query(f"CREATE TABLE orders (id bigint GENERATED BY DEFAULT AS IDENTITY, note text{form})")
    produce(mock, [b"{}", b'{"note": "x"}', b"{ }", b'{"other": 1}'])
    sink = land(start_sink, mock, database)
    assert dead_letters(database, sink.name) == []
    assert [row[:2] for row in database.query("SELECT * FROM orders ORDER BY id")] == [
        (1, None), (2, "x"), (3, None), (4, None)
    ]


@FORMS
def test_generated_columns_are_left_to_the_table(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query(
        "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, n int,"
        f" twice int GENERATED ALWAYS AS (n * 2) STORED{form})"
    )
    produce(mock, [b'{"id": 99, "n": 1, "twice": 99}', b'{"n": 2}'])
    sink = land(start_sink, mock, database)
    assert dead_letters(database, sink.name) == []
    assert [row[:3] for row in database.query("SELECT * FROM orders ORDER BY id")] == [(1, 1, 2), (2, 2, 4)]


@FORMS
def test_values_of_the_record_itself(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """The names of Kafka Connect, beside the fields; a field of that name does not win."""
    database.query(
        "CREATE TABLE orders (id int, __connect_topic text, __connect_partition int,"
        " __connect_offset bigint, __connect_timestamp timestamptz, __connect_key text,"
        f" __connect_headers jsonb{form})"
    )
    mock.create_topic("orders", 2)
    mock.produce("orders", [
        Record(b'{"id": 1, "__connect_topic": "fake"}', b"k", 1, (("h", b"v"),), 1_700_000_000_000),
        Record(b'{"id": 2}', None, 1),
    ])
    land(start_sink, mock, database)
    shown = "SELECT id, __connect_topic, __connect_partition, __connect_offset, __connect_key," \
            " extract(epoch FROM __connect_timestamp)::bigint, __connect_headers FROM orders ORDER BY id"
    rows = database.query(shown)
    assert rows[0] == (1, "orders", 1, 0, "k", 1_700_000_000, [{"key": "h", "value": "v"}])
    assert rows[1][:5] == (2, "orders", 1, 1, None)
    assert rows[1][6] is None


# Large ones


@pytest.mark.parametrize(
    "limit, form", [("16MiB", ""), ("256MiB", ", i interval")], ids=["binary", "text"]
)
def test_records_of_ten_mebibytes(
    limit: str, form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Rows and dead letters, also when a few of them are more than all the memory allowed."""
    database.query(f"CREATE TABLE orders (id int, note text, doc jsonb{form})")
    size = 10 * MIB
    plain = "x" * size
    escaped = '\\"\\u00e9' * (size // 8)
    numbers = "[" + "1234567," * (size // 8) + "1]"
    large = [
        b'{"id": 0, "note": "%s"}' % plain.encode(),
        b'{"id": 1, "note": "%s"}' % escaped.encode(),
        b'{"id": 2, "doc": %s}' % numbers.encode(),
        b'{"id": 3, "doc": {"a": "%s"}}' % plain.encode(),
        b'{"id": 4, "unwanted": %s}' % numbers.encode(),
        b"S3NTINEL" * (size // 8),
        b'{"id": 6, "note": "%s' % plain.encode(),
        b'{"id": 7, "note": "%s\xff"}' % plain.encode(),
        b"\xff" * size,
        b"[" * size,
        b'{"id": "%s"}' % plain.encode(),
    ]
    mock.create_topic("orders", len(large))
    for partition, value in enumerate(large):  # one batch is all that the mock keeps of a partition
        mock.produce("orders", [Record(value, b"k" * 1000, partition)])
    env = {
        "SINK_MEMORY_LIMIT": limit,
        "SINK_BATCH_BYTES": "1MiB",
        "KAFKA_FETCH_MESSAGE_MAX_BYTES": 12 * MIB,
        "KAFKA_RECEIVE_MESSAGE_MAX_BYTES": 100 * MIB,
    }
    sink = land(start_sink, mock, database, **env)
    rows = database.query(
        "SELECT id, length(note), md5(note) FROM orders WHERE note IS NOT NULL ORDER BY id"
    )
    both = [plain, json.loads(f'"{escaped}"')]
    assert rows == [
        (i, len(text), hashlib.md5(text.encode()).hexdigest()) for i, text in enumerate(both)
    ]
    assert database.query(
        "SELECT id, jsonb_array_length(doc) FROM orders WHERE id = 2"
    ) == [(2, size // 8 + 1)]
    assert database.query("SELECT length(doc->>'a') FROM orders WHERE id = 3") == [(size,)]
    assert database.scalar("SELECT count(*) FROM orders") == 5
    letters = dead_letters(database, sink.name)
    assert [letter.partition for letter in letters] == [5, 6, 7, 8, 9, 10]
    for letter in letters:
        assert letter.value == large[letter.partition]
        assert letter.key == b"k" * 1000
        assert len(letter.reason) < 500
    assert sink.positions("orders") == {partition: 1 for partition in range(len(large))}
