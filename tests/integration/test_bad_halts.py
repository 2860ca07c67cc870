"""What no dead letter can mend halts its partition: nothing is lost, and the others go on.

Mending the cause is enough: the partition is tried again by itself. One sink serves many topics
here, so that their waits run side by side.
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
from wait import wait_until

SENTINEL = "S3NTINEL"
MENDED_S = 30.0  # a halted partition is tried again after 2.5 to 5 s, then after 5 to 10


@dataclass(frozen=True)
class Case:
    """A topic's table, the fields of its bad record, and what mends it."""

    table: str
    bad: dict[str, Any]
    says: str
    mend: str


CASES = {
    "foreign_key": Case(
        "CREATE TABLE shops (id int PRIMARY KEY);"
        "CREATE TABLE foreign_key (id int, shop int CONSTRAINT shop_exists REFERENCES shops)",
        {"shop": 5},
        "shop_exists",
        "INSERT INTO shops VALUES (5)",
    ),
    "foreign_key_text": Case(
        "CREATE TABLE depots (id int PRIMARY KEY);"
        "CREATE TABLE foreign_key_text"
        " (id int, depot int CONSTRAINT depot_exists REFERENCES depots, i interval)",
        {"depot": 5},
        "depot_exists",
        "INSERT INTO depots VALUES (5)",
    ),
    "deferred_unique": Case(
        "CREATE TABLE deferred_unique"
        " (id int, n int CONSTRAINT n_once UNIQUE DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO deferred_unique VALUES (-1, 5)",
        {"n": 5},
        "n_once",
        "DELETE FROM deferred_unique WHERE id = -1",
    ),
    "after_trigger": Case(
        "CREATE TABLE after_trigger (id int, n int);"
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN IF NEW.n = 5 THEN RAISE EXCEPTION 'no fives'; END IF; RETURN NULL; END$$;"
        "CREATE TRIGGER refuse AFTER INSERT ON after_trigger"
        " FOR EACH ROW EXECUTE FUNCTION refuse()",
        {"n": 5},
        "no fives",
        "DROP TRIGGER refuse ON after_trigger",
    ),
    "statement_trigger": Case(
        "CREATE TABLE statement_trigger (id int, n int);"
        "CREATE FUNCTION refuse_all() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " IF EXISTS (SELECT FROM fresh WHERE n = 5) THEN RAISE EXCEPTION 'fives'; END IF;"
        " RETURN NULL; END$$;"
        "CREATE TRIGGER refuse AFTER INSERT ON statement_trigger"
        " REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION refuse_all()",
        {"n": 5},
        "fives",
        "DROP TRIGGER refuse ON statement_trigger",
    ),
}


def records(first: int, count: int, partition: int, bad: dict[str, Any] | None = None) -> list[Record]:
    """Rows with rising ids; the one in the middle is the bad one."""
    found = []
    for i in range(count):
        extra = bad if bad and i == count // 2 else {}
        found.append(Record(json.dumps({"id": first + i, **extra}).encode(), None, partition))
    return found


def ids(database: Postgres, table: str) -> list[int]:
    return [row[0] for row in database.query(f"SELECT id FROM {table} WHERE id >= 0 ORDER BY id")]


def halts(sink: Sink, topic: str) -> list[dict[str, Any]]:
    """What was said first of each of the topic's partitions; they are tried, and halt, again."""
    found: dict[int, dict[str, Any]] = {}
    for line in sink.log_lines():
        if line["event"] == "partition halted" and line["topic"] == topic:
            found.setdefault(line["partition"], line)
    return list(found.values())


@pytest.fixture
def run(start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres) -> Callable[..., Sink]:
    """A sink on the test's database, which must not log any payload."""

    def start(*topics: str, **env: object) -> Sink:
        sink = start_sink(mock, topics=",".join(topics), postgres=database, env=env)
        sink.wait_for(lambda: all(sink.positions(topic) for topic in topics), what="claims")
        return sink

    return start


def finish(sink: Sink) -> None:
    assert sink.terminate() == 0
    assert SENTINEL not in sink.log_text()


def test_what_names_no_record(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Without dead letters: the record is found, and the partition halts before it."""
    for topic, case in CASES.items():
        database.query(case.table)
        mock.create_topic(topic, 3)
    sink = run(*CASES, SINK_DEAD_LETTERS="off")
    for topic, case in CASES.items():
        mock.produce(topic, records(0, 9, 0, case.bad) + records(100, 9, 1))
    for topic, case in CASES.items():
        sink.wait_for(lambda: halts(sink, topic), what=f"halt of {topic}")
    for topic in CASES:
        mock.produce(topic, records(200, 9, 1) + records(300, 9, 2))
        sink.wait_until_caught_up(topic, ends={1: 18, 2: 9})

    for topic, case in CASES.items():
        (halt,) = halts(sink, topic)
        assert (halt["partition"], halt["position"]) == (0, 4)
        assert case.says in halt["reason"] and f"{topic}[0]@4" in halt["reason"]
        assert halt["level"] == "error"
        assert ids(database, topic) == [
            *range(4), *range(100, 109), *range(200, 209), *range(300, 309)
        ]
        assert sink.positions(topic)[0] == 4
        database.query(case.mend)
    for topic in CASES:
        sink.wait_until_caught_up(topic, MENDED_S)
        assert ids(database, topic) == [
            *range(9), *range(100, 109), *range(200, 209), *range(300, 309)
        ]
    assert dead_letters(database, sink.name) == []
    finish(sink)


def test_without_dead_letters(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """The rows before the bad record are written, the position is its offset."""
    database.query(
        "CREATE TABLE binary_table (id int, note varchar(3), n int CHECK (n < 10));"
        "CREATE TABLE text_table (id int, note varchar(3), n int CHECK (n < 10), i interval)"
    )
    bad = [{"note": SENTINEL}, {"n": 10}, {"note": SENTINEL, "n": 10}]
    for topic in ("binary_table", "text_table"):
        mock.create_topic(topic, 5)
        for partition, fields in enumerate(bad):
            mock.produce(topic, records(partition * 100, 9, partition, fields))
        mock.produce(topic, records(300, 9, 3))
    mock.produce("text_table", records(400, 9, 4, {"i": SENTINEL}))
    sink = run("binary_table", "text_table", SINK_DEAD_LETTERS="off", SINK_LOG_LEVEL="debug")
    sink.wait_until_caught_up("binary_table", ends={0: 4, 1: 4, 2: 4, 3: 9})
    sink.wait_until_caught_up("text_table", ends={0: 4, 1: 4, 2: 4, 3: 9, 4: 4})
    sink.wait_for(lambda: len(halts(sink, "binary_table")) == 3, what="three halts")
    sink.wait_for(lambda: len(halts(sink, "text_table")) == 4, what="four halts")

    for topic in ("binary_table", "text_table"):
        expected = [*range(4), *range(100, 104), *range(200, 204), *range(300, 309)]
        expected += range(400, 404) if topic == "text_table" else []
        assert ids(database, topic) == expected
        for halt in halts(sink, topic):
            assert halt["position"] == 4
            for part in (f"{topic}[{halt['partition']}]@4", f'"public"."{topic}"'):
                assert part in halt["reason"]
        reasons = {halt["partition"]: halt["reason"] for halt in halts(sink, topic)}
        assert '"note"' in reasons[0] and "character varying(3)" in reasons[0]
        assert f"{topic}_n_check" in reasons[1]
    assert dead_letters(database, sink.name) == []

    database.query(
        "ALTER TABLE binary_table ALTER note TYPE text, DROP CONSTRAINT binary_table_n_check;"
        "ALTER TABLE text_table ALTER note TYPE text, DROP CONSTRAINT text_table_n_check,"
        " ALTER i TYPE text"
    )
    sink.wait_until_caught_up("binary_table", MENDED_S)
    sink.wait_until_caught_up("text_table", MENDED_S)
    wanted = [i for first in range(0, 400, 100) for i in range(first, first + 9)]
    assert ids(database, "binary_table") == wanted
    assert ids(database, "text_table") == [*wanted, *range(400, 409)]
    finish(sink)


# Unknown fields

UNKNOWN = {SENTINEL.lower(): 1}


def test_unknown_fields_are_ignored(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    mock.produce("orders", records(0, 9, 0, UNKNOWN))
    sink = run("orders", SINK_UNKNOWN_FIELDS="ignore")
    sink.wait_until_caught_up("orders")
    assert ids(database, "orders") == list(range(9))
    assert dead_letters(database, sink.name) == []
    finish(sink)


def test_unknown_fields_are_dead_letters(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    database.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    mock.produce("orders", records(0, 9, 0, UNKNOWN))
    sink = run("orders", SINK_UNKNOWN_FIELDS="dead_letter")
    sink.wait_until_caught_up("orders")
    assert ids(database, "orders") == [0, 1, 2, 3, 5, 6, 7, 8]
    (letter,) = dead_letters(database, sink.name)
    assert letter.offset == 4
    assert SENTINEL.lower() in letter.reason
    finish(sink)


def test_unknown_fields_stop(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Until the table has the column."""
    database.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 2)
    mock.produce("orders", records(0, 9, 0, {"note": "new"}) + records(100, 9, 1))
    sink = run("orders", SINK_UNKNOWN_FIELDS="stop")
    sink.wait_until_caught_up("orders", ends={0: 4, 1: 9})
    sink.wait_for(lambda: halts(sink, "orders"), what="halt")
    (halt,) = halts(sink, "orders")
    assert halt["position"] == 4
    for part in ("orders[0]@4", '"public"."orders"', "note"):
        assert part in halt["reason"]
    assert ids(database, "orders") == [0, 1, 2, 3, *range(100, 109)]
    assert dead_letters(database, sink.name) == []
    database.query("ALTER TABLE orders ADD note text")
    sink.wait_until_caught_up("orders", MENDED_S)
    assert ids(database, "orders") == [*range(9), *range(100, 109)]
    assert database.query("SELECT id, note FROM orders WHERE note IS NOT NULL") == [(4, "new")]
    finish(sink)


# Rights and schema


def test_rights_that_come_later(
    run: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """INSERT on a table, and everything on pgsluice.dead_letters, are taken away for a while."""
    weak = f"weak_{database.database}"
    database.query(
        f"CREATE ROLE {weak} LOGIN; GRANT CREATE ON DATABASE {database.database} TO {weak};"
        "CREATE TABLE one (id int); CREATE TABLE two (id int);"
        f"GRANT INSERT ON one, two TO {weak}"
    )
    mock.create_topic("one", 1)
    mock.create_topic("two", 1)
    sink = run("one", "two", PGUSER=weak)
    mock.produce("one", records(0, 5, 0))
    mock.produce("two", records(0, 5, 0))
    sink.wait_until_caught_up("one")
    sink.wait_until_caught_up("two")

    database.query(
        f"REVOKE INSERT ON one FROM {weak};"
        "ALTER TABLE pgsluice.dead_letters OWNER TO postgres"
    )
    mock.produce("one", records(5, 5, 0))
    mock.produce("two", [Record(b"not json", partition=0), *records(5, 5, 0)])
    sink.wait_for(lambda: halts(sink, "one") and halts(sink, "two"), what="halts")
    assert "INSERT" in halts(sink, "one")[0]["reason"]
    assert "dead_letters" in halts(sink, "two")[0]["reason"]
    assert ids(database, "one") == list(range(5))
    assert ids(database, "two") == list(range(5))
    database.query(
        f"GRANT INSERT ON one TO {weak}; ALTER TABLE pgsluice.dead_letters OWNER TO {weak}"
    )
    sink.wait_until_caught_up("one", MENDED_S)
    sink.wait_until_caught_up("two", MENDED_S)
    assert ids(database, "one") == list(range(10))
    assert ids(database, "two") == list(range(10))
    assert [letter.offset for letter in dead_letters(database, sink.name)] == [5]
    finish(sink)
    database.query(f"DROP OWNED BY {weak}; DROP ROLE {weak}")


def test_schema_that_is_trusted_but_missing(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """SINK_MIGRATE=off does not look: the claim finds out, and tries again."""
    database.query("CREATE TABLE orders (id int)")
    mock.create_topic("orders", 1)
    mock.produce("orders", records(0, 5, 0))
    sink = start_sink(mock, topics="orders", postgres=database, env={"SINK_MIGRATE": "off"})
    sink.wait_for(lambda: halts(sink, "orders"), what="halt")
    assert "pgsluice" in halts(sink, "orders")[0]["reason"]
    migrating = start_sink(mock, topics="orders", postgres=database, command="migrate")
    assert migrating.wait_exit() == 0
    sink.wait_until_caught_up("orders", MENDED_S)
    assert ids(database, "orders") == list(range(5))
    finish(sink)


def test_topic_of_a_regex_without_a_table(
    start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """A regex finds its topics later: those without a usable table halt, the others go on."""
    database.query("CREATE TABLE shop_good (id int)")
    long = "shop_" + "x" * 60
    for topic in ("shop_good", "shop_missing", long):
        mock.create_topic(topic, 1)
        mock.produce(topic, records(0, 5, 0))
    sink = start_sink(mock, topics="^shop_.*", postgres=database)
    sink.wait_for(lambda: halts(sink, "shop_missing") and halts(sink, long), what="halts")
    sink.wait_until_caught_up("shop_good")
    assert "does not exist" in halts(sink, "shop_missing")[0]["reason"]
    assert "63" in halts(sink, long)[0]["reason"]
    database.query("CREATE TABLE shop_missing (id int)")
    sink.wait_until_caught_up("shop_missing", MENDED_S)
    wait_until(lambda: ids(database, "shop_missing") == list(range(5)), 1)
    assert ids(database, "shop_good") == list(range(5))
    finish(sink)
