"""A program on a terminal of our own: what a screen of a given size shows of it."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from typing import Callable, Mapping, Sequence

import pyte
from wait import wait_until

DEADLINE_S = 30


class Terminal:
    """Runs a program whose standard error is the terminal; its results go to a pipe, its input comes from one."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], columns: int = 80, rows: int = 24) -> None:
        self._lock = threading.Lock()
        self._screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self._master, slave = pty.openpty()
        self._set_size(columns, rows)
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=slave,
            env={"TERM": "xterm-256color", **env},
            start_new_session=True,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the other side is closed
                return
            if not data:
                return
            with self._lock:
                self.raw += data
                self._stream.feed(data)

    def resize(self, columns: int, rows: int) -> None:
        with self._lock:
            self._screen.resize(rows, columns)
        self._set_size(columns, rows)
        self.child.send_signal(signal.SIGWINCH)

    def tell(self, line: str) -> None:
        assert self.child.stdin
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def lines(self) -> list[str]:
        """The screen without the spaces behind its lines and the empty lines below them."""
        with self._lock:
            lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def wait_for(self, condition: Callable[[list[str]], bool], what: str) -> list[str]:
        """Wait until the screen is as wanted, and return it."""

        def wanted() -> list[str]:
            lines = self.lines()
            return lines if condition(lines) else []

        return wait_until(wanted, DEADLINE_S, lambda: f"{what} on the screen:\n" + "\n".join(self.lines()))

    def end(self, signum: int | None = None) -> tuple[int, str]:
        """The exit code and the results, once everything that was written has been read."""
        if signum is not None:
            self.child.send_signal(signum)
        code = self.child.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        assert self.child.stdout
        return code, self.child.stdout.read().decode()

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.communicate()
        self._reader.join(DEADLINE_S)
        os.close(self._master)
