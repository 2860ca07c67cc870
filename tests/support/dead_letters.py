"""Reading pgsluice.dead_letters, to compare with what was produced."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from postgres import Postgres

COLUMNS = (
    "topic, partition, record_offset, record_time, key, value, headers,"
    " reason, sqlstate, target_table, target_column, instance"
)


@dataclass(frozen=True)
class DeadLetter:
    """One row."""

    topic: str
    partition: int
    offset: int
    time: datetime | None
    key: bytes | None
    value: bytes | None
    headers: list[dict[str, Any]] | None
    reason: str
    sqlstate: str | None
    table: str
    column: str | None
    instance: str


def dead_letters(postgres: Postgres, sink: str) -> list[DeadLetter]:
    """A sink's dead letters in the order of their records; fails when a record has two."""
    rows = postgres.query(
        f"SELECT {COLUMNS} FROM pgsluice.dead_letters WHERE sink = %s"
        " ORDER BY topic, partition, record_offset",
        [sink],
    )
    letters = [DeadLetter(*row) for row in rows]
    records = [(letter.topic, letter.partition, letter.offset) for letter in letters]
    assert len(set(records)) == len(records), f"more than one dead letter of a record: {records}"
    return letters
