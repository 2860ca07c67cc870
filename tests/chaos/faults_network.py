"""Faults of the network between the replicas and the servers, made by the proxy in between."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import Any, Iterator

from faults import let_pass
from nemesis import fault, observe
from world import World

Where = tuple[str, list[str]]


def some_links(world: World, rng: random.Random, server: str) -> Where:
    """The links of one replica to these servers; now and then of all, or to one broker only."""
    if rng.random() < 0.2:
        return f"all to {server}", world.links.of(server=server)
    if server == "kafka" and rng.random() < 0.3:
        server = f"kafka-{rng.choice(list(world.kafka.brokers))}"
    number, _ = world.pick_sink(rng)
    return f"sink-{number} to {server}", world.links.of(f"sink-{number}", server)


@contextmanager
def treated(world: World, links: list[str], sign: str, **mode: Any) -> Iterator[None]:
    """The links treat what passes so; that it shows in their counts is observed first."""
    before = world.links.count(links, sign)
    world.links.set(links, **mode)
    try:
        observe(lambda: world.links.count(links, sign) > before, 5, f"something {sign}")
        yield
    finally:
        world.links.clean(links)


def cut(world: World, where: Where, **mode: Any) -> Iterator[str]:
    with treated(world, where[1], "held", **mode):
        yield where[0]


def slow(world: World, where: Where) -> Iterator[str]:
    with treated(world, where[1], "delayed", delay_s=0.2, bytes_per_s=200_000):
        yield where[0]


def refuse(world: World, where: Where) -> Iterator[str]:
    before = world.links.count(where[1], "refused")
    world.links.set(where[1], refuse=True)
    try:
        world.links.reset(where[1])
        observe(lambda: world.links.count(where[1], "refused") > before, 5, "a refused connection")
        yield where[0]
    finally:
        world.links.clean(where[1])


def reset(world: World, where: Where, side: str) -> Iterator[str]:
    """RST to the client, to the server, or to both; a side that hears nothing waits until the end."""
    before = world.links.count(where[1], "reset")
    world.links.reset(where[1], side)
    observe(lambda: world.links.count(where[1], "reset") > before, 0, "a connection")
    try:
        yield where[0]
    finally:
        world.links.reset(where[1])


def garbage(world: World, where: Where) -> Iterator[str]:
    """Noise in the middle of what the server says, and then a reset."""
    before = world.links.count(where[1], "spoilt")
    world.links.set(where[1], garbage=True)
    try:
        observe(lambda: world.links.count(where[1], "spoilt") > before, 5, "a spoilt answer")
        let_pass(0.2)
        yield where[0]
    finally:
        world.links.clean(where[1])
        world.links.reset(where[1])


def unanswered(world: World, where: Where) -> Iterator[str]:
    """What the replica sends arrives, a COMMIT too; the answers do not, and then it is cut off."""
    with treated(world, where[1], "held", down="hold"):
        let_pass(0.5)
        world.links.reset(where[1])
        yield where[0]


def register(kind: str, lasts: tuple[float, float], doc: str, **how: Any) -> None:
    """One fault for each of both servers."""
    body = how.pop("body")
    for server, name in (("postgres", "PostgreSQL"), ("kafka", "Kafka")):

        def strike(world: World, rng: random.Random, server: str = server) -> Iterator[str]:
            yield from body(world, some_links(world, rng, server), **how)

        strike.__doc__ = doc.format(name)
        fault(f"{kind}-{server}", [f"net-{server}"], lasts)(strike)


register("cut", (1, 8), "Nothing passes to {} and back.", body=cut, up="hold", down="hold")
register("cut-up", (1, 6), "Nothing passes to {}; its answers do.", body=cut, up="hold")
register("cut-down", (1, 6), "Nothing comes back from {}.", body=cut, down="hold")
register("slow", (2, 8), "Answers of {} come late and in a trickle.", body=slow)
register("refuse", (1, 6), "Connections to {} are reset, new ones at once.", body=refuse)
register("reset", (0, 0), "Connections to {} are reset.", body=reset, side="both")
register("half-open", (1, 8), "{} is gone and the replica is not told.", body=reset, side="server")
register("orphan", (1, 8), "The replica's connection is reset and {} is not told.", body=reset,
         side="client")  # fmt: skip
register("garbage", (0, 0), "Noise in an answer of {}.", body=garbage)
register("unanswered", (0, 1), "What {} is sent arrives, its answers never do.", body=unanswered)
