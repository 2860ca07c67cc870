"""The block on a terminal: what a screen shows while a run goes on, is resized, and is ended."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Callable, Iterator

import pytest
from terminal import Terminal

PROGRAM = os.environ["PGSLUICE_SUPPORT_DIR"] + "/show_progress"

Show = Callable[..., Terminal]


@pytest.fixture
def show() -> Iterator[Show]:
    shown: list[Terminal] = []

    def start(partitions: int, columns: int = 80, rows: int = 24, **env: str) -> Terminal:
        shown.append(Terminal([PROGRAM, str(partitions)], env, columns, rows))
        return shown[-1]

    yield start
    for terminal in shown:
        terminal.close()


def is_drawn(percent: str) -> Callable[[list[str]], bool]:
    return lambda lines: any(line.startswith("nightly") and f"{percent} %" in line for line in lines)


def head_of(lines: list[str]) -> int:
    """Where the block begins; there is one."""
    heads = [number for number, line in enumerate(lines) if line.startswith("nightly")]
    assert len(heads) == 1, "\n".join(lines)
    return heads[0]


def test_it_is_redrawn_in_its_place(show: Show) -> None:
    terminal = show(4)
    terminal.wait_for(is_drawn("0.0"), "the begin")
    terminal.tell("done 42")
    lines = terminal.wait_for(is_drawn("42.0"), "42 %")
    assert head_of(lines) == 0
    assert "[#" in lines[0]
    assert lines[1].startswith("168,000 rows")
    assert lines[2] == "orders: 4 partitions, 4 loading"
    assert lines[3] == "[0]  42.0 % loading    [1]  42.0 % loading    [2]  42.0 % loading"
    assert lines[4] == "[3]  42.0 % loading"
    assert len(lines) == 5


def test_the_log_goes_above_it(show: Show) -> None:
    terminal = show(4)
    terminal.wait_for(is_drawn("0.0"), "the begin")
    for number in range(30):
        terminal.tell(f"log event-{number}")
    terminal.tell("done 10")
    lines = terminal.wait_for(is_drawn("10.0"), "10 %")
    head = head_of(lines)
    assert "event-29" in lines[head - 1] and "event-28" in lines[head - 2]
    assert len(lines) == head + 5


def test_it_fits_with_many_partitions(show: Show) -> None:
    terminal = show(300)
    terminal.tell("halt " + "no place " * 20)
    terminal.tell("log event")
    lines = terminal.wait_for(lambda lines: any("1 halted" in line for line in lines), "the reason")
    block = lines[head_of(lines) :]
    assert len(block) <= 12
    assert all(len(line) < 80 for line in block)
    assert block[3].startswith("orders[0] halted: no place no place") and block[3].endswith("...")
    assert block[-1].startswith("and ") and block[-1].endswith(" more partitions")


@pytest.mark.parametrize(("columns", "rows"), [(120, 40), (40, 12), (200, 6)])
def test_it_follows_the_size_of_the_terminal(show: Show, columns: int, rows: int) -> None:
    terminal = show(12)
    terminal.wait_for(is_drawn("0.0"), "the begin")
    terminal.resize(columns, rows)
    terminal.tell("done 50")
    lines = terminal.wait_for(is_drawn("50.0"), "50 %")
    block = lines[head_of(lines) :]
    assert len(block) < rows
    assert all(len(line) < columns for line in block)


@pytest.mark.parametrize("how", ["end", "sigterm"])
def test_it_leaves_a_clean_screen(show: Show, how: str) -> None:
    terminal = show(4)
    terminal.tell("log before")
    terminal.tell("done 42")
    terminal.wait_for(is_drawn("42.0"), "42 %")
    if how == "end":
        terminal.tell("end")
    code, output = terminal.end(signal.SIGTERM if how == "sigterm" else None)
    assert code == 0
    lines = terminal.lines()
    assert len(lines) == 1 and lines[0].endswith("before")
    state = "running" if how == "end" else "interrupted"
    assert output.startswith(f"Backfill nightly is {state}: 168,000 rows")


def test_it_is_never_blanked(show: Show) -> None:
    """A frame is drawn over the last one: nothing is taken away before there is something in its place."""
    terminal = show(4)
    terminal.wait_for(is_drawn("0.0"), "the begin")
    terminal.tell("done 42")
    terminal.wait_for(is_drawn("42.0"), "42 %")
    frames = terminal.raw.split(b"\r\x1b[")[1:]
    assert frames
    assert all(frame[frame.index(b"A") + 1 :].startswith(b"\x1b[1mnightly") for frame in frames)


def test_no_color(show: Show) -> None:
    coloured, plain = show(1), show(1, NO_COLOR="1")
    for terminal in (coloured, plain):
        terminal.tell("done 50")
        terminal.wait_for(is_drawn("50.0"), "50 %")
    assert b"\x1b[32m" in coloured.raw
    assert not any(sequence.endswith(b"m") for sequence in sequences(plain.raw))


def sequences(raw: bytes) -> list[bytes]:
    """Up to the letter that ends each."""
    found = []
    for part in raw.split(b"\x1b[")[1:]:
        length = next(index for index, byte in enumerate(part) if chr(byte).isalpha())
        found.append(part[: length + 1])
    return found


def test_a_dumb_terminal_gets_lines(show: Show) -> None:
    terminal = show(1, columns=200, TERM="dumb")
    terminal.tell("done 50")
    terminal.wait_for(lambda lines: any("percent=50 rows=50000" in line for line in lines), "a line of the log")
    assert b"\x1b" not in terminal.raw


def test_without_a_terminal_there_are_lines() -> None:
    with subprocess.Popen(
        [PROGRAM, "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdin and child.stderr
        child.stdin.write(b"done 25\n")
        child.stdin.flush()
        line = child.stderr.readline()
        child.terminate()
        _, rest = child.communicate(timeout=30)
    assert b'"event":"backfill progress","name":"nightly"' in line
    assert b"\x1b" not in line + rest
