"""How fast pgsluice is, and next to what.

  ./dev bench                    every section, an hour or two
  ./dev bench --quick            less of everything, under five minutes
  ./dev bench first              the first figure alone, on the embedded Kafka
  ./dev bench workloads --only W2,W3 --rounds 9

Sections: workloads (W1 to W8 next to the limits), latency, sustained (ten minutes of a steady load),
growth, peers (with --peers), first, http (who asks beside a drain).
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import attack  # noqa: E402
import backlog  # noqa: E402
import contest  # noqa: E402
import docs  # noqa: E402
import first  # noqa: E402
import goals  # noqa: E402
import growth  # noqa: E402
import idle  # noqa: E402
import latency  # noqa: E402
import limits  # noqa: E402
import machine  # noqa: E402
import programs  # noqa: E402
import reference  # noqa: E402
import report  # noqa: E402
import scrape  # noqa: E402
import sustained  # noqa: E402
import workload  # noqa: E402
import workloads  # noqa: E402
from canary import Canary  # noqa: E402
from kafka import Unavailable, kafka_home  # noqa: E402
from process import unwind_on_terminate  # noqa: E402
from run import FAILURES  # noqa: E402
from testbed import Testbed  # noqa: E402

SECTIONS = ("workloads", "latency", "sustained", "growth", "peers", "first", "http")
DEFAULT_SECTIONS = ("workloads", "latency", "sustained", "growth")
GROWTH_ROUNDS, QUICK_GROWTH_ROUNDS = 3, 1
GROWTH_RECORDS, QUICK_GROWTH_RECORDS = 1_000_000, 300_000


# --- Sections -----------------------------------------------------------------------------------


def measure_workloads(bed: Testbed, canary: Canary, options: argparse.Namespace) -> dict[str, Any]:
    loads = [load for load in workload.ALL if not options.only or load.name in options.only]
    results = workloads.measure_all(bed, canary, loads, options)
    return {"workloads": [each.as_json() for each in results]}


def measure_latency(bed: Testbed, canary: Canary, options: argparse.Namespace) -> dict[str, Any]:
    if bed.is_mock:
        report.say("\nLatency is left out: the mock answers fetches in steps of its own.")
        return {}
    return {"latency": [each.as_json() for each in latency.measure_all(bed, options.quick)]}


def measure_sustained(bed: Testbed, canary: Canary, options: argparse.Namespace) -> dict[str, Any]:
    if bed.is_mock:
        report.say("\nSustained load is left out: the mock keeps too few records.")
        return {}
    return {"sustained": sustained.measure(bed, options.quick).as_json()}


def measure_growth(bed: Testbed, canary: Canary, options: argparse.Namespace) -> dict[str, Any]:
    quick = options.quick
    rounds = options.rounds or (QUICK_GROWTH_ROUNDS if quick else GROWTH_ROUNDS)
    records = QUICK_GROWTH_RECORDS if quick else GROWTH_RECORDS
    if bed.is_mock:
        report.say("\nGrowth is left out: the mock keeps too few records.")
        return {}
    idles = idle.measure_all(bed, quick)
    flushes = idle.measure_flushes(bed, quick)
    sizes = growth.QUICK_PARTITIONS if quick else growth.PARTITIONS
    found = [growth.over_partitions(bed, canary, records, rounds, sizes)]
    if not quick:
        found += measure_settings(bed, canary, records, rounds)
    backlogs = backlog.QUICK_SIZES if quick else backlog.SIZES
    found.append(backlog.measure(bed, canary, rounds, backlogs))
    return {
        "idle": [each.as_json() for each in idles],
        "flushes": [each.as_json() for each in flushes],
        "growth": [each.as_json() for each in found],
    }


def measure_settings(bed: Testbed, canary: Canary, records: int, rounds: int) -> list[growth.Series]:
    """Connections, replicas and flushes on the same topic."""
    truth = reference.build(bed, workload.W2.sized(records, name="growth"))
    try:
        return [
            growth.over_connections(bed, canary, truth, rounds),
            growth.over_replicas(bed, canary, truth, rounds),
            growth.over_flush_rows(bed, canary, truth, rounds),
        ]
    finally:
        reference.drop(bed, truth)


def measure_peers(bed: Testbed, canary: Canary, options: argparse.Namespace) -> dict[str, Any]:
    rounds = options.rounds or (contest.QUICK_ROUNDS if options.quick else contest.ROUNDS)
    return {"peers": contest.measure(bed, canary, rounds, options.quick).as_json()}


def measure_http(bed: Testbed, canary: Canary, options: argparse.Namespace) -> dict[str, Any]:
    if bed.is_mock:
        report.say("\nHTTP is left out: the mock keeps too few records.")
        return {}
    rounds = options.rounds or (attack.QUICK_ROUNDS if options.quick else attack.ROUNDS)
    records = attack.QUICK_RECORDS if options.quick else attack.RECORDS
    scrapes = scrape.measure(bed, scrape.SCRAPES // 4 if options.quick else scrape.SCRAPES)
    return {"http": attack.measure(bed, canary, rounds, records).as_json(), "scrapes": scrapes}


MEASURES = {
    "workloads": measure_workloads,
    "latency": measure_latency,
    "sustained": measure_sustained,
    "growth": measure_growth,
    "peers": measure_peers,
    "http": measure_http,
}


# --- All of it ----------------------------------------------------------------------------------


def measure(options: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, Any] = {}
    started_s = time.monotonic()
    if "first" in options.sections:
        runs = first.show()
        results["first"] = {name: [run.as_json() for run in each] for name, each in runs.items()}
    sections = [name for name in MEASURES if name in options.sections]
    if sections:
        with open_testbed(options) as bed:
            bed.migrate()
            results["machine"] = machine.describe(bed)
            show_machine(results["machine"])
            with workloads.canary_of(bed) as canary:
                for name in sections:
                    results.update(attempt(name, bed, canary, options))
    results["goals"] = goals.judge(results)
    if sections:
        show_goals(results["goals"])
    results["seconds"] = round(time.monotonic() - started_s, 1)
    report.say(f"\n{results['seconds']:,.0f} s")
    return results


def open_testbed(options: argparse.Namespace) -> Testbed:
    """Not entered yet. Where real Kafka can not be had, the mock has to do."""
    if not options.mock:
        try:
            kafka_home()
        except Unavailable as reason:
            report.say(f"no real Kafka, so librdkafka's mock cluster: {reason}")
            return Testbed(True, options.tcp)
    return Testbed(options.mock, options.tcp)


def attempt(
    name: str, bed: Testbed, canary: Canary, options: argparse.Namespace
) -> dict[str, Any]:
    """A section that fails does not take the others along."""
    started_s = time.monotonic()
    try:
        found = MEASURES[name](bed, canary, options)
    except (*FAILURES, Unavailable) as error:
        report.say(f"\n{name} failed: {error}")
        found = {f"{name} failed": str(error)}
    report.say(f"\n  ({name}: {time.monotonic() - started_s:,.0f} s)")
    return found


def show_machine(described: dict[str, str]) -> None:
    report.heading("Where")
    for name, text in described.items():
        report.say(f"  {name}: {text}")
    if limits.kcat_unavailable():
        report.say(f"  kcat | psql is left out: {limits.kcat_unavailable()}")


def show_goals(judged: Sequence[dict[str, Any]]) -> None:
    report.heading("Goals")
    words = {True: "holds", False: "MISSED", None: "not measured"}
    rows = [
        [
            goal["name"],
            goal["goal"],
            "-" if goal["value"] is None else f"{goal['value']:.3g}",
            words[goal["holds"]],
        ]
        for goal in judged
    ]
    report.table(("", "goal", "this run", ""), rows)


# --- The command --------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="under five minutes")
    parser.add_argument("--peers", action="store_true", help="run the peers, too")
    parser.add_argument("--mock", action="store_true", help="librdkafka's mock cluster, no real Kafka")
    parser.add_argument("--tcp", action="store_true", help="PostgreSQL over TCP, not its unix socket")
    parser.add_argument("--only", type=words, default=[], help="workloads: W2,W3 (all)")
    parser.add_argument("--codecs", type=words, default=None, help="none,lz4 (both; --quick: none)")
    usual = f"{workloads.ROUNDS}, of growth {GROWTH_ROUNDS}; fewer with --quick"
    parser.add_argument("--rounds", type=int, help=f"calm rounds wanted ({usual})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    parser.add_argument("--docs", action="store_true", help="write docs/benchmarks")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="with --docs: a former --json, no run"
    )
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    if not options.sections:
        options.sections = [*DEFAULT_SECTIONS, *(["peers"] if options.peers else [])]
    if options.codecs is None:
        options.codecs = ["none"] if options.quick else ["none", "lz4"]
    return options


def run(options: argparse.Namespace) -> bool:
    """Whether everything that was asked for was measured."""
    results = json.loads(options.source.read_text()) if options.source else measure(options)
    if options.json and not options.source:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.docs:
        docs.write(results)
        report.say("written: docs/benchmarks")
    return not any(name.endswith(" failed") for name in results)


def main() -> int:
    options = parse_arguments()
    unwind_on_terminate()
    missing = [] if options.source else programs.missing()
    if missing:
        print(f"bench: {missing[0].name} was not built: run ./dev build", file=sys.stderr)
        return 1
    try:
        return 0 if run(options) else 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (*FAILURES, Unavailable) as error:
        print(f"\nbench failed: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
