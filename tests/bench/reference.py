"""The truth about a workload, made without the sink: what its tables must hold.

Each topic is read by another client than the sink's, and PostgreSQL itself decodes the records
(json_populate_record) into a reference table. From it come the checksum that every run is held
against, and the files of encoded rows that the limits are measured with. The checksum is a sum of
64-bit hashes of whole rows: order plays no part, a lost, doubled or altered row does.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Iterator

import checksum
from postgres import Postgres
from testbed import Testbed
from workload import Topic, Workload, produce

STAGE = "bench_stage"
COPY_ROWS = 20_000
SAMPLE_RECORDS = 100_000


@dataclass
class Reference:
    """Of one workload, whose topics are filled and whose tables exist, empty."""

    workload: Workload
    sums: dict[str, tuple[int, int]] = field(default_factory=dict)  # table -> rows, hash sum
    dead_letters: int = 0
    bytes: int = 0  # of all records' values
    text_files: dict[str, Path] = field(default_factory=dict)
    binary_files: dict[str, Path] = field(default_factory=dict)
    table_bytes: int = 0
    sample: Path = Path()  # the first records, each behind its length, for bench_encode

    @property
    def rows(self) -> int:
        return sum(rows for rows, _ in self.sums.values())

    @property
    def records(self) -> int:
        return self.rows + self.dead_letters

    def fault(self, postgres: Postgres) -> str | None:
        """What is wrong with the tables, None when they hold exactly what they must."""
        for table, expected in self.sums.items():
            found = row_sum(postgres, table)
            if found != expected:
                return f"{table} has {found[0]:,} rows for {expected[0]:,}, or other ones"
        return None

    def dead_letter_fault(self, postgres: Postgres) -> str | None:
        found = postgres.scalar("SELECT count(*) FROM pgsluice.dead_letters")
        if found != self.dead_letters:
            return f"{found:,} dead letters for {self.dead_letters:,}"
        return None

    def close(self) -> None:
        for path in (*self.text_files.values(), *self.binary_files.values(), self.sample):
            if path != Path():
                path.unlink(missing_ok=True)


def row_sum(postgres: Postgres, table: str) -> tuple[int, int]:
    sql = f"SELECT count(*), coalesce(sum(hash_record_extended(t, 0)), 0) FROM {table} AS t"
    rows, total = postgres.query(sql)[0]
    return int(rows), int(total)


def build(bed: Testbed, workload: Workload, dumps: bool = True) -> Reference:
    """Make topics and tables, fill the topics, and find out the truth."""
    reference = Reference(workload)
    reference.sample = bed.directory / f"{workload.topics[0].name}.records"
    for topic in workload.topics:
        bed.kafka.create_topic(topic.name, workload.partitions)
        produce(bed.kafka, workload, topic)
        bed.postgres.query(workload.ddl(topic.name))
        _decode(bed, reference, topic)
        if dumps:
            _dump(bed, reference, topic.name)
        reference.table_bytes += bed.postgres.scalar(
            f"SELECT pg_table_size('{topic.name}'::regclass)"
        )
        bed.postgres.query(f"TRUNCATE {topic.name}; DROP TABLE {STAGE}")
    return reference


def drop(bed: Testbed, reference: Reference) -> None:
    """Remove topics, tables and files."""
    for name in reference.workload.tables:
        bed.postgres.query(f"DROP TABLE {name}")
        bed.kafka.delete_topic(name)
    reference.close()


def _decode(bed: Testbed, reference: Reference, topic: Topic) -> None:
    postgres = bed.postgres
    postgres.query(f"CREATE UNLOGGED TABLE {STAGE} (value text)")
    staged = _stage(bed, topic, reference)
    if staged != topic.records:
        raise RuntimeError(f"{topic.name} holds {staged:,} records for {topic.records:,}")
    if reference.workload.is_raw:
        postgres.query(f"INSERT INTO {topic.name} SELECT value::jsonb FROM {STAGE}")
    else:
        postgres.query(
            f"INSERT INTO {topic.name} SELECT r.* FROM {STAGE},"
            f" json_populate_record(NULL::{topic.name}, value::json) AS r WHERE value LIKE '{{%'"
        )
    reference.sums[topic.name] = row_sum(postgres, topic.name)
    reference.dead_letters += staged - reference.sums[topic.name][0]


def _stage(bed: Testbed, topic: Topic, reference: Reference) -> int:
    count = 0
    with bed.postgres.connect() as connection, open(reference.sample, "wb") as sample_file:
        with connection.cursor().copy(f"COPY {STAGE} FROM STDIN") as copy:
            for values in _batches(bed, topic):
                if count < SAMPLE_RECORDS:
                    _write_sample(sample_file, values[: SAMPLE_RECORDS - count])
                copy.write(b"\n".join(value.replace(b"\\", b"\\\\") for value in values) + b"\n")
                count += len(values)
                reference.bytes += sum(map(len, values))
    return count


def _batches(bed: Testbed, topic: Topic) -> Iterator[list[bytes]]:
    values: list[bytes] = []
    for record in checksum.read_topic(bed.kafka, topic.name):
        values.append(record.value or b"")
        if len(values) == COPY_ROWS:
            yield values
            values = []
    if values:
        yield values


def _write_sample(file: BinaryIO, values: list[bytes]) -> None:
    file.writelines(struct.pack(">I", len(value)) + value for value in values)


def _dump(bed: Testbed, reference: Reference, table: str) -> None:
    text = bed.server_directory / f"{table}.text"
    binary = bed.server_directory / f"{table}.binary"
    bed.postgres.query(f"COPY {table} TO '{text}'; COPY {table} TO '{binary}' (FORMAT binary)")
    reference.text_files[table] = text
    reference.binary_files[table] = binary
