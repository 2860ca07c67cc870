"""Rows that PostgreSQL refuses without saying which: found by halving, dead letters all the same.

Foreign keys, deferred constraints and triggers behind the row are checked when COPY is over, and a
row that is too big for its page is only noticed together with others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
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
    """A topic's table, the fields of a bad record, and what its dead letter says."""

    table: str
    bad: dict[str, Any]
    sqlstate: str
    says: str


RAISES = """
    CREATE TABLE {name} (id int, n int);
    CREATE FUNCTION refuse_{name}() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN IF NEW.n = 5 THEN RAISE EXCEPTION 'no fives' {using}; END IF; RETURN NULL; END$$;
    CREATE {kind} TRIGGER refuse AFTER INSERT ON {name} {deferred}
        FOR EACH ROW EXECUTE FUNCTION refuse_{name}();
"""

CASES = {
    "foreign_key": Case(
        "CREATE TABLE shops (id int PRIMARY KEY);"
        "CREATE TABLE foreign_key (id int, n int CONSTRAINT shop_exists REFERENCES shops)",
        {"n": 5},
        "23503",
        "constraint shop_exists",
    ),
    "foreign_key_text": Case(
        "CREATE TABLE depots (id int PRIMARY KEY);"
        "CREATE TABLE foreign_key_text"
        " (id int, n int CONSTRAINT depot_exists REFERENCES depots, i interval)",
        {"n": 5},
        "23503",
        "constraint depot_exists",
    ),
    "deferred_key": Case(
        "CREATE TABLE stores (id int PRIMARY KEY);"
        "CREATE TABLE deferred_key (id int, n int CONSTRAINT store_exists REFERENCES stores"
        " DEFERRABLE INITIALLY DEFERRED)",
        {"n": 5},
        "23503",
        "constraint store_exists",
    ),
    "deferred_unique": Case(
        "CREATE TABLE deferred_unique"
        " (id int, n int CONSTRAINT n_once UNIQUE DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO deferred_unique VALUES (-1, 5)",
        {"n": 5},
        "23505",
        "constraint n_once",
    ),
    "after_trigger": Case(
        RAISES.format(name="after_trigger", kind="", deferred="", using=""),
        {"n": 5},
        "P0001",
        "no fives",
    ),
    "own_code": Case(
        RAISES.format(name="own_code", kind="", deferred="", using="USING ERRCODE = 'U0001'"),
        {"n": 5},
        "U0001",
        "no fives",
    ),
    "at_commit": Case(
        RAISES.format(
            name="at_commit",
            kind="CONSTRAINT",
            deferred="DEFERRABLE INITIALLY DEFERRED",
            using="USING ERRCODE = 'check_violation', CONSTRAINT = 'not_five'",
        ),
        {"n": 5},
        "23514",
        "constraint not_five",
    ),
    "statement_trigger": Case(
        "CREATE TABLE statement_trigger (id int, n int);"
        "CREATE FUNCTION refuse_all() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " IF EXISTS (SELECT FROM fresh WHERE n = 5) THEN RAISE EXCEPTION 'fives'; END IF;"
        " RETURN NULL; END$$;"
        "CREATE TRIGGER refuse AFTER INSERT ON statement_trigger"
        " REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION refuse_all()",
        {"n": 5},
        "P0001",
        "fives",
    ),
    "too_big": Case(
        "CREATE TABLE too_big (id int, note text);"
        "ALTER TABLE too_big ALTER note SET STORAGE PLAIN",
        {"note": SENTINEL * 1200},
        "54000",
        "row is too big",
    ),
}

PLACES = {0, 3, 4, 50, 99}  # at the beginning, next to each other, in the middle, at the end


def records(partition: int, count: int, bad: set[int], fields: dict[str, Any]) -> list[Record]:
    return [
        Record(
            json.dumps({"id": partition * 1000 + i, **(fields if i in bad else {})}).encode(),
            b"k",
            partition,
            (("h", b"v"),),
        )
        for i in range(count)
    ]


def ids(database: Postgres, table: str) -> list[int]:
    return [row[0] for row in database.query(f"SELECT id FROM {table} WHERE id >= 0 ORDER BY id")]


def test_rows_that_are_not_named(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Partition 0 has some, 1 nothing else, 2 none; all of a topic travel together."""
    for topic, case in CASES.items():
        database.query(case.table)
        mock.create_topic(topic, 3)
        mock.produce(
            topic,
            records(0, 100, PLACES, case.bad)
            + records(1, 30, set(range(30)), case.bad)
            + records(2, 100, set(), {}),
        )
    sink = start_sink(mock, topics=",".join(CASES), postgres=database)
    for topic in CASES:
        sink.wait_until_caught_up(topic)
    assert sink.terminate() == 0
    assert SENTINEL not in sink.log_text()

    good = [i for i in range(100) if i not in PLACES] + list(range(2000, 2100))
    letters = dead_letters(database, sink.name)
    for topic, case in CASES.items():
        assert ids(database, topic) == good, topic
        found = [letter for letter in letters if letter.topic == topic]
        assert [(letter.partition, letter.offset) for letter in found] == [
            *((0, i) for i in sorted(PLACES)),
            *((1, i) for i in range(30)),
        ]
        for letter in found:
            assert letter.sqlstate == case.sqlstate, letter
            assert case.says in letter.reason
            assert letter.table == f'"public"."{topic}"'
            assert json.loads(letter.value or b"")["id"] == letter.partition * 1000 + letter.offset
            assert (letter.key, letter.headers) == (b"k", [{"key": "h", "value": "v"}])
        assert sink.positions(topic) == {0: 100, 1: 30, 2: 100}


@pytest.mark.parametrize("named, limit", [(True, 30), (False, 150)], ids=["named", "not_named"])
def test_few_in_a_large_batch(
    named: bool, limit: int, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """How many transactions they cost: two for each, or two for each halving of 50,000."""
    count = 50_000
    bad = {1234, 30_000, 49_999}
    check = "CONSTRAINT odd CHECK (n <> 5)" if named else "REFERENCES shops"
    database.query(
        "CREATE TABLE shops (id int PRIMARY KEY);"
        f"CREATE TABLE orders (id int, n int {check})"
    )
    mock.create_topic("orders", 1)
    mock.produce("orders", records(0, count, bad, {"n": 5}))
    sink = start_sink(
        mock,
        topics="orders",
        postgres=database,
        env={"SINK_BATCH_SIZE": count, "SINK_BATCH_TIMEOUT_MS": 500},
    )
    sink.wait_until_caught_up("orders")
    assert sink.terminate() == 0
    assert database.scalar("SELECT count(*) FROM orders") == count - len(bad)
    assert [letter.offset for letter in dead_letters(database, sink.name)] == sorted(bad)
    (end,) = [line for line in sink.log_lines() if line["event"] == "stopped"]
    assert end["flushes"] + end["failed_flushes"] <= limit, end


def test_slower_than_the_statement_timeout(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """A batch that can not be written in time goes in smaller parts; no record is at fault."""
    database.query(
        "CREATE TABLE orders (id int);"
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_sleep(0.003); RETURN NEW; END';"
        "CREATE TRIGGER dawdle BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION dawdle()"
    )
    mock.create_topic("orders", 1)
    mock.produce("orders", records(0, 300, set(), {}))
    sink = start_sink(
        mock,
        topics="orders",
        postgres=database,
        env={"SINK_BATCH_SIZE": 300, "PGOPTIONS": "-c statement_timeout=300ms"},
    )
    sink.wait_until_caught_up("orders")
    assert sink.terminate() == 0
    assert ids(database, "orders") == list(range(300))
    assert dead_letters(database, sink.name) == []
    assert "statement timeout" in sink.log_text()
