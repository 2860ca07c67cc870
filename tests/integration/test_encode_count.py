"""The hot path's instructions, counted by callgrind and held against the committed figures.

A count does not depend on what else the machine does, so a slower encode path fails here where a
timing could only be suspected. After a change that is meant to cost or to gain:

    tests/integration/test_encode_count.py --write
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FIGURES = Path(__file__).parents[1] / "bench" / "encode_count.json"
TOLERANCE = 0.02
RECORDS = 2 * 2000  # the program encodes its batch twice


def program() -> Path:
    return Path(os.environ["PGSLUICE_SUPPORT_DIR"]).parent / "bench" / "encode_count"


def instructions_per_record(shape: str) -> float:
    """What encode_batch and all that it calls execute for one record."""
    command = [
        "valgrind",
        "--tool=callgrind",
        "--toggle-collect=encode_batch",
        "--callgrind-out-file=/dev/null",
        str(program()),
        shape,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    collected = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    assert collected, f"callgrind printed no count:\n{done.stderr}"
    return int(collected.group(1)) / RECORDS


def is_optimised() -> bool:
    """Counts of a debug or sanitizer build say nothing about the program that is shipped."""
    cache = Path(os.environ["PGSLUICE_BIN"]).parent / "CMakeCache.txt"
    return "CMAKE_BUILD_TYPE:STRING=Rel" in cache.read_text()


@pytest.mark.parametrize("shape", ["W1", "W2", "W3"])
def test_encoding_costs_what_it_did(shape: str) -> None:
    if not shutil.which("valgrind"):
        pytest.skip("valgrind is not installed")
    if not is_optimised():
        pytest.skip("not an optimised build")
    expected = json.loads(FIGURES.read_text())[shape]
    counted = instructions_per_record(shape)
    change = counted / expected - 1
    assert abs(change) <= TOLERANCE, (
        f"{shape}: {counted:.0f} instructions a record, {expected:.0f} committed ({change:+.1%}); "
        "if that is meant, write the new figures with --write"
    )


if __name__ == "__main__" and "--write" in sys.argv:
    FIGURES.write_text(
        json.dumps({s: round(instructions_per_record(s), 1) for s in ("W1", "W2", "W3")}, indent=2) + "\n"
    )
    print(FIGURES.read_text())
