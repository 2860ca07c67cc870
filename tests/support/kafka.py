"""A real Apache Kafka: one or more KRaft brokers on loopback, from the jars of Maven Central.

    with Kafka(brokers=3) as kafka:
        kafka.create_topic("orders", partitions=12)
        kafka.kill(2); kafka.start_broker(2)
        print(kafka.tool("topics", "--describe"))

Every node is broker and controller. The jars are fetched once into the cache; where they can be
neither found nor fetched, Unavailable says why, and tests are skipped for that reason.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any, Mapping, Sequence
from xml.etree import ElementTree

from cluster import MAX_MESSAGE_BYTES, Cluster
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic
from process import Child, TemporaryDirectory, free_port, tail
from wait import wait_until

JARS_DIR = Path(__file__).parent / "kafka_jars"
POM = JARS_DIR / "pom.xml"
LOG4J = JARS_DIR / "log4j2.xml"
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
FETCH_TIMEOUT_S = 600

TOOLS = {
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "storage": "kafka.tools.StorageTool",
    "topics": "org.apache.kafka.tools.TopicCommand",
    "transactions": "org.apache.kafka.tools.TransactionsCommand",
}
WITHOUT_BOOTSTRAP = {"storage", "producer-perf-test"}


class Unavailable(Exception):
    """Real Kafka cannot be had on this machine; the message says why."""


# --- The jars -----------------------------------------------------------------------------------


def kafka_version() -> str:
    """The version that the pom pins."""
    element = ElementTree.parse(POM).getroot().find(".//{*}kafka.version")
    assert element is not None and element.text is not None
    return element.text


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "pgsluice"


def kafka_home() -> Path:
    """The directory with lib/*.jar, fetched now unless the cache has it for this very pom."""
    home = cache_dir() / f"kafka-{kafka_version()}"
    if _is_complete(home):
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with open(home.parent / f"{home.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_complete(home):
            _fetch(home)
    return home


def _is_complete(home: Path) -> bool:
    """The copy of the pom is what makes a directory complete: both are moved in at once."""
    try:
        return (home / "pom.xml").read_bytes() == POM.read_bytes()
    except OSError:
        return False


def _fetch(home: Path) -> None:
    if shutil.which("mvn") is None:
        raise Unavailable("Kafka's jars are not in the cache and mvn, which fetches them, is missing")
    staging = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=home.parent))
    try:
        argv = ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(POM), COPY_GOAL]
        argv.append(f"-DoutputDirectory={staging / 'lib'}")
        try:
            result = subprocess.run(argv, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"Kafka's jars were not fetched within {FETCH_TIMEOUT_S} s") from None
        if result.returncode != 0:
            raise Unavailable(f"Kafka's jars could not be fetched: {_first_error(result.stdout)}")
        shutil.copy(POM, staging / "pom.xml")
        staging.chmod(0o755)
        if home.exists():
            shutil.rmtree(home)
        staging.rename(home)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _first_error(maven_output: str) -> str:
    errors = [line for line in maven_output.splitlines() if "[ERROR]" in line]
    return errors[0][:300] if errors else "mvn failed"


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        raise Unavailable("java is missing")
    return java


# --- The cluster --------------------------------------------------------------------------------


class Broker:
    """One node: its ports, directory, settings and process."""

    def __init__(self, node: int, directory: Path) -> None:
        self.node = node
        self.directory = directory
        self.port = free_port()
        self.controller_port = free_port()
        self.child: Child | None = None
        directory.mkdir()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def voter(self) -> str:
        return f"{self.node}@127.0.0.1:{self.controller_port}"

    @property
    def properties(self) -> Path:
        return self.directory / "server.properties"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def running(self) -> bool:
        return self.child is not None and self.child.alive

    @property
    def pid(self) -> int:
        assert self.child is not None, f"broker {self.node} was not started"
        return self.child.pid


class Kafka(Cluster):
    """A cluster of combined broker and controller nodes, numbered from 1."""

    format_arguments: Sequence[str] = ()  # more for Kafka's storage tool

    def __init__(
        self, brokers: int = 1, config: Mapping[str, Any] | None = None, heap: str = "512m"
    ) -> None:
        """`config` overrides or adds properties of server.properties, on every node."""
        self.java = _java()
        self.home = kafka_home()
        self.heap = heap
        self._temporary = TemporaryDirectory("kafka")
        self.directory = self._temporary.path
        nodes = range(1, brokers + 1)
        self.brokers = {node: Broker(node, self.directory / f"node-{node}") for node in nodes}
        self.bootstrap = ",".join(broker.address for broker in self.brokers.values())
        self._admin: AdminClient | None = None
        for broker in self.brokers.values():
            self._write_properties(broker, config or {})
        self._format()

    # --- life -----------------------------------------------------------------------------------

    def start(self, deadline_s: float = 120.0) -> "Kafka":
        """Start every node that does not run and wait until all serve."""
        for node in self.brokers:
            self._launch(node)
        self._wait_until_serving(list(self.brokers), deadline_s)
        return self

    def start_broker(self, node: int, deadline_s: float = 120.0) -> None:
        """Start a stopped node and wait until the cluster lists it."""
        self._launch(node)
        self._wait_until_serving([node], deadline_s)

    def stop_broker(self, node: int, deadline_s: float = 60.0) -> None:
        """Controlled shutdown: leaders move away first."""
        self._child(node).stop(signal.SIGTERM, deadline_s)

    def kill(self, node: int = 1) -> None:
        """SIGKILL."""
        self._child(node).kill()

    def pause(self, node: int = 1) -> None:
        """SIGSTOP: the node answers nothing, its connections stay open."""
        self._child(node).pause()

    def resume(self, node: int = 1) -> None:
        self._child(node).resume()

    def restart_broker(self, node: int = 1) -> None:
        self.stop_broker(node)
        self.start_broker(node)

    def stop(self) -> None:
        """End every node at once; the data stays for start()."""
        for broker in self.brokers.values():
            if broker.child is not None:
                broker.child.resume()
                broker.child.kill()

    def close(self) -> None:
        """Stop and remove everything."""
        self._admin = None
        self.stop()
        self._temporary.close()

    def __enter__(self) -> "Kafka":
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- use ------------------------------------------------------------------------------------

    @property
    def admin(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(self.client_conf())
        return self._admin

    def create_topic(
        self,
        name: str,
        partitions: int = 12,
        replication: int | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Create a topic and wait until every partition has a leader that knows of it."""
        topic = NewTopic(
            name,
            num_partitions=partitions,
            replication_factor=replication or min(3, len(self.brokers)),
            config={key: str(value) for key, value in (config or {}).items()},
        )
        self.admin.create_topics([topic], operation_timeout=30)[name].result(30)
        self.wait_for_leaders(name, partitions)

    def delete_topic(self, name: str) -> None:
        """Delete a topic and wait until the cluster's metadata has forgotten it."""
        self.admin.delete_topics([name], operation_timeout=30)[name].result(30)
        wait_until(lambda: name not in self._topics(), 30, f"topic {name} deleted")

    def add_partitions(self, name: str, total: int) -> None:
        self.admin.create_partitions([NewPartitions(name, total)])[name].result(30)
        self.wait_for_leaders(name, total)

    def wait_for_leaders(self, topic: str, partitions: int, deadline_s: float = 30.0) -> None:
        def ready() -> bool:
            found = self._topics().get(topic)
            leaders = [part.leader for part in found.partitions.values()] if found else []
            return len(leaders) == partitions and all(leader >= 0 for leader in leaders)

        def answers() -> bool:
            try:
                return len(self.watermarks(topic)) == partitions
            except KafkaException:
                return False  # the broker that was asked for metadata knew earlier than this one

        wait_until(ready, deadline_s, f"leaders of {topic}")
        wait_until(answers, deadline_s, f"leaders of {topic} that know of it")

    def wait_for_replicas(self, topic: str, deadline_s: float = 60.0) -> None:
        """Wait until every replica of the topic is in sync: another broker may fail then."""

        def in_sync() -> bool:
            found = self._topics().get(topic)
            partitions = found.partitions.values() if found else []
            return bool(partitions) and all(len(p.isrs) == len(p.replicas) for p in partitions)

        wait_until(in_sync, deadline_s, f"replicas of {topic} in sync")

    def tool(self, name: str, *arguments: object, input_text: str | None = None) -> str:
        """Run one of Kafka's tools (see TOOLS, or a class name) and return what it prints."""
        argv = self.tool_argv(name)
        if name not in WITHOUT_BOOTSTRAP and "--bootstrap-server" not in arguments:
            argv += ["--bootstrap-server", self.bootstrap]
        argv += [str(argument) for argument in arguments]
        result = subprocess.run(
            argv, input=input_text, capture_output=True, text=True, timeout=300
        )
        if result.returncode != 0:
            output = (result.stderr + result.stdout).strip()
            raise RuntimeError(f"{name} exited {result.returncode}: {output[-2000:]}")
        return result.stdout

    def tool_argv(self, name: str) -> list[str]:
        return [*self._java_argv("256m", client=True), TOOLS.get(name, name)]

    def group_offsets(self, group: str) -> dict[tuple[str, int], tuple[int | None, int, int | None]]:
        """(topic, partition) -> committed offset, end offset and lag as kafka-consumer-groups says."""
        return parse_group(self.tool("consumer-groups", "--describe", "--group", group))

    def group_lag(self, group: str) -> int:
        """The group's lag over all partitions with a committed offset."""
        return sum(lag or 0 for _, _, lag in self.group_offsets(group).values())

    # --- inside ---------------------------------------------------------------------------------

    def _child(self, node: int) -> Child:
        child = self.brokers[node].child
        assert child is not None, f"broker {node} was not started"
        return child

    def _topics(self) -> dict[str, Any]:
        try:
            topics: dict[str, Any] = self.admin.list_topics(timeout=5).topics
            return topics
        except KafkaException:
            return {}

    def _java_argv(self, heap: str, client: bool = False) -> list[str]:
        argv = [self.java, f"-Xmx{heap}", "-XX:+UseSerialGC"]
        if client:
            argv.append("-XX:TieredStopAtLevel=1")
        argv += [f"-Dlog4j2.configurationFile={LOG4J}", "-cp", f"{self.home / 'lib'}/*"]
        return argv

    def _write_properties(self, broker: Broker, config: Mapping[str, Any]) -> None:
        voters = ",".join(other.voter for other in self.brokers.values())
        properties = server_properties(broker, voters, len(self.brokers))
        properties.update({key: str(value) for key, value in config.items()})
        text = "".join(f"{key}={value}\n" for key, value in properties.items())
        broker.properties.write_text(text)

    def _format(self) -> None:
        """Format each node's storage, all at once: a JVM takes its time to start."""
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        argv = [*self._java_argv("128m", client=True), TOOLS["storage"], "format", *self.format_arguments]
        argv += [f"--cluster-id={cluster_id}", "--config"]  # the id may begin with a dash
        children = {
            broker: Child([*argv, str(broker.properties)], broker.directory / "format.log")
            for broker in self.brokers.values()
        }
        for broker, child in children.items():
            if child.wait(120) != 0:
                raise RuntimeError(f"storage format: {tail(broker.directory / 'format.log')}")

    def _launch(self, node: int) -> None:
        broker = self.brokers[node]
        if not broker.running:
            argv = [*self._java_argv(self.heap), "kafka.Kafka", str(broker.properties)]
            broker.child = Child(argv, broker.log, cwd=broker.directory)

    def _wait_until_serving(self, nodes: list[int], deadline_s: float) -> None:
        """Asked of each node itself: its own metadata must list it."""
        for node in nodes:
            client = AdminClient(self.client_conf(**{"bootstrap.servers": self.brokers[node].address}))
            wait_until(
                lambda: self._serves(client, node),
                deadline_s,
                lambda: f"broker {node} serving:\n{tail(self.brokers[node].log)}",
            )

    def _serves(self, client: AdminClient, node: int) -> bool:
        self._child(node).check_alive()
        try:
            return node in client.list_topics(timeout=1).brokers
        except KafkaException:
            return False


def server_properties(broker: Broker, voters: str, broker_count: int) -> dict[str, str]:
    """The settings of one node: small, quick to elect and to rebalance, records up to 12 MiB."""
    replicas = str(min(3, broker_count))
    min_isr = str(min(2, broker_count))
    return {
        "process.roles": "broker,controller",
        "node.id": str(broker.node),
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://{broker.address},CONTROLLER://127.0.0.1:{broker.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{broker.address}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(broker.directory / "data"),
        # Topics
        "auto.create.topics.enable": "false",
        "num.partitions": "12",
        "default.replication.factor": replicas,
        "min.insync.replicas": min_isr,
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
        "log.index.size.max.bytes": "1048576",
        "log.cleaner.dedupe.buffer.size": "16777216",
        "log.cleaner.backoff.ms": "500",
        # The topics of groups and transactions
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": min_isr,
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": min_isr,
        # Groups
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "group.consumer.min.session.timeout.ms": "1000",
        "group.consumer.min.heartbeat.interval.ms": "100",
        "group.consumer.heartbeat.interval.ms": "300",
        "group.consumer.session.timeout.ms": "6000",
        # Failure of a node
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "3000",
        "controller.quorum.election.timeout.ms": "500",
        "controller.quorum.fetch.timeout.ms": "1000",
        # Two cores
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
        "group.coordinator.threads": "1",
    }


def parse_group(text: str) -> dict[tuple[str, int], tuple[int | None, int, int | None]]:
    """The table of kafka-consumer-groups --describe; '-' in it stands for none."""
    result: dict[tuple[str, int], tuple[int | None, int, int | None]] = {}
    row = re.compile(r"^\S+\s+(\S+)\s+(\d+)\s+(\d+|-)\s+(\d+)\s+(\d+|-)\s")
    for line in text.splitlines():
        match = row.match(line + " ")
        if match:
            topic, partition, committed, end, lag = match.groups()
            result[topic, int(partition)] = (_number(committed), int(end), _number(lag))
    return result


def _number(text: str) -> int | None:
    return None if text == "-" else int(text)
