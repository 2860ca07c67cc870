"""Writes Grafana's dashboard: helm/dashboard.py > helm/pgsluice/files/dashboard.json

A panel is a line or two of this file: its kind, title, description, unit and queries. Where it stands follows
from the order and the widths. In a query, {} stands for the matchers that every query has, {t} for these and the
topic's.
"""

from __future__ import annotations

import json
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCOPE = 'namespace=~"$namespace", job=~"$job", pod=~"$pod", instance=~"$instance"'
COLUMNS = 24
RED, YELLOW, GREEN = "red", "yellow", "green"

Panel = dict[str, Any]


# --- Queries ----------------------------------------------------------------------------------------


def query(expression: str, legend: str = "", **more: Any) -> dict[str, Any]:
    """`more` is Grafana's: format, instant."""
    matched = expression.replace("{t}", f'{{{SCOPE}, topic=~"$topic"}}').replace("{}", f"{{{SCOPE}}}")
    return {"datasource": DATASOURCE, "expr": matched.replace("{+", f"{{{SCOPE}, "), "legendFormat": legend, **more}


def now(expression: str, legend: str = "") -> dict[str, Any]:
    """Its value at the end of the time shown, as a row of a table."""
    return query(expression, legend, instant=True, format="table")


def quantile(part: float, histogram: str, by: str = "") -> str:
    """Of all that was observed lately. `histogram` ends with its matchers."""
    name, brace, matchers = histogram.partition("{")
    labels = f"le, {by}" if by else "le"
    rate = f"rate({name}_bucket{brace}{matchers}[$__rate_interval])"
    return f"histogram_quantile({part}, sum by ({labels}) ({rate}))"


# --- Panels -----------------------------------------------------------------------------------------


def panel(kind: str, title: str, description: str, unit: str, *targets: dict[str, Any], width: int = 8) -> Panel:
    lettered = [{**target, "refId": letter} for target, letter in zip(targets, "ABCDEFGH")]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "options": {},
        "targets": lettered,
        "gridPos": {"w": width, "h": 8},
    }


def lines(*arguments: Any, stacked: bool = False, **more: Any) -> Panel:
    made = panel("timeseries", *arguments, **more)
    custom = {"fillOpacity": 10, "showPoints": "never", "stacking": {"mode": "normal" if stacked else "none"}}
    made["fieldConfig"]["defaults"] |= {"custom": custom, "min": 0}
    made["options"] = {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}}
    return made


def number(*arguments: Any, steps: tuple[tuple[str, float | None], ...] = ((GREEN, None),), **more: Any) -> Panel:
    """`steps`: the colour from each value on, the first from nothing on."""
    made = panel("stat", *arguments, width=more.pop("width", 3), **more)
    made["gridPos"]["h"] = 4
    thresholds = {"mode": "absolute", "steps": [{"color": colour, "value": value} for colour, value in steps]}
    made["fieldConfig"]["defaults"] |= {"thresholds": thresholds, "color": {"mode": "thresholds"}}
    made["options"] = {"colorMode": "value", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}}
    return made


def text(*arguments: Any, **more: Any) -> Panel:
    """A number whose legend is what counts."""
    made = number(*arguments, **more)
    made["options"] |= {"textMode": "name", "graphMode": "none"}
    return made


def bars(*arguments: Any, **more: Any) -> Panel:
    made = panel("bargauge", *arguments, **more)
    made["fieldConfig"]["defaults"] |= {"min": 0}
    made["options"] = {"orientation": "horizontal", "displayMode": "basic"}
    return made


def heatmap(title: str, description: str, unit: str, histogram: str, **more: Any) -> Panel:
    name, brace, matchers = histogram.partition("{")
    counts = f"sum by (le) (increase({name}_bucket{brace}{matchers}[$__rate_interval]))"
    made = panel("heatmap", title, description, unit, query(counts, "{{le}}", format="heatmap"), **more)
    made["options"] = {"calculate": False, "yAxis": {"unit": unit}}
    return made


def table(*arguments: Any, columns: dict[str, str], **more: Any) -> Panel:
    """One row for each set of labels, with a column for each query."""
    made = panel("table", *arguments, **more)
    hidden = {"Time": True}
    arrange = {"id": "organize", "options": {"excludeByName": hidden, "renameByName": columns}}
    made["transformations"] = [{"id": "merge", "options": {}}, arrange]
    made["options"] = {"sortBy": [{"displayName": next(iter(columns.values())), "desc": True}]}
    return made


def alerts(title: str, description: str) -> Panel:
    made = panel("alertlist", title, description, "none", width=COLUMNS)
    made["options"] = {
        "alertInstanceLabelFilter": '{alertname=~"Pgsluice.+"}',
        "stateFilter": {"firing": True, "pending": True, "error": True, "noData": False, "normal": False},
    }
    return made


def limit_line(made: Panel, value: float) -> Panel:
    """A dashed line at what one would like to stay below."""
    steps = [{"color": GREEN, "value": None}, {"color": YELLOW, "value": value}]
    defaults = made["fieldConfig"]["defaults"]
    defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    defaults["custom"]["thresholdsStyle"] = {"mode": "dashed"}
    return made


# --- What is shown ------------------------------------------------------------------------------------

# During a handover two instances may show one partition.
PER_PARTITION = "max by (namespace, job, topic, partition) (pgsluice_consumer_lag_records{t})"
FURTHEST = f"topk(20, {PER_PARTITION})"
OWNED = "sum(pgsluice_consumer_assigned_partitions{t})"
NOBODYS = ((GREEN, None), (RED, 1))
WARNS = ((GREEN, None), (YELLOW, 1))


def furthest(metric: str) -> str:
    return f"max by (namespace, job, topic, partition) ({metric}) and {FURTHEST}"


OVERVIEW = [
    number(
        "Ready",
        "Instances that say they are ready, and how many are scraped.",
        "short",
        query("sum(pgsluice_ready{})", "ready"),
        query("count(pgsluice_build_info{})", "scraped"),
        width=4,
    ),
    text(
        "Version",
        "More than one: an upgrade is under way, or has stopped halfway.",
        "short",
        query("count by (version) (pgsluice_build_info{})", "{{version}}"),
        width=2,
    ),
    number(
        "Lag",
        "Records that are in Kafka and not yet in PostgreSQL, of all partitions.",
        "short",
        query(f"sum({PER_PARTITION})", "records"),
    ),
    number(
        "Furthest behind",
        "Age of the oldest record that is not yet in PostgreSQL. The alerts begin at 5 and 15 minutes.",
        "s",
        query("max(pgsluice_consumer_lag_seconds{t})", "age"),
        steps=((GREEN, None), (YELLOW, 300), (RED, 900)),
    ),
    number(
        "Rows",
        "Rows committed in PostgreSQL in a second.",
        "rowsps",
        query("sum(rate(pgsluice_rows_written_total{}[$__rate_interval]))", "rows"),
    ),
    number(
        "Latency, p99",
        "From the timestamp of a record to its commit.",
        "s",
        query(quantile(0.99, "pgsluice_record_latency_seconds{t}"), "p99"),
    ),
    number(
        "Partitions without an owner",
        "Nobody reads them: their lag is not in the figures here.",
        "short",
        query(f"sum(max by (namespace, job, topic) (pgsluice_topic_partitions{{t}})) - {OWNED}", "partitions"),
        steps=NOBODYS,
    ),
    number(
        "Dead letters",
        "Records that could not become rows, in the time shown.",
        "short",
        query("sum(increase(pgsluice_dead_letters_total{t}[$__range]))", "records"),
        steps=WARNS,
    ),
    alerts("Alerts", "Those of helm/pgsluice/files/alerts.yml that fire or are about to."),
]

LAG = [
    limit_line(
        lines(
            "Lag by topic",
            "Records behind the end of the log, as Kafka tells it, also while reading waits. Below 100 is the aim.",
            "short",
            query(f"sum by (topic) ({PER_PARTITION})", "{{topic}}"),
        ),
        100,
    ),
    lines(
        "Lag in seconds by topic",
        "Age of the oldest record of the topic that is not yet in PostgreSQL; 0 when it is caught up.",
        "s",
        query("max by (topic) (pgsluice_consumer_lag_seconds{t})", "{{topic}}"),
    ),
    lines(
        "Lag by partition",
        "The twenty that are furthest behind. One alone: a hot key, or a partition that is halted.",
        "short",
        query(FURTHEST, "{{topic}}/{{partition}}"),
    ),
    lines(
        "Produced, consumed, written",
        "Records a second. Written below produced: lag grows. Consumed far above written: records are read again.",
        "cps",
        query(
            "sum(rate(pgsluice_consumer_end_offset{t}[$__rate_interval]) >= 0)",
            "produced",
        ),
        query("sum(rate(pgsluice_consumer_records_total{t}[$__rate_interval]))", "consumed"),
        query("sum(rate(pgsluice_rows_written_total{}[$__rate_interval]))", "written"),
    ),
    lines(
        "Bytes consumed by topic",
        "Keys and values received from Kafka.",
        "Bps",
        query("sum by (topic) (rate(pgsluice_consumer_received_bytes_total{t}[$__rate_interval]))", "{{topic}}"),
    ),
    lines(
        "Rows written by table",
        "Rows committed in PostgreSQL.",
        "rowsps",
        query("sum by (table) (rate(pgsluice_rows_written_total{}[$__rate_interval]))", "{{table}}"),
    ),
    heatmap(
        "Latency",
        "From the timestamp of a record to its commit, how many records took how long.",
        "s",
        "pgsluice_record_latency_seconds{t}",
    ),
    lines(
        "Latency by topic, p50 and p99",
        "The same as quantiles.",
        "s",
        query(quantile(0.5, "pgsluice_record_latency_seconds{t}", "topic"), "{{topic}} p50"),
        query(quantile(0.99, "pgsluice_record_latency_seconds{t}", "topic"), "{{topic}} p99"),
    ),
    table(
        "Partitions that are furthest behind",
        "Twenty of them, with their position and end.",
        "short",
        now(FURTHEST),
        now(furthest("pgsluice_consumer_lag_seconds{t}")),
        now(furthest("pgsluice_consumer_committed_offset{t}")),
        now(furthest("pgsluice_consumer_end_offset{t}")),
        columns={"Value #A": "lag", "Value #B": "seconds", "Value #C": "position", "Value #D": "end"},
    ),
]

GROUP = [
    bars(
        "Partitions by instance",
        "How they are shared. One more than another is even.",
        "short",
        query("sum by (pod, instance) (pgsluice_consumer_assigned_partitions{t})", "{{pod}} {{instance}}"),
    ),
    lines(
        "Rebalances",
        "Of all instances. A start, a stop and a scaling cost one or two each; more is an instance that comes and goes.",
        "short",
        query("sum by (kind) (increase(pgsluice_consumer_rebalances_total{}[$__rate_interval]))", "{{kind}}"),
    ),
    lines(
        "Rebalance duration",
        "From the first revocation to the next assignment.",
        "s",
        query(quantile(0.5, "pgsluice_consumer_rebalance_duration_seconds{}"), "p50"),
        query(quantile(0.99, "pgsluice_consumer_rebalance_duration_seconds{}"), "p99"),
    ),
    lines(
        "Paused partitions",
        "backpressure: PostgreSQL is slower than Kafka. retry: halted, /status says why.",
        "short",
        query("sum by (reason) (pgsluice_consumer_paused_partitions{})", "{{reason}}"),
    ),
    lines(
        "Sessions lost, errors of the client",
        "The group gave an instance up, for want of heartbeats or of polls; and what else librdkafka reports.",
        "short",
        query("sum(increase(pgsluice_consumer_session_timeouts_total{}[$__rate_interval]))", "session timeouts"),
        query("sum(increase(pgsluice_consumer_max_poll_exceeded_total{}[$__rate_interval]))", "max.poll exceeded"),
        query("sum by (code) (increase(pgsluice_consumer_errors_total{}[$__rate_interval]))", "{{code}}"),
    ),
    lines(
        "Age of the last poll and of the lag",
        "A poll is due every 200 ms; ends are asked for every SINK_LAG_INTERVAL_MS.",
        "s",
        query("max(time() - pgsluice_consumer_last_poll_timestamp_seconds{})", "poll"),
        query("max(time() - pgsluice_consumer_lag_refresh_timestamp_seconds{})", "lag"),
    ),
]

WRITING = [
    heatmap("Batch size", "Records of a batch, when it was closed.", "short", "pgsluice_batch_records{}"),
    lines(
        "What closes batches",
        "linger: there is little to do. records, bytes: there is much. memory: more than is allowed at once.",
        "cps",
        query("sum by (trigger) (rate(pgsluice_flushes_total{}[$__rate_interval]))", "{{trigger}}"),
        stacked=True,
    ),
    lines(
        "Flush stages, p50 and p99",
        "wait: for a connection. copy: until PostgreSQL has all rows. commit: deferred constraints and the disk.",
        "s",
        query(quantile(0.5, "pgsluice_flush_duration_seconds{}", "stage"), "{{stage}} p50"),
        query(quantile(0.99, "pgsluice_flush_duration_seconds{}", "stage"), "{{stage}} p99"),
    ),
    lines(
        "Memory of records",
        "Held between receipt and commit, beside SINK_MEMORY_LIMIT; fetched: what waits in librdkafka.",
        "bytes",
        query("sum(pgsluice_inflight_bytes{})", "held"),
        query("sum(pgsluice_consumer_queue_bytes{})", "fetched"),
        query("sum(pgsluice_inflight_limit_bytes{})", "limit"),
    ),
    lines(
        "Records held",
        "Between receipt and commit.",
        "short",
        query("sum by (pod, instance) (pgsluice_inflight_records{})", "{{pod}} {{instance}}"),
    ),
    lines(
        "Retries by cause",
        "Batches that were sent again.",
        "cps",
        query("sum by (cause) (rate(pgsluice_retries_total{}[$__rate_interval]))", "{{cause}}"),
    ),
    lines(
        "Utilisation of workers",
        "decode: threads that encode. write: connections. Near 100 %: more of them, if the machine has cores.",
        "percentunit",
        query(
            "sum by (stage) (rate(pgsluice_worker_busy_seconds_total{}[$__rate_interval]))"
            " / sum by (stage) (pgsluice_workers{})",
            "{{stage}}",
        ),
    ),
    lines(
        "Batches by result",
        "split: a bad record is looked for. failed: the partition halts.",
        "cps",
        query("sum by (result) (rate(pgsluice_batches_total{}[$__rate_interval]))", "{{result}}"),
    ),
    lines(
        "Age of the last commit",
        "Of each instance. Old, with lag: it stands still. Old, without: nothing comes.",
        "s",
        query("time() - (pgsluice_last_commit_timestamp_seconds{} > 0)", "{{pod}} {{instance}}"),
    ),
]

POSTGRES = [
    lines(
        "Connections",
        "Of all instances, beside what they may have.",
        "short",
        query("sum by (state) (pgsluice_pg_connections{})", "{{state}}"),
        query("sum(pgsluice_pg_connections_limit{})", "limit"),
    ),
    lines(
        "Wait for a connection, p50 and p99",
        "What is ready waits so long. Above a second: PostgreSQL is too slow, or SINK_POOL_MAX too small.",
        "s",
        query(quantile(0.5, "pgsluice_pg_connection_wait_seconds{}"), "p50"),
        query(quantile(0.99, "pgsluice_pg_connection_wait_seconds{}"), "p99"),
    ),
    lines(
        "Errors by class",
        "First two characters of the SQLSTATE; none: the connection was lost.",
        "cps",
        query("sum by (sqlstate_class) (rate(pgsluice_pg_errors_total{}[$__rate_interval]))", "{{sqlstate_class}}"),
    ),
    lines(
        "Connects",
        "Attempts by result.",
        "cps",
        query("sum by (result) (rate(pgsluice_pg_connects_total{}[$__rate_interval]))", "{{result}}"),
    ),
    lines(
        "Position commits that failed",
        "postgres: flushes. kafka: what lag tools are told. The alert begins at 1 %.",
        "percentunit",
        query(
            'sum by (store) (rate(pgsluice_offset_commits_total{+result="failure"}[$__rate_interval]))'
            " / sum by (store) (rate(pgsluice_offset_commits_total{}[$__rate_interval]))",
            "{{store}}",
        ),
    ),
    lines(
        "Health checks that fail",
        "Instances of which a check is not ok.",
        "short",
        query("sum by (check) (1 - pgsluice_check_ok{})", "{{check}}"),
        stacked=True,
    ),
]

FAILURES = [
    lines(
        "Records that could not be written",
        "decode: they do not fit the table's types. write: PostgreSQL refused them.",
        "cps",
        query("sum by (stage) (rate(pgsluice_records_failed_total{t}[$__rate_interval]))", "{{stage}}"),
    ),
    lines(
        "Dead letters by topic",
        "Kept whole, with the reason: pgsluice dead-letters list.",
        "cps",
        query("sum by (topic) (rate(pgsluice_dead_letters_total{t}[$__rate_interval]))", "{{topic}}"),
        query("sum(rate(pgsluice_dead_letter_failures_total{}[$__rate_interval]))", "refused by their topic"),
    ),
    lines(
        "Skipped, and found already written",
        "retention: Kafka had deleted them (SINK_OUT_OF_RANGE=earliest). Found: their commit's answer was lost.",
        "cps",
        query("sum by (reason) (rate(pgsluice_records_skipped_total{t}[$__rate_interval]))", "{{reason}}"),
        query("sum(rate(pgsluice_rows_deduplicated_total{}[$__rate_interval]))", "already written"),
    ),
    lines(
        "Log lines by level",
        "Those that were held back included.",
        "cps",
        query("sum by (level) (rate(pgsluice_log_messages_total{}[$__rate_interval]))", "{{level}}"),
        query("sum(rate(pgsluice_log_suppressed_total{}[$__rate_interval]))", "held back"),
        width=COLUMNS,
    ),
]

RESOURCES = [
    lines(
        "CPU",
        "Cores that each instance uses.",
        "short",
        query(
            "rate(process_cpu_seconds_total{}[$__rate_interval])" " and on (instance) pgsluice_build_info{}",
            "{{pod}} {{instance}}",
        ),
    ),
    lines(
        "Memory",
        "Resident, of each instance.",
        "bytes",
        query("process_resident_memory_bytes{} and on (instance) pgsluice_build_info{}", "{{pod}} {{instance}}"),
    ),
    lines(
        "Open files",
        "As a share of what the process may open.",
        "percentunit",
        query("process_open_fds{} / process_max_fds{} and on (instance) pgsluice_build_info{}", "{{pod}} {{instance}}"),
    ),
    lines(
        "Restarts",
        "Of each pod, in the time shown. In place only: a pod that is made anew has another name.",
        "short",
        query(
            "changes(process_start_time_seconds{}[$__range]) and on (instance) pgsluice_build_info{}",
            "{{pod}} {{instance}}",
        ),
    ),
    lines(
        "Series left out of /metrics",
        "More topics, tables or partitions than are shown one by one.",
        "short",
        query("sum(pgsluice_metrics_series_dropped{})", "series"),
    ),
    text(
        "How they run",
        "Mode, group and delivery of the instances.",
        "short",
        query("count by (mode, group, delivery) (pgsluice_instance_info{})", "{{mode}} {{group}} {{delivery}}"),
        width=8,
    ),
]

BACKFILL = [
    lines(
        "Progress",
        "Offsets of the range dealt with, as a share of all: rows, dead letters and gaps.",
        "percentunit",
        query(
            "sum by (job) (pgsluice_backfill_records_total{}) / sum by (job) (pgsluice_backfill_records_expected{})",
            "{{job}}",
        ),
        width=6,
    ),
    lines(
        "Rate",
        "Offsets a second.",
        "cps",
        query("sum by (job) (rate(pgsluice_backfill_records_total{}[$__rate_interval]))", "{{job}}"),
        width=6,
    ),
    lines(
        "Time left",
        "At the rate of now.",
        "s",
        query(
            "(sum by (job) (pgsluice_backfill_records_expected{}) - sum by (job) (pgsluice_backfill_records_total{}))"
            " / sum by (job) (rate(pgsluice_backfill_records_total{}[$__rate_interval]))",
            "{{job}}",
        ),
        width=6,
    ),
    lines(
        "Partitions of the backfill",
        "halted: the log says why.",
        "short",
        query("sum by (state) (pgsluice_backfill_partitions{})", "{{state}}"),
        stacked=True,
        width=6,
    ),
]

ROWS = {
    "Overview": OVERVIEW,
    "Lag and throughput": LAG,
    "Consumer group": GROUP,
    "Batching and writing": WRITING,
    "PostgreSQL": POSTGRES,
    "Failures": FAILURES,
    "Resources": RESOURCES,
    "Backfill": BACKFILL,
}
COLLAPSED = {"Backfill"}


# --- The dashboard --------------------------------------------------------------------------------------


def place(rows: dict[str, list[Panel]]) -> list[Panel]:
    """From the left to the right, then below."""
    placed: list[Panel] = []
    y = 0
    for title, panels in rows.items():
        row: Panel = {"type": "row", "title": title, "collapsed": title in COLLAPSED, "panels": []}
        row["gridPos"] = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        placed.append(row)
        x, y, height = 0, y + 1, 0
        for one in panels:
            if x + one["gridPos"]["w"] > COLUMNS:
                x, y, height = 0, y + height, 0
            one["gridPos"] |= {"x": x, "y": y}
            x, height = x + one["gridPos"]["w"], max(height, one["gridPos"]["h"])
            (row["panels"] if row["collapsed"] else placed).append(one)
        y += height
    return [{"id": number, **one} for number, one in enumerate(placed, 1)]


def variable(name: str, label: str, all_value: str, source: str = "pgsluice_build_info") -> dict[str, Any]:
    """What one can choose from. `.*` also matches where a label is missing, as outside of Kubernetes."""
    values = f"label_values({source}, {name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": values, "refId": name},
        "definition": values,
        "multi": True,
        "includeAll": True,
        "allValue": all_value,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
    }


def dashboard() -> dict[str, Any]:
    datasource = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    variables = [
        variable("namespace", "Namespace", ".*"),
        variable("job", "Job", ".+"),
        variable("pod", "Pod", ".*"),
        variable("instance", "Instance", ".+"),
        variable("topic", "Topic", ".+", "pgsluice_topic_partitions"),
    ]
    return {
        "uid": "pgsluice",
        "title": "pgsluice",
        "description": "From Kafka into PostgreSQL: does data flow, how far is it behind, and why.",
        "tags": ["pgsluice", "kafka", "postgresql"],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [datasource, *variables]},
        "panels": place(ROWS),
    }


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=1))
