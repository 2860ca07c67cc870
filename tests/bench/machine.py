"""Where and with what it was measured."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path

import programs
import usage
from kafka import kafka_version
from sink import sink_program
from testbed import Testbed


def describe(bed: Testbed) -> dict[str, str]:
    described = {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "processor": f"{usage.CORES} x {processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "system": system(),
        "load at the start": f"{os.getloadavg()[0]:.2f}",
        "pgsluice": ", ".join(programs.output([sink_program(), "--version"]).splitlines()),
        "PostgreSQL": bed.postgres.scalar("SHOW server_version"),
        "PostgreSQL settings": ", ".join(f"{k} = {v}" for k, v in bed.postgres.settings.items()),
        "PostgreSQL is reached by": "TCP over loopback" if bed.is_tcp else "its unix socket",
        "Kafka": "librdkafka's mock cluster" if bed.is_mock else f"Apache Kafka {kafka_version()}, 1 broker",
        "kcat": kcat_version(),
        "Java": next(iter(programs.output(["java", "-version"]).splitlines()), "missing"),
        "command": command(),
    }
    return described


def command() -> str:
    """Without the folders of files."""
    words = [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]
    return shlex.join(["./dev", "bench", *words])


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def kcat_version() -> str:
    lines = programs.output(["kcat", "-V"]).splitlines()
    return next((line for line in lines if line.startswith("Version")), "missing")


def system() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()
