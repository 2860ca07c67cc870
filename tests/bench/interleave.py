"""Turns: each round runs every subject once, so that what changes with time meets all of them alike. Each
round begins with another one, since a run's leavings (pages to be written, caches) meet the next.

Absolute figures of a shared machine wander; what is told are the ratios of runs of the same round, as
the median and the range over rounds. A round is disturbed when a canary before or after it strays, or when
others had a tenth of the machine during one of its runs. Disturbed rounds are left out and made up for,
up to a limit; when fewer than half of what was wanted is left, all rounds are told, and so is that.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any, Callable, Sequence

from canary import Beat, Canary, usual
from run import FAILURES, Run

DISTURBANCE = 0.10
ATTEMPTS = 2  # rounds at most, for each one that is wanted

Figure = Callable[[Run], float]
FIGURES: dict[str, Figure] = {
    "rows_per_s": lambda run: run.rate,
    "cpu_s_per_million": lambda run: run.cpu_per_million,
    "later_cpu_s_per_million": lambda run: run.later_cpu_per_million,
    "postgres_cpu_s_per_million": lambda run: run.postgres_cpu_per_million,
    "broker_cpu_s_per_million": lambda run: run.broker_cpu_per_million,
    "peak_rss_kib": lambda run: run.peak_rss_kib,
    "switches_per_thousand": lambda run: run.switches_per_thousand,
}


@dataclass
class Round:
    before: Beat
    runs: dict[str, Run] = field(default_factory=dict)
    after: Beat | None = None

    def is_disturbed(self, usual_beat: Beat) -> bool:
        beats = [beat for beat in (self.before, self.after) if beat is not None]
        return any(beat.strays_from(usual_beat) for beat in beats) or any(
            run.disturbance > DISTURBANCE for run in self.runs.values()
        )


@dataclass(frozen=True)
class Spread:
    """The median of some values, and their range."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        if not values:
            return None
        return cls(statistics.median(values), min(values), max(values), len(values))

    def as_json(self) -> dict[str, Any]:
        numbers = {"median": self.median, "low": self.low, "high": self.high}
        return {**{name: round(value, 5) for name, value in numbers.items()}, "rounds": self.count}


@dataclass
class Turns:
    """Rounds of the same subjects on the same workload."""

    rounds: list[Round] = field(default_factory=list)
    wanted: int = 0

    @property
    def beats(self) -> list[Beat]:
        found = [each.before for each in self.rounds]
        return found + [each.after for each in self.rounds[-1:] if each.after is not None]

    @property
    def calm(self) -> list[Round]:
        usual_beat = usual(self.beats)
        return [each for each in self.rounds if not each.is_disturbed(usual_beat)]

    @property
    def is_calm(self) -> bool:
        """Enough rounds were left alone by others."""
        return 2 * len(self.calm) >= self.wanted

    @property
    def told(self) -> list[Round]:
        return self.calm if self.is_calm else self.rounds

    def figure(self, subject: str, of: Figure) -> Spread | None:
        runs = [each.runs[subject] for each in self.told if subject in each.runs]
        return Spread.of([of(run) for run in runs if not run.void])

    def text(self, subject: str, of: Figure, form: Callable[[float], str]) -> str:
        """The median as a cell of a table; "-" without one."""
        spread = self.figure(subject, of)
        return form(spread.median) if spread and spread.median else "-"

    def ratio(self, subject: str, other: str, of: Figure) -> Spread | None:
        """subject / other, pair by pair."""
        pairs = [
            (each.runs[subject], each.runs[other])
            for each in self.told
            if subject in each.runs and other in each.runs
        ]
        return Spread.of(
            [of(a) / of(b) for a, b in pairs if not a.void and not b.void and of(b) > 0]
        )

    def _figures(self, subject: str) -> dict[str, Any]:
        spreads = {name: self.figure(subject, of) for name, of in FIGURES.items()}
        return {name: spread.as_json() for name, spread in spreads.items() if spread}

    def voids(self) -> list[str]:
        return [
            f"{name}: {run.void}"
            for each in self.rounds
            for name, run in each.runs.items()
            if run.void
        ]

    def described(self) -> str:
        """Which rounds the figures are of."""
        calm = "" if self.is_calm else "; the machine was not calm, so disturbed rounds are told as well"
        return f"medians of {len(self.told)} of {len(self.rounds)} rounds{calm}"

    def as_json(self) -> dict[str, Any]:
        usual_beat = usual(self.beats)
        return {
            "calm": self.is_calm,
            "told": len(self.told),
            "described": self.described(),
            "voids": self.voids(),
            "figures": {name: self._figures(name) for name in self.rounds[0].runs},
            "rounds": [
                {
                    "canary": [beat._asdict() for beat in (each.before, each.after) if beat],
                    "disturbed": each.is_disturbed(usual_beat),
                    "runs": {name: run.as_json() for name, run in each.runs.items()},
                }
                for each in self.rounds
            ],
        }


def in_turn(names: Sequence[str], number: int) -> list[str]:
    """A round's order."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def run_or_void(name: str, measure: Callable[[], Run]) -> Run:
    """What fails is void, and does not take the others along."""
    try:
        return measure()
    except FAILURES as error:
        return Run(name, void=f"{type(error).__name__}: {error}")


def take_turns(
    canary: Canary,
    subjects: dict[str, Callable[[], Run]],
    wanted: int,
    on_round: Callable[[Round], None] = lambda each: None,
    attempts: int = ATTEMPTS,
) -> Turns:
    """Rounds until enough of them were calm."""
    turns = Turns(wanted=wanted)
    before = canary.beat()
    while len(turns.rounds) < attempts * wanted:
        current = Round(before)
        for name in in_turn(list(subjects), len(turns.rounds)):
            current.runs[name] = run_or_void(name, subjects[name])
        before = current.after = canary.beat()
        turns.rounds.append(current)
        on_round(current)
        if len(turns.rounds) >= wanted and len(turns.calm) >= wanted:
            break
    return turns
