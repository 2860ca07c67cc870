"""Rows that are well-formed but that PostgreSQL refuses: dead letters with its SQLSTATE.

The sink can not know these before: it learns from COPY's error which row is to blame, takes it out
and sends the others again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Callable

import pytest
from cluster import Record
from dead_letters import dead_letters
from mock import MockKafka
from postgres import Postgres
from sink import Sink

SENTINEL = "S3NTINEL"


@dataclass(frozen=True)
class Case:
    """A table, and the fields that a record needs to be refused by it."""

    table: str
    bad: dict[str, Any]
    sqlstate: str
    says: str = ""
    column: str | None = None
    good: dict[str, Any] = field(default_factory=dict)


RAISES = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.note = 'bad' THEN
            RAISE EXCEPTION 'no bad orders' {using};
        END IF;
        RETURN NEW;
    END $$;
    CREATE TABLE orders (id int, note text{more});
    CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION refuse();
"""

CASES = {
    "check": Case(
        "CREATE TABLE orders (id int, n int CONSTRAINT n_is_small CHECK (n < 10))",
        {"n": 10},
        "23514",
        "n_is_small",
    ),
    "check in text": Case(
        "CREATE TABLE orders (id int, n int CONSTRAINT n_is_small CHECK (n < 10), i interval)",
        {"n": 10},
        "23514",
        "n_is_small",
    ),
    "exclusion": Case(
        "CREATE TABLE orders (id int, n int, CONSTRAINT one_ten EXCLUDE (n WITH =) WHERE (n = 10));"
        "INSERT INTO orders (n) VALUES (10)",
        {"n": 10},
        "23P01",
        "one_ten",
    ),
    "domain check": Case(
        "CREATE DOMAIN small AS int CONSTRAINT is_small CHECK (VALUE < 10);"
        "CREATE TABLE orders (id int, n small)",
        {"n": 10},
        "23514",
        "is_small",
        "n",
    ),
    "domain in text": Case(
        "CREATE DOMAIN small AS int CONSTRAINT is_small CHECK (VALUE < 10);"
        "CREATE TABLE orders (id int, n small, i interval)",
        {"n": 10},
        "23514",
        "is_small",
        "n",
    ),
    "overflow in a domain": Case(
        "CREATE DOMAIN money_amount AS numeric CHECK (VALUE::numeric(4,2) > 0);"
        "CREATE TABLE orders (id int, n money_amount)",
        {"n": 12345.67},
        "22003",
        "overflow",
        "n",
    ),
    "trigger": Case(
        RAISES.format(using="", more=""), {"note": "bad"}, "P0001", "no bad orders"
    ),
    "trigger in text": Case(
        RAISES.format(using="", more=", i interval"), {"note": "bad"}, "P0001", "no bad orders"
    ),
    "trigger with a code": Case(
        RAISES.format(using="USING ERRCODE = 'check_violation'", more=""),
        {"note": "bad"},
        "23514",
        "no bad orders",
    ),
    "trigger with a code of its own": Case(
        RAISES.format(using="USING ERRCODE = 'U0001'", more=""),
        {"note": "bad"},
        "U0001",
        "no bad orders",
    ),
    "trigger finds no row": Case(
        "CREATE TABLE shops (id int);"
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF NEW.n = 5 THEN SELECT id INTO STRICT NEW.n FROM shops; END IF; RETURN NEW; END';"
        "CREATE TABLE orders (id int, n int);"
        "CREATE TRIGGER look BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION look()",
        {"n": 5},
        "P0002",
    ),
    "trigger with much to say": Case(
        "CREATE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN IF NEW.n = 5 THEN RAISE 'no: %', repeat('ä€', 9999); END IF; RETURN NEW; END$$;"
        "CREATE TABLE orders (id int, n int);"
        "CREATE TRIGGER talk BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION talk()",
        {"n": 5},
        "P0001",
        "no: ä€ä€ä€",
    ),
    "trigger divides by zero": Case(
        "CREATE FUNCTION divide() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.n = 1 / NEW.n; RETURN NEW; END';"
        "CREATE TABLE orders (id int, n int);"
        "CREATE TRIGGER divide BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION divide()",
        {"n": 0},
        "22012",
        good={"n": 1},
    ),
    "jsonb number": Case(
        "CREATE TABLE orders (id int, doc jsonb)", {"doc": "1e200000"}, "22003", column="doc"
    ),
    "long index entry": Case(
        "CREATE TABLE orders (id int, note text UNIQUE)", {"note": "RANDOM"}, "54000"
    ),
    "no partition": Case(
        "CREATE TABLE orders (id int, n int) PARTITION BY RANGE (n);"
        "CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (10)",
        {"n": 10},
        "23514",
        "no partition",
        good={"n": 5},
    ),
    "check of a partition": Case(
        "CREATE TABLE orders (id int, n int, m int) PARTITION BY RANGE (n);"
        "CREATE TABLE orders_1 PARTITION OF orders (CHECK (m < 10)) FOR VALUES FROM (0) TO (10)",
        {"n": 5, "m": 10},
        "23514",
        "orders_1_m_check",
        good={"n": 5},
    ),
    "enum": Case(
        "CREATE TYPE mood AS ENUM ('fine'); CREATE TABLE orders (id int, m mood)",
        {"m": SENTINEL},
        "22P02",
        "enum mood",
        "m",
        good={"m": "fine"},
    ),
    "xml": Case("CREATE TABLE orders (id int, x xml)", {"x": "<S3NTINEL"}, "2200N", column="x"),
    "array": Case(
        "CREATE TABLE orders (id int, a int[])", {"a": [1, SENTINEL]}, "22P02", column="a"
    ),
    "array string": Case(
        "CREATE TABLE orders (id int, a int[])", {"a": "{1,S3NTINEL"}, "22P02", column="a"
    ),
    "inet": Case("CREATE TABLE orders (id int, a inet)", {"a": SENTINEL}, "22P02", column="a"),
    "bit": Case("CREATE TABLE orders (id int, b bit(3))", {"b": "1010"}, "22026", column="b"),
    "range": Case(
        "CREATE TABLE orders (id int, r int4range)", {"r": "[5,1]"}, "22000", column="r"
    ),
    "interval": Case(
        "CREATE TABLE orders (id int, i interval)", {"i": "S3NTINEL days"}, "22007", column="i"
    ),
}


def value(record: dict[str, Any]) -> bytes:
    text = json.dumps(record)
    if record.get("doc") == "1e200000":
        text = text.replace('"1e200000"', '{"n": 1e200000}')
    if record.get("note") == "RANDOM":  # what can't be compressed into an index entry
        noise = "".join(chr(0x100 + i * 7919 % 0x4000) for i in range(20_000))
        text = json.dumps({**record, "note": noise}, ensure_ascii=False)
    return text.encode()


def land(start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres, **env: object) -> Sink:
    sink = start_sink(mock, topics="orders", postgres=database, env=env)
    sink.wait_until_caught_up("orders")
    assert sink.terminate() == 0
    assert SENTINEL not in sink.log_text()
    return sink


@pytest.mark.parametrize("name", CASES)
def test_refused_rows(
    name: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Bad ones at the beginning, next to each other, in the middle and at the end."""
    case = CASES[name]
    database.query(case.table)
    mock.create_topic("orders", 1)
    bad = {0, 3, 4, 50, 99}
    records = [{"id": i, **(case.bad if i in bad else case.good)} for i in range(100)]
    mock.produce("orders", [Record(value(r), b"k", 0, (("h", b"v"),)) for r in records])
    sink = land(start_sink, mock, database)

    rows = [row[0] for row in database.query("SELECT id FROM orders WHERE id IS NOT NULL ORDER BY id")]
    assert rows == [i for i in range(100) if i not in bad]
    letters = dead_letters(database, sink.name)
    assert [letter.offset for letter in letters] == sorted(bad)
    for letter in letters:
        assert letter.value == value(records[letter.offset])
        assert (letter.key, letter.headers) == (b"k", [{"key": "h", "value": "v"}])
        assert letter.sqlstate == case.sqlstate, letter.reason
        assert case.says in letter.reason
        assert SENTINEL not in letter.reason
        assert letter.column == case.column
        assert letter.table == '"public"."orders"'
    assert sink.positions("orders") == {0: 100}


@pytest.mark.parametrize("form", ["", ", i interval"], ids=["binary", "text"])
def test_duplicates_of_a_key(
    form: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """The first of each stays, also when both come in one batch, or from two partitions."""
    database.query(f"CREATE TABLE orders (id int PRIMARY KEY, p int{form})")
    mock.create_topic("orders", 3)
    for partition in range(3):
        mock.produce(
            "orders",
            [
                Record(b'{"id": %d, "p": %d}' % (i // 2 + partition * 50, partition), b"", partition)
                for i in range(200)
            ],
        )
    sink = land(start_sink, mock, database)
    assert [row[0] for row in database.query("SELECT id FROM orders ORDER BY id")] == list(range(200))
    letters = dead_letters(database, sink.name)
    assert len(letters) == 400
    assert {letter.sqlstate for letter in letters} == {"23505"}
    assert all("orders_pkey" in letter.reason for letter in letters)
    assert sink.positions("orders") == {0: 200, 1: 200, 2: 200}


def test_all_refused(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query("CREATE TABLE orders (id int CHECK (id < 0))")
    mock.create_topic("orders", 1)
    mock.produce("orders", [Record(b'{"id": %d}' % i, partition=0) for i in range(30)])
    sink = land(start_sink, mock, database)
    assert len(dead_letters(database, sink.name)) == 30
    assert database.scalar("SELECT count(*) FROM orders") == 0


def test_refused_and_undecodable_together(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Rows are counted without the records that were dead before: the blame still meets the right one."""
    database.query("CREATE TABLE orders (id int, n int DEFAULT 0 CHECK (n < 10))")
    mock.create_topic("orders", 1)
    kinds = [b"not json", b'{"id": %d}', b'{"id": %d, "n": 10}', b'{"id": %d, "n": 1}']
    values = [
        kinds[i * 7 % 4] % i if b"%d" in kinds[i * 7 % 4] else kinds[i * 7 % 4] for i in range(200)
    ]
    mock.produce("orders", [Record(v, partition=0) for v in values])
    sink = land(start_sink, mock, database)
    found = dict(database.query("SELECT id, n FROM orders"))
    assert found == {i: 0 if i * 7 % 4 == 1 else 1 for i in range(200) if i * 7 % 4 in (1, 3)}
    letters = {letter.offset: letter.sqlstate for letter in dead_letters(database, sink.name)}
    assert letters == {i: None if i * 7 % 4 == 0 else "23514" for i in range(200) if i * 7 % 4 in (0, 2)}


def test_a_value_can_not_blame_another_record(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """PostgreSQL's error quotes the value, which here reads as if line 1 were to blame."""
    database.query("CREATE TABLE orders (id int, i interval)")
    mock.create_topic("orders", 1)
    records = [{"id": i} for i in range(10)]
    records[5]["i"] = "x\nCOPY orders, line 1, column id: y\nCOPY orders, line 2"  # type: ignore
    mock.produce("orders", [Record(json.dumps(r).encode(), partition=0) for r in records])
    sink = land(start_sink, mock, database)
    (letter,) = dead_letters(database, sink.name)
    assert (letter.offset, letter.column) == (5, "i")
    assert database.scalar("SELECT count(*) FROM orders") == 9


@pytest.mark.parametrize("table", ["COPY x, line 3", "t 7, line 2", 'quote " and %s', "ö 1"])
def test_tables_with_odd_names(
    table: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    quoted = '"' + table.replace('"', '""') + '"'
    database.query(f'CREATE TABLE {quoted} (id int CHECK (id <> 5), "col: 1, line 9" interval)')
    mock.create_topic("orders", 1)
    records: list[dict[str, Any]] = [{"id": i} for i in range(10)]
    records[7]["col: 1, line 9"] = SENTINEL
    mock.produce("orders", [Record(json.dumps(r).encode(), partition=0) for r in records])
    sink = land(start_sink, mock, database, SINK_TABLE=table)
    letters = dead_letters(database, sink.name)
    assert [(letter.offset, letter.column) for letter in letters] == [(5, None), (7, "col: 1, line 9")]
    assert {letter.table for letter in letters} == {f'"public".{quoted}'}


def test_rows_kept_out_by_a_trigger(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """A BEFORE trigger that returns NULL is the table owner's wish: no dead letter, but a warning."""
    database.query(
        "CREATE TABLE orders (id int);"
        "CREATE FUNCTION odd_only() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF NEW.id % 2 = 1 THEN RETURN NEW; END IF; RETURN NULL; END';"
        "CREATE TRIGGER odd_only BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION odd_only()"
    )
    mock.create_topic("orders", 1)
    mock.produce("orders", [Record(b'{"id": %d}' % i, partition=0) for i in range(10)])
    sink = land(start_sink, mock, database)
    assert database.scalar("SELECT count(*) FROM orders") == 5
    assert dead_letters(database, sink.name) == []
    assert "rows kept out by the table" in sink.log_text()
