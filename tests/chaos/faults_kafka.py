"""Faults of the brokers, of the group, of topics and of the load."""

from __future__ import annotations

import random
import sys
from contextlib import closing
from pathlib import Path
from typing import Iterator

from confluent_kafka import Producer
from confluent_kafka.admin import ConfigResource
from faults import group_of, let_pass
from nemesis import NotLanded, fault, observe
from process import Child, TemporaryDirectory, tail
from records import good
from world import World

INTRUDER = Path(__file__).parent / "intruder.py"
PARTITIONS_MAX = 12
HUNG_RECORDS = 50
CONFIG_S = 60  # a controller that moves answers late
QUORUM_TOOL = "org.apache.kafka.tools.MetadataQuorumCommand"


def pick_broker(world: World, rng: random.Random) -> int:
    return rng.choice(list(world.kafka.brokers))


def bring_back(world: World, *nodes: int) -> None:
    """Start brokers and wait until they are in sync again: another one may fail then."""
    for node in nodes:
        world.kafka._launch(node)
    for node in nodes:
        world.kafka.start_broker(node)
    for topic in world.tables:
        world.kafka.wait_for_replicas(topic)


# --- Brokers ------------------------------------------------------------------------------------


@fault("broker-kill", touches=["kafka"], lasts=(1, 6))
def broker_kill(world: World, rng: random.Random) -> Iterator[str]:
    """SIGKILL of a broker: its partitions get other leaders."""
    node = pick_broker(world, rng)
    world.kafka.kill(node)
    yield f"broker {node}"
    bring_back(world, node)


@fault("broker-stop", touches=["kafka"], lasts=(0, 3))
def broker_stop(world: World, rng: random.Random) -> Iterator[str]:
    """SIGTERM: leaders move away before it ends."""
    node = pick_broker(world, rng)
    world.kafka.stop_broker(node)
    yield f"broker {node}"
    bring_back(world, node)


@fault("broker-freeze", touches=["kafka"], lasts=(1, 8))
def broker_freeze(world: World, rng: random.Random) -> Iterator[str]:
    """SIGSTOP of a broker: its connections stay open and answer nothing."""
    node = pick_broker(world, rng)
    world.kafka.pause(node)
    yield f"broker {node}"
    world.kafka.resume(node)


@fault("broker-starve", touches=["kafka"])
def broker_starve(world: World, rng: random.Random) -> Iterator[str]:
    """A broker that is stopped nine tenths of the time."""
    node = pick_broker(world, rng)
    bursts = rng.randint(10, 25)
    for _ in range(bursts):
        world.kafka.pause(node)
        let_pass(0.18)
        world.kafka.resume(node)
        let_pass(0.02)
    yield f"broker {node}, {bursts} times"


@fault("brokers-kill-two", touches=["kafka"], lasts=(1, 4))
def brokers_kill_two(world: World, rng: random.Random) -> Iterator[str]:
    """SIGKILL of two of three: no majority, nothing can be written."""
    nodes = rng.sample(list(world.kafka.brokers), 2)
    for node in nodes:
        world.kafka.kill(node)
    yield f"brokers {nodes[0]} and {nodes[1]}"
    bring_back(world, *nodes)


@fault("kafka-outage", touches=["kafka"], lasts=(1, 4))
def kafka_outage(world: World, rng: random.Random) -> Iterator[str]:
    """SIGKILL of all brokers at once."""
    world.kafka.stop()
    yield "all brokers"
    bring_back(world, *world.kafka.brokers)


@fault("controller-kill", touches=["kafka"], lasts=(1, 4))
def controller_kill(world: World, rng: random.Random) -> Iterator[str]:
    """SIGKILL of the active controller: another one has to be elected."""
    status = world.kafka.tool(QUORUM_TOOL, "describe", "--status")
    node = next(int(line.split()[-1]) for line in status.splitlines() if "LeaderId" in line)
    world.kafka.kill(node)
    yield f"broker {node}"
    bring_back(world, node)


@fault("coordinator-kill", touches=["kafka"], lasts=(1, 4))
def coordinator_kill(world: World, rng: random.Random) -> Iterator[str]:
    """SIGKILL of the broker that coordinates the group."""
    node = group_of(world.kafka, world.name).broker.id
    world.kafka.kill(node)
    yield f"broker {node}"
    bring_back(world, node)


@fault("leaders-move", touches=["kafka"])
def leaders_move(world: World, rng: random.Random) -> Iterator[str]:
    """Leaders go back to the brokers that are preferred."""

    def leaders() -> dict[tuple[str, int], int]:
        topics = world.kafka._topics()
        return {
            (name, number): partition.leader
            for name in world.tables
            for number, partition in topics[name].partitions.items()
        }

    before = leaders()
    argv = ["--election-type", "preferred", "--all-topic-partitions"]
    world.kafka.tool("leader-election", *argv)
    observe(lambda: leaders() != before, 3, "another leader")
    after = leaders()
    yield f"of {sum(after.get(place) != leader for place, leader in before.items())} partitions"


# --- The group ----------------------------------------------------------------------------------


@fault("group-intruder", touches=["group"], lasts=(0, 3))
def group_intruder(world: World, rng: random.Random) -> Iterator[str]:
    """A stranger joins the group, takes partitions, and commits wrong offsets for them."""
    with closing(TemporaryDirectory("intruder")) as folder:
        log = folder.path / "intruder.log"
        argv = [world.kafka.bootstrap, world.name, str(rng.randrange(2**31)), *world.tables]
        intruder = Child([sys.executable, "-B", str(INTRUDER), *argv], log)
        try:
            observe(lambda: not intruder.alive or tail(log), 20, "a share")
            if not intruder.alive:
                raise NotLanded(f"it came to nothing: {tail(log, 1)}")
            yield tail(log, 1)
        finally:
            intruder.stop()


# --- Topics and load ----------------------------------------------------------------------------


@fault("partition-added", touches=["kafka"])
def partition_added(world: World, rng: random.Random) -> Iterator[str]:
    """A topic gets one more partition."""
    topic = world.pick_table(rng)
    total = world.workload.partitions[topic] + 1
    if total > PARTITIONS_MAX:
        raise NotLanded(f"{topic} has {total - 1} partitions already")
    world.truth.follow(topic, total)
    world.kafka.add_partitions(topic, total)
    world.workload.use_partitions(topic, total)
    yield f"{topic} has {total}"


@fault("segments-roll", touches=["topic-config"], lasts=(2, 5))
def segments_roll(world: World, rng: random.Random) -> Iterator[str]:
    """A topic's log goes on in a new file every half second."""
    topic = world.pick_table(rng)

    def segments() -> int:
        brokers = world.kafka.brokers.values()
        return sum(len(list(b.directory.glob(f"data/{topic}-*/*.log"))) for b in brokers)

    def configure(**config: str) -> None:
        resource = ConfigResource("topic", topic, set_config=config)
        world.kafka.admin.alter_configs([resource])[resource].result(CONFIG_S)

    before = segments()
    configure(**{"segment.ms": "500"})
    try:
        observe(lambda: segments() > before, 8, "a new segment")
        yield topic
    finally:
        configure()


@fault("transaction-hung", touches=["transaction"], lasts=(2, 6))
def transaction_hung(world: World, rng: random.Random) -> Iterator[str]:
    """A transaction stays open: readers of committed records wait before it. In the end it aborts."""
    topic = next(topic.name for topic in world.topics if topic.transactional)
    conf = {"transactional.id": f"hung-{rng.random()}", "transaction.timeout.ms": 60_000}
    producer = Producer(world.kafka.client_conf(**conf))
    producer.init_transactions(15)
    producer.begin_transaction()
    for _ in range(HUNG_RECORDS):
        producer.produce(topic, good(rng), partition=rng.randrange(3))
    if producer.flush(10):
        raise NotLanded("its records were not delivered")
    yield f"{HUNG_RECORDS} records in {topic}"
    producer.abort_transaction(60)


@fault("load-pause", touches=["load"], lasts=(1, 4))
def load_pause(world: World, rng: random.Random) -> Iterator[str]:
    """No new records for a while."""
    world.workload.held = True
    try:
        yield "no new records"
    finally:
        world.workload.held = False


@fault("load-burst", touches=["load"])
def load_burst(world: World, rng: random.Random) -> Iterator[str]:
    """A twentieth of all records at once."""
    yield f"{world.workload.burst():,} records at once"
