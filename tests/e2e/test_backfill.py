"""A backfill loads what lies between its bounds once, however often it is killed, beside a live sink
or not, and ends by itself."""

import random

import backfills
import history
import pytest
from faults import let_pass, slow_flushes

PARTITIONS = 12
SEED = 20261120


@pytest.fixture
def table(kafka1, postgres, names):
    kafka1.create_topic(names.topic, PARTITIONS)
    history.create_table(postgres, names.table)
    return names.table


def all_of(kafka, topic):
    return kafka.watermarks(topic)


def test_offsets(kafka1, postgres, names, table, start_sink):
    """From an offset to another one, what lies between; the second start finds it done."""
    kafka1.produce_orders(names.topic, 12_000, poison_every=997)
    run = start_sink(kafka1, command="backfill --from 100 --to 700 --json")
    assert run.wait_exit() == 65, "it has dead letters"
    rows = backfills.loaded(
        kafka1, names.topic, postgres, table, {p: (100, 700) for p in range(PARTITIONS)}
    )
    told = backfills.summary(run)
    assert (told["rows"], told["records"]) == (rows, PARTITIONS * 600)
    assert told["rows"] + told["dead_letters"] + told["skipped"] == told["records"]
    letters = "SELECT DISTINCT backfill FROM pgsluice.dead_letters WHERE topic = %s"
    assert postgres.query(letters, [names.topic]) == [(names.group,)]
    assert run.positions(names.topic) == {}, "a sink's positions are no affair of it"
    assert run.start().wait_exit() == 65
    assert backfills.summary(run)["rows"] == rows
