"""What processes have used: CPU time to the nanosecond, memory, context switches; and the machine.

A process's CPU clock can be read by anyone who knows its id, and counts the threads that have ended.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, NamedTuple

from faults import let_pass

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1


def cpu_s(pid: int) -> float:
    """CPU seconds of a process since its start, 0 when it has gone.

    The clock's number is made as in clock_getcpuclockid(3): the complement of the id, then 2 for the
    scheduler's own sum.
    """
    try:
        return time.clock_gettime_ns(~pid << 3 | 2) / 1e9
    except OSError:
        return 0.0


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """The process and all below it."""
    return [pid] + [below for child in children(pid) for below in descendants(child)]


def reaped_cpu_s(pid: int) -> float:
    """CPU seconds of the process's children that have ended, to a hundredth."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICKS_PER_S


def family_cpu_s(pid: int, without: Iterable[int] = ()) -> float:
    """CPU seconds of a process and its children, those that have ended included.

    Those are read first: one that ends between the readings is then missing for the moment, and not
    counted twice.
    """
    left_out = set(without)
    ended = reaped_cpu_s(pid)
    living = sum(cpu_s(child) for child in children(pid) if child not in left_out)
    return ended + living + cpu_s(pid)


class Switches(NamedTuple):
    voluntary: int
    involuntary: int


def switches(pids: Iterable[int]) -> Switches:
    """Sums over processes that still run, and over their threads."""
    voluntary = involuntary = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/status"):
            status = _status(task)
            voluntary += status.get("voluntary_ctxt_switches", 0)
            involuntary += status.get("nonvoluntary_ctxt_switches", 0)
    return Switches(voluntary, involuntary)


class Peaks:
    """The most memory that processes had, as long as they were looked at while they lived."""

    def __init__(self) -> None:
        self._kib: dict[int, int] = {}

    def look(self, pids: Iterable[int]) -> None:
        for pid in pids:
            peak_kib = _status(Path(f"/proc/{pid}/status")).get("VmHWM", 0)
            self._kib[pid] = max(self._kib.get(pid, 0), peak_kib)

    @property
    def sum_kib(self) -> int:
        return sum(self._kib.values())


def _status(path: Path) -> dict[str, int]:
    """The numbers of a status file of /proc."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    words = [line.replace(":", "").split() for line in lines]
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdigit()}


@dataclass(frozen=True)
class Machine:
    """All cores together, since the boot."""

    at_s: float
    busy_s: float
    stolen_s: float

    @classmethod
    def now(cls) -> "Machine":
        words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        user, nice, system, _, _, irq, softirq, steal = (int(w) / TICKS_PER_S for w in words[:8])
        return cls(time.monotonic(), user + nice + system + irq + softirq, steal)


def disturbance(before: Machine, after: Machine, ours_s: float) -> float:
    """The share of the machine that others had meanwhile: neighbours on it, or below it (steal)."""
    elapsed = (after.at_s - before.at_s) * CORES
    others = (after.busy_s - before.busy_s) - ours_s + (after.stolen_s - before.stolen_s)
    return max(0.0, others / elapsed) if elapsed > 0 else 0.0


def own_cpu_s() -> float:
    return time.process_time()


def stop_for(pids: Iterable[int], seconds: float) -> None:
    """Processes stand still for a while."""
    stopped = []
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)
    try:
        let_pass(seconds)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
