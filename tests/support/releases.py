"""A release of the chart, as helm renders it (tests/chart/rendered), on servers that a test has started.

    with released("stream", kafka, postgres) as release:
        release.migrate()
        release.replicas().scale(3)

PostgreSQL asks the two roles for their passwords, which only Secrets have.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Mapping

import history
from cluster import Cluster
from controllers import IndexedJob, Replicas
from pods import Pod, PodCluster, manifests
from postgres import Postgres

RENDERED = Path(__file__).resolve().parents[1] / "chart" / "rendered"
SECRETS = {
    "shop-app": {"username": "sink", "password": "the sink's own"},
    "shop-owner": {"password": "the owner's own"},
}
SINK, TOPIC, TABLE = "warehouse", "orders", "orders"  # what the values say

ROLES = """
CREATE ROLE owner LOGIN PASSWORD 'the owner''s own';
CREATE ROLE sink LOGIN PASSWORD 'the sink''s own';
GRANT CREATE ON DATABASE postgres TO owner;
ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT USAGE ON SCHEMAS TO sink;
ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO sink;
"""
RULES = """
host all sink,owner 127.0.0.1/32 scram-sha-256
host all postgres 127.0.0.1/32 trust
local all all trust
"""


class Release:
    """Its manifests and what comes of them."""

    def __init__(self, rendered: str, kafka: Cluster, postgres: Postgres, more: Mapping[str, str]) -> None:
        names = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
            "PGHOST": postgres.env["PGHOST"],
            "PGPORT": postgres.env["PGPORT"],
        }
        self.kafka, self.postgres = kafka, postgres
        self.cluster = PodCluster(manifests(RENDERED / f"{rendered}.yaml"), SECRETS, names, more)

    def migrate(self) -> Pod:
        """The hook, which comes before all else."""
        job = self.cluster.pod(self.cluster.find("Job", "migrate"))
        code = job.run_to_end()
        assert code == 0, f"the migration ended with {code}: {job.log_text()}"
        return job

    def replicas(self, min_ready_s: float | None = None) -> Replicas:
        return Replicas(self.cluster, self.cluster.find("Deployment", "sink"), min_ready_s)

    def job(self) -> IndexedJob:
        return IndexedJob(self.cluster, self.cluster.find("Job", "backfill"))


def prepare(postgres: Postgres) -> None:
    """Roles, the way in, and the table; not the sink's schema."""
    postgres.query(ROLES)
    (postgres.data / "pg_hba.conf").write_text(RULES)
    postgres.query("SELECT pg_reload_conf()")
    history.create_table(postgres, TABLE)
    postgres.query(f"GRANT INSERT ON {TABLE} TO sink")


@contextmanager
def released(rendered: str, kafka: Cluster, postgres: Postgres, more: Mapping[str, str] = {}) -> Iterator[Release]:
    """`more`: variables beyond the manifests', or otherwise."""
    release = Release(rendered, kafka, postgres, more)
    try:
        yield release
    finally:
        release.cluster.close()
