"""How often a test does what it repeats: a few times in the tests, as often as one likes in ./dev soak."""

from __future__ import annotations

import os
from typing import Sequence

TIMES = "PGSLUICE_TIMES"


def times(usual: int) -> int:
    return int(os.environ.get(TIMES, usual))


def spread(name: str, seconds: Sequence[float]) -> str:
    """For the test's last line: the middle, the 99th of a hundred, the worst."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    middle, nearly_all = ordered[round(0.5 * last)], ordered[round(0.99 * last)]
    return (
        f"{len(ordered)} x {name}: median {middle:.2f} s, p99 {nearly_all:.2f} s, most {ordered[-1]:.2f} s"
    )
