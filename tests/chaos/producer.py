"""The program that produces a chaos run's records, up to the goal that it is told on stdin.

    producer.py BOOTSTRAP SEED TOPIC[:transactional]/PARTITIONS/POISON_EVERY...
    goal 100000             so many records in all, by and by
    partitions NAME 8       the topic has more of them now
    finish                  deliver what is under way, and end

A record whose delivery fails or is uncertain needs no care: the log is the truth, not this program.
"""

from __future__ import annotations

import random
import sys
import threading
from typing import Any

import records
from confluent_kafka import KafkaError, KafkaException, Producer
from records import Topic

TRANSACTIONAL_SHARE = 0.15
ABORT_SHARE = 0.1
CHUNK = 100
TRANSACTION = 300
IDLE_S = 0.01

CONF = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 20,
    "message.timeout.ms": 0,
    "topic.metadata.refresh.interval.ms": 2000,
    "socket.timeout.ms": 5000,
    "reconnect.backoff.max.ms": 1000,
    "log_level": 2,
}


class Stream:
    """One producer and its topics, up to its share of the goal, in a thread of its own."""

    def __init__(self, bootstrap: str, seed: str, topics: list[Topic], share: float) -> None:
        self.rng = random.Random(seed)
        self.conf: dict[str, Any] = {"bootstrap.servers": bootstrap, **CONF}
        self.topics = topics
        self.share = share
        self.partitions = {topic.name: topic.partitions for topic in topics}
        self.goal = 0
        self.produced = 0
        self.finished = threading.Event()
        self.broken = False
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while True:
            try:
                self.broken = False
                producer = self.open()
                while not self.broken:
                    if self.produced >= self.goal * self.share:
                        if self.finished.is_set():
                            producer.flush(30)
                            return
                        producer.poll(IDLE_S)
                        self.finished.wait(IDLE_S)
                    else:
                        self.turn(producer)
            except KafkaException as error:
                print(f"again after {error}", file=sys.stderr, flush=True)
                self.finished.wait(0.2)

    def open(self) -> Producer:
        return Producer({**self.conf, "error_cb": self.on_error, "compression.type": "lz4"})

    def on_error(self, error: KafkaError) -> None:
        self.broken = self.broken or error.fatal()

    def turn(self, producer: Producer) -> None:
        self.produce(producer, self.rng.choice(self.topics), self.rng.randint(1, CHUNK))

    def produce(self, producer: Producer, topic: Topic, count: int) -> None:
        """So many records in a row for one partition."""
        partition = self.rng.randrange(self.partitions[topic.name])
        for _ in range(count):
            bad = self.rng.random() * topic.poison_every < 1
            value = (records.poison if bad else records.good)(self.rng)
            while not self.broken:
                try:
                    producer.produce(topic.name, value, partition=partition)
                    break
                except BufferError:
                    producer.poll(0.1)
        producer.poll(0)
        self.produced += count


class Transactions(Stream):
    """The same in transactions, some of which are aborted: their records do not count."""

    def open(self) -> Producer:
        transactional_id = f"chaos-{self.topics[0].name}"
        producer = Producer({**self.conf, "transactional.id": transactional_id})
        producer.init_transactions(30)
        return producer

    def turn(self, producer: Producer) -> None:
        producer.begin_transaction()
        for _ in range(self.rng.randint(1, 4)):
            self.produce(producer, self.rng.choice(self.topics), self.rng.randint(1, TRANSACTION))
        try:
            if self.rng.random() < ABORT_SHARE:
                producer.flush(10)  # what has not been sent yet, an abort takes back
                producer.abort_transaction(30)
            else:
                producer.commit_transaction(30)
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                raise
            producer.abort_transaction(30)


def parse_topic(text: str) -> Topic:
    name, partitions, poison_every = text.split("/")
    name, _, kind = name.partition(":")
    return Topic(name, int(partitions), int(poison_every), kind == "transactional")


def obey(line: str, streams: list[Stream]) -> None:
    words = line.split()
    for stream in streams:
        if words[0] == "goal":
            stream.goal = int(words[1])
        elif words[0] == "partitions" and words[1] in stream.partitions:
            stream.partitions[words[1]] = int(words[2])
        elif words[0] == "finish":
            stream.finished.set()


def main() -> None:
    bootstrap, seed = sys.argv[1:3]
    topics = [parse_topic(text) for text in sys.argv[3:]]
    plain = [topic for topic in topics if not topic.transactional]
    transactional = [topic for topic in topics if topic.transactional]
    share = TRANSACTIONAL_SHARE if transactional else 0.0
    streams: list[Stream] = [Stream(bootstrap, f"{seed}/plain", plain, 1 - share)]
    if transactional:
        streams.append(Transactions(bootstrap, f"{seed}/transactions", transactional, share))
    for stream in streams:
        stream.thread.start()
    for line in sys.stdin:
        obey(line, streams)
    for stream in streams:
        stream.finished.set()
        stream.thread.join()


if __name__ == "__main__":
    main()
