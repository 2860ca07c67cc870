"""`pgsluice dead-letters list` and `replay`: what is there, and how it becomes rows after all."""

from __future__ import annotations

import json
import subprocess
from typing import Any, Callable, Sequence

import pytest
from cluster import Record
from dead_letters import dead_letters
from mock import MockKafka
from postgres import Postgres
from sink import Sink, clean_environment, sink_program

SENTINEL = "S3NTINEL"
DONE, USAGE, DATA, UNREACHABLE, CONFIG = 0, 64, 65, 69, 78
Command = Callable[..., "subprocess.CompletedProcess[str]"]

ORDERS = (
    "CREATE TABLE orders (id int PRIMARY KEY, note text DEFAULT 'usual',"
    " n int CONSTRAINT n_small CHECK (n < 10))"
)


def environment(database: Postgres, **env: object) -> dict[str, str]:
    settings: dict[str, object] = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "KAFKA_GROUP_ID": "sink",
        "SINK_TOPICS": "orders",
        "SINK_INSTANCE_ID": "replay-1",
        "SINK_LOG_LEVEL": "debug",
        **database.env,
        **env,
    }
    return {**clean_environment(), **{name: str(value) for name, value in settings.items()}}


@pytest.fixture
def command(database: Postgres) -> Command:
    """command("list", "--json", SINK_NAME="x") on the test's database; no payload in its log."""

    def run(*words: str, **env: object) -> "subprocess.CompletedProcess[str]":
        result = subprocess.run(
            [sink_program(), "dead-letters", *words],
            env=environment(database, **env),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert SENTINEL not in result.stderr
        return result

    return run


@pytest.fixture
def schema(command: Command, database: Postgres) -> None:
    subprocess.run(
        [sink_program(), "migrate"], env=environment(database), capture_output=True, check=True
    )
    database.query(ORDERS)


def bury(
    database: Postgres, values: Sequence[bytes | None], topic: str = "orders", partition: int = 0
) -> None:
    """Dead letters with these values, as the sink writes them, at offsets from 0 on."""
    with database.connect() as connection:
        connection.cursor().executemany(
            "INSERT INTO pgsluice.dead_letters (sink, topic, partition, record_offset, record_time,"
            " value, reason, target_table, instance)"
            " VALUES ('sink', %s, %s, %s, now(), %s, 'then', '\"public\".\"orders\"', 'sink-1')",
            [(topic, partition, offset, value) for offset, value in enumerate(values)],
        )


def order(number: int, **fields: Any) -> bytes:
    return json.dumps({"id": number, **fields}).encode()


def ids(database: Postgres, table: str = "orders") -> list[int]:
    return [row[0] for row in database.query(f"SELECT id FROM {table} ORDER BY id")]


def offsets(database: Postgres) -> list[int]:
    return [letter.offset for letter in dead_letters(database, "sink")]


# From Kafka to a dead letter to a row


def test_records_become_rows_when_the_cause_is_mended(
    start_sink: Callable[..., Sink], command: Command, mock: MockKafka, database: Postgres
) -> None:
    database.query(
        "CREATE TABLE orders (id int, n int CHECK (n < 10), __connect_partition int,"
        " __connect_offset bigint, __connect_timestamp timestamptz, __connect_key bytea,"
        " __connect_headers jsonb)"
    )
    mock.create_topic("orders", 2)
    headers = (("trace", b"abc"), ("raw", b"\xff\0"), ("none", None))
    records = [
        Record(order(1), b"good", 0),
        Record(order(2, n=10, note=SENTINEL), b"\0key", 0, headers, 1_700_000_000_123),
        Record(b"not json " + SENTINEL.encode(), None, 0),
        Record(order(3, n=2**40), None, 1, headers),
        Record(order(4), None, 1),
    ]
    mock.produce("orders", records)
    sink = start_sink(mock, topics="orders", postgres=database)
    sink.wait_until_caught_up("orders")
    name = {"SINK_NAME": sink.name}

    listed = [json.loads(line) for line in command("list", "--json", **name).stdout.splitlines()]
    assert [(row["partition"], row["offset"]) for row in listed] == [(0, 1), (0, 2), (1, 0)]
    assert listed[0]["sqlstate"] == "23514" and listed[2]["column"] == "n"
    assert SENTINEL not in command("list", "--json", **name).stdout
    assert SENTINEL not in command("list", **name).stdout
    shown = json.loads(command("list", "--json", "--payload", **name).stdout.splitlines()[0])
    assert json.loads(shown["value"])["note"] == SENTINEL
    assert shown["key"] == "\\x006b6579"
    assert shown["headers"] == dead_letters(database, sink.name)[0].headers

    database.query("ALTER TABLE orders DROP CONSTRAINT orders_n_check, ALTER n TYPE bigint")
    dry = command("replay", "--dry-run", **name)
    assert (dry.returncode, ids(database)) == (DATA, [1, 4])
    assert "dry run: 2 replayed, 1 refused" in dry.stdout
    assert len(dead_letters(database, sink.name)) == 3
    result = command("replay", **name)
    assert result.returncode == DATA
    assert "2 replayed, 1 refused" in result.stdout and "orders[0]@2 refused: " in result.stdout
    assert SENTINEL not in result.stdout
    (letter,) = dead_letters(database, sink.name)
    assert (letter.offset, letter.instance, letter.value) == (2, "replay-1", records[2].value)
    rows = database.query(
        "SELECT id, __connect_partition, __connect_offset, __connect_key, __connect_headers,"
        " round(extract(epoch FROM __connect_timestamp) * 1000) FROM orders WHERE id IN (2, 3)"
        " ORDER BY id"
    )
    assert rows[0][:4] == (2, 0, 1, b"\0key") and rows[0][5] == 1_700_000_000_123
    assert rows[1][:4] == (3, 1, 0, None)
    assert rows[0][4] == [
        {"key": "trace", "value": "abc"},
        {"key": "raw", "base64": "/wA="},
        {"key": "none", "value": None},
    ]
    assert sink.terminate() == 0


# list


def test_list_for_people(schema: None, command: Command, database: Postgres) -> None:
    bury(database, [SENTINEL.encode(), None])
    bury(database, [b"\xff\x1b[31m"], "others", 3)
    result = command("list")
    assert result.returncode == DONE
    assert "orders[0]@0  " in result.stdout and "others[3]@0  " in result.stdout
    assert "    then\n" in result.stdout and SENTINEL not in result.stdout
    shown = command("list", "--payload").stdout
    assert f'value "{SENTINEL}"' in shown and "value null" in shown
    assert 'value "\\\\xff1b5b33316d"' in shown and "\x1b" not in shown


def test_list_filters(schema: None, command: Command, database: Postgres) -> None:
    bury(database, [b"a", b"b", b"c"])
    bury(database, [b"d"], "orders", 1)
    bury(database, [b"e"], "others")
    database.query(
        "UPDATE pgsluice.dead_letters SET sqlstate = '23505' WHERE record_offset = 2;"
        "UPDATE pgsluice.dead_letters SET sink = 'other' WHERE topic = 'others'"
    )

    def listed(*words: str) -> list[tuple[str, int, int]]:
        result = command("list", "--json", *words)
        assert (result.returncode, result.stderr) == (DONE, "")
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        return [(row["topic"], row["partition"], row["offset"]) for row in rows]

    first = [("orders", 0, 0), ("orders", 0, 1), ("orders", 0, 2)]
    assert listed() == [*first, ("orders", 1, 0)]
    assert listed("--partition", "0") == first
    assert listed("--limit=2") == first[:2]
    assert listed("--sqlstate", "23505") == first[2:]
    assert listed("--sink", "other") == [("others", 0, 0)]
    assert listed("--topic", "nothing' OR true --") == []
    assert "may be more" in command("list", "--limit", "2").stdout
    assert "may be more" not in command("list", "--limit", "5").stdout


# replay


def test_replay_finds_each_that_is_refused_again(
    schema: None, command: Command, database: Postgres
) -> None:
    """Also where PostgreSQL does not say which: a foreign key, a deferred constraint, a trigger."""
    database.query(
        "CREATE TABLE shops (id int PRIMARY KEY); INSERT INTO shops VALUES (1);"
        "ALTER TABLE orders ADD shop int REFERENCES shops,"
        " ADD once int UNIQUE DEFERRABLE INITIALLY DEFERRED;"
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN IF NEW.note = 'bad' THEN RAISE EXCEPTION 'no %', 'bad notes';"
        " END IF; RETURN NULL; END$$;"
        "CREATE TRIGGER refuse AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    values = [order(i, shop=1) if i % 3 else order(i) for i in range(1200)]
    values[7] = order(7, shop=5)
    values[100] = order(100, once=1)
    values[101] = order(101, once=1)
    values[499] = order(499, note="bad")
    values[500] = order(3)
    values[900] = b"not json"
    values[901] = order(901, n=11)
    refused = [7, 101, 499, 500, 900, 901]
    bury(database, values)
    result = command("replay")
    assert result.returncode == DATA
    assert f"1194 replayed, {len(refused)} refused" in result.stdout
    assert offsets(database) == refused
    assert ids(database) == [i for i in range(1200) if i not in refused]
    letters = {letter.offset: letter for letter in dead_letters(database, "sink")}
    for offset, says, sqlstate in [
        (7, "orders_shop_fkey", "23503"),
        (101, "orders_once_key", "23505"),
        (499, "no bad notes", "P0001"),
        (500, "orders_pkey", "23505"),
        (901, "n_small", "23514"),
    ]:
        assert says in letters[offset].reason
        assert letters[offset].sqlstate == sqlstate
    assert letters[900].sqlstate is None
    assert command("replay").stdout.endswith(f"0 replayed, {len(refused)} refused\n")
    database.query("DROP TRIGGER refuse ON orders; INSERT INTO shops VALUES (5)")
    assert command("replay", "--sqlstate", "P0001").returncode == DONE
    assert command("replay", "--limit", "1").returncode == DONE
    assert offsets(database) == [101, 500, 900, 901]


def test_replay_into_a_table_that_travels_as_text(
    schema: None, command: Command, database: Postgres
) -> None:
    database.query("ALTER TABLE orders ADD span interval")
    bury(database, [order(1, span="1 day"), order(2, span=SENTINEL), order(3, note="x")])
    result = command("replay")
    assert (result.returncode, offsets(database)) == (DATA, [1])
    assert SENTINEL not in result.stdout + dead_letters(database, "sink")[0].reason
    assert database.query("SELECT id, note, span::text FROM orders ORDER BY id") == [
        (1, "usual", "1 day"),
        (3, "x", None),
    ]


def test_replays_at_once_do_not_double(
    schema: None, command: Command, database: Postgres
) -> None:
    database.query("ALTER TABLE orders DROP CONSTRAINT orders_pkey")
    for partition in range(3):
        bury(database, [order(partition * 1000 + i) for i in range(1000)], "orders", partition)
    argv = [sink_program(), "dead-letters", "replay"]
    running = [
        subprocess.Popen(argv, env=environment(database), stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    replayed = 0
    for process in running:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == DONE
        replayed += int(output.split()[0])
    assert replayed == 3000
    assert ids(database) == list(range(3000))
    assert offsets(database) == []


def test_a_replay_that_is_killed_leaves_each_record_once(
    schema: None, command: Command, database: Postgres
) -> None:
    database.query("ALTER TABLE orders DROP CONSTRAINT orders_pkey")
    bury(database, [order(i) for i in range(4000)])
    argv = [sink_program(), "dead-letters", "replay"]
    for least in (500, 1500, 3000):
        process = subprocess.Popen(argv, env=environment(database), stdout=subprocess.DEVNULL)
        while process.poll() is None and len(ids(database)) < least:
            pass
        process.kill()
        process.wait()
        assert sorted(ids(database) + offsets(database)) == list(range(4000))
    assert command("replay").returncode == DONE
    assert ids(database) == list(range(4000)) and offsets(database) == []


def test_one_topic_does_not_hold_up_another(
    schema: None, command: Command, database: Postgres
) -> None:
    bury(database, [order(1)], "missing")
    bury(database, [order(2)], "orders")
    result = command("replay")
    assert result.returncode == CONFIG
    assert "missing" in result.stderr and "does not exist" in result.stderr
    assert ids(database) == [2]
    assert [letter.topic for letter in dead_letters(database, "sink")] == ["missing"]


def test_the_rights_that_the_help_names_are_enough(
    schema: None, command: Command, database: Postgres
) -> None:
    weak = f"weak_{database.database}"
    bury(database, [order(1), b"not json"])
    database.query(
        f"CREATE ROLE {weak} LOGIN; GRANT USAGE ON SCHEMA pgsluice TO {weak};"
        f"GRANT SELECT ON pgsluice.dead_letters TO {weak}"
    )
    assert command("list", PGUSER=weak).stdout.count("then") == 2
    refused = command("replay", PGUSER=weak)
    assert refused.returncode == CONFIG
    assert "permission denied" in refused.stderr or "INSERT" in refused.stderr
    database.query(
        f"GRANT UPDATE, DELETE ON pgsluice.dead_letters TO {weak};"
        f"GRANT INSERT ON orders TO {weak}"
    )
    assert command("replay", PGUSER=weak).returncode == DATA
    assert ids(database) == [1]
    database.query(f"DROP OWNED BY {weak}; DROP ROLE {weak}")


# Exit codes


@pytest.mark.parametrize("verb", ["list", "replay"])
def test_exit_codes(verb: str, command: Command, database: Postgres) -> None:
    assert command(verb).returncode == CONFIG
    assert "run pgsluice migrate" in command(verb).stderr
    assert command(verb, "--nonsense").returncode == USAGE
    assert command(verb, "--limit", "none").returncode == USAGE
    assert command(verb, SINK_BATCH_SIZE="0").returncode == CONFIG
    away = command(verb, PGPORT="9", SINK_CONNECT_TIMEOUT_MS="1000")
    assert away.returncode == UNREACHABLE
