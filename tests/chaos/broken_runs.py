"""Runs of broken builds: each until the checker has caught it, and a table of them at the end."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import broken
import report
from broken import Broken, Outcome
from run import Options, Run
from servers import Servers

STRIKE_S = 60.0
DRAIN_S = 20.0


def run(builds: list[Broken], seed: int) -> bool:
    """Each on the same servers, while the next ones are built; whether all were caught."""
    outcomes = []
    with ThreadPoolExecutor(1) as builder, Servers() as servers:
        for a_build, program in zip(builds, builder.map(broken.build, builds)):
            os.environ["PGSLUICE_BIN"] = str(program)
            outcomes.append(_run_one(servers, a_build, seed))
            report.broken(outcomes[-1])
    report.heading("Broken builds")
    for outcome in outcomes:
        report.broken_row(outcome)
    caught = sum(bool(outcome.violation) for outcome in outcomes)
    report.say(f"caught {caught} of {len(outcomes)}")
    return caught == len(outcomes)


def _run_one(servers: Servers, a_build: Broken, seed: int) -> Outcome:
    """Until its first violation, or to the end."""
    options = Options(
        seed, a_build.faults, a_build.records, list(a_build.kinds), a_build.env,
        STRIKE_S, DRAIN_S, any_memory=True, quiet=True,
    )  # fmt: skip
    servers.postgres.primary.query("DROP SCHEMA IF EXISTS pgsluice CASCADE")
    began = time.monotonic()
    a_run = Run(servers, options, "broken_" + a_build.name.replace("-", "_"))
    try:
        a_run.carry_out()
        findings = a_run.world.checker.found
        found = [str(violation) for violation in findings.violations]
        if not found:
            a_run.keep_logs(servers, f"broken-{a_build.name}")
        landed = len(a_run.nemesis.toll.landed)
        took_s = time.monotonic() - began
        return Outcome(
            a_build, (found or [""])[0], a_run.failures, landed, findings.snapshots, took_s
        )  # fmt: skip
    finally:
        a_run.world.close()
