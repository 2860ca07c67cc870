"""A table that changes under a running sink: the rows arrive as the new table wants them.

COPY binary carries no types: bytes made for the old table could go into the new one as they are and
mean something else there. So each case compares contents, not counts.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Thread
from typing import Any, Callable

import checksum
import orders
import pytest
from cluster import Record
from dead_letters import dead_letters
from mock import MockKafka
from postgres import Postgres
from sink import Sink

ROWS = 20
SOON_S = 15.0


@dataclass(frozen=True)
class Case:
    """The column n of a table: its type, the change, the records' value, and the row's text."""

    before: str
    change: str
    value: Callable[[int], Any]
    text: Callable[[int], str | None]
    form: str = ""  # more columns


def alter(to: str, using: str = "") -> str:
    return f"ALTER TABLE {{0}} ALTER n TYPE {to}" + (f" USING {using}" if using else "")


TYPES = {
    "int_to_bigint": Case("int", alter("bigint"), lambda i: i, str),
    "bigint_to_int": Case("bigint", alter("int"), lambda i: i, str),
    "bigint_to_double": Case("bigint", alter("double precision"), lambda i: i, str),
    "double_to_bigint": Case("double precision", alter("bigint"), lambda i: i, str),
    "int_to_text": Case("int", alter("text"), lambda i: i, str),
    "text_to_int": Case("text", alter("int", "n::int"), str, str),
    "text_to_bytea": Case("text", alter("bytea", "n::bytea"), lambda i: f"a{i}", lambda i: f"a{i}"),
    "jsonb_to_text": Case("jsonb", alter("text"), lambda i: [i], lambda i: f"[{i}]"),
    "text_to_jsonb": Case("text", alter("jsonb", "n::jsonb"), lambda i: [i], lambda i: f"[{i}]"),
    "jsonb_to_json": Case("jsonb", alter("json"), lambda i: [i], lambda i: f"[{i}]"),
    "numeric_to_double": Case("numeric", alter("double precision"), lambda i: i + 0.5, lambda i: f"{i}.5"),
    "int_to_numeric": Case("int", alter("numeric(12,2)"), lambda i: i, lambda i: f"{i}.00"),
    "uuid_to_text": Case(
        "uuid",
        alter("text"),
        lambda i: f"00000000-0000-0000-0000-{i:012}",
        lambda i: f"00000000-0000-0000-0000-{i:012}",
    ),
    "bigint_to_timestamptz": Case(
        "bigint",
        alter("timestamptz", "to_timestamp(n)"),
        lambda i: 1_700_000_000 + i,
        lambda i: f"2023-11-14 22:13:{20 + i:02}+00" if i < 40 else f"2023-11-14 22:14:{i - 40:02}+00",
    ),
    "date_to_timestamp": Case(
        "date", alter("timestamp"), lambda i: f"2025-01-{i % 28 + 1:02}",
        lambda i: f"2025-01-{i % 28 + 1:02} 00:00:00",
    ),
    "int_to_interval": Case(
        "int", alter("interval", "make_interval(secs => n)"), lambda i: i, lambda i: f"00:00:{i:02}"
    ),
    "interval_to_text": Case(
        "interval", alter("text"), lambda i: f"00:00:{i:02}", lambda i: f"00:00:{i:02}"
    ),
    "wider": Case(
        "varchar(2)", alter("varchar(9)"), lambda i: "x" * (1 + i // ROWS * 5),
        lambda i: "x" * (1 + i // ROWS * 5),
    ),
    "wider_in_text": Case(
        "varchar(2)", alter("varchar(9)"), lambda i: "x" * (1 + i // ROWS * 5),
        lambda i: "x" * (1 + i // ROWS * 5), ", i interval",
    ),
    "wider_domain": Case(
        "small", "ALTER TABLE {0} ALTER n TYPE int", lambda i: i, str,
    ),
}

NULL = None

OTHERS = {
    "add_column": Case("int", "ALTER TABLE {0} ADD m int", lambda i: i, str),
    "add_column_with_default": Case(
        "int", "ALTER TABLE {0} ADD m int NOT NULL DEFAULT -1", lambda i: i, str
    ),
    "drop_column": Case("int", "ALTER TABLE {0} DROP n; ALTER TABLE {0} ADD n text", lambda i: i,
                        lambda i: str(i) if i >= ROWS else NULL),
    "drop_other_column": Case("int", "ALTER TABLE {0} DROP other", lambda i: i, str, ", other int"),
    "drop_other_column_in_text": Case(
        "int", "ALTER TABLE {0} DROP other", lambda i: i, str, ", other interval"
    ),
    "rename_column": Case("int", "ALTER TABLE {0} RENAME n TO was; ALTER TABLE {0} ADD n int",
                          lambda i: i, lambda i: str(i) if i >= ROWS else NULL),
    "recreate": Case(
        "int",
        "CREATE TABLE {0}_new AS SELECT n::text, id FROM {0}; DROP TABLE {0};"
        "ALTER TABLE {0}_new RENAME TO {0}",
        lambda i: i, str,
    ),
    "drop_not_null": Case(
        "int NOT NULL", "ALTER TABLE {0} ALTER n DROP NOT NULL",
        lambda i: i if i < ROWS else None, lambda i: str(i) if i < ROWS else NULL,
    ),
    "set_default": Case(
        "int", "ALTER TABLE {0} ALTER other SET DEFAULT 7", lambda i: i, str, ", other int"
    ),
    "add_trigger": Case(
        "int",
        "CREATE FUNCTION {0}_f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER f BEFORE INSERT ON {0} FOR EACH ROW EXECUTE FUNCTION {0}_f()",
        lambda i: i, str,
    ),
    "add_index": Case("int", "CREATE INDEX ON {0} (n)", lambda i: i, str),
}

CASES = {**TYPES, **OTHERS}


def records(case: Case, first: int) -> list[Record]:
    return [
        Record(json.dumps({"id": i, "n": case.value(i), "m": i}).encode(), None, i % 2)
        for i in range(first, first + ROWS)
    ]


def rows(database: Postgres, table: str) -> list[tuple[int, str | None]]:
    shown = f"SELECT id, CASE pg_typeof(n)::text WHEN 'bytea' THEN encode(n::text::bytea, 'escape')" \
            f" ELSE n::text END FROM {table} ORDER BY id"
    with database.connect() as connection:
        connection.execute("SET bytea_output = 'escape'; SET timezone = 'UTC'")
        return connection.execute(shown).fetchall()


def wanted(case: Case, count: int) -> list[tuple[int, str | None]]:
    return [(i, case.text(i)) for i in range(count)]


def differences(database: Postgres, sink: Sink) -> dict[str, str]:
    """What is wrong with each table, to be empty."""
    found = {}
    for topic, case in CASES.items():
        have, want = rows(database, topic), wanted(case, 2 * ROWS)
        if have != want:
            odd = [pair for pair in zip(have, want) if pair[0] != pair[1]][:2]
            found[topic] = f"{len(have)} rows for {len(want)}; {odd}"
    for letter in dead_letters(database, sink.name):
        found.setdefault(letter.topic, f"dead letter: {letter.reason}")
    return found


@pytest.mark.parametrize("locked", [False, True], ids=["before_the_flush", "under_the_flush"])
def test_changes(
    locked: bool, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Under the flush: it waits for the table's lock until the change is committed."""
    database.query("CREATE DOMAIN small AS int CHECK (VALUE < 20)")
    for topic, case in CASES.items():
        database.query(f"CREATE TABLE {topic} (id int, n {case.before}{case.form})")
        mock.create_topic(topic, 2)
        mock.produce(topic, records(case, 0))
    sink = start_sink(
        mock, topics=",".join(CASES), postgres=database, env={"SINK_POOL_MAX": 2 * len(CASES)}
    )
    for topic in CASES:
        sink.wait_until_caught_up(topic, ends={0: ROWS // 2, 1: ROWS // 2})

    with ExitStack() as stack:
        for topic, case in CASES.items():
            change = case.change.format(topic)
            if not locked:
                database.query(change)
                continue
            connection = stack.enter_context(database.connect(autocommit=False))
            connection.execute(f"LOCK TABLE {topic} IN ACCESS EXCLUSIVE MODE")
            connection.execute(change)
        for topic, case in CASES.items():
            mock.produce(topic, records(case, ROWS))
        if locked:
            waiting = "SELECT count(DISTINCT relation) FROM pg_locks WHERE NOT granted"
            sink.wait_for(lambda: database.scalar(waiting) >= len(CASES), 8, "flushes that wait")
    for topic in CASES:
        sink.wait_until_caught_up(topic, SOON_S, ends={0: ROWS, 1: ROWS})
    assert differences(database, sink) == {}
    for topic in ("add_column", "add_column_with_default"):
        filled = database.query(f"SELECT id FROM {topic} WHERE m = id ORDER BY id")
        assert [row[0] for row in filled] == list(range(ROWS, 2 * ROWS)), topic
    assert sink.terminate() == 0


@pytest.mark.limit(60)
def test_changes_under_load(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Columns change to and fro while rows stream in: nothing is lost, doubled or altered."""
    orders.create_table(database)
    mock.create_topic("orders", 12)
    sink = start_sink(mock, topics="orders", postgres=database, env={"SINK_BATCH_SIZE": 200})
    load = Thread(target=mock.produce_orders, args=("orders", 100_000), kwargs={"rate": 20_000})
    load.start()
    for change in (
        "ADD more int",
        "ALTER id TYPE numeric",
        "ALTER created_at TYPE timestamp",
        "ALTER note TYPE varchar(2000), ALTER id TYPE bigint",
        "DROP more, ADD less interval",
        "ALTER user_id TYPE text",
        "ALTER created_at TYPE timestamptz, ALTER user_id TYPE bigint USING user_id::bigint",
        "DROP less",
    ):
        before = sum(sink.positions("orders").values())
        sink.wait_for(lambda: sum(sink.positions("orders").values()) > before, what="progress")
        database.query(f"ALTER TABLE orders {change}")
    assert load.is_alive(), "the load ended before the last change"
    load.join()
    sink.wait_until_caught_up("orders", 50)
    assert dead_letters(database, sink.name) == []
    checksum.assert_orders_match(mock, "orders", database)
    assert sink.terminate() == 0
