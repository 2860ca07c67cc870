"""Faults of the PostgreSQL servers: stopped, crashed, frozen, full, failed over."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from pathlib import Path
from typing import Iterator

from faults import let_pass
from nemesis import NotLanded, fault, observe
from world import World


@fault("postgres-crash", touches=["postgres"], lasts=(0, 4))
def postgres_crash(world: World, rng: random.Random) -> Iterator[str]:
    """pg_ctl stop -m immediate: what was not yet in the WAL is gone."""
    world.pair.primary.stop("immediate")
    yield "stopped at once"
    world.pair.start()


@fault("postgres-kill", touches=["postgres"], lasts=(0, 2))
def postgres_kill(world: World, rng: random.Random) -> Iterator[str]:
    """SIGKILL of the postmaster."""
    world.pair.primary.kill()
    yield "the postmaster"
    world.pair.start()


@fault("postgres-stop", touches=["postgres"], lasts=(0, 4))
def postgres_stop(world: World, rng: random.Random) -> Iterator[str]:
    """pg_ctl stop -m fast: sessions are ended, transactions rolled back."""
    world.pair.primary.stop("fast")
    yield "stopped in order"
    world.pair.start()


@fault("postgres-failover", touches=["postgres"], lasts=(0, 3))
def postgres_failover(world: World, rng: random.Random) -> Iterator[str]:
    """The primary crashes and its standby takes over, perhaps without the last commits."""
    yield fail_over(world, "immediate")
    world.pair.rebuild()


@fault("postgres-switchover", touches=["postgres"], lasts=(0, 3))
def postgres_switchover(world: World, rng: random.Random) -> Iterator[str]:
    """The primary is stopped in order and the standby takes over."""
    yield fail_over(world, "fast")
    world.pair.rebuild()


@fault("postgres-lagging-failover", touches=["postgres"], lasts=(0, 3))
def postgres_lagging_failover(world: World, rng: random.Random) -> Iterator[str]:
    """The standby has got no WAL for a second when it takes over: the database goes back in time."""
    pair = world.pair
    before = world.positions_sum()
    os.kill(receiver := pair.wal_receiver(), signal.SIGSTOP)
    try:
        observe(lambda: world.positions_sum() > before, 5, "a commit that is not replicated")
        let_pass(rng.uniform(0.2, 1))
        lost = world.positions_sum()
        pair.primary.stop("immediate")
    finally:
        os.kill(receiver, signal.SIGKILL if not pair.primary.running else signal.SIGCONT)
    # The end of the receiver makes the standby restart its processes; it replays what it has.
    observe(lambda: pair.standby._is_ready(), 20, "the standby is ready")
    pair.promote()
    yield f"{lost - world.positions_sum():,} records back"
    pair.rebuild()


def fail_over(world: World, mode: str) -> str:
    pair = world.pair
    before = pair.primary.scalar("SELECT pg_current_wal_flush_lsn()")
    pair.primary.stop(mode)
    pair.promote()
    replayed, timeline = pair.primary.query(
        "SELECT pg_last_wal_replay_lsn(),"
        " ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer"
    )[0]
    return f"replayed to {replayed} of {before}, timeline {timeline}"


@fault("standby-away", touches=["postgres"], lasts=(1, 6))
def standby_away(world: World, rng: random.Random) -> Iterator[str]:
    """The synchronous standby is stopped: whoever commits to it waits."""
    world.pair.standby.stop(rng.choice(("fast", "immediate")))
    observe(lambda: not world.pair.is_replicating(), 5, "the end of replication")
    yield "commits of sink-3 wait for it"
    world.pair.standby.start()
    world.pair.wait_for_standby()


@fault("postgres-freeze", touches=["postgres"], lasts=(1, 6))
def postgres_freeze(world: World, rng: random.Random) -> Iterator[str]:
    """SIGSTOP of the server with all its processes: nothing answers, all connections stay open."""
    server = world.pair.primary
    pids = [server.pid, *server._children()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield f"{len(pids)} processes"
    finally:
        for pid in reversed(pids):
            if os.path.exists(f"/proc/{pid}"):
                os.kill(pid, signal.SIGCONT)


@fault("postmaster-freeze", touches=["postgres"], lasts=(1, 5))
def postmaster_freeze(world: World, rng: random.Random) -> Iterator[str]:
    """SIGSTOP of the postmaster: sessions go on, new ones hang before their first byte."""
    world.pair.primary.pause()
    yield "new connections hang"
    world.pair.primary.resume()


@fault("disk-full", touches=["postgres"], lasts=(1, 4))
def disk_full(world: World, rng: random.Random) -> Iterator[str]:
    """No space left on the primary's file system, until some is made again."""
    server = world.pair.primary
    if not os.path.ismount(server.data):
        raise NotLanded("the server has no file system of its own: that takes root")
    balloon = server.data / "balloon"
    began = server.log.stat().st_size
    try:
        fill(balloon)
        observe(lambda: "No space left" in log_since(server.log, began), 10, "ENOSPC in its log")
        yield f"{balloon.stat().st_size >> 20} MiB taken"
    finally:
        balloon.unlink(missing_ok=True)
        if not server.running:
            world.pair.start()


def fill(balloon: Path) -> None:
    """Take all the space that there is."""
    with open(balloon, "wb") as file:
        for size in (1 << 26, 1 << 20, 1 << 12):
            with suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)


def log_since(log: Path, position: int) -> str:
    with open(log, "rb") as file:
        file.seek(position)
        return file.read().decode(errors="replace")


# --- Sessions -----------------------------------------------------------------------------------


def pick_sessions(world: World, rng: random.Random) -> tuple[int, list[int]]:
    """The sessions of one replica."""
    number, sink = world.pick_sink(rng)
    pids = world.sessions(sink)
    if not pids:
        raise NotLanded(f"sink-{number} has no session")
    return number, pids


@fault("session-end", touches=["session"], shares=["postgres"])
def session_end(world: World, rng: random.Random) -> Iterator[str]:
    """pg_terminate_backend() of every session of one replica."""
    number, pids = pick_sessions(world, rng)
    with world.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [pids])
    observe(lambda: not set(pids) & set(world.sessions()), 5, "end of the sessions")
    yield f"{len(pids)} of sink-{number}"


@fault("session-kill", touches=["postgres", "session"])
def session_kill(world: World, rng: random.Random) -> Iterator[str]:
    """SIGKILL of one backend: PostgreSQL ends them all and recovers."""
    _, pids = pick_sessions(world, rng)
    others = world.sessions()
    os.kill(pids[0], signal.SIGKILL)
    gone = lambda: not any(os.path.exists(f"/proc/{pid}") for pid in others)  # noqa: E731
    observe(gone, 10, "end of all sessions")
    yield f"backend {pids[0]}, {len(others)} sessions with it"
    world.pair.wait_for_standby()


@fault("session-freeze", touches=["session"], lasts=(1, 5), shares=["postgres"])
def session_freeze(world: World, rng: random.Random) -> Iterator[str]:
    """SIGSTOP of one replica's backends: its flushes are not answered."""
    number, pids = pick_sessions(world, rng)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield f"{len(pids)} of sink-{number}"
    finally:
        for pid in pids:
            if os.path.exists(f"/proc/{pid}"):
                os.kill(pid, signal.SIGCONT)


@fault("session-cancel", touches=["session"], shares=["postgres"])
def session_cancel(world: World, rng: random.Random) -> Iterator[str]:
    """pg_cancel_backend() in the middle of flushes."""
    sql = (
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %s"
        " AND state = 'active' AND query LIKE 'SELECT pgsluice.advance%%'"
    )
    like = [f"pgsluice/{world.name}/%"]
    with world.connect() as connection:
        found = observe(lambda: connection.execute(sql, like).fetchall(), 5, "a flush")
    yield f"{len(found)} flushes"
