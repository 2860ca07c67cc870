"""docs/benchmarks: the results of one run as Markdown and charts. Plain data in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import charts
import report
import sustained
from charts import Bar

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "benchmarks"

Results = dict[str, Any]

METHOD = """\
## How it is measured

- **Drain**: topics are filled before; tables are empty, a checkpoint has been made, the consumer group is
  new. The clock runs from the moment the sink has its partitions until another client sees the last row.
  CPU is that of the whole process from its start, read from the kernel's scheduler clocks; PostgreSQL's
  is that of all its processes but the observer's. *Later* CPU, where sizes are compared, is without that of
  a start with as many empty partitions.
- **Truth**: every topic is read once by another Kafka client, and PostgreSQL's own `json_populate_record`
  makes the rows. A run whose rows, by count and by a sum of 64-bit row hashes, are not those is void.
- **Limits** (the parts of the work alone): *COPY text* and *COPY binary* send the very rows, encoded before,
  one COPY for 10,000 rows, over as many connections; *consume and drop* fetches with the sink's own
  librdkafka and settings; *encode only* goes from memory to memory; *kcat | psql* copies whole records
  into one json column.
- **Peers** are told between their first tenth of the rows and the last, without their start, and a JVM
  when it is warm; pgsluice bears its own. A JVM reaches PostgreSQL by TCP, all others as below. They are
  configured in `tests/bench/peers`.
- **Context switches** are those of threads that live to the end.
- **Turns**: in each round every subject runs once, each time another first. What is compared are runs of
  the same round: the median of their ratios and the range. A fixed piece of work before and after each
  round (the canary), and the share of the machine that others had, tell which rounds were disturbed; those
  are left out unless too few remain, and then that is said.
- **Flushes of one row**: *one after the other* is a topic drained with a flush for each record, over one
  connection; *250 a second* is what such flushes cost beyond the same records in flushes of ten.
- **Latency**: open loop. The producer keeps an absolute schedule and writes the intended time into the
  record; an observer asks PostgreSQL every millisecond what is visible.
"""


def write(results: Results) -> None:
    """Replaces the folder's page and charts."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.svg"):
        old.unlink()
    for name, svg in _charts(results):
        (FOLDER / f"{name}.svg").write_text(svg)
    (FOLDER / "README.md").write_text("\n".join(_page(results)))


# --- The page -----------------------------------------------------------------------------------


def _page(results: Results) -> Iterator[str]:
    yield "# Benchmarks\n"
    yield f"Written by `{results['machine']['command']}`; every figure is of that one run.\n"
    yield from _goals(results)
    yield from _peers(results)
    yield from _workloads(results)
    yield from _latency(results)
    yield from _sustained(results)
    yield from _growth(results)
    yield METHOD
    yield "## Machine and versions\n"
    rows = [[name, text] for name, text in results["machine"].items()]
    yield report.markdown(("", ""), rows, right=False)


def _image(name: str) -> str:
    return f"![{name.replace('-', ' ')}]({name}.svg)\n"


def _goals(results: Results) -> Iterator[str]:
    yield "## Goals\n"
    rows = [
        [
            goal["name"],
            goal["goal"],
            "-" if goal["value"] is None else f"{goal['value']:.3g}",
            {True: "yes", False: "**no**", None: "not measured"}[goal["holds"]],
        ]
        for goal in results["goals"]
    ]
    yield report.markdown(("", "goal", "this run", "holds"), rows)


def _workloads(results: Results) -> Iterator[str]:
    if not results.get("workloads"):
        return
    yield "## Workloads, next to the limits\n"
    yield _image("workloads")
    for each in results["workloads"]:
        yield (
            f"### {each['workload']}: {each['title']}, compression {each['codec']}\n\n"
            f"{each['records']:,} records, {each['partitions']} partitions"
            f" a topic.\n"
        )
        yield from _turns(each)
        yield report.markdown(RATIO_COLUMNS, _ratios(each))


FIGURE_COLUMNS = (
    "",
    "rows/s",
    "CPU s/M rows",
    "PostgreSQL CPU s/M",
    "broker CPU s/M",
    "peak RSS",
    "context switches/k",
)
RATIO_COLUMNS = ("pgsluice over it: median (range)", "rows/s", "CPU", "PostgreSQL CPU")


def _turns(each: dict[str, Any], is_growth: bool = False) -> Iterator[str]:
    """The figures of each subject, which rounds they are of, and what was void."""
    names = (*FIGURE_COLUMNS, "later CPU s/M rows") if is_growth else FIGURE_COLUMNS
    rows = [_figures(name, of)[: len(names)] for name, of in each["figures"].items()]
    yield report.markdown(names, rows)
    yield f"These are {each['described']}.\n"
    for text in each["voids"]:
        yield f"**Void**: {text.splitlines()[0]}\n"


def _figures(name: str, figures: dict[str, Any]) -> list[str]:
    def text(figure: str, form: charts.Form) -> str:
        spread = figures.get(figure)
        return form(spread["median"]) if spread and spread["median"] else "-"

    return [
        name,
        text("rows_per_s", report.thousands),
        text("cpu_s_per_million", report.seconds),
        text("postgres_cpu_s_per_million", report.seconds),
        text("broker_cpu_s_per_million", report.seconds),
        text("peak_rss_kib", report.mebibytes),
        text("switches_per_thousand", lambda number: f"{number:.1f}"),
        text("later_cpu_s_per_million", report.seconds),
    ]


def _ratios(each: dict[str, Any]) -> list[list[str]]:
    rows: dict[str, dict[str, str]] = {}
    for name, spread in each["ratios"].items():
        figure, _, other = name.partition(" / ")
        text = f"{spread['median']:.2f} ({spread['low']:.2f} to {spread['high']:.2f})"
        rows.setdefault(other, {})[figure] = text
    columns = ("rows/s", "CPU", "PostgreSQL CPU")
    return [[other, *(cells.get(column, "-") for column in columns)] for other, cells in rows.items()]


def _peers(results: Results) -> Iterator[str]:
    contest = results.get("peers")
    if not contest:
        return
    yield "## Peers, on W2\n"
    yield _image("peers-rate")
    yield _image("peers-cpu")
    yield from _turns(contest)
    yield report.markdown(RATIO_COLUMNS, _ratios(contest))
    rows = [
        [
            name,
            ", ".join(f"{what} {version}" for what, version in versions.items()),
            contest["writes"][name],
            contest["caveats"][name],
        ]
        for name, versions in contest["versions"].items()
    ]
    yield report.markdown(("", "versions", "writes", "keeps"), rows, right=False)
    for name, reason in contest["left_out"].items():
        yield f"Left out: {name}, {reason}.\n"


def _latency(results: Results) -> Iterator[str]:
    if not results.get("latency"):
        return
    yield "## Latency, intended send time to visible\n"
    yield _image("latency")
    rows = [
        [
            each["name"],
            report.thousands(each["records_per_s"]),
            *(report.milliseconds(value) for value in each["milliseconds"].values()),
            f"{each['sink_cores']:.3f}",
        ]
        for each in results["latency"]
        if not each["void"]
    ]
    names = ("", "records/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "sink, cores")
    yield report.markdown(names, rows)
    for each in results["latency"]:
        if each["void"]:
            name, reason = each["name"], each["void"].splitlines()[0]
            yield f"**Void**: {name} at {each['records_per_s']:,}/s: {reason}\n"


def _sustained(results: Results) -> Iterator[str]:
    found = results.get("sustained")
    if not found:
        return
    yield f"## Sustained, {found['replicas']} replicas\n"
    yield f"**Void**: {found['void'].splitlines()[0]}\n" if found["void"] else sustained.told(found) + "\n"


def _growth(results: Results) -> Iterator[str]:
    if not results.get("growth"):
        return
    yield "## Growth\n"
    for each in results["growth"]:
        yield f"### {each['title'][0].upper()}{each['title'][1:]}\n"
        if each["name"] in LINES and len(each["figures"]) > 1:
            yield _image(each["name"])
        yield from _turns(each, is_growth=True)
    if results.get("idle"):
        yield "### Idle\n"
        rows = [
            [
                f"{each['partitions']:,} partitions",
                report.mebibytes(each["rss_kib"]),
                f"{100 * each['cpu_cores']:.2f} %",
            ]
            for each in results["idle"]
        ]
        yield report.markdown(("", "RSS", "CPU, of a core"), rows)
    if results.get("flushes"):
        yield "### Flushes of one row\n"
        rows = [
            [
                each["name"],
                f"{each['sink_us']:.0f}",
                f"{each['postgres_us']:.0f}",
                f"{each['cpu_us']:.0f}",
            ]
            for each in results["flushes"]
            if not each["void"]
        ]
        yield report.markdown(("", "client CPU us", "PostgreSQL CPU us", "both"), rows)


# --- The charts ---------------------------------------------------------------------------------

# Of a series: title, lines (label, or empty for the subject's; figure), form of its values.
RATE = [("", "rows_per_s")]
CPU = [("sink", "later_cpu_s_per_million"), ("PostgreSQL", "postgres_cpu_s_per_million")]
LINES: dict[str, tuple[str, list[tuple[str, str]], charts.Form]] = {
    "partitions": ("CPU seconds per million rows over partitions", CPU, report.seconds),
    "records": ("CPU seconds per million rows over records", CPU, report.seconds),
    "flush_rows": ("CPU seconds per million rows over rows of a flush", CPU, report.seconds),
    "connections": ("Rows per second over connections", RATE, report.thousands),
    "replicas": ("Rows per second over replicas", RATE, report.thousands),
}


def _charts(results: Results) -> Iterator[tuple[str, str]]:
    plain = [each for each in results.get("workloads", ()) if each["codec"] == "none"]
    if plain:
        title = "Where the sink's CPU goes, seconds per million rows"
        parts = ("fetching alone", "encoding alone", "all the rest")
        yield "workloads", charts.bars(title, list(map(_cost_bar, plain)), report.seconds, parts)
    contest = results.get("peers")
    if contest:
        yield "peers-rate", charts.bars(
            "W2, rows per second", _peer_bars(contest, "rows_per_s"), report.thousands
        )
        yield "peers-cpu", charts.bars(
            "W2, CPU seconds of the mover per million rows",
            _peer_bars(contest, "cpu_s_per_million"),
            report.seconds,
        )
    latencies = [each for each in results.get("latency", ()) if not each["void"]]
    if latencies:
        yield "latency", charts.bars("Latency in ms, median and p99", _latency_bars(latencies),
                                     report.milliseconds, ("p50", "up to p99"))  # fmt: skip
    for each in results.get("growth", ()):
        if each["name"] in LINES and len(each["figures"]) > 1:
            yield each["name"], _growth_lines(each)


def _cost_bar(each: dict[str, Any]) -> Bar:
    """The parts were measured alone, so the rest is what is left of the whole."""

    def cost(subject: str) -> float:
        return float(each["figures"].get(subject, {}).get("cpu_s_per_million", {}).get("median", 0))

    fetching, encoding = cost("consume and drop"), cost("encode only")
    rest = max(0.0, cost("pgsluice") - fetching - encoding)
    return Bar(f"{each['workload']} {each['title'].partition(',')[0]}", [fetching, encoding, rest])


def _peer_bars(contest: dict[str, Any], figure: str) -> list[Bar]:
    return [
        Bar(name, [figures[figure]["median"]], name == "pgsluice")
        for name, figures in contest["figures"].items()
        if figures.get(figure)
    ]


def _latency_bars(latencies: list[dict[str, Any]]) -> list[Bar]:
    bars = []
    for each in latencies:
        middle, high = each["milliseconds"]["p50"], each["milliseconds"]["p99"]
        label = f"{each['name']}, {each['records_per_s']:,}/s"
        bars.append(Bar(label, [middle, max(high - middle, 0)]))
    return bars


def _growth_lines(each: dict[str, Any]) -> str:
    """By the size; a second subject of the same size has a line of its own."""
    title, lines, form = LINES[each["name"]]
    series: dict[str, list[tuple[float, float]]] = {}
    for name, figures in each["figures"].items():
        size, subject = name.split(maxsplit=1)
        for label, figure in lines:
            label = label or subject.replace(each["name"], "pgsluice")
            if figures.get(figure):
                point = float(size.replace(",", "")), figures[figure]["median"]
                series.setdefault(label, []).append(point)
    return charts.lines(title, each["name"].replace("_", " "), series, form)
