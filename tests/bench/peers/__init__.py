"""What a user would otherwise run, in the fairest configuration that is known to us.

    for peer in PEERS:
        reason = peer.unavailable()  # fetches and builds it, the first time
        if reason is None:
            peer.start(kafka, postgres, topic="orders", table="orders", group="g1")
            ...
            peer.stop()

All of them read the same topic of orders (support/orders.py) and write the same table, over PostgreSQL's
unix socket; Java alone uses TCP. Those that go on for ever commit batch by batch; what they have is seen by
counting rows. A JVM takes seconds to start and gets faster for a while: a short drain shows that
and little else.
"""

from __future__ import annotations

from peers.base import Peer
from peers.kafka_connect import KafkaConnect
from peers.kcat_psql import KcatPsql
from peers.redpanda_connect import RedpandaConnect, RedpandaConnectJson
from peers.telegraf import Telegraf

PEERS: list[Peer] = [
    KafkaConnect(),
    RedpandaConnect(),
    RedpandaConnectJson(),
    Telegraf(),
    KcatPsql(),
]

__all__ = ["PEERS", "Peer"]
