"""Pods of a rendered chart as processes of this machine: a small kubelet.

    cluster = PodCluster(manifests(path), secrets, environment)
    job = cluster.pod(cluster.find("Job", "migrate"))
    assert job.run_to_end() == 0

A container's arguments are given to our program, as the image's entrypoint would be. Its environment, its mounted
files and its probes are those of the manifest, with what a cluster would do to them: $(NAME) is expanded, values are
taken from Secrets and fields, Secrets and ConfigMaps become files, a pod has an address of its own (in 127/8).
Otherwise than there: mounts lie in a folder, so variables that begin with a mount's path are moved along; what a
cluster's DNS would say is `environment`; the host's name, which is this machine's, is given as SINK_INSTANCE_ID.

Threads: a Pod's own one probes, restarts and ends; its attributes are read by others.
"""

from __future__ import annotations

import http.client
import itertools
import os
import random
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any, Iterator, Mapping, NamedTuple

import yaml
from process import Child, TemporaryDirectory, tail
from sink import clean_environment, sink_program
from wait import wait_until

START_LIMIT_S = 120.0
TICK_S = 0.1

Manifest = Mapping[str, Any]
Secrets = Mapping[str, Mapping[str, str]]  # Secret -> key -> value


def manifests(path: Path) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def component(manifest: Manifest) -> str:
    return str(manifest["metadata"]["labels"]["app.kubernetes.io/component"])


def expand(text: str, environment: Mapping[str, str]) -> str:
    """$(NAME) as Kubernetes does it: $$ escapes, what is not known stays."""

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return environment.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)", replacement, text)


# --- What a pod is given -------------------------------------------------------------------------------------------


class PodCluster:
    """The manifests of a release, and what is there besides: Secrets, names that resolve, addresses."""

    def __init__(
        self, documents: list[Manifest], secrets: Secrets, environment: Mapping[str, str], more: Mapping[str, str]
    ) -> None:
        """`environment` is what variables are instead, where they are there; `more` is there in any case."""
        self.documents = documents
        self.secrets = secrets
        self.environment = dict(environment)
        self.more = dict(more)
        self._network = f"127.{random.randrange(16, 240)}.{random.randrange(256)}"
        self._addresses = itertools.count(2)
        self._names = itertools.count(1)
        self.pods: list[Pod] = []

    def find(self, kind: str, part: str) -> Manifest:
        found = [each for each in self.documents if each["kind"] == kind and component(each) == part]
        assert len(found) == 1, f"{len(found)} of {kind} for {part}"
        return found[0]

    def config_map(self, name: str) -> Mapping[str, str]:
        for each in self.documents:
            if each["kind"] == "ConfigMap" and each["metadata"]["name"] == name:
                return dict(each["data"])
        raise AssertionError(f"ConfigMap {name} is in no manifest")

    def secret(self, name: str, key: str) -> str:
        assert key in self.secrets.get(name, {}), f"there is no Secret {name} with {key}"
        return self.secrets[name][key]

    def pod(self, workload: Manifest, **extra: str) -> "Pod":
        """A pod of its template, not started; `extra` are variables that a controller adds."""
        name = f"{workload['metadata']['name']}-{next(self._names)}"
        address = f"{self._network}.{next(self._addresses)}"
        pod = Pod(self, name, address, workload["spec"]["template"]["spec"], extra)
        self.pods.append(pod)
        return pod

    def close(self) -> None:
        for pod in self.pods:
            pod.close()


class Container:
    """One container of a pod: what it is started with."""

    def __init__(self, pod: "Pod", spec: Manifest) -> None:
        self.pod = pod
        self.spec = spec
        self.name: str = spec["name"]
        self.root = pod.folder / self.name
        self.root.mkdir()
        self.log = pod.folder / f"{self.name}.log"
        self._mounts = {mount["mountPath"]: self._mount(mount) for mount in spec.get("volumeMounts", [])}

    def start(self) -> Child:
        environment = self.environment()
        argv = [str(sink_program()), *(expand(each, environment) for each in self.spec["args"])]
        return Child(argv, self.log, env={**clean_environment(), **environment}, cwd=self.root)

    def environment(self) -> dict[str, str]:
        """In the order of the list, as expansion asks for it."""
        found: dict[str, str] = dict(self.pod.extra)
        for entry in self.spec.get("env", []):
            value = entry["value"] if "value" in entry else self._value_from(entry["valueFrom"])
            found[entry["name"]] = expand(str(value), found)
        found.setdefault("SINK_INSTANCE_ID", self.pod.name)
        return {**{name: self._moved(name, value) for name, value in found.items()}, **self.pod.cluster.more}

    def _value_from(self, source: Manifest) -> str:
        if "secretKeyRef" in source:
            return self.pod.cluster.secret(source["secretKeyRef"]["name"], source["secretKeyRef"]["key"])
        fields = {"metadata.name": self.pod.name, "status.podIP": self.pod.address}
        return fields[source["fieldRef"]["fieldPath"]]

    def _moved(self, name: str, value: str) -> str:
        """To the pod's address, to where its mounts are, to what names stand for."""
        if name in self.pod.cluster.environment:
            return self.pod.cluster.environment[name]
        if name == "SINK_HTTP_ADDRESS":
            return value.replace("0.0.0.0", self.pod.address)
        for path, folder in self._mounts.items():
            if value.startswith(f"{path}/"):
                return str(folder) + value[len(path) :]
        return value

    def _mount(self, mount: Manifest) -> Path:
        folder = self.root / mount["mountPath"].strip("/")
        folder.mkdir(parents=True)
        volume = next(each for each in self.pod.spec["volumes"] if each["name"] == mount["name"])
        for path, text, mode in self._files(volume):
            (folder / path).write_text(text)
            (folder / path).chmod(mode)
        return folder

    def _files(self, volume: Manifest) -> Iterator[tuple[str, str, int]]:
        for source in volume.get("projected", {}).get("sources", []):
            secret = source["secret"]
            for item in secret["items"]:
                text = self.pod.cluster.secret(secret["name"], item["key"])
                yield item["path"], text, volume["projected"]["defaultMode"]
        if "configMap" in volume:
            for path, text in self.pod.cluster.config_map(volume["configMap"]["name"]).items():
                yield path, text, 0o644


# --- Probes --------------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What a probe has found, and when."""

    at: float
    probe: str
    ok: bool
    detail: str
    start: int  # how often the container had been started again


class Probe:
    """One of a container's three probes: how often, and how often it may fail."""

    def __init__(self, name: str, spec: Manifest, port: int) -> None:
        self.name = name
        self.path: str = spec["httpGet"]["path"]
        self.port = port
        self.period_s = float(spec["periodSeconds"])
        self.timeout_s = float(spec["timeoutSeconds"])
        self.failure_threshold = int(spec["failureThreshold"])
        self.reset()

    def reset(self) -> None:
        """As when a container starts."""
        self.due = 0.0
        self.failures = 0
        self.passed = False

    def ask(self, address: str, start: int) -> Outcome:
        """A status from 200 to 399 is a success."""
        now = time.monotonic()
        self.due = now + self.period_s
        ok, detail = self._get(address)
        self.failures = 0 if ok else self.failures + 1
        self.passed = ok or (self.passed and self.failures < self.failure_threshold)
        return Outcome(now, self.name, ok, detail, start)

    @property
    def failed(self) -> bool:
        return self.failures >= self.failure_threshold

    def _get(self, address: str) -> tuple[bool, str]:
        connection = http.client.HTTPConnection(address, self.port, timeout=self.timeout_s)
        try:
            connection.request("GET", self.path)
            status = connection.getresponse().status
            return 200 <= status < 400, f"{self.path} {status}"
        except (OSError, http.client.HTTPException) as error:
            return False, f"{self.path} {error}"
        finally:
            connection.close()


def probes_of(spec: Manifest) -> dict[str, Probe]:
    ports = {port["name"]: port["containerPort"] for port in spec.get("ports", [])}
    found = {}
    for name in ("startup", "liveness", "readiness"):
        probe = spec.get(f"{name}Probe")
        if probe:
            found[name] = Probe(name, probe, ports[probe["httpGet"]["port"]])
    return found


# --- A pod ---------------------------------------------------------------------------------------------------------


class Ended(NamedTuple):
    """How a container ended that was told to."""

    exit_code: int
    seconds: float
    killed: bool  # since its time was over


class Pod:
    """Init containers one after the other, then one container; started again when it dies, unless it is a Job's."""

    def __init__(self, cluster: PodCluster, name: str, address: str, spec: Manifest, extra: Mapping[str, str]) -> None:
        self.cluster, self.name, self.address, self.spec, self.extra = cluster, name, address, spec, extra
        self._temporary = TemporaryDirectory("pod")
        self.folder = self._temporary.path
        self.container = Container(self, spec["containers"][0])
        self.probes = probes_of(self.container.spec)
        self.grace_s = float(spec.get("terminationGracePeriodSeconds", 30))
        self.restarts = 0
        self.outcomes: list[Outcome] = []
        self.ready_since: float | None = None
        self.ended: Ended | None = None
        self.lost = False  # with its node: it has not ended, it is gone
        self._child: Child | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    # --- a Job's ------------------------------------------------------------------------------------------------

    def run_to_end(self, deadline_s: float = START_LIMIT_S) -> int:
        """The exit code of the first init container that fails, else of its container."""
        code = self._run_init(deadline_s)
        if code == 0:
            self._launch()
            code = self.child.wait(deadline_s)
        return code

    def _run_init(self, deadline_s: float) -> int:
        for spec in self.spec.get("initContainers", []):
            code = Container(self, spec).start().wait(deadline_s)
            if code != 0:
                return code
        return 0

    # --- one that is looked after -------------------------------------------------------------------------------

    def start(self) -> "Pod":
        """Does not wait for anything but its init containers."""
        assert self._run_init(START_LIMIT_S) == 0
        self._launch()
        self._thread = threading.Thread(target=self._look_after, name=self.name, daemon=True)
        self._thread.start()
        return self

    def _launch(self) -> None:
        self.ready_since = None
        for probe in self.probes.values():
            probe.reset()
        self._child = self.container.start()

    def _look_after(self) -> None:
        """Until it is to end: a replica that has died starts again, and the probes are asked when they are due."""
        while not self._stop.wait(TICK_S):
            if not self.child.alive:
                if self.spec.get("restartPolicy", "Always") == "Never":
                    return
                self.restarts += 1
                self._launch()
            for name in self._due():
                self._probe(self.probes[name])

    def _due(self) -> list[str]:
        """Startup alone until it has passed; then the other two."""
        if not self.probes:
            return []
        wanted = ["liveness", "readiness"] if self.probes["startup"].passed else ["startup"]
        return [name for name in wanted if time.monotonic() >= self.probes[name].due]

    def _probe(self, probe: Probe) -> None:
        outcome = probe.ask(self.address, self.restarts)
        if not self.child.alive:
            return  # a Job's has ended, a replica's starts again: nobody is to be judged by that
        self.outcomes.append(outcome)
        if probe.name == "readiness":
            self.ready_since = (self.ready_since or outcome.at) if probe.passed else None
        elif probe.failed and self.child.alive:
            self._end_child()

    @property
    def child(self) -> Child:
        assert self._child is not None, f"{self.name} was not started"
        return self._child

    @property
    def ready(self) -> bool:
        return self.ready_since is not None and self.child.alive

    def ready_for(self, seconds: float) -> bool:
        since = self.ready_since
        return since is not None and time.monotonic() - since >= seconds

    def failures(self, probe: str) -> list[Outcome]:
        """Of liveness or readiness, behind the first success of each start."""
        asked = [outcome for outcome in self.outcomes if outcome.probe == probe]
        passed = {outcome.start: outcome.at for outcome in reversed(asked) if outcome.ok}
        return [each for each in asked if not each.ok and each.at > passed.get(each.start, each.at)]

    # --- its end ------------------------------------------------------------------------------------------------

    def kill_container(self) -> None:
        """As when it is out of memory: the pod stays, and starts it again."""
        restarts = self.restarts
        os.kill(self.child.pid, signal.SIGKILL)
        wait_until(lambda: self.restarts > restarts, 30, f"{self.name} starts again")

    def lose(self) -> None:
        """As when its node is gone: nothing of it is left."""
        self.lost = True
        self._leave()
        self.child.kill()

    def terminate(self) -> Ended:
        """SIGTERM, and SIGKILL when its time is over."""
        self._leave()
        self.ended = self._end_child()
        return self.ended

    def _end_child(self) -> Ended:
        begun = time.monotonic()
        self.child.send(signal.SIGTERM)
        try:
            code, killed = self.child.wait(self.grace_s), False
        except AssertionError:
            code, killed = self.child.kill(), True
        return Ended(code, time.monotonic() - begun, killed)

    def _leave(self) -> None:
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self.ready_since = None

    def log_text(self) -> str:
        return tail(self.container.log, 40)

    def close(self) -> None:
        self._leave()
        if self._child is not None and self._child.alive:
            self._child.kill()
        self._temporary.close()
