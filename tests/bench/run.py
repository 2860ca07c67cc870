"""One run of one subject, and what it came to."""

from __future__ import annotations

import subprocess
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Sequence

import psycopg

# What makes a run void, and leaves the others alone.
FAILURES = (AssertionError, RuntimeError, OSError, subprocess.SubprocessError, psycopg.Error)


class Sample(NamedTuple):
    """While a run goes on: rows that were visible, and CPU seconds since its begin."""

    at_s: float
    rows: int
    subject_s: float
    postgres_s: float
    broker_s: float


class Settled(NamedTuple):
    """Between the first tenth of the rows and the last, or since warm."""

    rate: float
    cpu_per_million: float
    postgres_cpu_per_million: float


@dataclass
class Run:
    """`seconds` are those in which rows moved; CPU is that of the whole run, start included.

    A start costs the same for few rows and for many: where runs of unlike lengths are compared,
    start_cpu_s is what one with the same partitions, all empty, took.
    """

    subject: str
    rows: int = 0  # records, where some of them are no rows
    seconds: float = 0.0
    cpu_s: float = 0.0
    start_cpu_s: float = 0.0
    postgres_cpu_s: float = 0.0
    broker_cpu_s: float = 0.0
    peak_rss_kib: int = 0
    voluntary_switches: int = 0
    involuntary_switches: int = 0
    disturbance: float = 0.0  # the share of the machine that others had
    void: str | None = None  # why it does not count
    details: dict[str, Any] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    settled: "Settled | None" = None  # told instead of the whole run, where its start is nobody's burden

    @property
    def rate(self) -> float:
        if self.settled:
            return self.settled.rate
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def cpu_per_million(self) -> float:
        return self.settled.cpu_per_million if self.settled else self.whole_cpu_per_million

    @property
    def whole_cpu_per_million(self) -> float:
        return self.cpu_s * 1e6 / self.rows if self.rows else 0.0

    @property
    def later_cpu_per_million(self) -> float:
        """Without the start."""
        return (self.cpu_s - self.start_cpu_s) * 1e6 / self.rows if self.rows else 0.0

    @property
    def postgres_cpu_per_million(self) -> float:
        return self.postgres_cpu_s * 1e6 / self.rows if self.rows else 0.0

    @property
    def broker_cpu_per_million(self) -> float:
        return self.broker_cpu_s * 1e6 / self.rows if self.rows else 0.0

    @property
    def switches_per_thousand(self) -> float:
        switches = self.voluntary_switches + self.involuntary_switches
        return switches * 1000 / self.rows if self.rows else 0.0

    def worst_second(self) -> float | None:
        """The slowest whole second's rate as a share of the mean; None when it was too short to tell."""
        return worst_window(self.samples, self.rows, 1.0)

    def as_json(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "rows": self.rows,
            "seconds": round(self.seconds, 4),
            "rows_per_s": round(self.rate),
            "cpu_s_per_million": round(self.cpu_per_million, 4),
            "whole_cpu_s_per_million": round(self.whole_cpu_per_million, 4),
            "later_cpu_s_per_million": round(self.later_cpu_per_million, 4),
            "postgres_cpu_s_per_million": round(self.postgres_cpu_per_million, 4),
            "broker_cpu_s_per_million": round(self.broker_cpu_per_million, 4),
            "peak_rss_kib": self.peak_rss_kib,
            "voluntary_switches": self.voluntary_switches,
            "involuntary_switches": self.involuntary_switches,
            "disturbance": round(self.disturbance, 4),
            "void": self.void,
            **self.details,
        }


def worst_window(samples: list[Sample], rows: int, window_s: float) -> float | None:
    """Windows lie between the first sample with rows and the last, and begin ten times a second."""
    moving = [sample for sample in samples if 0 < sample.rows]
    if len(moving) < 2 or moving[-1].at_s - moving[0].at_s < 3 * window_s:
        return None
    first, last = moving[0], moving[-1]
    mean = (last.rows - first.rows) / (last.at_s - first.at_s)
    step_s = window_s / 10
    starts = int((last.at_s - first.at_s - window_s) / step_s)
    rates = [
        (_rows_at(moving, at + window_s) - _rows_at(moving, at)) / window_s
        for at in (first.at_s + step * step_s for step in range(starts + 1))
    ]
    return min(rates) / mean


def _rows_at(samples: list[Sample], at_s: float) -> float:
    """Between two samples, as if rows had come evenly."""
    behind = bisect_left(samples, at_s, key=lambda sample: sample.at_s)
    if behind == 0 or behind == len(samples):
        return samples[min(behind, len(samples) - 1)].rows
    before, after = samples[behind - 1], samples[behind]
    share = (at_s - before.at_s) / (after.at_s - before.at_s)
    return before.rows + share * (after.rows - before.rows)


def settle(samples: Sequence[Sample], warm_up_s: float = 0.0) -> Settled | None:
    """None when there are too few samples to tell. Who warms up is given time for it after the first rows,
    up to half of them."""
    total = samples[-1].rows
    warm_s = warm_up_s + next((sample.at_s for sample in samples if sample.rows), 0.0)
    inner = [
        sample
        for sample in samples
        if total / 10 <= sample.rows <= total * 9 / 10
        and (sample.at_s >= warm_s or sample.rows >= total / 2)
    ]
    if len(inner) < 3:
        return None
    first, last = inner[0], inner[-1]
    rows = last.rows - first.rows
    return Settled(
        rows / (last.at_s - first.at_s),
        (last.subject_s - first.subject_s) * 1e6 / rows,
        (last.postgres_s - first.postgres_s) * 1e6 / rows,
    )
