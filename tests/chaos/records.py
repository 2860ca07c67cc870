"""The records of a chaos run and the tables for them: what a good one looks like on both sides.

    {"mark":100123456789012345,"tail":2345,"note":"10012345678901234510012"}

`mark` is random and names the record; `tail` and `note` are made of it, so that a row can be checked
by itself. Everything that does not begin like that is poison, which belongs into the dead letters.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

MARK_BASE = 10**17  # marks are 18 digits, the first a 1
MARK_BITS = 56
MARK_DIGITS = 18
GOOD_START = b'{"mark":1'
MARK_AT = slice(8, 8 + MARK_DIGITS)
TAIL = 10_000  # a binary bigint below that is a numeric, too: another one, which is not refused

LONG_EVERY = 4_000
LONG_BYTES = 40_000


@dataclass(frozen=True)
class Topic:
    """A topic of the run; its table has the same name."""

    name: str
    partitions: int
    poison_every: int  # on average
    transactional: bool = False


def topics_of(name: str, poison_every: int) -> list[Topic]:
    """The topics of a run called `name`."""
    return [
        Topic(f"{name}_orders", 6, poison_every),
        Topic(f"{name}_events", 4, poison_every * 10),
        Topic(f"{name}_ledger", 3, poison_every, transactional=True),
    ]


def is_good(value: bytes | None) -> bool:
    return value is not None and value.startswith(GOOD_START)


def mark_of(value: bytes) -> int:
    """Of a good record."""
    return int(value[MARK_AT])


def good(rng: random.Random) -> bytes:
    mark = MARK_BASE + rng.getrandbits(MARK_BITS)
    length = LONG_BYTES if rng.random() * LONG_EVERY < 1 else int(rng.random() * 120)
    note = (str(mark) * (length // MARK_DIGITS + 1))[:length]
    return b'{"mark":%d,"tail":%d,"note":"%s"}' % (mark, mark % TAIL, note.encode())


def poison(rng: random.Random) -> bytes | None:
    """One of the ways not to be a row: for the decoder, the encoder, or PostgreSQL itself."""
    tail = rng.randrange(TAIL)
    kinds: list[bytes | None] = [
        b"no JSON %d" % tail,
        b'["an array", %d]' % tail,
        b'{"tail":%d,"mark":1e300,"note":"out of range"}' % tail,
        b'{"tail":%d,"mark":"many"}' % tail,
        b'{"tail":%d,"note":"not UTF-8 \xff"}' % tail,
        b'{"tail":%d,"mark":1,"note":"refused"}' % tail,
        None,
    ]
    return rng.choice(kinds)


def table_sql(table: str) -> str:
    """The table of a topic. `inserted` rises with each insert: that is the order of rows."""
    return (
        f"CREATE TABLE {table} (mark bigint NOT NULL, tail bigint NOT NULL,"
        " note text CHECK (note <> 'refused'),"
        " __connect_partition integer NOT NULL, __connect_offset bigint NOT NULL,"
        " inserted bigint GENERATED ALWAYS AS IDENTITY);"
        f"CREATE INDEX ON {table} (__connect_partition, __connect_offset)"
    )


ROW_IS_RIGHT = (
    f"tail = mod(mark, {TAIL}) AND"
    " note = left(repeat(mark::text, length(note) / 18 + 1), length(note))"
)
