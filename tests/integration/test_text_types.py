"""Types that only travel as text: a JSON value becomes what PostgreSQL makes of the literal.

And tables of hand-encoded types have the same contents, whether they are sent as text or binary.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable

from cluster import Record
from dead_letters import dead_letters
from mock import MockKafka
from postgres import Postgres
from sink import Sink

DEAD = "dead letter"

TYPES = """
    CREATE EXTENSION ltree; CREATE EXTENSION hstore; CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('happy', 'sad', 'odd "one", \\x');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN short_path AS ltree CHECK (nlevel(VALUE) < 4);
    CREATE DOMAIN tags AS text[];
    CREATE DOMAIN email AS citext CHECK (VALUE LIKE '%@%');
"""


@dataclass(frozen=True)
class Case:
    """A column's type, and JSON values with the literals that mean the same (None: NULL)."""

    type: str
    values: list[tuple[Any, str | None]]


CASES = [
    Case("mood", [
        ("happy", "happy"), ('odd "one", \\x', 'odd "one", \\x'), (None, None), ("grim", DEAD), (1, DEAD)
    ]),
    Case("inet", [("10.0.0.1/8", "10.0.0.1/8"), ("::1", "::1"), ("256.0.0.1", DEAD), ({}, DEAD)]),
    Case("cidr", [("10.0.0.0/8", "10.0.0.0/8"), ("10.0.0.1/8", DEAD)]),
    Case("macaddr", [("08:00:2b:01:02:03", "08:00:2b:01:02:03"), ("x", DEAD)]),
    Case("interval", [("1 day 2 hours", "1 day 2 hours"), ("P1Y2M", "P1Y2M"), ("soon", DEAD)]),
    Case("time", [("12:34:56.789", "12:34:56.789"), ("25:00", DEAD)]),
    Case("timetz", [("12:34:56+02", "12:34:56+02"), ("noonish", DEAD)]),
    Case("xml", [("<a b='c'>&lt;\t\n</a>", "<a b='c'>&lt;\t\n</a>"), ("<a>", DEAD)]),
    Case("money", [("12.34", "12.34"), (12.34, "12.34"), ("lots", DEAD)]),
    Case("point", [("(1,2)", "(1,2)"), ("(1)", DEAD)]),
    Case("int4range", [("[1,5)", "[1,5)"), ("empty", "empty"), ("[5,1)", DEAD)]),
    Case("int4multirange", [("{[1,2), [5,9)}", "{[1,2), [5,9)}"), ("{", DEAD)]),
    Case("tsvector", [("the quick 'brown fox':2A", "the quick 'brown fox':2A"), ("'", DEAD)]),
    Case("bit(3)", [("101", "101"), ("1010", DEAD), (101, "101")]),
    Case("varbit", [("1010", "1010"), ("2", DEAD)]),
    Case("oid", [(42, "42"), ("42", "42"), (-1, "-1"), (2**32, DEAD)]),
    Case("pg_lsn", [("16/B374D848", "16/B374D848"), ("x", DEAD)]),
    Case('"char"', [("x", "x")]),
    Case("name", [("some name", "some name")]),
    Case("pair", [('(1,"a b")', '(1,"a b")'), ("(,)", "(,)"), ("(1)", DEAD), ({"a": 1, "b": "x"}, DEAD)]),
    Case("short_path", [("a.b.c", "a.b.c"), ("a.b.c.d", DEAD), ("a..b", DEAD)]),
    Case("hstore", [('a=>1, "b c"=>NULL', 'a=>1, "b c"=>NULL'), ("=>", DEAD)]),
    Case("citext", [("MiXed", "MiXed"), (1.50, "1.5"), (True, "true")]),
    Case("email", [("A@b", "A@b"), ("nobody", DEAD)]),
    Case("int[]", [
        ([], "{}"), ([1, 2, 3], "{1,2,3}"), ([1, None], "{1,NULL}"), ([[1, 2], [3, 4]], "{{1,2},{3,4}}"),
        ("{1,2}", "{1,2}"), (None, None), ([[1, 2], [3]], DEAD), ([1, "x"], DEAD), ([{}], DEAD), (5, DEAD),
        ({"a": 1}, DEAD), ([1.5], DEAD), ([True], DEAD),
    ]),
    Case("text[]", [
        (["a", "b c", "", "NULL", None], '{a,"b c","","NULL",NULL}'),
        (['quo"te', "back\\slash", "com,ma", "{brace}", "tab\t", "new\nline", "€😀", " space "],
         '{"quo\\"te","back\\\\slash","com,ma","{brace}","tab\t","new\nline",€😀," space "}'),
        ([1, 1.50, True, False, "\\N"], '{1,1.5,true,false,"\\\\N"}'),
        ([["a"], ["b"]], "{{a},{b}}"), ([{"a": 1}], DEAD),
    ]),
    Case("tags", [(["a", "b"], "{a,b}"), ([], "{}"), ("{x}", "{x}")]),
    Case("bool[]", [([True, False, None], "{t,f,NULL}"), (["maybe"], DEAD)]),
    Case("numeric(6,2)[]", [([1.005, 2], "{1.005,2}"), ([12345.6], DEAD)]),
    Case("timestamptz[]", [(["2025-01-02T03:04:05Z"], '{"2025-01-02T03:04:05Z"}')]),
    Case("uuid[]", [
        (["00000000-0000-0000-0000-000000000001"], "{00000000-0000-0000-0000-000000000001}"), (["x"], DEAD)
    ]),
    Case("jsonb[]", [
        ([{"a": [1, "x,y"]}, [1], "s", None, 1.5], '{"{\\"a\\": [1, \\"x,y\\"]}","[1]","\\"s\\"",NULL,1.5}'),
        ([], "{}"),
    ]),
    Case("mood[]", [(["happy", 'odd "one", \\x'], '{happy,"odd \\"one\\", \\\\x"}'), (["grim"], DEAD)]),
    Case("pair[]", [(["(1,a)", '(2,"b c")'], '{"(1,a)","(2,\\"b c\\")"}')]),
]


def test_values_of_each_type(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """One sink, a topic and a table for each type."""
    database.query(TYPES)
    topics = [f"type_{i}" for i in range(len(CASES))]
    for topic, case in zip(topics, CASES):
        database.query(f"CREATE TABLE {topic} (id int, v {case.type})")
        mock.create_topic(topic, 1)
        mock.produce(topic, [
            Record(json.dumps({"id": i, "v": value}, ensure_ascii=i % 2 == 0).encode(), None, 0)
            for i, (value, _) in enumerate(case.values)
        ])
    sink = start_sink(mock, topics=",".join(topics), postgres=database)
    for topic, case in zip(topics, CASES):
        sink.wait_until_caught_up(topic, 20, ends={0: len(case.values)})
    assert sink.terminate() == 0
    letters = dead_letters(database, sink.name)
    for topic, case in zip(topics, CASES):
        wanted = []
        for i, (_, literal) in enumerate(case.values):
            if literal != DEAD:
                cast = f"SELECT %s::text::{case.type}::text"
                wanted.append((i, database.scalar(cast, [literal])))
        assert database.query(f"SELECT id, v::text FROM {topic} ORDER BY id") == wanted, case.type
        dead = [letter for letter in letters if letter.topic == topic]
        bad = [i for i, (_, literal) in enumerate(case.values) if literal == DEAD]
        assert [letter.offset for letter in dead] == bad, case.type
        assert all(letter.column == "v" for letter in dead), case.type


HAND_ENCODED = """
    small smallint, whole int, large bigint, single real, double double precision, amount numeric,
    price numeric(10,2), flag boolean, note text, short varchar(20), code char(5), id uuid, day date,
    at timestamp, atz timestamptz, second timestamptz(0), doc json, docb jsonb, blob bytea
"""

SAMPLES: dict[str, list[Any]] = {
    "small": [0, -32768, 32767, "12", 1e3],
    "whole": [0, -2147483648, 2147483647, " 7 ", "-5"],
    "large": [0, -(2**63), 2**63 - 1, "123"],
    "single": [0.1, -1e30, "NaN", 16777217, "1e-40"],
    "double": [0.1, 1e-300, 1e22, "Infinity", "-0"],
    "amount": [0.1, 1e20, "12345678901234567890.123456789", "NaN", -1e-20],
    "price": [1.005, 2.675, -0.005, "99999999.994", 0],
    "flag": [True, False, "yes", "OFF", 1, 0],
    "note": ["", "tab\tnew\nline\\N\\.", "€😀", 1.50, True, {"a": [1]}, "x" * 5000],
    "short": ["", "twenty characters   ", "twenty-five with spaces  "[:20] + "   ", 12345],
    "code": ["", "ab", "abcde", "ab   ", "ä€"],
    "id": ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc999c0b4ef8bb6d6bb9bd380a11}"],
    "day": ["2025-01-31", "0001-01-01", "infinity", 1735689600, "2025-01-31T23:59:59Z"],
    "at": ["2025-01-31T12:34:56.789012", "2025-01-31", 1735689600, 1735689600123, "-infinity"],
    "atz": ["2025-01-31T12:34:56.789012+02:00", "2025-01-31T12:34:56Z", 1735689600.5],
    "second": ["2025-01-31T12:34:56.5Z", "2025-01-31T12:34:56.499999Z", 1735689600500],
    "doc": [{"b": 1, "a": [1.50, None, "é\\u0041"]}, [], "s", 1e2, True, None],
    "docb": [{"b": 1, "a": [1.50, None, "é\t"]}, [], "s", 12345678901234567890, True, {"n": 1e-7}],
    "blob": ["\\xDEADbeef", "plain", "", "\\\\", "\\000a"],
}


def test_text_and_binary_have_the_same_contents(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query(
        f"CREATE TABLE as_binary (n int, {HAND_ENCODED});"
        f"CREATE TABLE as_text (n int, {HAND_ENCODED}, more interval)"
    )
    count = max(len(values) for values in SAMPLES.values())
    records = []
    for n in range(count):
        fields = {name: values[n % len(values)] for name, values in SAMPLES.items()}
        records.append(json.dumps({"n": n, **fields}, ensure_ascii=n % 2 == 0).encode())
    records.append(json.dumps({"n": count, **{name: None for name in SAMPLES}}).encode())
    records.append(json.dumps({"n": count + 1}).encode())
    for topic in ("as_binary", "as_text"):
        mock.create_topic(topic, 1)
        mock.produce(topic, [Record(record, None, 0) for record in records])
    sink = start_sink(mock, topics="as_binary,as_text", postgres=database)
    sink.wait_until_caught_up("as_binary")
    sink.wait_until_caught_up("as_text")
    assert sink.terminate() == 0
    formats = {line["topic"]: line["format"] for line in sink.log_lines() if line["event"] == "table"}
    assert formats == {"as_binary": "binary", "as_text": "text"}
    assert [(letter.topic, letter.reason) for letter in dead_letters(database, sink.name)] == []
    columns = "n, " + ", ".join(f"{name}::text" for name in SAMPLES)
    binary = database.query(f"SELECT {columns} FROM as_binary ORDER BY n")
    text = database.query(f"SELECT {columns} FROM as_text ORDER BY n")
    assert len(binary) == len(records)
    for row_binary, row_text in zip(binary, text, strict=True):
        for name, one, other in zip(["n", *SAMPLES], row_binary, row_text):
            assert one == other, f"{name} of row {row_binary[0]}"
