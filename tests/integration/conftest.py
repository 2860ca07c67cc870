"""Integration tests: the real program with a real PostgreSQL and a mock Kafka."""

from __future__ import annotations

import copy
import sys
import uuid
from pathlib import Path
from typing import Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from fixtures import (  # noqa: E402
    mock,
    names,
    own_postgres,
    postgres,
    pytest_configure,
    pytest_runtest_call,
    start_sink,
)
from postgres import Postgres  # noqa: E402

__all__ = [
    "database",
    "mock",
    "names",
    "own_postgres",
    "postgres",
    "pytest_configure",
    "pytest_runtest_call",
    "start_sink",
]


@pytest.fixture
def database(postgres: Postgres) -> Iterator[Postgres]:
    """The session's server, seen through an empty database of the test's own."""
    view = copy.copy(postgres)
    view.database = f"test_{uuid.uuid4().hex[:12]}"
    postgres.query(f"CREATE DATABASE {view.database}")
    yield view
    postgres.query(f"DROP DATABASE {view.database} WITH (FORCE)")
