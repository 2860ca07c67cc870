"""The goals that were set, each with what this run made of it. Plain data in, plain data out.

A goal that this run did not measure has neither value nor verdict.
"""

from __future__ import annotations

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


def ratio(workload: str, figure: str, other: str) -> Measure:
    def measure(results: Results) -> float | None:
        spread = _workload(results, workload).get("ratios", {}).get(f"{figure} / {other}")
        return spread["median"] if spread else None

    return measure


def inverse(measure: Measure) -> Measure:
    def inverted(results: Results) -> float | None:
        value = measure(results)
        return 1 / value if value else None

    return inverted


def figure(workload: str, name: str) -> Measure:
    def measure(results: Results) -> float | None:
        spread = _workload(results, workload).get("figures", {}).get("pgsluice", {}).get(name)
        return spread["median"] if spread else None

    return measure


def peers(figure_name: str, names: Callable[[str, str], bool], best: Callable[..., float]) -> Measure:
    """pgsluice's figure over the best peer's of those that `names` picks by name and way of writing."""

    def measure(results: Results) -> float | None:
        contest = results.get("peers") or {}
        figures = contest.get("figures", {})
        chosen = [
            figures[peer][figure_name]["median"]
            for peer, writes in contest.get("writes", {}).items()
            if names(peer, writes) and figures.get(peer, {}).get(figure_name)
        ]
        own = figures.get("pgsluice", {}).get(figure_name)
        return own["median"] / best(chosen) if own and chosen else None

    return measure


def latency(name: str, percentile: str) -> Measure:
    def measure(results: Results) -> float | None:
        for each in results.get("latency", ()):
            if each["name"] == name and each["records_per_s"] == 1_200 and not each["void"]:
                return float(each["milliseconds"][percentile])
        return None

    return measure


def idle_mebibytes(results: Results) -> float | None:
    for each in results.get("idle", ()):
        if each["partitions"] == 1_000:
            return float(each["peak_rss_kib"]) / 1024
    return None


def drain_mebibytes(results: Results) -> float | None:
    """The highest peak of all drains by one instance."""
    peaks = [
        run["peak_rss_kib"] / 1024
        for turns in (*results.get("workloads", ()), *results.get("growth", ()))
        if turns.get("name") != "replicas"
        for each in turns["rounds"]
        for run in each["runs"]
        if run["subject"] == "pgsluice"
    ]
    return max(peaks, default=None)


def _series(results: Results, name: str) -> dict[str, Any]:
    for each in results.get("growth", ()):
        if each["name"] == name:
            return dict(each["figures"])
    return {}


def spread_over_partitions(results: Results) -> float | None:
    """The dearest of 1 to 60 partitions over the cheapest."""
    costs = [
        figures["cpu_s_per_million"]["median"]
        for name, figures in _series(results, "partitions").items()
        if figures.get("cpu_s_per_million") and int(name.split()[0].replace(",", "")) <= 60
    ]
    return 100 * (max(costs) / min(costs) - 1) if len(costs) > 1 else None


def drift_over_records(results: Results) -> float | None:
    """The longest backlog against 1 M records."""
    costs = [
        figures["cpu_s_per_million"]["median"]
        for figures in _series(results, "records").values()
        if figures.get("cpu_s_per_million")
    ]
    return 100 * abs(costs[-1] / costs[0] - 1) if len(costs) > 1 else None


def worst_second(results: Results) -> float | None:
    """Of the longest backlog's drain."""
    for each in results.get("growth", ()):
        if each["name"] == "records":
            runs = [run for turns in each["rounds"] for run in turns["runs"] if not run["void"]]
            shares = [run["worst_second"] for run in runs if run.get("worst_second")]
            return float(shares[-1]) if shares else None
    return None


def flush_us(results: Results) -> float | None:
    singles = results.get("singles")
    return float(singles["flush_us"]) if singles else None


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
        peers("rows_per_s", lambda _, writes: writes.startswith("INSERT"), max),
    ),
    (
        "rows/s over the best COPY-based peer",
        ">=",
        1.5,
        "x",
        peers("rows_per_s", lambda _, writes: writes.startswith("COPY"), max),
    ),
    (
        "Kafka Connect's CPU over the sink's",
        ">=",
        20,
        "x",
        inverse(peers("cpu_s_per_million", lambda name, _: name.startswith("kafka-connect"), min)),
    ),
    (
        "Redpanda Connect's CPU over the sink's",
        ">=",
        8,
        "x",
        inverse(peers("cpu_s_per_million", lambda name, _: name.startswith("redpanda"), min)),
    ),
    ("kcat | psql's CPU over the sink's", ">=", 4, "x", inverse(ratio("W2", "CPU", "kcat | psql"))),
    ("latency at 1,200/s, default, p50", "<", 15, "ms", latency("default", "p50")),
    ("latency at 1,200/s, default, p99", "<", 40, "ms", latency("default", "p99")),
    ("latency at 1,200/s, 2 ms batches, p50", "<", 8, "ms", latency("2 ms batches", "p50")),
    ("latency at 1,200/s, 2 ms batches, p99", "<", 25, "ms", latency("2 ms batches", "p99")),
    ("memory, idle with 1,000 partitions", "<=", 32, "MiB", idle_mebibytes),
    (
        "memory, at full drain",
        "<=",
        MEMORY_LIMIT_MIB + MEMORY_MARGIN_MIB,
        "MiB",
        drain_mebibytes,
    ),
    ("CPU per row from 1 to 60 partitions, spread", "<=", 10, "%", spread_over_partitions),
    ("CPU per row from 1 M records on, drift", "<=", 2, "%", drift_over_records),
    ("worst second of a drain over its mean", ">=", 0.8, "x", worst_second),
    ("CPU of a 1-row flush", "<=", 80, "us", flush_us),
]
