"""librdkafka's mock cluster: a Kafka that starts in milliseconds, for demo and tests.

    with MockKafka(topics={"orders": 12}) as kafka:
        kafka.produce_orders("orders", 100_000)

See mock_kafka.c for its limits; the one that bites is 5 MiB of batches kept per partition.
"""

from __future__ import annotations

import select
import signal
from typing import Mapping

from cluster import Cluster, command_options, support_program
from process import Child, TemporaryDirectory


class MockKafka(Cluster):
    """A running mock_kafka process."""

    def __init__(
        self, brokers: int = 1, topics: Mapping[str, int] | None = None, rebalance_delay_ms: int = 0
    ) -> None:
        self._temporary = TemporaryDirectory("mock")
        self.log = self._temporary.path / "mock_kafka.log"
        argv = [str(support_program("mock_kafka"))]
        argv += command_options({"brokers": brokers, "rebalance_delay_ms": rebalance_delay_ms})
        for name, partitions in (topics or {}).items():
            argv += ["--topic", f"{name}:{partitions}"]
        self._child = Child(argv, self.log, pipes=True)
        try:
            self.bootstrap = self._read_line().removeprefix("bootstrap=")
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._child.pid

    def command(self, *words: object) -> None:
        """Send one command of mock_kafka.c and wait for its answer."""
        self._child.stdin.write(" ".join(str(word) for word in words) + "\n")
        self._child.stdin.flush()
        answer = self._read_line()
        if answer != "ok":
            raise RuntimeError(f"mock_kafka: {words}: {answer}")

    def create_topic(self, name: str, partitions: int = 12) -> None:
        self.command("topic", name, partitions)

    def delete_topic(self, name: str) -> None:
        self.command("delete-topic", name)

    def broker_down(self, broker: int = 1) -> None:
        """Close its connections and listen no more."""
        self.command("down", broker)

    def broker_up(self, broker: int = 1) -> None:
        self.command("up", broker)

    def round_trip(self, broker: int, milliseconds: int) -> None:
        """Delay the broker's answers."""
        self.command("rtt", broker, milliseconds)

    def request_errors(self, api_key: int, code: int, count: int = 1) -> None:
        """The next `count` requests of that kind are answered with that Kafka error code."""
        self.command("errors", api_key, code, count)

    def clear_request_errors(self, api_key: int) -> None:
        """Those that are still to come do not come."""
        self.command("clear-errors", api_key)

    def pause(self) -> None:
        self._child.pause()

    def resume(self) -> None:
        self._child.resume()

    def close(self) -> None:
        """Stop it; a test that ends with it paused is fine."""
        self._child.resume()
        self._child.stop(signal.SIGTERM, 10)
        self._temporary.close()

    def __enter__(self) -> "MockKafka":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_line(self, deadline_s: float = 10.0) -> str:
        readable, _, _ = select.select([self._child.stdout], [], [], deadline_s)
        line = self._child.stdout.readline() if readable else ""
        if not line:
            self._child.check_alive()
            raise RuntimeError(f"mock_kafka said nothing within {deadline_s:g} s")
        return line.rstrip("\n")
