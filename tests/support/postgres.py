"""A throw-away PostgreSQL server in a temporary directory.

    with Postgres() as pg:
        pg.query("CREATE TABLE t (a int)")
        subprocess.run(["psql", "-c", "TABLE t"], env={**os.environ, **pg.env})

It listens on a loopback port and on a unix socket in its own directory, trusts every local
connection, and runs as an ordinary user when the tests run as root, which PostgreSQL refuses.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Mapping, Sequence

import psycopg
from process import Child, TemporaryDirectory, free_port
from wait import wait_until

STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "100",
    "max_wal_size": "4GB",
    "wal_level": "replica",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
    "log_checkpoints": "off",
    "lc_messages": "C",
    "timezone": "UTC",
}


def newest_bindir() -> Path:
    """The newest installed server's programs: Debian's place, else where PATH finds initdb."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    initdb = shutil.which("initdb")
    if initdb is None:
        raise FileNotFoundError("no PostgreSQL server is installed")
    return Path(initdb).resolve().parent


def ordinary_user() -> pwd.struct_passwd | None:
    """Whom the server runs as when we are root; None when we are an ordinary user ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("root may not run PostgreSQL, and there is neither user postgres nor nobody")


class Postgres:
    """One server; started by start() or `with`, its data kept across stop and start."""

    def __init__(
        self,
        fsync: bool = False,
        settings: Mapping[str, str] | None = None,
        standby_of: "Postgres | None" = None,
    ) -> None:
        """With `standby_of`, a copy of that running server, which follows it until promote()."""
        self.bindir = newest_bindir()
        self.port = free_port()
        self.user = "postgres"
        self.sink_user: str | None = None  # whom sinks are instead
        self.database = "postgres"
        self.settings = {**SETTINGS, "fsync": "on" if fsync else "off", **(settings or {})}
        self._account = ordinary_user()
        self._temporary = TemporaryDirectory("postgres")
        self._server: Child | None = None
        if standby_of is None:
            self._initdb()
        else:
            self._copy(standby_of)

    # --- the server process -------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        return self._temporary.path

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self._server is not None, "PostgreSQL was not started"
        return self._server.pid

    @property
    def running(self) -> bool:
        return self._server is not None and self._server.alive

    def start(self, deadline_s: float = 60.0) -> "Postgres":
        """Start the server and wait until it takes connections."""
        if not self.running:
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            argv = self._as_account([str(self.bindir / "postgres"), "-D", str(self.data)])
            # The last resort is an immediate shutdown: SIGKILL would leave shared memory behind.
            self._server = Child(argv, self.log, cwd=self.directory, last_resort=signal.SIGQUIT)
        wait_until(self._is_ready, deadline_s, "PostgreSQL ready", interval_s=0.02)
        return self

    def stop(self, mode: str = "fast", deadline_s: float = 60.0) -> None:
        """Stop as pg_ctl does: smart, fast or immediate."""
        if self._server is not None:
            self._server.stop(STOP_SIGNALS[mode], deadline_s)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """SIGKILL the postmaster: a crash of the server. Its backends notice and end."""
        if self._server is not None:
            backends = self._children()
            self._server.kill()
            gone = lambda: not any(Path(f"/proc/{pid}").exists() for pid in backends)  # noqa: E731
            wait_until(gone, 30, "end of the backends of a killed PostgreSQL")

    def pause(self) -> None:
        """SIGSTOP the postmaster: running backends go on, new connections hang."""
        assert self._server is not None
        self._server.pause()

    def resume(self) -> None:
        assert self._server is not None
        self._server.resume()

    def promote(self) -> None:
        """Make a standby a primary, with what it has got by now."""
        assert self.scalar("SELECT pg_promote()"), "the standby was not promoted"

    def replace(self, other: "Postgres") -> None:
        """Start a stopped standby as a primary at the address of `other`, as from a backup restored."""
        other.stop("immediate")
        (self.data / "standby.signal").unlink()
        self.move_to(other.port)

    def move_to(self, port: int) -> None:
        """Start a stopped server at another port."""
        self.port = port
        self._write_settings()
        self.start()

    def close(self) -> None:
        """Stop the server and remove its directory."""
        if self._server is not None:
            self._server.resume()
        self.stop("immediate")
        self._temporary.close()

    def __enter__(self) -> "Postgres":
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- connecting to it -----------------------------------------------------------------------

    @property
    def env(self) -> dict[str, str]:
        """libpq's environment variables over TCP, for a sink."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": self.sink_user or self.user,
            "PGDATABASE": self.database,
        }

    @property
    def socket_env(self) -> dict[str, str]:
        """The same over the unix socket."""
        return {**self.env, "PGHOST": str(self.directory)}

    @property
    def dsn(self) -> str:
        return self.dsn_for(self.database)

    def dsn_for(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={self.user} dbname={database}"

    def connect(self, database: str | None = None, **options: Any) -> psycopg.Connection[Any]:
        """A new connection, in autocommit mode unless told otherwise."""
        options.setdefault("autocommit", True)
        options.setdefault("connect_timeout", 10)
        options.setdefault("application_name", "pgsluice-tests")
        return psycopg.connect(self.dsn_for(database or self.database), **options)

    def query(
        self, sql: str, parameters: Sequence[Any] | None = None, database: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run SQL on a connection of its own and return the rows of the last result, if any."""
        with self.connect(database) as connection:
            cursor = connection.execute(sql, parameters)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def scalar(self, sql: str, parameters: Sequence[Any] | None = None) -> Any:
        """The first column of the first row; None without a row."""
        rows = self.query(sql, parameters)
        return rows[0][0] if rows else None

    def psql(self, *arguments: str, input_text: str | None = None) -> str:
        """Run psql (quiet, no startup file) and return its output."""
        result = subprocess.run(
            [str(self.bindir / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments],
            env={**os.environ, **self.env, "PGUSER": self.user},
            input=input_text,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if result.returncode != 0:
            raise RuntimeError(f"psql exited {result.returncode}: {result.stderr.strip()}")
        return result.stdout

    # --- inside ---------------------------------------------------------------------------------

    def _as_account(self, argv: list[str]) -> list[str]:
        """The command as the ordinary user; setpriv execs, so the process id stays the child's."""
        if self._account is None:
            return argv
        uid, gid = self._account.pw_uid, self._account.pw_gid
        return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *argv]

    def _initdb(self) -> None:
        argv = [str(self.bindir / "initdb"), "-D", str(self.data), "-U", self.user]
        self._make_data([*argv, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])

    def _copy(self, primary: "Postgres") -> None:
        argv = [str(self.bindir / "pg_basebackup"), "-D", str(self.data), "-d", primary.dsn]
        self._make_data([*argv, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"])

    def _make_data(self, argv: list[str]) -> None:
        if self._account is not None:
            os.chown(self.directory, self._account.pw_uid, self._account.pw_gid)
        result = subprocess.run(
            self._as_account(argv), cwd=self.directory, capture_output=True, text=True, timeout=120
        )
        if result.returncode != 0:
            self._temporary.close()
            raise RuntimeError(f"{argv[0]} failed: {result.stderr.strip()}")
        self._write_settings()

    def _write_settings(self) -> None:
        lines = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            **self.settings,
        }
        with open(self.data / "postgresql.conf", "a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in lines.items())

    def _is_ready(self) -> bool:
        """The last line of postmaster.pid says what pg_ctl waits for, too."""
        assert self._server is not None
        self._server.check_alive()
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _children(self) -> list[int]:
        try:
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except OSError:
            return []
        return [int(pid) for pid in text.split()]


# --- Several of them ------------------------------------------------------------------------------


def hosts(*servers: Postgres, host: str = "127.0.0.1") -> dict[str, object]:
    """libpq's environment variables for these servers, in this order."""
    return {
        "PGHOST": ",".join([host] * len(servers)),
        "PGPORT": ",".join(str(server.port) for server in servers),
    }


def wait_for_replay(standby: Postgres, primary: Postgres) -> None:
    """Wait until the standby has what the primary has by now."""
    at = primary.scalar("SELECT pg_current_wal_lsn()::text")
    replayed = f"SELECT pg_last_wal_replay_lsn() >= '{at}'"
    wait_until(lambda: standby.scalar(replayed), what="the standby has caught up")
