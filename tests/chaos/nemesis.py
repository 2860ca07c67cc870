"""Breaks things: a seeded schedule of faults, a few at a time, each proved to have landed.

A fault is a generator function with one yield, registered by @fault:

    @fault("broker-kill", touches=["kafka"], lasts=(2, 6))
    def broker_kill(world, rng):
        node = rng.choice(...)
        world.kafka.kill(node)                  # strike, and observe that it has struck
        yield f"broker {node}"                  # landed: what is printed
        world.kafka.start_broker(node)          # heal

Raising NotLanded before the yield says that it could not be shown to have struck; such a fault is not
counted, and another one takes its place. Faults that touch the same thing wait for each other;
others overlap, up to TOGETHER of them. They are dealt in hands; of a hand, who can goes first, and
the next hand is dealt when few are left, so that nobody is overtaken for ever.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Sequence

from wait import DeadlineExceeded, wait_until

TOGETHER = 4
HAND = 8
FEW = 2
PAUSE_S = 0.5  # on average, between two
BRISK = 0.25  # so much of what they last beyond their least, and of the pauses, is left then
ATTEMPTS = 3  # of so many times the faults that are wanted
STUCK_S = 300.0  # what has not healed by then never will
FaultBody = Callable[[Any, random.Random], Iterator[str]]


class NotLanded(Exception):
    """The fault has not had its effect; the message says why."""


@dataclass(frozen=True)
class Fault:
    kind: str
    body: FaultBody
    touches: frozenset[str]
    shares: frozenset[str]
    lasts: tuple[float, float]


FAULTS: dict[str, Fault] = {}


def fault(
    kind: str,
    touches: Sequence[str],
    lasts: tuple[float, float] = (0, 0),
    shares: Sequence[str] = (),
) -> Callable[[FaultBody], FaultBody]:
    """Register a kind of fault; it lasts so many seconds, from least to most.

    What it touches it has for itself; what it shares it needs whole, as others may at the same time.
    """

    def register(body: FaultBody) -> FaultBody:
        FAULTS[kind] = Fault(kind, body, frozenset(touches), frozenset(shares), lasts)
        return body

    return register


def observe(condition: Callable[[], Any], within_s: float, what: str) -> Any:
    """Wait for a fault's effect; NotLanded when it does not show."""
    try:
        return wait_until(condition, within_s, what, interval_s=0.02)
    except DeadlineExceeded as late:
        raise NotLanded(f"not seen {late}") from late


@dataclass
class Landed:
    """One fault that has landed, for the report."""

    number: int
    kind: str
    detail: str
    at_s: float
    lasts_s: float


@dataclass
class Toll:
    """What the nemesis has done."""

    landed: list[Landed] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def kinds(self) -> Counter[str]:
        return Counter(landed.kind for landed in self.landed)


class Nemesis:
    """Strikes `wanted` times in a thread of its own, or until stop()."""

    def __init__(
        self, world: Any, seed: int, wanted: int, kinds: Sequence[str],
        on_landed: Callable[[Landed], None], on_missed: Callable[[str, str], None],
        brisk: bool = False,
    ) -> None:  # fmt: skip
        self.world = world
        self.seed = seed
        self.wanted = wanted
        self.kinds = list(kinds)
        self.on_landed = on_landed
        self.on_missed = on_missed
        self.haste = BRISK if brisk else 1.0
        self.toll = Toll()
        self.began = time.monotonic()
        self._free = threading.Condition()
        self._touched: set[str] = set()
        self._shared: Counter[str] = Counter()
        self._running = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Strike no more, heal what is broken, and wait for that."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    # --- the schedule ---------------------------------------------------------------------------

    def _deck(self) -> Iterator[Fault]:
        """All kinds in a shuffled order, again and again: each comes as often as the others."""
        rng = random.Random(f"{self.seed}/deck")
        while True:
            kinds = list(self.kinds)
            rng.shuffle(kinds)
            yield from (FAULTS[kind] for kind in kinds)

    def _run(self) -> None:
        deck = self._deck()
        hand: list[Fault] = []
        strikes: list[tuple[Fault, threading.Thread]] = []
        for attempt in range(self.wanted * ATTEMPTS):
            hand += itertools.islice(deck, HAND if len(hand) <= FEW else 0)
            fault = self._acquire(hand)
            if fault is None:
                break
            hand.remove(fault)
            rng = random.Random(f"{self.seed}/{attempt}/{fault.kind}")
            strike = threading.Thread(target=self._strike, args=(fault, rng), daemon=True)
            strike.start()
            strikes = [other for other in strikes if other[1].is_alive()] + [(fault, strike)]
            self._stop.wait(rng.expovariate(1 / (PAUSE_S * self.haste)))
        self._wait_for(strikes)

    def _wait_for(self, strikes: list[tuple[Fault, threading.Thread]]) -> None:
        """Until all is healed; and say what never was, or never came."""
        end = time.monotonic() + STUCK_S
        for fault, strike in strikes:
            strike.join(max(0.0, end - time.monotonic()))
            if strike.is_alive():
                self.toll.failures.append(f"{fault.kind} has not ended")
        if not self._stop.is_set() and len(self.toll.landed) < self.wanted:
            self.toll.failures.append(f"{len(self.toll.landed)} of {self.wanted} faults landed")

    def _acquire(self, hand: list[Fault]) -> Fault | None:
        """The first that touches nothing broken; None: enough has landed, or something is stuck."""
        end = time.monotonic() + STUCK_S
        with self._free:
            while not self._is_enough() and time.monotonic() < end:
                fault = next(filter(self._is_free, hand), None)
                if fault and self._running < TOGETHER:
                    self._touched |= fault.touches
                    self._shared.update(fault.shares)
                    self._running += 1
                    return fault
                self._free.wait(0.2)
        return None

    def _is_enough(self) -> bool:
        return self._stop.is_set() or len(self.toll.landed) >= self.wanted

    def _is_free(self, fault: Fault) -> bool:
        touched = self._touched & (fault.touches | fault.shares)
        return not touched and not any(self._shared[what] for what in fault.touches)

    def _release(self, fault: Fault) -> None:
        with self._free:
            self._touched -= fault.touches
            self._shared.subtract(fault.shares)
            self._running -= 1
            self._free.notify_all()

    # --- one fault ------------------------------------------------------------------------------

    def _strike(self, fault: Fault, rng: random.Random) -> None:
        body = fault.body(self.world, rng)
        try:
            detail = next(body)
        except NotLanded as reason:
            self._miss(fault, str(reason))
        except (Exception, DeadlineExceeded) as error:
            self._miss(fault, f"{type(error).__name__}: {error}")
        else:
            least, most = fault.lasts
            self._hold(fault, body, detail, rng.uniform(least, least + (most - least) * self.haste))
        finally:
            self._release(fault)

    def _hold(self, fault: Fault, body: Iterator[str], detail: str, lasts_s: float) -> None:
        """It has landed: count it, let it last, heal it."""
        with self._free:
            number, at_s = len(self.toll.landed) + 1, time.monotonic() - self.began
            landed = Landed(number, fault.kind, detail, at_s, lasts_s)
            self.toll.landed.append(landed)
        self.on_landed(landed)
        self._stop.wait(lasts_s)
        try:
            next(body, None)
        except (Exception, DeadlineExceeded) as error:
            failure = f"{fault.kind} was not healed: {type(error).__name__}: {error}"
            self.toll.failures.append(failure)

    def _miss(self, fault: Fault, reason: str) -> None:
        self.toll.missed[fault.kind] += 1
        self.on_missed(fault.kind, reason)
