"""Faults of the replicas themselves: killed, frozen, starved, asked to end, more of them and fewer.

A clock that jumps is not among them. All processes here share the machine's clock, and libfaketime
changes what a process reads but not how long the C library's condition variables wait, which would
stop librdkafka as no real jump does.
"""

from __future__ import annotations

import random
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from faults import flushes_of, let_pass
from nemesis import NotLanded, fault, observe
from sink import Sink
from world import World

SESSION_S = 3.0
LONGER_THAN_SESSION = (SESSION_S + 1, SESSION_S + 6)
SPARE = 4
STORM = 4
FEW_FILES = 3


@contextmanager
def stopped_in_flush(world: World, rng: random.Random) -> Iterator[tuple[int, Sink, int]]:
    """A replica that was stopped while one of its sessions waits for the rest of its COPY."""
    number, sink = world.pick_sink(rng)
    connection = world.connect()

    def frozen() -> list[int]:
        sink.pause()
        let_pass(0.05)  # the session takes in what is under way
        pids = flushes_of(connection, sink, "ClientRead")
        if not pids:
            sink.resume()
            let_pass(rng.uniform(0.001, 0.03))
        return pids

    try:
        yield number, sink, observe(frozen, 10, "a stop inside of a flush")[0]
    finally:
        sink.resume()
        connection.close()


# --- Killed -------------------------------------------------------------------------------------


@fault("sink-kill", touches=["sink"], lasts=(0, 3))
def sink_kill(world: World, rng: random.Random) -> Iterator[str]:
    """SIGKILL of a replica, which is started again."""
    number, _ = world.pick_sink(rng)
    world.fleet.expect_end(number).kill()
    yield f"sink-{number}"
    world.fleet.restart(number)


@fault("sink-kill-all", touches=["sink"], lasts=(0, 2))
def sink_kill_all(world: World, rng: random.Random) -> Iterator[str]:
    """SIGKILL of all replicas at once."""
    numbers = world.fleet.running()
    for number in numbers:
        world.fleet.expect_end(number).kill()
    if not numbers:
        raise NotLanded("no replica runs")
    yield f"{len(numbers)} at once"
    for number in numbers:
        world.fleet.restart(number)


@fault("sink-kill-in-flush", touches=["sink"], lasts=(0, 1), shares=["postgres"])
def sink_kill_in_flush(world: World, rng: random.Random) -> Iterator[str]:
    """SIGKILL with a transaction open, in the middle of its COPY."""
    with stopped_in_flush(world, rng) as (number, _, pid):
        world.fleet.expect_end(number).kill()
    yield f"sink-{number}, backend {pid} waited for it"
    world.fleet.restart(number)


@fault("sink-out-of-memory", touches=["sink"])
def sink_out_of_memory(world: World, rng: random.Random) -> Iterator[str]:
    """No more memory for a replica than it has: it ends at the next allocation that needs some."""
    number, sink = world.pick_sink(rng)
    world.fleet.expect_end(number)
    _, most = resource.prlimit(sink.pid, resource.RLIMIT_AS)
    try:
        resource.prlimit(sink.pid, resource.RLIMIT_AS, (sink.child.memory_kib("VmSize") << 10, most))
        observe(lambda: not sink.alive, 5, "its end")
        yield f"sink-{number} ended with {sink.exit_code}"
    finally:
        if sink.alive:
            resource.prlimit(sink.pid, resource.RLIMIT_AS, (most, most))
        world.fleet.restart(number)


# --- Asked to end, and started ------------------------------------------------------------------


@fault("sink-terminate", touches=["sink"], lasts=(0, 2))
def sink_terminate(world: World, rng: random.Random) -> Iterator[str]:
    """SIGTERM: it drains and leaves the group; then it is started again."""
    number, _ = world.pick_sink(rng)
    took_s = world.fleet.end(number)
    yield f"sink-{number} drained in {took_s:.1f} s"
    world.fleet.restart(number)


@fault("sink-add", touches=["sink-spare"], lasts=(3, 8))
def sink_add(world: World, rng: random.Random) -> Iterator[str]:
    """One replica more, for a while."""
    world.fleet.add(SPARE)
    sink = world.fleet.sinks[SPARE]
    try:
        began = len(sink.log_text())
        observe(lambda: "assigned" in sink.log_text()[began:], 20, "its assignment")
        yield f"sink-{SPARE}"
    finally:
        world.fleet.end(SPARE)
        world.fleet.remove(SPARE)


@fault("sink-storm", touches=["sink"])
def sink_storm(world: World, rng: random.Random) -> Iterator[str]:
    """One replica comes and goes again and again: each time the group rebalances."""
    number, _ = world.pick_sink(rng)
    for _ in range(STORM):
        world.fleet.expect_end(number).kill()
        world.fleet.restart(number)
        let_pass(rng.uniform(0.2, 1.5))
    yield f"sink-{number}, {STORM} times"


@fault("sink-twin", touches=["sink-twin"], lasts=(2, 5), shares=["postgres"])
def sink_twin(world: World, rng: random.Random) -> Iterator[str]:
    """The same sink once more in another group: both want all partitions, under one name."""
    with world.fleet.twin(world.servers, world.tables) as twin:
        observe(lambda: world.owns_some(twin), 20, "a partition that it has claimed")
        yield "in another group"


# --- Frozen, starved ----------------------------------------------------------------------------


@fault("sink-freeze", touches=["sink"], lasts=(0.3, 2))
def sink_freeze(world: World, rng: random.Random) -> Iterator[str]:
    """SIGSTOP for less than its session with the group lasts."""
    number, sink = world.pick_sink(rng)
    sink.pause()
    yield f"sink-{number}"
    sink.resume()


@fault("sink-freeze-long", touches=["sink"], lasts=LONGER_THAN_SESSION)
def sink_freeze_long(world: World, rng: random.Random) -> Iterator[str]:
    """SIGSTOP for longer: it is replaced meanwhile, and does not know when it wakes."""
    number, sink = world.pick_sink(rng)
    sink.pause()
    yield f"sink-{number}"
    sink.resume()


@fault("sink-freeze-in-flush", ["sink"], LONGER_THAN_SESSION, shares=["postgres"])
def sink_freeze_in_flush(world: World, rng: random.Random) -> Iterator[str]:
    """The same with a transaction open, whose locks its successor needs."""
    with stopped_in_flush(world, rng) as (number, _, pid):
        yield f"sink-{number}, backend {pid} waits for it"


@fault("sink-freeze-all", touches=["sink"], lasts=(1, SESSION_S + 2))
def sink_freeze_all(world: World, rng: random.Random) -> Iterator[str]:
    """SIGSTOP of every replica."""
    sinks = [world.fleet.sinks[number] for number in world.fleet.running()]
    for sink in sinks:
        sink.pause()
    yield f"{len(sinks)} at once"
    for sink in sinks:
        sink.resume()


@fault("sink-starve", touches=["sink"])
def sink_starve(world: World, rng: random.Random) -> Iterator[str]:
    """Stopped nine tenths of the time: it barely keeps its session, and everything is late."""
    number, sink = world.pick_sink(rng)
    bursts = rng.randint(10, 25)
    for _ in range(bursts):
        sink.pause()
        let_pass(0.18)
        sink.resume()
        let_pass(0.02)
    yield f"sink-{number}, {bursts} times"


@fault("sink-few-files", ["sink", "net-postgres"], (1, 4), shares=["postgres"])
def sink_few_files(world: World, rng: random.Random) -> Iterator[str]:
    """No file descriptor for a new connection, and the present ones are reset."""
    number, sink = world.pick_sink(rng)
    soft, most = resource.prlimit(sink.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(sink.pid, resource.RLIMIT_NOFILE, (FEW_FILES, most))
    try:
        world.links.reset(world.links.of(f"sink-{number}", "postgres"))
        observe(lambda: not world.sessions(sink), 3, "end of its sessions")
        let_pass(0.5)
        observe(lambda: not world.sessions(sink), 0, "that it gets no new ones")
        yield f"sink-{number}, {len(list(Path(f'/proc/{sink.pid}/fd').iterdir()))} open"
    finally:
        if sink.alive:
            resource.prlimit(sink.pid, resource.RLIMIT_NOFILE, (soft, most))
