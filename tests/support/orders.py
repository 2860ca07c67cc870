"""The orders table that produce_orders.c fills, and the canonical text of one order.

The same text is made in Python from the record and in SQL from the row, so both sides can be
compared by a checksum (checksum.py) without bringing either to the other.
"""

from __future__ import annotations

import json
import struct
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, NamedTuple

from postgres import Postgres

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
NULL_TEXT = "~"


class Column(NamedTuple):
    """A column, and its canonical text as both sides make it."""

    name: str
    type: str
    from_json: Callable[[Any], str]
    sql: str


def _float_bytes(value: Any) -> str:
    """The eight bytes in hex: digits after the point are written differently on both sides."""
    return struct.pack(">d", float(value)).hex()


def _microseconds(value: str) -> str:
    return str((datetime.fromisoformat(value) - EPOCH) // timedelta(microseconds=1))


COLUMNS = (
    Column("id", "bigint", str, "id::text"),
    Column("user_id", "bigint", str, "user_id::text"),
    Column("source", "text", str, "source"),
    Column("amount", "double precision", _float_bytes, "encode(float8send(amount), 'hex')"),
    Column(
        "created_at",
        "timestamptz",
        _microseconds,
        "(extract(epoch FROM created_at) * 1000000)::bigint::text",
    ),
    Column("paid", "boolean", lambda value: "true" if value else "false", "paid::text"),
    Column("currency", "text", str, "currency"),
    Column("note", "text", str, "note"),
)


def create_table(postgres: Postgres, name: str = "orders", constraint: str = "") -> None:
    """Create the table; `constraint` is added to the columns, as in "PRIMARY KEY (id)"."""
    lines = [f"{column.name} {column.type}" for column in COLUMNS]
    if constraint:
        lines.append(constraint)
    postgres.query(f"CREATE TABLE {name} ({', '.join(lines)})")


def parse(value: bytes | None) -> dict[str, Any] | None:
    """The order in a record, None for poison."""
    try:
        order = json.loads(value or b"")
    except ValueError:
        return None
    return order if isinstance(order, dict) else None


def canonical_text(order: dict[str, Any]) -> str:
    """What canonical_sql() makes of the row; absent and null are the same."""
    texts = []
    for column in COLUMNS:
        value = order.get(column.name)
        texts.append(NULL_TEXT if value is None else column.from_json(value))
    return "|".join(texts)


def canonical_sql() -> str:
    """The SQL expression of a row's canonical text."""
    return "concat_ws('|', " + ", ".join(f"coalesce({c.sql}, '{NULL_TEXT}')" for c in COLUMNS) + ")"
