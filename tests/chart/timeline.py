"""A chart over time as SVG: lines from zero, and the moments of what was done, readable on light and dark pages."""

from __future__ import annotations

import math
from html import escape
from typing import Callable, Mapping, Sequence

WIDTH, PLOT_HEIGHT, MARGIN, AXIS_WIDTH, TITLE_HEIGHT = 960, 220, 16, 70, 44
COLOURS = ("#2563eb", "#94a3b8", "#f59e0b")
STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#1e293b}.title{font-weight:600;font-size:15px}"
    ".faint{fill:#64748b;font-size:12px}.rule{stroke:#cbd5e1}.mark{stroke:#ef4444;stroke-dasharray:3 3}</style>"
)

Point = tuple[float, float]


class Plot:
    """One of several plots above each other, with the same time below them."""

    def __init__(self, top: float, seconds: float, most: float) -> None:
        self.top, self.seconds, self.most = top, seconds or 1, most or 1
        self.left, self.right = MARGIN + AXIS_WIDTH, WIDTH - MARGIN
        self.bottom = top + PLOT_HEIGHT

    def x(self, seconds: float) -> float:
        return self.left + seconds / self.seconds * (self.right - self.left)

    def y(self, value: float) -> float:
        return self.bottom - value / self.most * PLOT_HEIGHT

    def axes(self, form: Callable[[float], str]) -> list[str]:
        shapes = []
        for step in range(5):
            value = self.most * step / 4
            y = self.y(value)
            shapes.append(f'<line class="rule" x1="{self.left}" x2="{self.right}" y1="{y:.1f}" y2="{y:.1f}"/>')
            shapes.append(text(self.left - 8, y + 4, form(value), "end", "faint"))
        return shapes

    def line(self, points: Sequence[Point], colour: str) -> str:
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'

    def mark(self, seconds: float) -> str:
        x = self.x(seconds)
        return f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{self.top}" y2="{self.bottom}"/>'

    def seconds_below(self) -> list[str]:
        step = max(10, round(self.seconds / 10, -1))
        times = [step * number for number in range(int(self.seconds // step) + 1)]
        return [text(self.x(each), self.bottom + 18, f"{each:.0f} s", "middle", "faint") for each in times]


def round_most(most: float) -> float:
    """So much or a little more, of which a quarter is a round number."""
    quarter = max(most, 1e-9) / 4
    power = 10 ** math.floor(math.log10(quarter))
    return 4 * power * next(step for step in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if step * power >= quarter)


def text(x: float, y: float, words: str, anchor: str = "start", css: str = "") -> str:
    kind = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def legend(names: Sequence[str], y: float) -> list[str]:
    shapes: list[str] = []
    x = float(MARGIN + AXIS_WIDTH)
    for name, colour in zip(names, COLOURS):
        shapes.append(f'<rect x="{x:.1f}" y="{y - 10:.1f}" width="12" height="12" fill="{colour}"/>')
        shapes.append(text(x + 18, y, name))
        x += 38 + 7.5 * len(name)
    return shapes


def draw(title: str, plots: Sequence[Mapping[str, Sequence[Point]]], marks: Sequence[tuple[float, str]]) -> str:
    """Each plot has lines by name; a mark is numbered, and told of below."""
    seconds = max(x for plot in plots for line in plot.values() for x, _ in line)
    shapes: list[str] = []
    top = float(TITLE_HEIGHT + 12)
    for series in plots:
        plot = Plot(top + 20, seconds, round_most(max(y for line in series.values() for _, y in line)))
        shapes += legend(list(series), top + 8) + plot.axes(
            lambda value: f"{value:,.4g}" if value < 10 else f"{value:,.0f}"
        )
        shapes += [plot.line(line, colour) for line, colour in zip(series.values(), COLOURS)]
        for number, (at, _) in enumerate(marks, 1):
            shapes += [plot.mark(at), text(plot.x(at) + 3, plot.top + 10, str(number), css="faint")]
        top = plot.bottom + 24
    shapes += plot.seconds_below()
    top += 16
    for number, (at, what) in enumerate(marks, 1):
        shapes.append(text(MARGIN + AXIS_WIDTH, top + 18 * number, f"{number}  {at:.0f} s: {what}", css="faint"))
    height = top + 18 * len(marks) + MARGIN
    return svg(title, height, shapes)


def svg(title: str, height: float, shapes: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}"'
        f' viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
    )
    back = f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="#ffffff"/>'
    return "\n".join([head, STYLE, back, text(MARGIN, 28, title, css="title"), *shapes, "</svg>"]) + "\n"
