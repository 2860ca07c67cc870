"""The chart's Deployment and backfill Job as processes, for some minutes: `./dev chart run [--rate N] [--docs]`.

Three brokers, PostgreSQL with passwords, and a steady load. The migration runs first; then three replicas consume, are
replaced one by one, are scaled to six and to two, one is killed and one is lost with its node. Rows and positions are
compared with the log in snapshots in between, and all of it at the end. The backfill Job then loads the same topic into
an empty table, with pods killed and evicted. With --docs, what was measured goes to docs/rollout.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import backfills  # noqa: E402
import history  # noqa: E402
import timeline  # noqa: E402
from controllers import Sampler  # noqa: E402
from faults import let_pass  # noqa: E402
from kafka import Kafka, Unavailable  # noqa: E402
from load import Load  # noqa: E402
from pods import Ended, Pod  # noqa: E402
from postgres import Postgres  # noqa: E402
from releases import SINK, TABLE, TOPIC, Release, prepare, released  # noqa: E402
from wait import wait_until  # noqa: E402

PARTITIONS = 12
DOCS = ROOT / "docs" / "rollout"
CAUGHT_UP_S = 300.0


class Scene:
    """The servers, a release on them, and what is read every second."""

    def __init__(self, release: Release, quiet_s: float) -> None:
        self.release, self.quiet_s = release, quiet_s
        self.kafka, self.postgres = release.kafka, release.postgres
        self.connection = self.postgres.connect()
        self.replicas = release.replicas()
        self.phases: list[tuple[str, float, float]] = []  # name, begin, end
        self.sampler = Sampler(self._read)

    def _read(self) -> tuple[float, ...]:
        rows = self.connection.execute("SELECT coalesce(sum(next_offset), 0) FROM pgsluice.offsets").fetchone()
        produced = sum(self.kafka.end_offsets(TOPIC).values())
        assert rows is not None
        return float(rows[0]), float(produced), float(sum(pod.ready for pod in self.replicas.pods))

    def phase(self, name: str, act: Callable[[], object] | None = None) -> None:
        """What is done, and the calm behind it; then one snapshot has to be right."""
        begun = self.sampler.mark(name)
        if act:
            act()
            print(f"   {self.sampler.now:6.1f} s  ... done", flush=True)
        let_pass(self.quiet_s)
        history.assert_prefix(self.postgres, SINK, TOPIC, TABLE)
        self.phases.append((name, begun, self.sampler.now))

    def wait_caught_up(self) -> None:
        ends = sum(self.kafka.end_offsets(TOPIC).values())
        read = "SELECT coalesce(sum(next_offset), 0) FROM pgsluice.offsets"
        wait_until(lambda: self.postgres.scalar(read) == ends, CAUGHT_UP_S, "caught up")


# --- The replicas --------------------------------------------------------------------------------------------------


def act(scene: Scene) -> None:
    replicas = scene.replicas
    scene.phase("three replicas at work")
    scene.phase("rolling restart", replicas.roll)
    scene.phase("from 3 replicas to 6", lambda: replicas.scale(6))
    scene.phase("from 6 replicas to 2", lambda: replicas.scale(2))
    scene.phase("to 3 again", lambda: replicas.scale(3))
    scene.phase("a container is killed", replicas.pods[0].kill_container)
    scene.phase("a node is lost with its pod", lambda: replicas.lose(replicas.pods[1]))
    scene.phase("three replicas at work, as before")


def run_replicas(kafka: Kafka, postgres: Postgres, rate: int, quiet_s: float) -> dict[str, Any]:
    with released("stream", kafka, postgres) as release:
        took_s = timed(release.migrate)
        print(f"   migrated in {took_s:.1f} s")
        scene = Scene(release, quiet_s)
        try:
            scene.replicas.scale(scene.replicas.asked_for)
            with Load(kafka, TOPIC, rate=rate, poison_every=4_999) as load:
                wait_until(lambda: len(scene.sampler.samples) > 3, 60, "the first figures")
                act(scene)
                load.stop()
            scene.wait_caught_up()
        finally:
            scene.sampler.stop()
        found = history.assert_exactly_once(kafka, TOPIC, postgres, TABLE, sink=SINK)
        return {"rate": rate, "rows": found.count, "migrated_s": took_s, **told(scene)}


def timed(action: Callable[[], object]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def told(scene: Scene) -> dict[str, Any]:
    replicas = scene.replicas
    drained = drains(replicas.former)
    grace_s = replicas.former[0].grace_s
    assert max(ended.seconds for ended in drained) < grace_s
    return {
        "drains": len(drained),
        "longest_drain_s": max(ended.seconds for ended in drained),
        "grace_s": grace_s,
        "probes": probes([*replicas.former, *replicas.pods]),
        "phases": phases(scene),
        "samples": scene.sampler.samples,
        "marks": scene.sampler.marks,
    }


def drains(pods: Sequence[Pod]) -> list[Ended]:
    """How each has ended that was told to: all but those that were lost with a node, and all of them well."""
    ended = {pod.name: pod.ended for pod in pods if not pod.lost}
    assert all(end and end.exit_code == 0 and not end.killed for end in ended.values()), ended
    return [end for end in ended.values() if end]


def probes(pods: Sequence[Pod]) -> dict[str, Any]:
    """How often each was asked, and how often it said no once it had said yes."""
    asked = {
        name: sum(o.probe == name for pod in pods for o in pod.outcomes)
        for name in ("startup", "liveness", "readiness")
    }
    refused = {
        name: [f"{pod.name} {o.detail}" for pod in pods for o in pod.failures(name)]
        for name in ("liveness", "readiness")
    }
    return {"asked": asked, "refused": refused}


def phases(scene: Scene) -> list[dict[str, Any]]:
    return [{"name": name, **figures(scene.sampler.samples, begun, ended)} for name, begun, ended in scene.phases]


def figures(samples: Sequence[tuple[float, ...]], begun: float, ended: float) -> dict[str, float]:
    """Records a second, and the longest lag, from when to when."""
    inside = [sample for sample in samples if begun <= sample[0] <= ended]
    rates = [rate for at, rate in speeds(samples) if begun <= at <= ended]
    return {
        "seconds": ended - begun,
        "mean": statistics.fmean(rates),
        "worst_second": min(rates),
        "most_lag": max(produced - written for _, written, produced, _ in inside),
    }


def speeds(samples: Sequence[tuple[float, ...]], column: int = 1) -> list[tuple[float, float]]:
    pairs = zip(samples, samples[1:])
    return [(now[0], max(0.0, (now[column] - before[column]) / (now[0] - before[0]))) for before, now in pairs]


# --- The backfill --------------------------------------------------------------------------------------------------


def run_backfill(kafka: Kafka, postgres: Postgres) -> dict[str, Any]:
    """The topic as it is now; index 1 is killed, index 2 evicted, and those with dead letters fail for that only."""
    with released("backfill", kafka, postgres) as release:
        release.migrate()
        begun = time.monotonic()
        job = release.job().start()
        wait_until(lambda: backfills.written(postgres, "everything") > 0, 60, "it writes", 0.01)
        job.running[1].child.kill()
        job.evict(2)
        job.wait(CAUGHT_UP_S)
        seconds = time.monotonic() - begun
        bounds = {partition: (0, end) for partition, end in kafka.end_offsets(TOPIC).items()}
        rows = backfills.loaded(kafka, TOPIC, postgres, TABLE, bounds)
        assert job.complete | job.failed == {0, 1, 2}
        assert all((index, 65) in job.exits for index in job.failed), job.exits
        return {"rows": rows, "seconds": seconds, "exits": job.exits, "counted": job.counted}


# --- What is told --------------------------------------------------------------------------------------------------

HEAD = "| | seconds | records/s | worst second | most lag, records |\n|---|---:|---:|---:|---:|\n"


def table(result: dict[str, Any]) -> str:
    rows = [
        f"| {p['name']} | {p['seconds']:.0f} | {p['mean']:,.0f} | {p['worst_second']:,.0f} | {p['most_lag']:,.0f} |\n"
        for p in result["phases"]
    ]
    return HEAD + "".join(rows)


def chart(result: dict[str, Any]) -> str:
    samples = result["samples"]
    rates = {"records/s written": speeds(samples), "records/s produced": speeds(samples, 2)}
    lag = {"lag, records": [(at, produced - written) for at, written, produced, _ in samples]}
    ready = {"ready replicas": [(sample[0], sample[3]) for sample in samples]}
    return timeline.draw(
        "Replicas of the chart, as processes, under a steady load", [rates, lag, ready], result["marks"]
    )


def page(replicas: dict[str, Any], backfill: dict[str, Any]) -> str:
    exits = ", ".join(f"index {index} {code if code >= 0 else 'killed'}" for index, code in backfill["exits"])
    asked = ", ".join(f"{count} {name}" for name, count in replicas["probes"]["asked"].items())
    refused = sum(len(each) for each in replicas["probes"]["refused"].values())
    return f"""# Rollouts, scaling and lost replicas

Written by `./dev chart run --docs`: the [chart](../../helm/pgsluice/README.md)'s Deployment and backfill Job, as helm
renders them, run as processes of one machine, which three brokers, PostgreSQL and the load share. A small kubelet
gives them their arguments, environment, Secrets and files, asks their probes, and ends them as their grace period says.

![throughput](throughput.svg)

{table(replicas)}
{replicas['rows']:,} rows of a load of {replicas['rate']:,} records/s. Each record of the log is there once, in order, by another
reader's account, and behind each step a snapshot had just what lay below the positions. {replicas['drains']} replicas drained, in
{replicas['longest_drain_s']:.1f} s at most of {replicas['grace_s']:.0f} s. Probes: {asked}; refused once they had passed: {refused}.
The session timeout is 10 s here (45 s unless it is set): so long the partitions of a replica that died wait, and then
catch up in a second.

The backfill loaded the same {backfill['rows']:,} rows in {backfill['seconds']:.0f} s by three pods, of which one was killed and one evicted
on the way. Exit codes in order: {exits}. 65 says that there are dead letters, of which the load has some.
"""


def write(replicas: dict[str, Any], backfill: dict[str, Any]) -> None:
    DOCS.mkdir(exist_ok=True)
    (DOCS / "throughput.svg").write_text(chart(replicas))
    (DOCS / "README.md").write_text(page(replicas, backfill))


# --- Both ----------------------------------------------------------------------------------------------------------


def run(rate: int, quiet_s: float, docs: bool) -> None:
    with Kafka(3) as kafka:
        kafka.create_topic(TOPIC, PARTITIONS)
        with Postgres() as postgres:
            prepare(postgres)
            replicas = run_replicas(kafka, postgres, rate, quiet_s)
        print(table(replicas), flush=True)
        print(json.dumps({key: replicas[key] for key in ("rows", "drains", "longest_drain_s", "grace_s", "probes")}))
        with Postgres() as postgres:
            prepare(postgres)
            backfill = run_backfill(kafka, postgres)
        print(json.dumps(backfill))
    if docs:
        write(replicas, backfill)


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev chart run", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--rate", type=int, default=5_000, help="records a second (default: 5000)")
    parser.add_argument("--quiet-s", type=float, default=20.0, help="calm behind each step (default: 20)")
    parser.add_argument("--docs", action="store_true", help="write docs/rollout")
    options = parser.parse_args(words)
    try:
        run(options.rate, options.quiet_s, options.docs)
    except Unavailable as reason:
        print(f"chart run: {reason}", file=sys.stderr)
        return 69
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
