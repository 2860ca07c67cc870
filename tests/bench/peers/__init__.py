"""The peers: what a user would otherwise run, each in a module of its own in this folder.

A module that defines PEERS, a sequence of Peer objects (one for each configuration worth showing), is
found by itself. ./dev bench --peers runs every peer that is available, in turns with pgsluice: same
topic, same table, same machine. What it does, for each peer and round:

    peer.unavailable()            None, or why it is left out (a line of the report)
    peer.prepare(place)           once: fetch, build, write configuration; not measured
    peer.start(place)             start the processes; need not wait for anything
    peer.pids()                   asked for again and again while it runs: whose CPU time and memory count
    peer.stop()                   end them all; is also called when the run has failed

`place.table` exists and is empty at each start, `place.topic` holds all its records, and `place.group`
is a new consumer group, which starts at the first offset. bench.py watches the table from outside, and
a run whose rows are not exactly the topic's is void.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Protocol, Sequence


@dataclass(frozen=True)
class Place:
    """Where a peer works."""

    bootstrap: str  # of Kafka
    topic: str
    partitions: int
    group: str
    pg_env: Mapping[str, str]  # PGHOST, PGPORT, PGUSER, PGDATABASE: over TCP, without a password
    table: str  # in the search_path
    columns: Sequence[tuple[str, str]]  # name and type; the fields of the JSON have the same names
    rows: int
    directory: Path  # the peer's own, for configuration and logs; empty at prepare()


class Peer(Protocol):
    """One peer in one configuration. All its processes must be started through process.Child."""

    name: str  # "Kafka Connect, Debezium JDBC"
    writes: str  # "insert" or "copy": how rows go in; decides which goal it counts for
    goal: str  # the CPU goal that it counts for: "kafka_connect", "redpanda_connect", "" for none

    def unavailable(self) -> str | None: ...

    def versions(self) -> Mapping[str, str]: ...

    def prepare(self, place: Place) -> None: ...

    def start(self, place: Place) -> None: ...

    def pids(self) -> Sequence[int]: ...

    def stop(self) -> None: ...


def all_peers() -> list[Peer]:
    """Every module's PEERS, in the order of the modules' names."""
    found: list[Peer] = []
    for module in pkgutil.iter_modules(__path__):
        found += getattr(importlib.import_module(f"{__name__}.{module.name}"), "PEERS", ())
    return found
