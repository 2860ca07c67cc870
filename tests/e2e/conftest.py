"""End-to-end tests: the real program with a real PostgreSQL and a real (or mock) Kafka."""

import sys
from pathlib import Path
from typing import Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from fixtures import (  # noqa: E402
    kafka1,
    kafka3,
    mock,
    names,
    pytest_configure,
    pytest_runtest_call,
    start_sink,
)
from postgres import Postgres  # noqa: E402
from role import run_sinks_as_role  # noqa: E402

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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Where sinks are the role that docs/security.md describes, in this one and the next."""
    with Postgres() as server:
        run_sinks_as_role(server)
        yield server


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server for one test, which may crash it."""
    with Postgres() as server:
        run_sinks_as_role(server)
        yield server
