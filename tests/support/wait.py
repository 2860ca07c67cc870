"""Waiting for a condition with a deadline: the only way the tests wait for anything."""

from __future__ import annotations

import threading
import time
from typing import Callable, TypeVar

T = TypeVar("T")

POLL_S = 0.05


class DeadlineExceeded(AssertionError):
    """A condition did not come true in time; an AssertionError, so that pytest shows it as a failure."""


def wait_until(
    condition: Callable[[], T],
    deadline_s: float = 30.0,
    what: str | Callable[[], str] = "condition",
    interval_s: float = POLL_S,
) -> T:
    """Call `condition` until it returns something true and return that.

    `what` says what is awaited, or is called to say how far it got, when the deadline passes.
    """
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            detail = what() if callable(what) else what
            raise DeadlineExceeded(f"not within {deadline_s:g} s: {detail}")
        pause.wait(interval_s)
