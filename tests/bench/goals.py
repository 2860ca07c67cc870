"""The goals that were set, each with what this run made of it. Plain data in, plain data out.

A goal that this run did not measure has neither value nor verdict.
"""

from __future__ import annotations

import statistics
from typing import Any, Callable

MEMORY_LIMIT_MIB = 256  # SINK_MEMORY_LIMIT's default
MEMORY_MARGIN_MIB = 64

Results = dict[str, Any]


def judge(results: Results) -> list[dict[str, Any]]:
    """[{name, goal, value, holds}] in the order of the issue."""
    return [
        _goal(name, sign, bound, unit, measure(results))
        for name, sign, bound, unit, measure in GOALS
    ]


def _goal(name: str, sign: str, bound: float, unit: str, value: float | None) -> dict[str, Any]:
    holds = None
    if value is not None:
        holds = {"<=": value <= bound, ">=": value >= bound, "<": value < bound}[sign]
        value = round(value, 4)
    return {"name": name, "goal": f"{sign} {bound:g} {unit}".strip(), "value": value, "holds": holds}


# --- Where the figures are ----------------------------------------------------------------------

Measure = Callable[[Results], float | None]


def _workload(results: Results, name: str) -> dict[str, Any]:
    for each in results.get("workloads", ()):
        if each["workload"] == name and each["codec"] == "none":
            return dict(each)
    return {}


def _median(spread: dict[str, Any] | None) -> float | None:
    return spread["median"] if spread else None


def ratio(workload: str, figure: str, other: str) -> Measure:
    def measure(results: Results) -> float | None:
        return _median(_workload(results, workload).get("ratios", {}).get(f"{figure} / {other}"))

    return measure


def inverse(measure: Measure) -> Measure:
    def inverted(results: Results) -> float | None:
        value = measure(results)
        return 1 / value if value else None

    return inverted


def figure(workload: str, name: str) -> Measure:
    def measure(results: Results) -> float | None:
        return _median(_workload(results, workload).get("figures", {}).get("pgsluice", {}).get(name))

    return measure


def peers(figure: str, names: Callable[[str, str], bool], closest: Callable[..., float]) -> Measure:
    """pgsluice's figure over that of the peer that comes closest, of those that `names` picks by name and
    way of writing. One of them that is missing or void might have been the closest."""

    def measure(results: Results) -> float | None:
        contest = results.get("peers") or {}
        chosen = [peer for peer, writes in contest.get("writes", {}).items() if names(peer, writes)]
        ratios = [contest["ratios"].get(f"{figure} / {peer}") for peer in chosen]
        return closest(each["median"] for each in ratios) if ratios and all(ratios) else None

    return measure


def latency(name: str, percentile: str) -> Measure:
    def measure(results: Results) -> float | None:
        for each in results.get("latency", ()):
            if each["name"] == name and each["records_per_s"] == 1_200 and not each["void"]:
                return float(each["milliseconds"][percentile])
        return None

    return measure


def sustained_lag(results: Results) -> float | None:
    found = results.get("sustained") or {}
    return float(found["most_lag"]) if "most_lag" in found else None


def idle_mebibytes(results: Results) -> float | None:
    for each in results.get("idle", ()):
        if each["partitions"] == 1_000:
            return float(each["peak_rss_kib"]) / 1024
    return None


def drain_mebibytes(results: Results) -> float | None:
    """The highest peak of all drains by one instance, if long backlogs are among them."""
    contest = [results["peers"]] if results.get("peers") else []
    peaks = [
        run["peak_rss_kib"] / 1024
        for turns in (*results.get("workloads", ()), *results.get("growth", ()), *contest)
        if turns.get("name") != "replicas"
        for each in turns["rounds"]
        for run in each["runs"].values()
        if run["subject"] == "pgsluice"
    ]
    return max(peaks, default=None) if _series(results, "records") else None


def _series(results: Results, name: str) -> dict[str, Any]:
    for each in results.get("growth", ()):
        if each["name"] == name:
            return dict(each)
    return {}


def _costs(series: dict[str, Any], low: int, high: int) -> list[float]:
    """CPU per row over that of the lowest size, up to the highest; nothing unless both were measured."""
    medians = {
        _size(name): spread["median"] for name, spread in series.get("cpu_over_first", {}).items()
    }
    if not {low, high} <= medians.keys():
        return []
    return [cost for size, cost in medians.items() if low <= size <= high]


def _size(name: str) -> int:
    return int(name.split()[0].replace(",", ""))


def spread_over_partitions(results: Results) -> float | None:
    """The dearest over the cheapest."""
    costs = _costs(_series(results, "partitions"), 1, 60)
    return 100 * (max(costs) / min(costs) - 1) if costs else None


def drift_over_records(results: Results) -> float | None:
    """The longest backlog over the shortest, either way."""
    costs = _costs(_series(results, "records"), 1_000_000, 50_000_000)
    return 100 * abs(costs[-1] - 1) if costs else None


def worst_second(results: Results) -> float | None:
    """Of the longest backlog's drains, the median one."""
    rounds = _series(results, "records").get("rounds", ())
    runs = [list(each["runs"].values()) for each in rounds]
    longest = [max(each, key=lambda run: int(run["rows"])) for each in runs]
    shares = [run["worst_second"] for run in longest if not run["void"] and run.get("worst_second")]
    return statistics.median(shares) if shares else None


def flush_us(results: Results) -> float | None:
    for each in results.get("flushes", ()):
        if each["name"] == "one after the other" and not each["void"]:
            return float(each["cpu_us"])
    return None


# --- The goals ----------------------------------------------------------------------------------

GOALS: list[tuple[str, str, float, str, Measure]] = [
    ("W2 drain rate over COPY text", ">=", 1.20, "x", ratio("W2", "rows/s", "COPY text")),
    ("W2 drain rate over COPY binary", ">=", 0.80, "x", ratio("W2", "rows/s", "COPY binary")),
    ("W2 sink CPU", "<=", 0.48, "s/M", figure("W2", "cpu_s_per_million")),
    ("W2 sink CPU over consume-and-drop", "<=", 1.6, "x", ratio("W2", "CPU", "consume and drop")),
    ("W1 sink CPU", "<=", 0.40, "s/M", figure("W1", "cpu_s_per_million")),
    ("W3 sink CPU", "<=", 1.6, "s/M", figure("W3", "cpu_s_per_million")),
    ("W2 PostgreSQL CPU over COPY text", "<=", 0.65, "x", ratio("W2", "PostgreSQL CPU", "COPY text")),
    ("W3 PostgreSQL CPU over COPY text", "<=", 0.55, "x", ratio("W3", "PostgreSQL CPU", "COPY text")),
    (
        "rows/s over the best INSERT-based peer",
        ">=",
        3,
        "x",
        peers("rows/s", lambda _, writes: writes.startswith("INSERT"), min),
    ),
    (
        "rows/s over the best COPY-based peer",
        ">=",
        1.5,
        "x",
        peers("rows/s", lambda _, writes: writes.startswith("COPY"), min),
    ),
    (
        "Kafka Connect's CPU over the sink's",
        ">=",
        20,
        "x",
        inverse(peers("CPU", lambda name, _: name.startswith("kafka-connect"), max)),
    ),
    (
        "Redpanda Connect's CPU over the sink's",
        ">=",
        8,
        "x",
        inverse(peers("CPU", lambda name, _: name.startswith("redpanda"), max)),
    ),
    ("kcat | psql's CPU over the sink's", ">=", 4, "x", inverse(ratio("W2", "CPU", "kcat | psql"))),
    ("latency at 1,200/s, default, p50", "<", 15, "ms", latency("default", "p50")),
    ("latency at 1,200/s, default, p99", "<", 40, "ms", latency("default", "p99")),
    ("latency at 1,200/s, 2 ms batches, p50", "<", 8, "ms", latency("2 ms batches", "p50")),
    ("latency at 1,200/s, 2 ms batches, p99", "<", 25, "ms", latency("2 ms batches", "p99")),
    ("lag of a partition at 1,200/s for ten minutes, at most", "<", 100, "records", sustained_lag),
    ("memory, idle with 1,000 partitions", "<=", 32, "MiB", idle_mebibytes),
    (
        "memory, at full drain",
        "<=",
        MEMORY_LIMIT_MIB + MEMORY_MARGIN_MIB,
        "MiB",
        drain_mebibytes,
    ),
    ("CPU per row from 1 to 60 partitions, spread", "<=", 10, "%", spread_over_partitions),
    ("CPU per row from 1 M to 50 M records, drift", "<=", 2, "%", drift_over_records),
    ("worst second of a drain over its mean", ">=", 0.8, "x", worst_second),
    ("CPU of a 1-row flush under steady load", "<=", 80, "us", flush_us),
]
