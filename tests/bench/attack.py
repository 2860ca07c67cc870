"""Whether who asks over HTTP disturbs the data: a drain with and without them, in turns.

  quiet       only the probe asks, ten times a second
  slow        200 clients beside it that never finish their request
  flood       and another 64 that ask for /status as fast as they are answered
  elsewhere   the same clients, but they ask another sink, which has nothing to write

The clients are on the same machine, and what they and their answers take of it is missing to the data. The last
one is there to tell that apart: what flood loses beside it is what answering holds up in the sink itself.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from typing import Any, Callable, Sequence

import drain
import report
from backlog import Backlog
from canary import Canary
from interleave import ATTEMPTS, Turns, take_turns
from process import Child, free_port
from programs import bench_program
from run import Run
from testbed import Testbed

FLOOD, SLOW, PROBE_MS = 64, 200, 100
RECORDS, QUICK_RECORDS = 10_000_000, 4_000_000
ROUNDS, QUICK_ROUNDS = 7, 1
KINDS: dict[str, tuple[int, int]] = {
    "quiet": (0, 0),
    "slow": (0, SLOW),
    "flood": (FLOOD, SLOW),
    "elsewhere": (FLOOD, SLOW),
}
COLUMNS = ("", "rows/s", "of quiet", "least", "most", "RSS", "answers", "/livez ms", "p99", "most")


class Attack:
    """http_attack beside a sink; `figures` are there when it is over."""

    def __init__(self, bed: Testbed, port: int, flood: int, slow: int, probe_ms: int) -> None:
        argv = [str(bench_program("http_attack")), *map(str, (port, flood, slow, probe_ms))]
        self._child = Child(argv, bed.directory / "http_attack.log", pipes=True)
        self.figures: dict[str, Any] = {}

    def __enter__(self) -> "Attack":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stdin.close()
        self.figures = json.loads(self._child.stdout.readline() or "{}")
        self._child.stop()


def disturbed(bed: Testbed, backlog: Backlog, kind: str, idle_port: int) -> Run:
    """One drain, with who disturbs it from before its start to its end."""
    port = free_port()
    flood, slow = KINDS[kind]
    with ExitStack() as stack:
        probe = stack.enter_context(Attack(bed, port, 0, 0, PROBE_MS))
        asked = idle_port if kind == "elsewhere" else port
        others = stack.enter_context(Attack(bed, asked, flood, slow, 0))
        run = drain.drain(bed, backlog, {"SINK_HTTP_ADDRESS": f"127.0.0.1:{port}"})
    run.details |= {"answered": others.figures["answered"], "livez": probe.figures}
    bed.clear(backlog.workload.tables)
    return run


def measure(bed: Testbed, canary: Canary, rounds: int, records: int) -> Turns:
    report.heading("Asked over HTTP: a drain of W2, and who disturbs it")
    idle_port = free_port()
    with ExitStack() as stack:
        idle = {"SINK_HTTP_ADDRESS": f"127.0.0.1:{idle_port}"}
        stack.enter_context(drain.placed_sink(bed, 1, idle))
        backlog = Backlog(bed, records)
        stack.callback(backlog.close)
        subjects: dict[str, Callable[[], Run]] = {
            kind: partial(disturbed, bed, backlog, kind, idle_port) for kind in KINDS
        }
        turns = take_turns(canary, subjects, rounds, attempts=ATTEMPTS if rounds > 1 else 1)
    show(turns)
    return turns


def show(turns: Turns) -> None:
    report.table(COLUMNS, [row(turns, kind) for kind in KINDS])
    report.say(f"  {turns.described()}")
    for text in turns.voids():
        report.say(f"  void, {text}")


def row(turns: Turns, kind: str) -> list[str]:
    """The rate by pairs of the same round; of /livez the worst of all rounds."""
    rate = turns.figure(kind, lambda run: run.rate)
    share = turns.ratio(kind, "quiet", lambda run: run.rate)
    if rate is None or share is None:
        return [kind, "void", *[""] * (len(COLUMNS) - 2)]
    runs = [each.runs[kind] for each in turns.told if not each.runs[kind].void]
    return [
        kind,
        report.thousands(rate.median),
        *(report.times(value) for value in (share.median, share.low, share.high)),
        report.mebibytes(max(run.peak_rss_kib for run in runs)),
        report.thousands(sum(run.details["answered"] for run in runs)),
        *(report.milliseconds(max(livez(runs, name))) for name in ("median", "p99", "most")),
    ]


def livez(runs: Sequence[Run], name: str) -> list[float]:
    return [run.details["livez"][name] for run in runs]
