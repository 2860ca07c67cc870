"""One chaos run: from the first record to the verdict."""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Mapping

import report
from faults import let_pass
from fleet import RUNNING
from nemesis import Nemesis
from process import tail
from servers import Servers
from wait import DeadlineExceeded, wait_until
from world import World

KEPT = Path("build/chaos")
SECONDS_PER_FAULT = 2.5
BEGIN_S = 90.0
DRAIN_S = 120.0
TICK_S = 0.2
SPARE_MIB = 64  # of memory beyond SINK_MEMORY_LIMIT


@dataclass
class Options:
    """What a run is asked for."""

    seed: int
    faults: int
    records: int
    kinds: list[str]
    env: Mapping[str, str] = field(default_factory=dict)  # more settings for the sinks
    strike_s: float = math.inf  # the nemesis stops after so long, whatever has landed
    drain_s: float = DRAIN_S
    any_memory: bool = False  # do not judge it
    brisk: bool = False  # faults last about their least
    quiet: bool = False


class Run:
    """One run on servers that stand: from the first record to the verdict."""

    def __init__(self, servers: Servers, options: Options, name: str) -> None:
        self.options = options
        self.world = World(servers, name, options.seed, options.records, options.env)
        self.nemesis = Nemesis(
            self.world, options.seed, options.faults, options.kinds,
            (lambda *_: None) if options.quiet else report.landed,
            (lambda *_: None) if options.quiet else report.missed,
            options.brisk,
        )  # fmt: skip
        self.failures: list[str] = []
        self.began = time.monotonic()

    def carry_out(self) -> bool:
        """True when nothing was found."""
        try:
            self._strike()
            if not self.violated:
                self._drain()
            self._judge()
        except (Exception, KeyboardInterrupt) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            self.nemesis.stop()
        self.failures += self.nemesis.toll.failures + self.world.fleet.crashes
        if self.world.fleet.excess_mib() > SPARE_MIB and not self.options.any_memory:
            self.failures.append(f"memory: {self.world.fleet.excess_mib()} MiB above its limit")
        return not self.failures and not self.violated

    @property
    def violated(self) -> bool:
        return bool(self.world.checker.found.violations)

    def _strike(self) -> None:
        """Faults, while the records go on; each fault has its share of them."""
        world = self.world
        world.workload.aim(self._share(1))
        world.fleet.start()
        wait_until(self._has_begun, BEGIN_S, self._not_begun)
        world.checker.start()
        self.nemesis.start()
        end = time.monotonic() + self.options.strike_s
        while not self.nemesis.over and not self.violated and time.monotonic() < end:
            world.workload.aim(self._goal())
            self._watch()
            let_pass(TICK_S)
        self.nemesis.stop()

    def _watch(self) -> None:
        self.world.fleet.watch()
        self.world.truth.check()
        if self.world.checker.failure:
            raise self.world.checker.failure

    def _has_begun(self) -> bool:
        self.world.fleet.watch()
        sql = "SELECT count(DISTINCT owner) FROM pgsluice.offsets WHERE sink = %s"
        primary = self.world.pair.primary
        if primary.scalar("SELECT to_regclass('pgsluice.offsets')") is None:
            return False
        return int(primary.scalar(sql, [self.world.name])) == len(self.world.fleet.running())

    def _not_begun(self) -> str:
        words = [f"sink-{n}: {tail(self.world.fleet.sinks[n].log, 2)}" for n in RUNNING]
        return "\n".join(["every replica owns a partition", *words])

    def _goal(self) -> int:
        """Records to be produced by now: even when faults are slow, some flow all the time."""
        landed = len(self.nemesis.toll.landed)
        since = self.nemesis.toll.landed[-1].at_s if landed else 0.0
        elapsed_s = time.monotonic() - self.nemesis.began
        by_time = elapsed_s / self.options.strike_s * self.options.faults
        slow = min(1.0, (elapsed_s - since) / SECONDS_PER_FAULT)
        return self._share(max(landed + 1 + slow, by_time))

    def _share(self, faults: float) -> int:
        return int(self.options.records * min(1.0, faults / (self.options.faults + 2)))

    def _drain(self) -> None:
        """The rest of the records is produced, and everything is to arrive."""
        if not self.options.quiet:
            report.say(f"{time.monotonic() - self.nemesis.began:7.1f} s        the rest arrives")
        self.world.workload.finish()
        wait_until(self.world.truth.is_read_to_the_end, 120, "the log is read to its end", 0.2)
        try:
            wait_until(self._is_drained, self.options.drain_s, self._undrained, 0.2)
        except DeadlineExceeded as error:
            self.failures.append(f"not drained: {error}")

    def _is_drained(self) -> bool:
        self._watch()
        return self.world.checker.is_drained() or self.violated

    def _judge(self) -> None:
        """Everything is compared once more, also where it was not drained."""
        self.world.checker.stop()
        if not self.violated:
            self.world.checker.finish()
        if not self.violated:
            codes = self.world.fleet.terminate()
            if any(codes):
                self.failures.append(f"at SIGTERM the replicas ended with {codes}")

    def _undrained(self) -> str:
        at = self.world.checker.positions()
        behind = [
            f"{topic}[{number}] at {at.get((topic, number), 0)} of {partition.end}"
            for (topic, number), partition in sorted(self.world.truth.partitions.items())
            if at.get((topic, number), 0) < partition.end
        ]
        return ", ".join(behind)

    # --- afterwards -----------------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        world, toll, found = self.world, self.nemesis.toll, self.world.checker.found
        return {
            "seed": self.options.seed,
            "faults": len(toll.landed),
            "kinds": dict(sorted(toll.kinds().items())),
            "missed": dict(sorted(toll.missed.items())),
            "records": world.truth.records,
            "snapshots": found.snapshots,
            "snapshots_of_standby": found.of_standby,
            "rewinds": found.rewinds,
            "disputes": found.disputes,
            "restarts": world.fleet.restarts,
            "memory_excess_mib": world.fleet.excess_mib(),
            "seconds": round(time.monotonic() - self.began, 1),
            "failures": self.failures,
            "violations": [asdict(violation) for violation in found.violations],
        }

    def explain(self) -> None:
        """The verdict, in words."""
        world, found = self.world, self.world.checker.found
        letters = sum(len(p.bad.offsets) for p in world.truth.partitions.values())
        report.heading("Faults that landed")
        report.tally(self.nemesis.toll)
        report.heading("Outcome")
        report.totals(
            self.nemesis.toll, found, world.truth.records, letters,
            world.fleet, time.monotonic() - self.began,
        )  # fmt: skip
        for violation in found.violations[:5]:
            report.say(f"  {violation}")
        report.verdict(len(found.violations), self.failures)

    def keep_logs(self, servers: Servers, name: str) -> None:
        directory = KEPT / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.world.fleet.keep_logs(directory)
        for name, path in servers.logs().items():
            shutil.copy(path, directory / f"{name}.log")
        for violation in self.world.checker.found.violations[:1]:
            servers.keep_partition(violation.topic, violation.partition, directory)
        (directory / "result.json").write_text(json.dumps(self.result(), indent=2) + "\n")
        report.say(f"seed {self.options.seed}; the logs are in {directory}")
