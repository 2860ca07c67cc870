"""A stranger in the sinks' group: it takes partitions, commits wrong offsets, and leaves when it is told.

    intruder.py BOOTSTRAP GROUP SEED TOPIC...

A process of its own: its client is an old one, which a rebalance at the wrong moment can bring down.
"""

from __future__ import annotations

import random
import signal
import sys
import time

from confluent_kafka import Consumer, TopicPartition

WITHIN_S = 15


def take_partitions(consumer: Consumer, topics: list[str]) -> list[TopicPartition]:
    end = time.monotonic() + WITHIN_S
    consumer.subscribe(topics)
    while not consumer.assignment():
        if time.monotonic() > end:
            sys.exit(f"no partition within {WITHIN_S} s")
        consumer.poll(0.1)
    return consumer.assignment()


def main(bootstrap: str, group: str, seed: str, *topics: str) -> None:
    chance = random.Random(int(seed))
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    conf = {
        "bootstrap.servers": bootstrap, "log_level": 2, "group.id": group,
        "partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 3000,
        "enable.auto.commit": False, "auto.offset.reset": "latest",
    }  # fmt: skip
    consumer = Consumer(conf)
    given = take_partitions(consumer, list(topics))
    wrong = [TopicPartition(p.topic, p.partition, chance.choice((0, 10**9))) for p in given]
    consumer.commit(offsets=wrong, asynchronous=False)
    print(f"committed wrong offsets for {len(wrong)} partitions", flush=True)
    signal.sigwait([signal.SIGTERM])
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
