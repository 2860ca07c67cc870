"""What is said of lag on a real Kafka, where the end of a log is not always a record."""

import json

from confluent_kafka import Producer
from http_client import SERVED, Web

ENV = {**SERVED, "SINK_LAG_INTERVAL_MS": 500}


def transaction(producer, topic, count, commit):
    producer.begin_transaction()
    for number in range(count):
        producer.produce(topic, json.dumps({"id": number}).encode(), partition=0)
    producer.flush(30)
    producer.commit_transaction(30) if commit else producer.abort_transaction(30)


def test_aborted_records_and_markers_at_the_end_are_no_lag(kafka1, postgres, names, start_sink):
    """Ten records and their marker, then five that are given up, and theirs."""
    kafka1.create_topic(names.topic, 1)
    postgres.query(f"CREATE TABLE {names.topic} (id int)")
    producer = Producer(kafka1.client_conf(**{"transactional.id": names.group}))
    producer.init_transactions(30)
    transaction(producer, names.topic, 10, commit=True)
    transaction(producer, names.topic, 5, commit=False)
    sink = start_sink(kafka1, env=ENV)
    web = Web(sink)
    of = f'{{topic="{names.topic}",partition="0"}}'
    sink.wait_for(lambda: web.metrics().get(f"pgsluice_consumer_lag_records{of}") == 0, 60, "no lag")
    metrics = web.metrics()
    assert metrics[f"pgsluice_consumer_committed_offset{of}"] == 10
    assert metrics[f"pgsluice_consumer_end_offset{of}"] == 17
    assert metrics[f"pgsluice_consumer_lag_seconds{of}"] == 0
    # And what comes behind them is lag again, until it is written.
    transaction(producer, names.topic, 3, commit=True)
    sink.wait_for(lambda: web.metrics()[f"pgsluice_consumer_end_offset{of}"] == 21, 60, "a new end")
    sink.wait_for(lambda: web.metrics()[f"pgsluice_consumer_lag_records{of}"] == 0, 60, "no lag")
    assert web.metrics()[f"pgsluice_consumer_committed_offset{of}"] == 20
