"""A TCP proxy that can break what passes through it, one link at a time.

A link is a listening port with one target. The program reads commands, a JSON object a line, from
stdin and answers each with a line:

    {"do": "open",   "name": "sink-1/postgres", "port": 15432, "target": ["127.0.0.1", 5432]}
    {"do": "set",    "links": [...], "up": "hold", "delay_s": 0.1, ...}   see Mode
    {"do": "target", "links": [...], "target": ["127.0.0.1", 5433]}       for new connections
    {"do": "reset",  "links": [...], "side": "both"}                      see Connection.reset
    {"do": "count"}                                                       what happened on each link

`up` is the way from the client to the server, `down` the way back. What is held stays in order and
goes on when it is released, as a network that retransmits would have it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
import sys
from dataclasses import dataclass, field
from typing import Any, AsyncIterator

CHUNK_BYTES = 64 * 1024
GARBAGE_BYTES = 64
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass
class Mode:
    """How a link treats what passes; a directions' word is "pass" or "hold"."""

    up: str = "pass"
    down: str = "pass"
    delay_s: float = 0.0  # of each piece, on its way down
    bytes_per_s: int = 0  # on its way down; 0: no limit
    refuse: bool = False  # new connections are reset at once
    garbage: bool = False  # the next piece down has noise in front of it


@dataclass
class Counts:
    """What has happened on a link since the start."""

    connections: int = 0
    held: int = 0  # pieces, or new connections, that had to wait
    delayed: int = 0
    refused: int = 0
    reset: int = 0
    spoilt: int = 0


class Connection:
    """Two sockets and the two pumps between them."""

    def __init__(self, link: "Link", client: asyncio.StreamWriter) -> None:
        self.link = link
        self.sides: dict[str, asyncio.StreamWriter] = {"client": client}

    def reset(self, side: str) -> None:
        """RST one side, or both. With one, the other is told nothing: it waits for an answer."""
        for name in ("client", "server") if side == "both" else (side,):
            writer = self.sides.pop(name, None)
            if writer is not None:
                _reset(writer)
                self.link.counts.reset += 1


def _reset(writer: asyncio.StreamWriter) -> None:
    handle = writer.get_extra_info("socket")
    if handle is not None:
        with contextlib.suppress(OSError):
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()


@dataclass
class Link:
    name: str
    target: tuple[str, int]
    mode: Mode = field(default_factory=Mode)
    counts: Counts = field(default_factory=Counts)
    open: set[Connection] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.changed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its connect to its end."""
        if self.mode.refuse:
            self.counts.refused += 1
            _reset(writer)
            return
        connection = Connection(self, writer)
        self.open.add(connection)
        self.counts.connections += 1
        try:
            await self._gate("up")
            server_reader, server_writer = await asyncio.open_connection(*self.target)
            connection.sides["server"] = server_writer
            async with _pumps(
                self._pump("up", reader, connection, "server"),
                self._pump("down", server_reader, connection, "client"),
            ):
                pass
        except OSError:
            connection.reset("both")
        finally:
            self.open.discard(connection)
            connection.reset("both")

    async def _pump(
        self, way: str, reader: asyncio.StreamReader, connection: Connection, to: str
    ) -> None:
        """Move bytes until one side ends; then the other side hears of it too, unless it may not."""
        try:
            while data := await reader.read(CHUNK_BYTES):
                await self._gate(way)
                if way == "down":
                    data = await self._spoil(data)
                if to in connection.sides:
                    connection.sides[to].write(data)
                    await connection.sides[to].drain()
        except OSError:
            pass
        if len(connection.sides) == 2:
            connection.sides[to].close()
        while connection.sides and len(connection.sides) < 2:
            await self._wait()  # half-open until somebody resets the rest

    async def _spoil(self, data: bytes) -> bytes:
        mode = self.mode
        if mode.delay_s or mode.bytes_per_s:
            self.counts.delayed += 1
            await self._delay(mode.delay_s + len(data) / (mode.bytes_per_s or 1 << 40))
        if mode.garbage:
            mode.garbage = False
            self.counts.spoilt += 1
            return os.urandom(GARBAGE_BYTES) + data
        return data

    async def _delay(self, seconds: float) -> None:
        """So long, or until the link is told to behave otherwise."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wait(), seconds)

    async def _gate(self, way: str) -> None:
        if getattr(self.mode, way) == "hold":
            self.counts.held += 1
        while getattr(self.mode, way) == "hold":
            await self._wait()

    async def _wait(self) -> None:
        await self.changed.wait()

    def notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


@contextlib.asynccontextmanager
async def _pumps(*pumps: Any) -> AsyncIterator[None]:
    """Both run until both are over."""
    tasks = [asyncio.ensure_future(pump) for pump in pumps]
    try:
        yield
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


class Proxy:
    """All links, and the commands."""

    def __init__(self) -> None:
        self.links: dict[str, Link] = {}

    async def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        what = command.pop("do")
        if what == "open":
            return await self._open(**command)
        if what == "count":
            return {name: vars(link.counts) for name, link in self.links.items()}
        links = [self.links[name] for name in command.pop("links")]
        for link in links:
            getattr(self, f"_{what}")(link, **command)
            link.notify()
        return {"open": sum(len(link.open) for link in links)}

    async def _open(self, name: str, port: int, target: list[Any]) -> dict[str, Any]:
        link = Link(name, (target[0], target[1]))
        self.links[name] = link
        await asyncio.start_server(link.serve, "127.0.0.1", port)
        return {}

    def _set(self, link: Link, **mode: Any) -> None:
        for name, value in mode.items():
            setattr(link.mode, name, value)

    def _target(self, link: Link, target: list[Any]) -> None:
        link.target = (target[0], target[1])

    def _reset(self, link: Link, side: str) -> None:
        for connection in list(link.open):
            connection.reset(side)


async def main() -> None:
    proxy = Proxy()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(json.dumps(await proxy.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
