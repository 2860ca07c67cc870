"""A fixed piece of work, to notice when the machine is not what it was a minute ago.

The same loop over the same bytes, then the same 200,000 rows by COPY: what a run needs most. Both are
timed by the clock on the wall, since that is what a busy neighbour stretches.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from typing import NamedTuple, Sequence

from limits import copy
from reference import Reference
from testbed import Testbed

SPIN_BYTES = bytes(1 << 20)
SPIN_ROUNDS = 256
TOLERANCE = 0.10


class Beat(NamedTuple):
    """One measurement of the canary."""

    spin_s: float
    copy_s: float

    def strays_from(self, usual: "Beat") -> bool:
        return any(
            abs(mine - theirs) > TOLERANCE * theirs for mine, theirs in zip(self, usual)
        )


class Canary:
    """`reference`: of a small W2, whose rows are copied."""

    def __init__(self, bed: Testbed, reference: Reference) -> None:
        self._bed = bed
        self._reference = reference

    def beat(self) -> Beat:
        started_s = time.monotonic()
        for _ in range(SPIN_ROUNDS):
            hashlib.sha1(SPIN_BYTES)
        spin_s = time.monotonic() - started_s
        return Beat(spin_s, copy(self._bed, self._reference, binary=True).seconds)


def usual(beats: Sequence[Beat]) -> Beat:
    return Beat(
        statistics.median(beat.spin_s for beat in beats),
        statistics.median(beat.copy_s for beat in beats),
    )
