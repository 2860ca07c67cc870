"""Faults that somebody else's SQL makes: locks, changed tables, rights and limits, statements that fail."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import Any, Iterator

import psycopg
from faults import let_pass
from nemesis import NotLanded, fault, observe
from servers import ROLE
from world import World

RETYPED_ROWS_MAX = 1_000_000
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s"
    " AND cardinality(pg_blocking_pids(pid)) > 0"
)


def waiting(world: World, connection: psycopg.Connection[Any]) -> int:
    """How many sessions of the sinks wait for a lock."""
    row = connection.execute(WAITING, [f"pgsluice/{world.name}/%"]).fetchone()
    return int(row[0]) if row else 0


# --- Locks --------------------------------------------------------------------------------------


@contextmanager
def locked(world: World, statement: str) -> Iterator[int]:
    """The statement's locks are held; how many sessions wait for them."""
    with world.connect() as holder, world.connect() as observer:
        holder.execute("BEGIN")
        holder.execute(statement)
        yield observe(lambda: waiting(world, observer), 5, "somebody who waits")
        holder.execute("ROLLBACK")


@fault("table-lock", touches=["tables"], lasts=(1, 12), shares=["postgres"])
def table_lock(world: World, rng: random.Random) -> Iterator[str]:
    """LOCK TABLE, now and then for longer than flushes wait."""
    table = world.pick_table(rng)
    with locked(world, f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE") as sessions:
        yield f"{table}, {sessions} wait"


@fault("offsets-lock", touches=["offsets"], lasts=(1, 8), shares=["postgres"])
def offsets_lock(world: World, rng: random.Random) -> Iterator[str]:
    """Row locks on the positions of a topic."""
    topic = world.pick_table(rng)
    sql = f"SELECT 1 FROM pgsluice.offsets WHERE topic = '{topic}' FOR UPDATE"
    with locked(world, sql) as sessions:
        yield f"of {topic}, {sessions} wait"


@fault("dead-letters-lock", touches=["dead-letters"], lasts=(1, 8), shares=["postgres"])
def dead_letters_lock(world: World, rng: random.Random) -> Iterator[str]:
    """LOCK TABLE of the dead letters: only flushes that have some must wait."""
    with locked(world, "LOCK TABLE pgsluice.dead_letters IN SHARE MODE") as sessions:
        yield f"{sessions} wait"


@fault("lock-storm", touches=["tables"], shares=["postgres"])
def lock_storm(world: World, rng: random.Random) -> Iterator[str]:
    """All tables locked for moments, again and again."""
    rounds = rng.randint(20, 40)
    met = 0
    with world.connect() as holder, world.connect() as observer:
        for _ in range(rounds):
            holder.execute("BEGIN")
            holder.execute(f"LOCK TABLE {', '.join(world.tables)} IN SHARE ROW EXCLUSIVE MODE")
            let_pass(rng.uniform(0.01, 0.1))
            met += waiting(world, observer) > 0
            holder.execute("ROLLBACK")
    if not met:
        raise NotLanded("nobody had to wait")
    yield f"{rounds} times, in {met} somebody waited"


@fault("vacuum-full", touches=["tables"], shares=["postgres"])
def vacuum_full(world: World, rng: random.Random) -> Iterator[str]:
    """A table and the positions are written anew, under an exclusive lock."""
    table = world.pick_table(rng)
    place = "SELECT pg_relation_filepath(%s)"
    with world.connect() as connection:
        before = connection.execute(place, [table]).fetchone()
        connection.execute(f"VACUUM FULL {table}")
        connection.execute("VACUUM FULL pgsluice.offsets")
        if connection.execute(place, [table]).fetchone() == before:
            raise NotLanded(f"{table} is where it was")
    yield table


# --- Tables change ------------------------------------------------------------------------------


@fault("column-added", touches=["tables"], lasts=(0, 3), shares=["postgres"])
def column_added(world: World, rng: random.Random) -> Iterator[str]:
    """ALTER TABLE ADD COLUMN, and later DROP COLUMN, while rows come in."""
    table = world.pick_table(rng)
    column = f"extra_{rng.randrange(10**6)}"
    with world.connect() as connection:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} text DEFAULT 'none'")
    yield f"{table}.{column}"
    with world.connect() as connection:
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


@fault("column-retyped", touches=["tables"], lasts=(0, 3), shares=["postgres"])
def column_retyped(world: World, rng: random.Random) -> Iterator[str]:
    """A column becomes numeric, and bigint again: binary rows have to be made for the type of now."""
    table = world.pick_table(rng)
    with world.connect() as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        if row is None or row[0] > RETYPED_ROWS_MAX:
            raise NotLanded(f"{table} is too big to be written anew")
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN tail TYPE numeric")
    yield f"{table}.tail numeric"
    with world.connect() as connection:
        connection.execute(f"ALTER TABLE {table} ALTER COLUMN tail TYPE bigint")


# --- Rights and limits of the sinks' role ---------------------------------------------------------


def end_sessions(world: World) -> None:
    """Most settings of a role are for new sessions."""
    sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
    with world.connect() as connection:
        connection.execute(sql, [ROLE])


@contextmanager
def altered_role(world: World, change: str, back: str) -> Iterator[None]:
    """The role is changed for new sessions, and there are only new ones."""
    with world.connect() as connection:
        connection.execute(f"ALTER ROLE {ROLE} {change}")
    try:
        end_sessions(world)
        yield
    finally:
        with world.connect() as connection:
            connection.execute(f"ALTER ROLE {ROLE} {back}")
        end_sessions(world)


def in_log(world: World, words: str, began: int) -> bool:
    with open(world.pair.primary.log, "rb") as file:
        file.seek(began)
        return words.encode() in file.read()


def log_size(world: World) -> int:
    return world.pair.primary.log.stat().st_size


@fault("read-only", touches=["role"], lasts=(1, 5), shares=["postgres"])
def read_only(world: World, rng: random.Random) -> Iterator[str]:
    """default_transaction_read_only: libpq does not take such a session, so only the sinks tell."""
    name = "default_transaction_read_only"
    logs = [sink.log for sink in world.fleet.sinks.values() if sink.log.exists()]
    began = {log: log.stat().st_size for log in logs}

    def refused() -> bool:
        return any(b"read-only" in log.read_bytes()[began[log] :] for log in logs)

    with altered_role(world, f"SET {name} = on", f"RESET {name}"):
        observe(refused, 5, "a refused session")
        yield "writes are refused"


@fault("connection-limit", touches=["role"], lasts=(1, 5), shares=["postgres"])
def connection_limit(world: World, rng: random.Random) -> Iterator[str]:
    """CONNECTION LIMIT 1: all but one session are refused."""
    began = log_size(world)
    with altered_role(world, "CONNECTION LIMIT 1", "CONNECTION LIMIT -1"):
        observe(lambda: in_log(world, "too many connections", began), 5, "a refused connection")
        yield "one for all replicas"


@fault("login-refused", touches=["role"], lasts=(1, 5), shares=["postgres"])
def login_refused(world: World, rng: random.Random) -> Iterator[str]:
    """NOLOGIN: nobody gets in."""
    began = log_size(world)
    with altered_role(world, "NOLOGIN", "LOGIN"):
        observe(lambda: in_log(world, "not permitted to log in", began), 5, "a refused login")
        yield "nobody gets in"


@fault("idle-timeout", touches=["role"], lasts=(2, 5), shares=["postgres"])
def idle_timeout(world: World, rng: random.Random) -> Iterator[str]:
    """idle_session_timeout of some milliseconds: sessions end whenever there is nothing to do."""
    began = log_size(world)
    name = "idle_session_timeout"
    with altered_role(world, f"SET {name} = 20", f"RESET {name}"):
        observe(lambda: in_log(world, "idle-session timeout", began), 5, "a session that timed out")
        yield "20 ms"


@fault("rights-revoked", touches=["rights"], lasts=(0.5, 3), shares=["postgres"])
def rights_revoked(world: World, rng: random.Random) -> Iterator[str]:
    """REVOKE INSERT: the table's partitions halt, and go on when the right is back."""
    table = world.pick_table(rng)
    began = world.log_ends()
    with world.connect() as connection:
        connection.execute(f"REVOKE INSERT ON {table} FROM {ROLE}")
    try:
        observe(lambda: world.said("partition halted", began), 5, "a partition that halts")
        yield table
    finally:
        with world.connect() as connection:
            connection.execute(f"GRANT INSERT ON {table} TO {ROLE}")


# --- Statements that are slow or fail -------------------------------------------------------------


@contextmanager
def trouble(
    world: World, rng: random.Random, seconds: float = 0, code: str | None = None
) -> Iterator[str]:
    """Flushes into a table stumble over it; where and when."""
    table = world.pick_table(rng)
    moment = rng.choice(("BEFORE", "AFTER"))
    row = [table, moment, rng.uniform(0.3, 1), seconds, code]
    with world.connect() as connection:
        before = struck(connection)
        connection.execute("INSERT INTO chaos.trouble VALUES (%s, %s, %s, %s, %s)", row)
        try:
            observe(lambda: struck(connection) > before, 5, "a flush that stumbles")
            yield f"{table}, {moment.lower()} its rows"
        finally:
            connection.execute("DELETE FROM chaos.trouble")


def struck(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT last_value FROM chaos.struck").fetchone()
    return int(row[0]) if row else 0


@fault("slow-flushes", touches=["trouble"], lasts=(2, 6), shares=["postgres"])
def slow_flushes(world: World, rng: random.Random) -> Iterator[str]:
    """Statements take half a second and more."""
    seconds = rng.uniform(0.3, 2)
    with trouble(world, rng, seconds=seconds) as where:
        yield f"{where}, {seconds:.1f} s each"


def failing(code: str) -> Any:
    def body(world: World, rng: random.Random) -> Iterator[str]:
        with trouble(world, rng, code=code) as where:
            yield where

    return body


for kind, code, what in (
    ("error-serialization", "40001", "Flushes fail with serialization_failure."),
    ("error-deadlock", "40P01", "Flushes fail with deadlock_detected."),
    ("error-disk-full", "53100", "Flushes fail with disk_full."),
    ("error-out-of-memory", "53200", "Flushes fail with out_of_memory."),
    ("error-lock", "55P03", "Flushes fail with lock_not_available."),
    ("error-internal", "XX000", "Flushes fail with internal_error."),
):
    failing_flushes = failing(code)
    failing_flushes.__doc__ = what
    fault(kind, ["trouble"], (0.5, 3), ["postgres"])(failing_flushes)
