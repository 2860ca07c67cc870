"""What a user would otherwise run, in the fairest configuration that is known to us.

    for peer in PEERS:
        reason = peer.unavailable()  # fetches and builds it, the first time
        if reason is None:
            peer.start(kafka, postgres, topic="orders", table="orders", group="g1")
            ...
            peer.stop()

All of them read the same topic of orders (support/orders.py) and write the same table.
"""

from __future__ import annotations

from peers.base import Peer
from peers.kafka_connect import KafkaConnect
from peers.kcat_psql import KcatPsql
from peers.redpanda_connect import RedpandaConnect
from peers.telegraf import Telegraf

PEERS: list[Peer] = [KafkaConnect(), RedpandaConnect(), Telegraf(), KcatPsql()]

__all__ = ["PEERS", "Peer"]
