"""One run's world: topics, tables, load, sinks and checker on servers that may serve several runs."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Mapping

import psycopg
import records
from checker import Checker
from faults import application_name
from fleet import Fleet
from nemesis import NotLanded
from servers import ROLE, Servers
from sink import Sink
from truth import Truth
from workload import Workload

POISON_EVERY = 500

# A row of chaos.trouble makes statements on its table slow, or fail, or both. How often one has struck
# is counted by a sequence, which a rollback does not turn back.
TROUBLE = """
CREATE SCHEMA IF NOT EXISTS chaos;
CREATE SEQUENCE IF NOT EXISTS chaos.struck;
CREATE TABLE IF NOT EXISTS chaos.trouble
    (target text, moment text, chance float, seconds float, code text);
CREATE OR REPLACE FUNCTION chaos.stumble() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    trouble chaos.trouble;
BEGIN
    SELECT * INTO trouble FROM chaos.trouble
     WHERE target = TG_TABLE_NAME AND moment = TG_WHEN AND random() < chance LIMIT 1;
    IF FOUND THEN
        PERFORM nextval('chaos.struck');
        PERFORM pg_sleep(trouble.seconds);
        IF trouble.code IS NOT NULL THEN
            RAISE EXCEPTION 'chaos' USING ERRCODE = trouble.code;
        END IF;
    END IF;
    RETURN NULL;
END
$$;
"""
STUMBLES = """
GRANT INSERT ON {table} TO {role};
CREATE TRIGGER before_rows BEFORE INSERT ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION chaos.stumble();
CREATE TRIGGER after_rows AFTER INSERT ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION chaos.stumble();
"""


class World:
    """What faults strike at. `name` is the sink's, and begins the names of topics and tables."""

    def __init__(
        self, servers: Servers, name: str, seed: int, total: int, env: Mapping[str, str]
    ) -> None:
        self.servers = servers
        self.kafka = servers.kafka
        self.pair = servers.postgres
        self.links = servers.links
        self.name = name
        self.topics = records.topics_of(name, POISON_EVERY)
        self.tables = [topic.name for topic in self.topics]
        self._stack = ExitStack()
        self._prepare()
        self.truth = Truth(self.kafka, self.topics)
        self._stack.callback(self.truth.close)
        self.workload = Workload(self.kafka, self.topics, seed, total)
        self._stack.callback(self.workload.close)
        self.fleet = Fleet(servers, name, self.tables, env)
        self._stack.callback(self.fleet.close)
        self.checker = Checker(
            self.connect, self.connect_standby, self.truth, self.topics, name
        )  # fmt: skip

    def _prepare(self) -> None:
        self.pair.primary.query(TROUBLE)
        for topic in self.topics:
            self.kafka.create_topic(topic.name, topic.partitions)
            self.pair.primary.query(records.table_sql(topic.name))
            self.pair.primary.query(STUMBLES.format(table=topic.name, role=ROLE))

    def connect(self) -> psycopg.Connection[Any]:
        """To the primary as of now, past the proxy."""
        return self.pair.primary.connect(application_name="chaos", connect_timeout=3)

    def connect_standby(self) -> psycopg.Connection[Any]:
        return self.pair.standby.connect(application_name="chaos", connect_timeout=3)

    def close(self) -> None:
        self._stack.close()

    # --- what faults ask for --------------------------------------------------------------------

    def pick_sink(self, rng: random.Random) -> tuple[int, Sink]:
        """A replica that runs."""
        running = [n for n in self.fleet.running() if n not in self.fleet.expected_to_end]
        if not running:
            raise NotLanded("no replica runs")
        number = rng.choice(running)
        return number, self.fleet.sinks[number]

    def pick_table(self, rng: random.Random) -> str:
        return rng.choice(self.tables)

    def log_ends(self) -> dict[Path, int]:
        """How long every replica's log is by now, for said()."""
        logs = [sink.log for sink in self.fleet.sinks.values()]
        return {log: log.stat().st_size for log in logs if log.exists()}

    def said(self, words: str, since: dict[Path, int]) -> bool:
        """Whether a replica has said so since then."""
        for log, end in since.items():
            with open(log, "rb") as file:
                file.seek(end)
                if words.encode() in file.read():
                    return True
        return False

    def positions_sum(self) -> int:
        """How far all partitions are together."""
        return sum(self.checker.positions().values())

    def owns_some(self, sink: Sink) -> bool:
        """Whether a partition was last claimed by this instance."""
        sql = "SELECT count(*) FROM pgsluice.offsets WHERE sink = %s AND owner = %s"
        parameters = [self.name, sink.settings["SINK_INSTANCE_ID"]]
        with self.connect() as connection:
            row = connection.execute(sql, parameters).fetchone()
        return row is not None and row[0] > 0

    def sessions(self, sink: Sink | None = None) -> list[int]:
        """The backends of one replica, or of all."""
        like = application_name(sink) if sink else f"pgsluice/{self.name}/%"
        sql = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE %s"
        with self.connect() as connection:
            return [row[0] for row in connection.execute(sql, [like])]
