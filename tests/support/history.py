"""Whether a table holds each record of a topic exactly once, as it is, in order, and nothing else.

    history.create_table(postgres, "orders")
    ... load, sink, faults ...
    history.assert_prefix(postgres, sink.name, "orders", "orders")      # at any time
    history.assert_exactly_once(kafka, "orders", postgres, "orders", sink=sink.name)

The truth is the log, read by another client than the sink's. Every row says which record it was made
of, and has a number that rose with each insert: two sessions fill pages of their own, so a row's place
in the table would say nothing about order. A dead letter counts as its record's row.

For topics without transactions and compaction: their offsets have no gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

import orders
from checksum import Checksum, positions, read_topic, sql_hash, text_hash
from cluster import Cluster
from postgres import Postgres

EXAMPLES = 5


def create_table(postgres: Postgres, name: str) -> None:
    """A table of orders without a key, each with its record's place and the number of its insert."""
    orders.create_table(postgres, name)
    postgres.query(
        f"ALTER TABLE {name} ADD COLUMN __connect_partition integer,"
        " ADD COLUMN __connect_offset bigint,"
        " ADD COLUMN inserted bigint GENERATED ALWAYS AS IDENTITY"
    )


@dataclass(frozen=True)
class Held:
    """What the database holds of one partition, rows and dead letters together."""

    count: int
    distinct: int
    first: int
    last: int


def _records_sql(postgres: Postgres, table: str) -> str:
    """A query of (partition, record_offset); %(sink)s and %(topic)s are its parameters."""
    rows = f"SELECT __connect_partition AS partition, __connect_offset AS record_offset FROM {table}"
    if postgres.scalar("SELECT to_regclass('pgsluice.dead_letters')") is None:
        return rows
    return (
        f"{rows} UNION ALL SELECT partition, record_offset FROM pgsluice.dead_letters"
        " WHERE sink = %(sink)s AND topic = %(topic)s"
    )


def held(postgres: Postgres, sink: str, topic: str, table: str) -> dict[int, Held]:
    sql = (
        "SELECT partition, count(*), count(DISTINCT record_offset), min(record_offset),"
        f" max(record_offset) FROM ({_records_sql(postgres, table)}) AS r GROUP BY partition"
    )
    rows = postgres.query(sql, {"sink": sink, "topic": topic})  # type: ignore[arg-type]
    return {row[0]: Held(*row[1:]) for row in rows}


# --- At any time ----------------------------------------------------------------------------------


def assert_prefix(postgres: Postgres, sink: str, topic: str, table: str) -> dict[int, int]:
    """In one snapshot, under load or not: each partition's rows are exactly those below its position.

    Returns the positions.
    """
    if postgres.scalar("SELECT to_regclass('pgsluice.offsets')") is None:
        return {}
    sql = (
        "SELECT coalesce(o.partition, r.partition), coalesce(o.next_offset, 0),"
        " coalesce(r.count, 0), coalesce(r.last, -1)"
        " FROM (SELECT * FROM pgsluice.offsets WHERE sink = %(sink)s AND topic = %(topic)s) AS o"
        " FULL JOIN (SELECT partition, count(*) AS count, max(record_offset) AS last"
        f" FROM ({_records_sql(postgres, table)}) AS x GROUP BY partition) AS r USING (partition)"
    )
    rows = postgres.query(sql, {"sink": sink, "topic": topic})  # type: ignore[arg-type]
    wrong = [
        f"partition {partition}: position {position}, {count} rows, the last of offset {last}"
        for partition, position, count, last in sorted(rows)
        if count != position or last != position - 1
    ]
    if wrong:
        raise AssertionError(
            f"{table} is not what lies below the positions of sink {sink}: " + "; ".join(wrong)
        )
    return {row[0]: row[1] for row in rows}


# --- At the end -----------------------------------------------------------------------------------


def assert_exactly_once(
    cluster: Cluster,
    topic: str,
    postgres: Postgres,
    table: str,
    sink: str | None = None,
    starts: Mapping[int, int] | None = None,
) -> Checksum:
    """Every record from `starts` (else 0) to the end once, with its content, in order.

    With `sink`, its positions have to be the ends, and its dead letters the records that are no orders.
    """
    ends = cluster.end_offsets(topic)
    firsts = {partition: (starts or {}).get(partition, 0) for partition in ends}
    assert_complete(postgres, sink or "", topic, table, firsts, ends)
    assert_order(postgres, table)
    expected, poison = _orders_in_log(cluster, topic, firsts)
    found = _orders_in_table(postgres, table)
    letters = sum(h.count for h in held(postgres, sink or "", topic, table).values()) - found.count
    if (found, letters) != (expected, poison):
        raise AssertionError(
            f"{table} has other content than {topic}: {found} and {letters} dead letters for "
            f"{expected} and {poison} poison records; " + _altered(cluster, topic, postgres, table, firsts)
        )
    if sink is not None:
        at = positions(postgres, sink, topic)
        wrong = {p: (at.get(p), end) for p, end in ends.items() if at.get(p, 0) != end}
        assert not wrong, f"positions of {sink} that are not {topic}'s ends (position, end): {wrong}"
    return found


def assert_complete(
    postgres: Postgres,
    sink: str,
    topic: str,
    table: str,
    firsts: Mapping[int, int],
    ends: Mapping[int, int],
    duplicates: bool = False,
) -> int:
    """Every offset from firsts to ends is there, once unless `duplicates`; returns the surplus rows."""
    found = held(postgres, sink, topic, table)
    wrong = []
    surplus = 0
    for partition, end in sorted(ends.items()):
        first = firsts[partition]
        here = found.pop(partition, Held(0, 0, first, end - 1))
        surplus += here.count - here.distinct
        complete = here.distinct == end - first and (here.first, here.last) == (first, end - 1)
        if end > first and not (complete and (duplicates or here.count == here.distinct)):
            wrong.append(
                f"partition {partition}, offsets {first}..{end - 1}: {here.count} rows of "
                f"{here.distinct} records {here.first}..{here.last}, "
                f"{max(end - first - here.distinct, 0)} missing, {here.count - here.distinct} doubled: "
                + _examples(postgres, sink, topic, table, partition, first, end)
            )
        elif end == first and here.count:
            wrong.append(f"partition {partition} has {here.count} rows but no records")
    wrong += [f"partition {p} is not {topic}'s: {here}" for p, here in found.items()]
    if wrong:
        raise AssertionError(f"{table} is not complete and unique:\n" + "\n".join(wrong))
    return surplus


def _examples(
    postgres: Postgres, sink: str, topic: str, table: str, partition: int, first: int, end: int
) -> str:
    records = _records_sql(postgres, table)
    parameters: Any = {
        "sink": sink, "topic": topic, "partition": partition, "first": first, "end": end,
        "limit": EXAMPLES,
    }  # fmt: skip
    missing = postgres.query(
        "SELECT o FROM generate_series(%(first)s::bigint, %(end)s::bigint - 1) AS o EXCEPT"
        f" SELECT record_offset FROM ({records}) AS r WHERE partition = %(partition)s"
        " ORDER BY 1 LIMIT %(limit)s",
        parameters,
    )
    doubled = postgres.query(
        f"SELECT record_offset, count(*) FROM ({records}) AS r WHERE partition = %(partition)s"
        " GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT %(limit)s",
        parameters,
    )
    return f"missing {[row[0] for row in missing]}, doubled {[row[0] for row in doubled]}"


def assert_order(postgres: Postgres, table: str) -> None:
    """Within each partition, rows were inserted in the order of their offsets."""
    sql = (
        "SELECT partition, before, record_offset FROM ("
        " SELECT __connect_partition AS partition, __connect_offset AS record_offset,"
        " lag(__connect_offset) OVER (PARTITION BY __connect_partition ORDER BY inserted) AS before"
        f" FROM {table}) AS r WHERE before >= record_offset LIMIT {EXAMPLES}"
    )
    wrong = postgres.query(sql)
    assert not wrong, f"{table}: inserted out of order (partition, offset, then offset): {wrong}"


def _text(partition: int, offset: int, canonical: str) -> str:
    return f"{partition}|{offset}|{canonical}"


def _text_sql() -> str:
    return f"concat_ws('|', __connect_partition, __connect_offset, {orders.canonical_sql()})"


def _orders_in_log(
    cluster: Cluster, topic: str, firsts: Mapping[int, int]
) -> tuple[Checksum, int]:
    count = id_sum = hash_sum = poison = 0
    for record in read_topic(cluster, topic):
        if record.offset < firsts[record.partition]:
            continue
        order = orders.parse(record.value)
        if order is None:
            poison += 1
            continue
        count += 1
        id_sum += order["id"]
        hash_sum += text_hash(_text(record.partition, record.offset, orders.canonical_text(order)))
    return Checksum(count, id_sum, hash_sum), poison


def _orders_in_table(postgres: Postgres, table: str) -> Checksum:
    sql = (
        "SELECT count(*), coalesce(sum(id), 0),"
        f" coalesce(sum({sql_hash(_text_sql())}::numeric), 0) FROM {table}"
    )
    count, id_sum, hash_sum = postgres.query(sql)[0]
    return Checksum(int(count), int(id_sum), int(hash_sum))


def _altered(
    cluster: Cluster, topic: str, postgres: Postgres, table: str, firsts: Mapping[int, int]
) -> str:
    """The first few records whose row is another; only for when the sums differ."""
    sql = f"SELECT __connect_partition, __connect_offset, {_text_sql()} FROM {table}"
    rows = {(partition, offset): text for partition, offset, text in postgres.query(sql)}
    altered = []
    for record in read_topic(cluster, topic):
        order = orders.parse(record.value)
        place = (record.partition, record.offset)
        if order is None or record.offset < firsts[record.partition]:
            if place in rows and order is None:
                altered.append(f"poison {place} has a row")
        elif rows.get(place) != _text(*place, orders.canonical_text(order)):
            altered.append(f"{place} is {order}, its row {rows.get(place)}")
        if len(altered) == EXAMPLES:
            break
    return "; ".join(altered) or "each row agrees with its record"
