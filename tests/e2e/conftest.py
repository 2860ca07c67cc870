"""End-to-end tests: the real program with a real PostgreSQL and a real (or mock) Kafka."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from fixtures import (  # noqa: E402
    kafka1,
    kafka3,
    mock,
    names,
    own_postgres,
    postgres,
    pytest_configure,
    pytest_runtest_call,
    start_sink,
)

__all__ = [
    "kafka1",
    "kafka3",
    "mock",
    "names",
    "own_postgres",
    "postgres",
    "pytest_configure",
    "pytest_runtest_call",
    "start_sink",
]
