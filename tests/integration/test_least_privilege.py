"""A whole load as the role that docs/security.md describes: no superuser, owner of nothing."""

from __future__ import annotations

from typing import Callable, Iterator

import history
import pytest
from mock import MockKafka
from postgres import Postgres
from role import make_role
from sink import Sink

RECORDS = 20_000
POISON_EVERY = 500


@pytest.fixture
def weak(database: Postgres) -> Iterator[str]:
    """The role, in a database where PUBLIC has no rights."""
    name = f"weak_{database.database}"
    history.create_table(database, "orders")
    make_role(database, name)
    yield name
    database.query(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_whole_load(
    weak: str, start_sink: Callable[..., Sink], mock: MockKafka, database: Postgres
) -> None:
    """Rows, dead letters, a former owner's session that has to be ended, and a second start."""
    mock.create_topic("orders", 6)
    mock.produce_orders("orders", RECORDS, poison_every=POISON_EVERY)
    sink = start_sink(mock, topics="orders", postgres=database, env={"PGUSER": weak})
    sink.wait_until_caught_up("orders")
    history.assert_exactly_once(mock, "orders", database, "orders", sink=sink.name)
    assert sink.terminate() == 0

    mock.produce_orders("orders", RECORDS, first=RECORDS, poison_every=POISON_EVERY)
    former = f"pgsluice/{sink.name}/former"
    frozen = database.connect(user=weak, autocommit=False, application_name=former)
    frozen.execute("UPDATE pgsluice.offsets SET owner = 'frozen'")
    sink.start()
    sink.wait_for_log("frozen owner ended")
    frozen.close()
    sink.wait_until_caught_up("orders")
    history.assert_exactly_once(mock, "orders", database, "orders", sink=sink.name)
    assert sink.terminate() == 0
