"""What a backfill has loaded, held against the log as another client reads it.

    run = start_sink(kafka, command="backfill --from 0 --to 500 --json")
    assert run.wait_exit() == 0
    loaded(kafka, topic, postgres, table, {0: (0, 500)})
    summary(run)["rows"]

Rows say of which record they were made (history.create_table). Works with gaps in the offsets.
"""

from __future__ import annotations

import json
from typing import Any, Mapping, NamedTuple

import orders
from checksum import read_topic, sql_hash, text_hash
from cluster import Cluster
from postgres import Postgres
from sink import Sink

Bounds = Mapping[int, tuple[int, int]]


class Held(NamedTuple):
    """Of a partition: the same when each record is there once, as it is."""

    count: int
    distinct: int
    offsets: int
    hashes: int


def summary(run: Sink) -> dict[str, Any]:
    """The object that --json has printed since the last start: exactly one."""
    lines = run.log_lines()
    started = max(i for i, line in enumerate(lines) if line.get("event") == "starting")
    found = [line for line in lines[started:] if "adds_up" in line]
    assert len(found) == 1, f"{len(found)} summaries: {run.log_text()[-2000:]}"
    return found[0]


def _in_log(cluster: Cluster, topic: str, bounds: Bounds) -> tuple[dict[int, Held], dict[int, set[int]]]:
    """What should be there, and the offsets of records that are no orders, by partition."""
    sums = {partition: [0, 0, 0] for partition in bounds}
    poison: dict[int, set[int]] = {partition: set() for partition in bounds}
    for record in read_topic(cluster, topic, {p: end for p, (_, end) in bounds.items()}):
        if record.offset < bounds[record.partition][0]:
            continue
        order = orders.parse(record.value)
        if order is None:
            poison[record.partition].add(record.offset)
            continue
        at = sums[record.partition]
        at[0] += 1
        at[1] += record.offset
        at[2] += text_hash(f"{record.offset}|{orders.canonical_text(order)}")
    return {p: Held(count, count, *rest) for p, (count, *rest) in sums.items()}, poison


def _in_table(postgres: Postgres, table: str) -> dict[int, Held]:
    text = f"concat_ws('|', __connect_offset, {orders.canonical_sql()})"
    sql = (
        "SELECT __connect_partition, count(*), count(DISTINCT __connect_offset), sum(__connect_offset),"
        f" sum({sql_hash(text)}::numeric) FROM {table} GROUP BY 1"
    )
    return {row[0]: Held(*(int(value) for value in row[1:])) for row in postgres.query(sql)}


def _letters(postgres: Postgres, topic: str) -> list[tuple[int, int]]:
    sql = "SELECT partition, record_offset FROM pgsluice.dead_letters WHERE topic = %s"
    return [(partition, offset) for partition, offset in postgres.query(sql, [topic])]


def loaded(cluster: Cluster, topic: str, postgres: Postgres, table: str, bounds: Bounds) -> int:
    """Each record between the bounds once, as a row or a dead letter, and nothing else; how many rows."""
    expected, poison = _in_log(cluster, topic, bounds)
    found = _in_table(postgres, table)
    wrong = {
        partition: (found.get(partition), held)
        for partition, held in expected.items()
        if found.get(partition, Held(0, 0, 0, 0)) != held
    }
    assert not wrong, f"{table} (found, expected): {wrong}"
    assert not set(found) - set(expected), f"{table} has partitions of no range: {sorted(found)}"
    letters = sorted((p, offset) for p, offsets in poison.items() for offset in offsets)
    assert sorted(_letters(postgres, topic)) == letters
    return sum(held.count for held in found.values())


def ranges(postgres: Postgres, name: str) -> list[dict[str, Any]]:
    """The rows of pgsluice.backfill_ranges."""
    sql = (
        "SELECT to_jsonb(r) FROM pgsluice.backfill_ranges AS r WHERE backfill = %s" " ORDER BY topic, partition, range"
    )
    return [row[0] if isinstance(row[0], dict) else json.loads(row[0]) for row in postgres.query(sql, [name])]


def written(postgres: Postgres, name: str) -> int:
    """Records that are dealt with so far; 0 before it was planned."""
    if postgres.scalar("SELECT to_regclass('pgsluice.backfill_ranges')") is None:
        return 0
    sql = (
        "SELECT coalesce(sum(rows_count + dead_letters_count), 0) FROM pgsluice.backfill_ranges" " WHERE backfill = %s"
    )
    return int(postgres.scalar(sql, [name]))
