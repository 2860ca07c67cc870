"""What a Deployment's and a Job's controllers do, with pods that are processes (pods.py).

replicas = Replicas(cluster, cluster.find("Deployment", "sink"))
replicas.scale(3)
replicas.roll()
"""

from __future__ import annotations

import threading
import time
from typing import Any, Callable

from pods import Manifest, Pod, PodCluster
from wait import wait_until

READY_LIMIT_S = 180.0


class Errand(threading.Thread):
    """A thread whose failure is not lost: it is raised in whoever waits for its end."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._action = action
        self._failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._action()
        except BaseException as failure:  # whatever it is, it is raised again
            self._failure = failure

    def finish(self) -> None:
        self.join()
        if self._failure is not None:
            raise self._failure


class Replicas:
    """A Deployment: as many ready pods as it is asked for, replaced one by one."""

    def __init__(self, cluster: PodCluster, manifest: Manifest, min_ready_s: float | None = None) -> None:
        """`min_ready_s` instead of the manifest's minReadySeconds."""
        self.cluster = cluster
        self.manifest = manifest
        rolling = manifest["spec"]["strategy"]["rollingUpdate"]
        assert (rolling["maxSurge"], rolling["maxUnavailable"]) == (1, 0), "what roll() does"
        self.min_ready_s = manifest["spec"]["minReadySeconds"] if min_ready_s is None else min_ready_s
        self.pods: list[Pod] = []
        self.former: list[Pod] = []  # that have ended, or are about to
        self._endings: list[Errand] = []

    @property
    def asked_for(self) -> int:
        return int(self.manifest["spec"]["replicas"])

    def start_one(self) -> Pod:
        pod = self.cluster.pod(self.manifest).start()
        self.pods.append(pod)
        return pod

    def scale(self, count: int) -> None:
        """More at once; fewer: the newest go first, at once, as in a ReplicaSet."""
        while len(self.pods) > count:
            self._end(self.pods[-1])
        new = [self.start_one() for _ in range(count - len(self.pods))]
        for pod in new:
            self.wait_ready(pod)
        self.wait_ended()

    def roll(self) -> None:
        """One more, until it has been ready for long enough; then an old one may go."""
        for old in list(self.pods):
            self.wait_ready(self.start_one(), self.min_ready_s)
            self._end(old)
        self.wait_ended()

    def lose(self, pod: Pod) -> Pod:
        """Its node is gone; another pod takes its place, and is returned when it is ready."""
        self.pods.remove(pod)
        self.former.append(pod)
        pod.lose()
        return self.wait_ready(self.start_one())

    def wait_ready(self, pod: Pod, seconds: float = 0.0) -> Pod:
        wait_until(
            lambda: pod.ready and pod.ready_for(seconds),
            READY_LIMIT_S,
            lambda: f"{pod.name} ready for {seconds:g} s; {pod.outcomes[-3:]}\n{pod.log_text()}",
        )
        return pod

    def _end(self, pod: Pod) -> None:
        """It has its time while others go on."""
        self.pods.remove(pod)
        self.former.append(pod)
        self._endings.append(Errand(pod.terminate))

    def wait_ended(self) -> None:
        """Raises what has kept one from ending."""
        while self._endings:
            self._endings.pop().finish()


# --- A Job ---------------------------------------------------------------------------------------------------------


class IndexedJob:
    """A pod for each index at a time, tried again as podFailurePolicy says."""

    def __init__(self, cluster: PodCluster, manifest: Manifest) -> None:
        self.cluster = cluster
        self.spec: Any = manifest["spec"]
        assert self.spec["completionMode"] == "Indexed"
        self.manifest = manifest
        self.running: dict[int, Pod] = {}
        self.counted = {index: 0 for index in range(self.spec["completions"])}
        self.disrupted: set[str] = set()  # names of pods
        self.complete: set[int] = set()
        self.failed: set[int] = set()
        self.exits: list[tuple[int, int]] = []  # index, exit code
        self.gave_up = False

    def start(self) -> "IndexedJob":
        self._fill()
        return self

    def _fill(self) -> None:
        for index in self.counted:
            open_one = index not in self.running and index not in self.complete | self.failed
            if open_one and len(self.running) < self.spec["parallelism"] and not self.gave_up:
                self.running[index] = self.cluster.pod(self.manifest, JOB_COMPLETION_INDEX=str(index))
                self.running[index].start()

    def action(self, pod: Pod, code: int) -> str:
        """Of the first rule that fits, else Count."""
        for rule in self.spec["podFailurePolicy"]["rules"]:
            if code in rule.get("onExitCodes", {}).get("values", []):
                return str(rule["action"])
            conditions = [each["type"] for each in rule.get("onPodConditions", [])]
            if "DisruptionTarget" in conditions and pod.name in self.disrupted:
                return str(rule["action"])
        return "Count"

    def look(self) -> bool:
        """Takes in what has ended, and starts what is to run; true when there is nothing more to do."""
        for index, pod in list(self.running.items()):
            if pod.child.exit_code is not None:
                del self.running[index]
                self._ended(index, pod, pod.child.exit_code)
        self._fill()
        return not self.running

    def _ended(self, index: int, pod: Pod, code: int) -> None:
        self.exits.append((index, code))
        action = "" if code == 0 else self.action(pod, code)
        if code == 0:
            self.complete.add(index)
        elif action == "FailIndex":
            self.failed.add(index)
        elif action == "FailJob":
            self.gave_up = True
        elif action == "Count":
            self.counted[index] += 1
            if self.counted[index] > self.spec["backoffLimitPerIndex"]:
                self.failed.add(index)

    def evict(self, index: int) -> None:
        """As when its node is drained."""
        pod = self.running[index]
        self.disrupted.add(pod.name)
        pod.terminate()

    def wait(self, deadline_s: float) -> None:
        wait_until(self.look, deadline_s, lambda: f"the Job ends; {self.exits}")


# --- What is measured beside them ----------------------------------------------------------------------------------


class Sampler:
    """Calls `read` every second, and keeps (seconds since the start, what it said)."""

    def __init__(self, read: Callable[[], tuple[float, ...]], interval_s: float = 1.0) -> None:
        self.samples: list[tuple[float, ...]] = []
        self.marks: list[tuple[float, str]] = []
        self._read, self._interval_s = read, interval_s
        self._begun = time.monotonic()
        self._stop = threading.Event()
        self._errand = Errand(self._run)

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.samples.append((self.now, *self._read()))

    @property
    def now(self) -> float:
        return time.monotonic() - self._begun

    def mark(self, what: str) -> float:
        """An event, for the chart."""
        self.marks.append((self.now, what))
        print(f"   {self.now:6.1f} s  {what}", flush=True)
        return self.now

    def stop(self) -> None:
        """Raises what has kept it from reading on."""
        self._stop.set()
        self._errand.finish()
