"""Tables on the terminal, and how numbers are written in them."""

from __future__ import annotations

from typing import Sequence


def say(text: str = "") -> None:
    print(text, flush=True)


def heading(text: str) -> None:
    say(f"\n{text}\n{'-' * len(text)}")


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column stands left, the others right."""
    for line in lines(names, rows):
        say("  " + line)


def lines(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(names, *rows)]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in (names, *rows)
    ]


def markdown(names: Sequence[str], rows: Sequence[Sequence[str]], right: bool = True) -> str:
    """The first column stands left, the others right or left."""
    rule = ["---", *("---:" if right else "---" for _ in names[1:])]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (names, rule, *rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells) + "\n"


def thousands(number: float) -> str:
    return f"{number:,.0f}"


def seconds(number: float) -> str:
    return f"{number:.3f}"


def times(number: float) -> str:
    return f"{number:.2f} x"


def mebibytes(kib: float) -> str:
    return f"{kib / 1024:.0f} MiB"


def milliseconds(number: float) -> str:
    return f"{number:.1f}" if number < 100 else f"{number:.0f}"
