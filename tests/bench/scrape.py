"""What an answer costs with a thousand partitions: CPU time of the sink, without what it uses idle."""

from __future__ import annotations

import statistics
import time
from typing import Any, Callable

import drain
import report
import usage
from faults import let_pass
from http_client import SERVED, Web
from sink import Sink
from testbed import Testbed

PATHS = ("/metrics", "/status", "/livez")
PARTITIONS, SCRAPES = 1_000, 40
EACH_S = 0.6  # longer than an answer is given again
COLUMNS = (f"{PARTITIONS:,} partitions", "bytes", "CPU ms", "until it is here, ms")


def measure(bed: Testbed, scrapes: int = SCRAPES) -> dict[str, Any]:
    report.heading("Asked over HTTP: what an answer costs")
    with drain.placed_sink(bed, PARTITIONS, SERVED) as sink:
        web = Web(sink)
        lag = "pgsluice_consumer_lag_records"
        sink.wait_for(lambda: sum(k.startswith(lag) for k in web.metrics()) >= PARTITIONS, 120, "lag of all")
        found = {path: measure_path(sink, path, scrapes) for path in PATHS}
    report.table(
        COLUMNS,
        [
            [path, report.thousands(each["bytes"]), f"{each['cpu_ms']:.2f}", report.milliseconds(each["ms"])]
            for path, each in found.items()
        ],
    )
    return found


def measure_path(sink: Sink, path: str, scrapes: int) -> dict[str, float]:
    idle_s = used_by(sink, lambda: let_pass(scrapes * EACH_S))
    took: list[float] = []
    sizes: list[int] = []

    def ask() -> None:
        for _ in range(scrapes):
            began_s = time.monotonic()
            sizes.append(len(Web(sink).get(path).body))
            took.append(time.monotonic() - began_s)
            let_pass(max(0.01, EACH_S - took[-1]))

    busy_s = used_by(sink, ask) - idle_s
    return {"bytes": sizes[-1], "cpu_ms": 1000 * busy_s / scrapes, "ms": 1000 * statistics.median(took)}


def used_by(sink: Sink, act: Callable[[], None]) -> float:
    before_s = usage.cpu_s(sink.pid)
    act()
    return usage.cpu_s(sink.pid) - before_s
