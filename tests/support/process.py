"""Child processes of the tests: started, watched, signalled by process id and always cleaned up.

Every child runs in a session of its own, so Ctrl-C reaches only the test, which then stops its
children in order. Should the test itself be killed, the reaper does it: a tiny process holding the
read end of a pipe of ours, which kills what was registered and removes temporary directories when
the pipe closes.
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Mapping, Sequence

from wait import wait_until

PORT_RANGE = range(15000, 32000)  # below Linux's ephemeral ports, so no client socket takes ours
GIVEN_PORTS: set[int] = set()  # some are listened on only later


class ProcessDied(AssertionError):
    """A child ended although it was expected to run."""


def start_ticks(pid: int) -> str | None:
    """The kernel's start time of a process; with the pid it names one process for ever."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[19]


def unwind_on_terminate() -> None:
    """SIGTERM becomes an exception, so that what was started is stopped on the way out."""

    def leave(signum: int, _: object) -> None:
        raise SystemExit(128 + signum)

    signal.signal(signal.SIGTERM, leave)


def free_port() -> int:
    """A loopback port nobody listens on at the moment, and that was not given before."""
    for _ in range(1000):
        port = random.choice(PORT_RANGE)
        if port in GIVEN_PORTS:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            GIVEN_PORTS.add(port)
            return port
    raise RuntimeError("no free port found")


def tail(path: Path, lines: int = 30) -> str:
    """The last lines of a log, for error messages."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return f"({error})"


class Reaper:
    """Kills registered processes and removes registered directories once this process is gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipe: IO[bytes] | None = None
        self._owner = 0

    def watch_process(self, pid: int, signum: int = signal.SIGKILL) -> None:
        self._tell(f"process {pid} {start_ticks(pid)} {int(signum)}")

    def watch_directory(self, path: Path) -> None:
        self._tell(f"directory {path}")

    def _tell(self, line: str) -> None:
        with self._lock:
            if self._pipe is None or self._owner != os.getpid():
                self._start()
            assert self._pipe is not None
            self._pipe.write(line.encode() + b"\n")
            self._pipe.flush()

    def _start(self) -> None:
        child = subprocess.Popen(
            [sys.executable, __file__, "--reap"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._pipe = child.stdin
        self._owner = os.getpid()
        atexit.register(self._finish, child)

    def _finish(self, child: subprocess.Popen[bytes]) -> None:
        if self._owner == os.getpid() and self._pipe is not None:
            self._pipe.close()
            child.wait()


REAPER = Reaper()


def reap() -> None:
    """Main of the reaper: remember what is read from stdin, act at its end."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    entries = [line.split(maxsplit=1) for line in sys.stdin.read().splitlines()]
    processes = [entry[1].split() for entry in entries if entry[0] == "process"]
    left = [(int(pid), ticks, int(signum)) for pid, ticks, signum in processes]
    for pid, ticks, signum in left:
        _signal_if_same(pid, ticks, signum)
        _signal_if_same(pid, ticks, signal.SIGCONT)
    try:
        wait_until(lambda: not any(_runs(pid, ticks) for pid, ticks, _ in left), 10)
    except AssertionError:
        for pid, ticks, _ in left:
            _signal_if_same(pid, ticks, signal.SIGKILL)
    for entry in entries:
        if entry[0] == "directory":
            shutil.rmtree(entry[1], ignore_errors=True)


def _runs(pid: int, ticks: str) -> bool:
    return start_ticks(pid) == ticks and _state_of(pid) not in ("Z", "X", "")


def _state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _signal_if_same(pid: int, ticks: str, signum: int) -> None:
    if start_ticks(pid) == ticks:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            pass


class TemporaryDirectory:
    """A directory below the system's temporary one, removed by close() or else by the reaper."""

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"pgsluice-{prefix}-"))
        REAPER.watch_directory(self.path)

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class Child:
    """One child process with its output in a log file."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        pipes: bool = False,
        last_resort: int = signal.SIGKILL,
    ) -> None:
        """Start it. With `pipes`, stdin and stdout are pipes in text mode and only stderr is logged."""
        self.argv = list(argv)
        self.log = log
        with open(log, "ab") as output:
            self._popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else output,
                stderr=output,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
                text=pipes,
            )
        REAPER.watch_process(self.pid, last_resort)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdin(self) -> IO[str]:
        assert self._popen.stdin is not None
        return self._popen.stdin

    @property
    def stdout(self) -> IO[str]:
        assert self._popen.stdout is not None
        return self._popen.stdout

    @property
    def exit_code(self) -> int | None:
        """The exit code (negative: the signal it died of), None while it runs."""
        return self._popen.poll()

    @property
    def alive(self) -> bool:
        return self.exit_code is None

    @property
    def state(self) -> str:
        """The kernel's letter: R or S running, T stopped, Z dead, empty when gone."""
        return _state_of(self.pid)

    def send(self, signum: int) -> None:
        if self.alive:
            self._popen.send_signal(signum)

    def wait(self, deadline_s: float = 30.0) -> int:
        """Wait for its end and return the exit code."""
        what = f"end of {self.argv[0]} (pid {self.pid})"
        wait_until(lambda: self.exit_code is not None, deadline_s, what, interval_s=0.01)
        code = self.exit_code
        assert code is not None
        return code

    def stop(self, signum: int = signal.SIGTERM, deadline_s: float = 30.0) -> int:
        """Ask it to end by `signum`; kill it when it has not by the deadline."""
        self.send(signum)
        try:
            return self.wait(deadline_s)
        except AssertionError:
            return self.kill()

    def kill(self) -> int:
        self.send(signal.SIGKILL)
        return self.wait()

    def pause(self) -> None:
        """SIGSTOP, and wait until the kernel says that it has stopped."""
        self.send(signal.SIGSTOP)
        wait_until(lambda: self.state == "T", 10, f"pid {self.pid} stopped", interval_s=0.005)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def check_alive(self) -> None:
        """Raise ProcessDied with the end of its log unless it runs."""
        if not self.alive:
            raise ProcessDied(f"{self.argv[0]} ended with {self.exit_code}:\n{tail(self.log)}")

    def memory_kib(self, field: str = "VmRSS") -> int:
        """VmRSS (resident now) or VmHWM (its peak) in KiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise ProcessDied(f"pid {self.pid} has no {field}")


if __name__ == "__main__" and "--reap" in sys.argv:
    reap()
