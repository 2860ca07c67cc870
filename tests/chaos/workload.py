"""The load of a chaos run: the producing program, told how far to go."""

from __future__ import annotations

import sys
from pathlib import Path

from cluster import Cluster
from process import Child, TemporaryDirectory, tail
from records import Topic

PROGRAM = Path(__file__).parent / "producer.py"


class Workload:
    """Started, and stopped by finish() or close()."""

    def __init__(self, kafka: Cluster, topics: list[Topic], seed: int, total: int) -> None:
        """`total` records in the end."""
        self.total = total
        self.topics = {topic.name: topic for topic in topics}
        self.partitions = {topic.name: topic.partitions for topic in topics}
        self.held = False
        self._goal = 0
        self._temporary = TemporaryDirectory("workload")
        self.log = self._temporary.path / "workload.log"
        argv = [sys.executable, "-B", str(PROGRAM), kafka.bootstrap, str(seed)]
        self._child = Child([*argv, *map(_topic_argument, topics)], self.log, pipes=True)

    def aim(self, goal: int) -> None:
        """Produce up to so many records in all; not while it is held."""
        if goal > self._goal and not self.held:
            self._goal = goal
            self._tell(f"goal {goal}")

    def burst(self) -> int:
        """A twentieth of the whole at once; how many records that are."""
        count = max(1, self.total // 20)
        self.aim(min(self.total, self._goal + count))
        return count

    def use_partitions(self, topic: str, count: int) -> None:
        self.partitions[topic] = count
        self._tell(f"partitions {topic} {count}")

    def finish(self) -> None:
        """Produce the rest, and wait until it is delivered."""
        self.held = False
        self.aim(self.total)
        self._tell("finish")
        self._child.stdin.close()
        code = self._child.wait(180)
        if code != 0:
            raise RuntimeError(f"the producer exited {code}: {tail(self.log)}")

    def close(self) -> None:
        self._child.kill()
        self._temporary.close()

    def _tell(self, line: str) -> None:
        self._child.check_alive()
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()


def _topic_argument(topic: Topic) -> str:
    kind = ":transactional" if topic.transactional else ""
    return f"{topic.name}{kind}/{topic.partitions}/{topic.poison_every}"
