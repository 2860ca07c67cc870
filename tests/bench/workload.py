"""What is measured: records of some kind, in topics, on their way to tables."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field, replace
from typing import Mapping, NamedTuple, Sequence

import orders
from cluster import Cluster, support_program
from programs import bench_program

Columns = Sequence[tuple[str, str]]

ORDER_COLUMNS: Columns = [(column.name, column.type) for column in orders.COLUMNS]
VALUE_COLUMN: Columns = [("value", "jsonb")]
WIDE_KINDS = ("bigint", "text", "double precision", "text", "timestamptz")
WIDE_COLUMNS: Columns = [("id", "bigint")] + [
    (f"attribute_{i:02}", WIDE_KINDS[i % len(WIDE_KINDS)]) for i in range(1, 40)
]

PRODUCE_LIMIT_S = 1800
RAW = {"SINK_VALUE_FORMAT": "raw"}


class Topic(NamedTuple):
    """A topic, whose table has the same name."""

    name: str
    records: int


@dataclass(frozen=True)
class Workload:
    """One of W1 to W8, at some size. `shape` is produce_rows', or empty for orders."""

    name: str
    title: str
    columns: Columns
    records: int
    record_bytes: int  # about; for sizing alone
    shape: str = ""
    env: Mapping[str, object] = field(default_factory=dict)
    poison_every: int = 0
    note_bytes: int = 0  # of an order; 0: as they come
    topic_count: int = 1
    partitions: int = 12
    codec: str = "none"

    @property
    def is_raw(self) -> bool:
        return self.env.get("SINK_VALUE_FORMAT") == "raw"

    @property
    def topics(self) -> list[Topic]:
        """Several are skewed: each has a share of 1, 1/2, 1/3 ..."""
        word = f"{self.name.lower()}_{self.codec}_{self.partitions}"
        if self.topic_count == 1:
            return [Topic(word, self.records)]
        whole = sum(1 / number for number in range(1, self.topic_count + 1))
        return [
            Topic(f"{word}_{number:02}", round(self.records / number / whole))
            for number in range(1, self.topic_count + 1)
        ]

    @property
    def tables(self) -> list[str]:
        return [topic.name for topic in self.topics]

    @property
    def topic_list(self) -> str:
        return ",".join(topic.name for topic in self.topics)

    def sized(self, records: int, **changes: object) -> "Workload":
        return replace(self, records=records, **changes)  # type: ignore[arg-type]

    def ddl(self, table: str) -> str:
        columns = ", ".join(f'"{name}" {kind}' for name, kind in self.columns)
        return f"CREATE TABLE {table} ({columns})"


W1 = Workload("W1", "raw jsonb, 300 B", VALUE_COLUMN, 1_000_000, 300, "document", RAW)
W2 = Workload("W2", "8 typed columns, 256 B JSON", ORDER_COLUMNS, 2_000_000, 270)
W3 = Workload("W3", "40 typed columns, 1.2 KiB JSON", WIDE_COLUMNS, 500_000, 1230, "wide")
W6 = Workload("W6", "raw jsonb, 4 KiB", VALUE_COLUMN, 150_000, 4096, "document", RAW)
W7 = Workload(
    "W7", "20 topics to 20 tables, skewed", ORDER_COLUMNS, 2_000_000, 270, topic_count=20, partitions=3
)
W8 = Workload("W8", "W2 with 1 % poison", ORDER_COLUMNS, 2_000_000, 270, poison_every=100)

ALL = (W2, W1, W3, W6, W7, W8)


def produce(kafka: Cluster, workload: Workload, topic: Topic, first: int = 0) -> None:
    """Fill a topic that exists."""
    if not workload.shape:
        options: dict[str, object] = {"compression": workload.codec, "first": first}
        if workload.poison_every:
            options["poison_every"] = workload.poison_every
        if workload.note_bytes:
            options["note_bytes"] = workload.note_bytes
        argv = _orders_argv(kafka, workload, topic, options)
    else:
        argv = [str(bench_program("produce_rows")), "--shape", workload.shape]
        argv += ["--bytes", str(workload.record_bytes), "--compression", workload.codec]
    argv += ["--bootstrap", kafka.bootstrap, "--topic", topic.name]
    argv += ["--records", str(topic.records), "--partitions", str(workload.partitions)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=PRODUCE_LIMIT_S)
    if result.returncode != 0:
        raise RuntimeError(f"{argv[0]} exited {result.returncode}: {result.stderr.strip()}")
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["records"] == topic.records


def _orders_argv(
    kafka: Cluster, workload: Workload, topic: Topic, options: Mapping[str, object]
) -> list[str]:
    argv = [str(support_program("produce_orders"))]
    for name, value in options.items():
        argv += ["--" + name.replace("_", "-"), str(value)]
    return argv
