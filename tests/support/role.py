"""The role that docs/security.md says a sink needs, made as it says, for tests that run as it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from postgres import Postgres
from sink import clean_environment, sink_program

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
TABLE = "orders"  # the page's


def statements(role: str) -> str:
    """The SQL below "The role it needs"."""
    match = re.search(r"## The role it needs.*?```sql\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert match, "docs/security.md has no role"
    return re.sub(r"\bsink\b", role, match[1])


def migrate(postgres: Postgres) -> None:
    """The sink's schema, made by the superuser."""
    env = {
        **clean_environment(),
        **postgres.env,
        "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
        "KAFKA_GROUP_ID": "g",
        "SINK_TOPICS": TABLE,
    }
    command = [str(sink_program()), "migrate"]
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=30)


def make_role(postgres: Postgres, role: str) -> None:
    """PUBLIC loses what it has, so that nothing comes from there. The page's table has to exist."""
    migrate(postgres)
    postgres.query("REVOKE ALL ON SCHEMA public, pgsluice FROM PUBLIC")
    postgres.query(statements(role))
    owned = "SELECT count(*) FROM pg_shdepend WHERE refobjid = %s::regrole AND deptype = 'o'"
    assert postgres.scalar(owned, [role]) == 0
    assert postgres.scalar("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [role]) is False


def run_sinks_as_role(postgres: Postgres, role: str = "sink") -> None:
    """From now on sinks are this role, which may also fill tables that are made later."""
    postgres.query(f"CREATE TABLE {TABLE} ()")
    make_role(postgres, role)
    postgres.query(
        f"DROP TABLE {TABLE};"
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT ON TABLES TO {role}"
    )
    postgres.sink_user = role
