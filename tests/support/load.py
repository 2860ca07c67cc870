"""Records for the tests: a producer in the background, and orders as text for other producers."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any, Iterator

import orders
from cluster import Cluster, command_options, support_program
from process import Child, TemporaryDirectory, tail

ENDLESS = 1_000_000_000

SOURCES = ("web", "ios", "android", "shop", "partner", "market", "phone", "import")
NOTES = (
    "ring twice",
    "größer, 東京, 🎁",
    'a "quoted" word, a back\\slash',
    "tab\there, line\nthere",
    "",
    None,
)


def order_texts(first: int, count: int, seed: int = 1) -> Iterator[str]:
    """Orders as one line of JSON each: other fields' order, spaces and escapes than produce_orders'."""
    rng = random.Random(f"{seed}/{first}")
    for number in range(first, first + count):
        order: dict[str, Any] = {
            "note": rng.choice(NOTES),
            "unknown": {"list": [1, 2, {"id": 0}], "text": '}"'},
            "paid": rng.random() < 0.75,
            "amount": rng.randrange(1, 10_000_000) / 100,
            "currency": rng.choice(("EUR", "USD", "JPY")),
            "source": rng.choice(SOURCES),
            "user_id": rng.randrange(1_000_000),
            "created_at": (orders.EPOCH + timedelta(seconds=number, microseconds=7)).isoformat(),
            "id": number,
        }
        if rng.random() < 0.1:
            del order["note"]
        yield json.dumps(order, ensure_ascii=rng.random() < 0.5)


class Load:
    """produce_orders in the background; an option is a keyword, as in Cluster.produce_orders().

    with Load(kafka, "orders", rate=20_000) as load:
        ...
        load.stop()
    """

    def __init__(self, cluster: Cluster, topic: str, records: int = ENDLESS, **options: Any) -> None:
        options.setdefault("partitions", len(cluster.partitions(topic)))
        argv = [str(support_program("produce_orders")), "--bootstrap", cluster.bootstrap]
        argv += ["--topic", topic, "--records", str(records), *command_options(options)]
        self._temporary = TemporaryDirectory("load")
        self._log = self._temporary.path / "produce_orders.log"
        self._child = Child(argv, self._log)

    @property
    def running(self) -> bool:
        return self._child.alive

    def wait(self, deadline_s: float = 120.0) -> dict[str, Any]:
        """Wait until everything is delivered; the producer's summary."""
        code = self._child.wait(deadline_s)
        if code != 0:
            raise RuntimeError(f"produce_orders exited {code}: {tail(self._log)}")
        summary: dict[str, Any] = json.loads(tail(self._log, 1))
        return summary

    def stop(self) -> None:
        """End it in the middle: what is delivered by then is the load."""
        assert self.running, f"the load was over too early: {tail(self._log)}"
        self._child.kill()

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._temporary.close()

