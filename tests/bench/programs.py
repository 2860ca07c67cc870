"""The C programs of this folder, and the other programs that are measured."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Sequence

from cluster import support_program
from sink import sink_program


def bench_program(name: str) -> Path:
    """A program built from tests/bench/NAME.c: it lies next to the support programs' folder."""
    return support_program("x").parent.parent / "bench" / name


def missing() -> list[Path]:
    """Programs that were not built."""
    names = ("poll_query", "copy_rows", "consume_drop", "bench_encode", "produce_rows", "http_attack")
    needed = [sink_program(), support_program("produce_orders"), *map(bench_program, names)]
    return [program for program in needed if not os.access(program, os.X_OK)]


def output(argv: Sequence[str | Path]) -> str:
    """What a program prints; empty when it can not be run."""
    try:
        result = subprocess.run(
            [str(word) for word in argv], capture_output=True, text=True, timeout=60
        )
    except OSError:
        return ""
    return (result.stdout + result.stderr).strip()
